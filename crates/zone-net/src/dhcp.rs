//! A DHCP client (RFC 2131) for the nets of a zone, spoken from inside of the zone's network namespace by whoever administers
//! it, so that a zone needs none of its own.
//!
//! [`client`] decides what is said when, and knows no clock and no socket; [`message`] reads and writes the packets, whose
//! form is `smoltcp`'s; [`wire`] is the socket, and waits; [`lease`] is what comes of it; [`install`] gives it to the
//! link. What comes from the wire is anybody's: it is bounded, read by none of ours but what is asked for, and heeded only
//! as an answer to what was asked.

use rustix::io::Errno;

use crate::rt;

pub mod client;
pub mod install;
pub mod lease;
pub mod message;
pub mod wire;

pub use lease::Lease;
pub use message::Identity;

/// Why a DHCP server cannot be asked, or what it gave cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DhcpError {
    /// The kernel refused something about the link or its addresses.
    #[error(transparent)]
    Kernel(#[from] rt::Error),
    /// The zone has no such link any more.
    #[error("net {0}: the zone has no link of that name any more")]
    Gone(String),
    /// There is no socket for it.
    #[error("net {net}: could not open a socket for DHCP")]
    Socket {
        /// Names the net whose link the socket was to be on.
        net: String,
        /// The call that failed.
        source: zone_sys::Error,
    },
    /// The zone's network namespace cannot be entered.
    #[error("could not enter the zone's network namespace")]
    Enter(#[source] Errno),
    /// The system has no random number.
    #[error("could not draw a random number")]
    Random(#[source] Errno),
}

#[cfg(test)]
mod tests;

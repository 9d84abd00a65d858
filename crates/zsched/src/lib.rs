//! zsched: the keeper of one zone.
//!
//! On Solaris the kernel owns a zone; Linux has no such object, so this small process is one. It is
//! the parent of the zone's first process, holds the console's pty pair, the pidfd and the user
//! namespace, and knows how the first process ended. It parses nothing that a zone wrote, decides
//! nothing, and outlives every restart of zoneadmd.
//!
//! The library half is what other programs need to speak with it: the [`wire`] format and a blocking
//! [`client`].
#![forbid(unsafe_code)]

pub mod client;
pub mod daemon;
pub mod launch;
pub mod process;
pub mod shown;
pub mod wire;

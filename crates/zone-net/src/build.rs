//! Making and taking away the interfaces of a zone.
//!
//! [`bring_up`] is [`create`], which makes the links and leaves the host's ends down, and [`configure`], which gives them
//! their addresses and routes and sets them up. Whoever has rules to load for a link loads them between the two: then no
//! packet passes before its rule. On an error nothing is undone: [`tear_down`] is for that, and for everything else.
//!
//! What belongs to others is not touched, with two exceptions that an attachment asks for: a [`Routed`] one with an uplink
//! switches `proxy_ndp` of the uplink on, if it has IPv6 addresses, which does nothing but have the proxy entries count
//! and is not switched off again; a [`Physical`] one moves the link. For [`Routed`] the host has to forward
//! (`net.ipv4.ip_forward`, `net.ipv6.conf.all.forwarding`): that is the caller's to see to, before.
//!
//! # How a routed zone finds its way
//!
//! Its addresses bring no route to their prefix, for nothing is on that link but the host. Its default routes go by
//! [`ROUTER_V4`] and [`ROUTER_V6`], which every such link of the host has, the same for all zones: link-local, of the part
//! of 169.254.0.0/16 that no host takes for itself (RFC 3927, section 2.1). If other routers are said, the host answers
//! for them.
//!
//! [`Routed`]: crate::interface::Attachment::Routed
//! [`Physical`]: crate::interface::Attachment::Physical

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use crate::Interface;
use crate::interface::Attachment;
use crate::rt::{self, Socket, namespace, sysctl};

pub use teardown::{tear_down, tear_down_recorded};

pub mod live;
pub mod physical;

mod attach;
mod inside;
mod routed;
mod teardown;
mod vlan;

/// The router of a routed zone's IPv4 default route, if no other is said.
pub const ROUTER_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 1);
/// The router of a routed zone's IPv6 default route, if no other is said.
pub const ROUTER_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// Why interfaces could not be made or taken away.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The kernel refused something.
    #[error(transparent)]
    Kernel(#[from] rt::Error),
    /// A setting of a link cannot be written.
    #[error(transparent)]
    Setting(#[from] sysctl::Error),
    /// The zone's network namespace cannot be entered.
    #[error("could not enter the zone's network namespace")]
    Enter(#[source] Errno),
    /// The host's network namespace cannot be opened.
    #[error("could not open the network namespace that the links come back to")]
    Current(#[source] Errno),
    /// The host has no such link.
    #[error("there is no link '{0}'")]
    NoLink(String),
    /// The link is none that has ports.
    #[error("the link '{0}' is not a bridge")]
    NotBridge(String),
    /// The port would not be in the VLAN.
    #[error(
        "the bridge '{0}' does not filter VLANs ('ip link set {0} type bridge vlan_filtering 1' has it do so)"
    )]
    NotFiltering(String),
    /// The kernel does not have what a mode is made of.
    #[error(
        "this kernel has no {kind} links: load the module {module} ('modprobe {module}'), or choose another mode"
    )]
    NoKind {
        /// What `ip link` calls it.
        kind: &'static str,
        /// The module that has it.
        module: &'static str,
        /// What the kernel says.
        source: rt::Error,
    },
    /// A link that was made is not there.
    #[error("the link '{0}' has gone while it was configured")]
    Vanished(String),
    /// A virtual link went with a network namespace that the zone had moved it to.
    #[error(
        "the link '{0}' is no more: the zone has destroyed it, or moved it to a network namespace that has gone; make it again"
    )]
    Destroyed(String),
    /// A link that moved into the zone is not where it can be taken from.
    #[error("the link '{0}' has not come back from the zone")]
    Lost(String),
    /// A link is back, and its driver does not let it be set up.
    #[error(
        "the link '{name}' has come back from the zone and cannot be set up, so that the host's routes by it are not there: when it can be ('ip link set {name} up'), configure it again"
    )]
    StaysDown {
        /// Names the link as the host calls it.
        name: String,
        /// What the kernel says.
        source: rt::Error,
    },
    /// Somebody has given a link's name to another one while it was in the zone.
    #[error(
        "the link '{name}' has come back from the zone as '{got}': another link is called '{name}' by now"
    )]
    NameTaken {
        /// The name that it had.
        name: String,
        /// The name that it has.
        got: String,
    },
    /// A network namespace cannot be kept, or not be let go of.
    #[error("could not keep the zone's network namespace at {}", .path.display())]
    Pin {
        /// Names the file that the namespace is mounted on.
        path: PathBuf,
        /// What the kernel says.
        #[source]
        source: Errno,
    },
    /// More than one thing went wrong.
    #[error("{}", several(.0))]
    Several(Vec<NetError>),
}

impl NetError {
    /// Tells whether nothing is left to be taken away: to be told, once, and no reason to try again.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Destroyed(_) | Self::StaysDown { .. } => true,
            Self::Several(errors) => errors.iter().all(Self::is_final),
            _ => false,
        }
    }

    /// Makes one error of all that went wrong; none if nothing did.
    pub(crate) fn of(mut errors: Vec<Self>) -> Result<(), Self> {
        match errors.len() {
            0 | 1 => errors.pop().map_or(Ok(()), Err),
            _ => Err(Self::Several(errors)),
        }
    }
}

/// Makes a link of a kind that a kernel can be without.
fn make_kind(host: &mut Socket, kind: &'static str, requests: Vec<rt::Request<'_>>) -> Result<(), NetError> {
    host.run(requests).map_err(|source| match source.errno() {
        Errno::OPNOTSUPP => {
            NetError::NoKind { kind, module: if kind == "vlan" { "8021q" } else { kind }, source }
        }
        _ => source.into(),
    })
}

fn several(errors: &[NetError]) -> String {
    let words: Vec<_> = errors.iter().map(|error| zone_sys::Chain(error).to_string()).collect();
    words.join("; ")
}

/// Makes the interfaces of a zone and sets them up: [`create`], then [`configure`]. No program is started, and nothing is
/// waited for but the kernel's answers.
///
/// # Errors
/// The first thing that failed; [`tear_down`] takes away what was made before.
pub fn bring_up(interfaces: &[Interface], netns: BorrowedFd<'_>) -> Result<(), NetError> {
    create(interfaces, netns)?;
    configure(interfaces, netns)
}

/// Makes the links of a zone, the host's ends down, the others in its network namespace with their names, Ethernet
/// addresses and MTUs. A physical link has to be recorded before ([`physical::record`]), and that record be saved.
///
/// # Errors
/// A link that is missing or is not what it should be; what the kernel says.
pub fn create(interfaces: &[Interface], netns: BorrowedFd<'_>) -> Result<(), NetError> {
    if interfaces.is_empty() {
        return Ok(());
    }
    let mut host = Socket::here()?;
    // What moves in comes first, and keeps its number there, by which a virtual one is found again.
    let (moving, made): (Vec<_>, Vec<_>) =
        interfaces.iter().partition(|interface| matches!(interface.attachment, Attachment::Physical { .. }));
    moving.into_iter().chain(made).try_for_each(|interface| attach::create(&mut host, interface, netns))
}

/// Gives links that [`create`] has made their addresses and routes, inside and on the host, and sets them up; the zone's
/// loopback too, even if there is nothing else.
///
/// # Errors
/// What the kernel says.
pub fn configure(interfaces: &[Interface], netns: BorrowedFd<'_>) -> Result<(), NetError> {
    configure_inside(interfaces, netns, || ()).1?;
    set_up(interfaces)
}

/// The first half of [`configure`]: what is inside, beside what is to be done `meanwhile`. As long as the host's end of a pair is down,
/// nothing goes through it.
///
/// # Errors
/// What the kernel says.
pub fn configure_inside<T>(
    interfaces: &[Interface],
    netns: BorrowedFd<'_>,
    meanwhile: impl FnOnce() -> T,
) -> (T, Result<(), NetError>) {
    let (done, configured) = namespace::beside(netns, || inside::configure(interfaces), meanwhile);
    (done, configured.map_err(NetError::Enter).flatten())
}

/// The second half of [`configure`]: the ends on the host, with the addresses and routes there.
///
/// # Errors
/// What the kernel says.
pub fn set_up(interfaces: &[Interface]) -> Result<(), NetError> {
    if interfaces.is_empty() {
        return Ok(());
    }
    let mut host = Socket::here()?;
    interfaces.iter().try_for_each(|interface| attach::set_up(&mut host, interface))
}

/// Lets a zone's port of a bridge send back what came from it, or no longer: where frames on bridges go through the rules for packets
/// (`net.bridge.bridge-nf-call-iptables`), a zone's connection to its own published port turns round in the bridge. The guard
/// of the link keeps what is for all from coming back.
///
/// # Errors
/// The link is no port; what the kernel says.
pub fn hairpin(name: &str, allowed: bool) -> Result<(), NetError> {
    Ok(Socket::here()?.run([rt::bridge::hairpin(name, allowed)])?)
}

/// Has the host take packets to its `::1` that come by one of our links: the answers to connections from the host's own
/// loopback to a published port. Whatever else comes there with such an address is dropped by the rules.
///
/// # Errors
/// The link is not there; what the kernel says.
pub fn accept_loopback(name: &str) -> Result<(), NetError> {
    /// The kind of a route to this host itself (`RTN_LOCAL`).
    const LOCAL: u8 = 2;
    /// Behind the loopback link's own route, by which the host sends.
    const BEHIND: u32 = 4096;
    let mut host = Socket::here()?;
    let index = link(&mut host, name)?.index;
    let route = rt::Route {
        kind: LOCAL,
        table: rt::route::LOCAL,
        metric: Some(BEHIND),
        ..rt::Route::on_link(std::net::IpAddr::from(Ipv6Addr::LOCALHOST).into(), index)
    };
    Ok(host.run([rt::route::replace(&route)])?)
}

/// Finds a link that has to be there.
fn link(socket: &mut Socket, name: &str) -> Result<rt::Link, NetError> {
    socket.link(name)?.ok_or_else(|| NetError::NoLink(name.to_owned()))
}

/// Writes a setting that a kernel without IPv6, or a link without it, does not have.
fn set_if_there(setting: sysctl::Setting<'_>, value: &str) -> Result<(), sysctl::Error> {
    match setting.set(value) {
        Err(error) if error.errno() == Errno::NOENT => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests;

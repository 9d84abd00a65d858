//! The managed network of an installation: a bridge with a range of addresses of its own, so that a zone has
//! a network without anybody having configured one.
//!
//! What it is stands in `etc/zones/network.toml`. That is written once, when the first zone needs it, with
//! ranges that meet nothing of the host, and then only read: people may edit it. Who has which address of it
//! stands in `etc/zones/addresses` ([`zone_config::addresses`]).
//!
//! Whoever brings up a zone with a net in it goes this way:
//!
//! 1. [`Network::on_host`] gives the network, and refuses one that the host has come to be in the way of.
//! 2. [`allocate`] gives each net its addresses, or [`reserve`] keeps those that an administrator gave.
//! 3. [`ensure`] has bridge, rules and forwarding be as they must. What it gives holds the lock of the
//!    managed network, so that nobody finds the bridge without ports and takes it away: it is dropped when
//!    the net's link is a port.
//!
//! and whoever takes one down calls [`release_if_unused`] afterwards. All of it is idempotent, and may be
//! killed anywhere.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use zone_config::file::FileLock;
use zone_config::{Layout, hash};

use crate::forwarding::{self, Family};
use crate::rt::Socket;
use crate::{Mac, firewall, names};

mod bridge;
mod choose;
mod document;
mod error;
mod host;
mod lease;
mod range;

pub(crate) use document::is_nameserver;
pub use error::ManagedError;
pub use lease::{allocate, lookup, rehearse, reserve};
pub use range::Range;
pub use zone_config::addresses::{release, rename, retain};

/// The managed network, as its file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The name of the bridge, which zones are ports of.
    pub bridge: String,
    /// The Ethernet address of the bridge, the same for ever: one that it took from its ports would change
    /// with them.
    pub mac: Mac,
    /// The range of IPv4 addresses, if it has IPv4.
    pub ipv4: Option<Range>,
    /// The range of IPv6 addresses, if it has IPv6. At least one of the two is there.
    pub ipv6: Option<Range>,
    /// The MTU in bytes; `None` for the kernel's own choice.
    pub mtu: Option<u32>,
    /// The nameservers for zones; none for those of the host.
    pub nameservers: Vec<IpAddr>,
    /// The file that describes it.
    pub file: PathBuf,
}

/// A prefix that the host has a route to, or an address of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPrefix {
    /// The prefix of the route or address, its other bits 0.
    pub prefix: IpNet,
    /// The link that it is on; `None` for a route without one.
    pub link: Option<String>,
}

impl HostPrefix {
    /// Whether the range would take something from it. A shorter prefix than /8 is a way to the internet
    /// (`0.0.0.0/0`, the halves of it that VPNs set, `2000::/3`, `fc00::/7`) and not a network that somebody
    /// is in.
    fn meets(&self, range: IpNet) -> bool {
        self.prefix.prefix_len() >= 8 && (self.prefix.contains(&range) || range.contains(&self.prefix))
    }
}

impl std::fmt::Display for HostPrefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.prefix)?;
        self.link.as_ref().map_or(Ok(()), |link| write!(f, " (dev {link})"))
    }
}

/// How long an operation on the managed network is waited for; none takes a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// The managed network, ready for the links of a zone. As long as this is held, it stays.
#[derive(Debug)]
#[must_use]
pub struct Ready {
    /// What has been switched on in the host, a sentence for each, for people.
    pub told: Vec<String>,
    _lock: FileLock,
}

/// Makes bridge, addresses, rules and forwarding of the managed network what they have to be, whatever of
/// them is there, and keeps them from being taken away until the answer is dropped. Waits up to half a minute
/// for whoever else is at it.
///
/// # Errors
/// When a link of the bridge's name is somebody else's, which is not changed; what the kernel refuses.
pub fn ensure(layout: &Layout, network: &Network) -> Result<Ready, ManagedError> {
    let lock = lock(layout)?;
    let id = layout.id();
    let mut socket = Socket::here()?;
    let found = bridge::make(&mut socket, network, id)?;
    // The rules first: with what comes next zones could talk to the host's loopback.
    let ranges: Vec<IpNet> = network.ranges().map(Range::prefix).collect();
    firewall::network(id, &network.bridge, &ranges)?;
    let families = network.families();
    forwarding::settle_bridge(&network.bridge, &families)?;
    bridge::set_up(&mut socket, network, &found)?;
    let told = forwarding::ensure(&families)?;
    Ok(Ready { told, _lock: lock })
}

/// Takes bridge and rules of the managed network away if no zone uses them, and tells whether they are gone.
/// What it is, and who has which address, stays for the next zone; so does forwarding, on which others may
/// rely. Waits up to half a minute for whoever else is at it. Calls `unbridged` between the two, for whoever wants to be killed there.
///
/// # Errors
/// When a link of the bridge's name is somebody else's, which is not changed; what the kernel refuses.
pub fn release_if_unused(layout: &Layout, unbridged: impl FnOnce()) -> Result<bool, ManagedError> {
    // An installation that never had a network needs no lock of it.
    if Network::load(layout)?.is_none() {
        return Ok(true);
    }
    let _lock = lock(layout)?;
    let Some(network) = Network::load(layout)? else { return Ok(true) };
    let mut socket = Socket::here()?;
    let found = bridge::find(&mut socket, &network, layout.id())?;
    if bridge::is_used(&mut socket, &network, found.as_ref())? {
        return Ok(false);
    }
    if let Some(found) = found {
        bridge::delete(&mut socket, &found)?;
        unbridged();
    }
    firewall::remove_network(layout.id())?;
    Ok(true)
}

/// Lists the prefixes of the routes and addresses of the host, but for those of the managed network and those
/// that lead to zones.
///
/// # Errors
/// When the network's file cannot be read or understood; what the kernel says.
pub fn host_prefixes(layout: &Layout) -> Result<Vec<HostPrefix>, ManagedError> {
    let bridge = document::load(layout)?.map_or_else(|| bridge_of(layout), |network| network.bridge);
    host::prefixes(&mut Socket::here()?, &bridge)
}

/// Checks that no link of the bridge's name is somebody else's.
///
/// # Errors
/// [`ManagedError::NotOurs`], and what the kernel says.
pub fn check_bridge(layout: &Layout, network: &Network) -> Result<(), ManagedError> {
    bridge::find(&mut Socket::here()?, network, layout.id()).map(drop)
}

/// Takes the lock under which the zones of an installation change what they share of the host's network: the managed
/// network, and links of VLANs. [`ensure`] and [`release_if_unused`] take it themselves.
///
/// # Errors
/// Somebody has held it for too long, or the file cannot be locked.
pub fn lock(layout: &Layout) -> Result<FileLock, ManagedError> {
    let path = layout.network_lock();
    FileLock::take_within(&path, PATIENCE)?.ok_or(ManagedError::Busy { path, seconds: PATIENCE.as_secs() })
}

impl Network {
    /// Reads the managed network, or chooses and records one, and checks that nothing of the host is in its
    /// way now. The family that the kernel of this host does not have, or has switched off, is left out.
    ///
    /// # Errors
    /// Those of [`Self::load_or_choose`] and [`Self::check`], [`ManagedError::NoFamily`], and what the kernel
    /// says.
    pub fn on_host(layout: &Layout) -> Result<Self, ManagedError> {
        let host = host_prefixes(layout)?;
        Self::load_or_choose(layout, &host)?.fit(&host)
    }

    /// As [`Self::on_host`], but of a network that was chosen before; `None` if none was.
    ///
    /// # Errors
    /// Those of [`Self::on_host`].
    pub fn on_host_if_chosen(layout: &Layout) -> Result<Option<Self>, ManagedError> {
        let Some(network) = Self::load(layout)? else { return Ok(None) };
        let host = host::prefixes(&mut Socket::here()?, &network.bridge)?;
        network.fit(&host).map(Some)
    }

    fn fit(mut self, host: &[HostPrefix]) -> Result<Self, ManagedError> {
        self.check(host)?;
        let families = forwarding::families()?;
        self.ipv4 = self.ipv4.filter(|_| families.contains(&Family::V4));
        self.ipv6 = self.ipv6.filter(|_| families.contains(&Family::V6));
        if self.families().is_empty() {
            return Err(ManagedError::NoFamily(self.file));
        }
        Ok(self)
    }

    /// Lists the families that it has ranges of.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        let family = |range: Range| if range.prefix().addr().is_ipv4() { Family::V4 } else { Family::V6 };
        self.ranges().map(family).collect()
    }

    /// Reads the managed network from its file; `None` if that names no range yet, since no zone has ever
    /// needed one.
    ///
    /// # Errors
    /// When the file is there and cannot be read or understood.
    pub fn load(layout: &Layout) -> Result<Option<Self>, ManagedError> {
        Ok(document::load(layout)?.filter(|network| network.ranges().next().is_some()))
    }

    /// Reads the managed network from its file, or chooses one that meets none of the prefixes of the host
    /// and writes the file. Takes the lock of the managed network.
    ///
    /// # Errors
    /// When the file cannot be read, understood or written, or no range is free.
    pub fn load_or_choose(layout: &Layout, host: &[HostPrefix]) -> Result<Self, ManagedError> {
        // The file is replaced by rename: it can be read without the lock, which an operation may hold for a
        // while.
        if let Some(network) = Self::load(layout)? {
            return Ok(network);
        }
        let _lock = lock(layout)?;
        if let Some(network) = Self::load(layout)? {
            return Ok(network);
        }
        let file = layout.network();
        let ipv4 =
            choose::ipv4(seed(layout, "ipv4"), host).ok_or(ManagedError::NoRange { path: file.clone() })?;
        let ipv6 = choose::ipv6(host, choose::random)
            .map_err(|source| ManagedError::Random { source: source.into() })?
            .ok_or(ManagedError::NoRange { path: file })?;
        document::write(layout, ipv4, ipv6)?;
        Self::load(layout)?.ok_or(ManagedError::NoRange { path: layout.network() })
    }

    /// Checks that nothing of the host is where the ranges are. `host` is without what the network itself has
    /// put there: the prefixes on its bridge and on the links of its zones.
    ///
    /// # Errors
    /// [`ManagedError::Overlap`].
    pub fn check(&self, host: &[HostPrefix]) -> Result<(), ManagedError> {
        for range in self.ranges() {
            if let Some(other) = host.iter().find(|other| other.meets(range.prefix())) {
                return Err(ManagedError::Overlap {
                    path: self.file.clone(),
                    range: Box::new(range.prefix()),
                    host: Box::new(other.clone()),
                });
            }
        }
        Ok(())
    }

    /// Lists the ranges, IPv4 first.
    pub fn ranges(&self) -> impl Iterator<Item = Range> {
        self.ipv4.into_iter().chain(self.ipv6)
    }

    /// Lists the addresses of the bridge, which is the zones' router, with the prefixes of the ranges.
    pub fn bridge_addresses(&self) -> Vec<IpNet> {
        self.ranges().map(Range::router).collect()
    }

    /// Lists the host's own addresses in it, with the prefixes of its ranges.
    #[must_use]
    pub fn own_addresses(&self) -> Vec<IpNet> {
        self.ranges().map(Range::router).collect()
    }

    /// Lists the routers of the zones' default routes.
    pub fn routers(&self) -> Vec<IpAddr> {
        self.ranges().map(|range| range.router().addr()).collect()
    }
}

/// Reads the nameservers that the network's file names for zones, be there a managed network or not.
///
/// # Errors
/// When the file is there and cannot be read or understood.
pub fn nameservers(layout: &Layout) -> Result<Vec<IpAddr>, ManagedError> {
    Ok(document::load(layout)?.map(|network| network.nameservers).unwrap_or_default())
}

/// A number of this installation for one purpose, the same at each call.
fn seed(layout: &Layout, purpose: &str) -> u64 {
    hash::fnv1a(format!("{} {purpose}", layout.id()).as_bytes())
}

fn bridge_of(layout: &Layout) -> String {
    names::bridge(layout.id())
}

#[cfg(test)]
mod tests;

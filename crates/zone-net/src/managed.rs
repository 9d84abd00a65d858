//! The managed network of an installation: a bridge with a range of addresses of its own, so that a zone has a network
//! without anybody having configured one.
//!
//! What it is stands in `etc/zones/network.toml`. That is written once, when the first zone needs it, with ranges that meet
//! nothing of the host, and then only read: people may edit it. Who has which address of it stands in `etc/zones/addresses`
//! ([`zone_config::addresses`]).

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use zone_config::file::FileLock;
use zone_config::{Layout, hash};

use crate::{Mac, names};

mod choose;
mod document;
mod error;
mod lease;
mod range;

pub(crate) use document::is_nameserver;
pub use error::ManagedError;
pub use lease::{allocate, lookup, reserve};
pub use range::Range;
pub use zone_config::addresses::{release, rename, retain};

/// The managed network, as its file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The name of the bridge.
    pub bridge: String,
    /// The Ethernet address of the bridge, the same for ever: one that it took from its ports would change with them.
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
    /// The prefix.
    pub prefix: IpNet,
    /// The link that it is on; `None` for a route without one.
    pub link: Option<String>,
}

impl HostPrefix {
    /// Whether the range would take something from it. A shorter prefix than /8 is a way to the internet (`0.0.0.0/0`, the
    /// halves of it that VPNs set, `2000::/3`, `fc00::/7`) and not a network that somebody is in.
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

impl Network {
    /// Reads the managed network from its file; `None` if that names no range yet, since no zone has ever needed one.
    ///
    /// # Errors
    /// When the file is there and cannot be read or understood.
    pub fn load(layout: &Layout) -> Result<Option<Self>, ManagedError> {
        Ok(document::load(layout)?.filter(|network| network.ranges().next().is_some()))
    }

    /// Reads the managed network from its file, or chooses one that meets none of the prefixes of the host and writes the file.
    /// Takes the lock of the managed network.
    ///
    /// # Errors
    /// When the file cannot be read, understood or written, or no range is free.
    pub fn load_or_choose(layout: &Layout, host: &[HostPrefix]) -> Result<Self, ManagedError> {
        // The file is replaced by rename: it can be read without the lock, which an operation may hold for a while.
        if let Some(network) = Self::load(layout)? {
            return Ok(network);
        }
        let lock = FileLock::take(&layout.network_lock())?;
        Self::load_or_choose_locked(layout, host, &lock)
    }

    /// As [`Self::load_or_choose`], for whoever holds the lock of the managed network.
    ///
    /// # Errors
    /// As [`Self::load_or_choose`].
    pub(crate) fn load_or_choose_locked(
        layout: &Layout,
        host: &[HostPrefix],
        _lock: &FileLock,
    ) -> Result<Self, ManagedError> {
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

    /// Checks that nothing of the host is where the ranges are. `host` is without what the network itself has put there: the
    /// prefixes on its bridge and on the links of its zones.
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

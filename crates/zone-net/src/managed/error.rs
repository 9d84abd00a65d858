//! What can be wrong with the managed network.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use zone_config::ZoneName;
use zone_config::addresses::AddressesError;
use zone_config::file::FileError;

use super::HostPrefix;
use crate::forwarding::ForwardingError;
use crate::{firewall, rt};

/// The managed network cannot be used, or has no address to give.
#[derive(Debug, thiserror::Error)]
pub enum ManagedError {
    /// A file could not be read, locked or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file of addresses has a line that keeps this from being done.
    #[error(transparent)]
    Addresses(#[from] AddressesError),
    /// The network's file is not TOML, or has a key that there is not.
    #[error(
        "{} is not right on line {line} ({what}); correct it, or remove it to have a new network chosen",
        .path.display()
    )]
    Parse {
        /// The path of the network's file.
        path: PathBuf,
        /// Numbers the line in the file, from 1.
        line: usize,
        /// What is wrong there, and what is allowed.
        what: String,
    },
    /// A value of the network's file is none that it can have.
    #[error("{}: {key} {value:?}: {reason}", .path.display())]
    Value {
        /// The path of the network's file.
        path: PathBuf,
        /// The key that it is the value of.
        key: &'static str,
        /// The value, as written.
        value: String,
        /// What a value of that key must be.
        reason: &'static str,
    },
    /// Every range that could be chosen meets a route or an address of the host.
    #[error(
        "no range of private addresses is free for the managed network: the host has routes to all of them; take one of them away, or write a file {} with a line such as ipv4 = \"203.0.113.0/24\" that names a range in none of them",
        .path.display()
    )]
    NoRange {
        /// Where a range can be named.
        path: PathBuf,
    },
    /// There are no random numbers.
    #[error("cannot choose an IPv6 prefix")]
    Random {
        /// Keeps what getrandom(2) answered.
        #[source]
        source: io::Error,
    },
    /// A range meets a route or an address of the host.
    #[error(
        "the managed network has the range {range}, and the host has {host}: zones and that network could not reach one another; take the host's route away, or halt the zones and write another range in {}",
        .path.display()
    )]
    Overlap {
        /// The path of the network's file.
        path: PathBuf,
        /// The range of the network that is in the way.
        range: Box<IpNet>,
        /// The route or address of the host that it meets.
        host: Box<HostPrefix>,
    },
    /// The kernel of the host has none of the families that the network has.
    #[error(
        "this host's kernel has no family of addresses that the managed network has a range of; write a range of the other one in {}",
        .0.display()
    )]
    NoFamily(PathBuf),
    /// Somebody else has held the lock of the managed network for too long.
    #[error("another operation on the managed network has not ended in {seconds} seconds: it holds a lock on {}; see who with fuser(1)", .path.display())]
    Busy {
        /// The path of the lock.
        path: PathBuf,
        /// How long it was waited for, in seconds.
        seconds: u64,
    },
    /// A link of the bridge's name is none of the managed network.
    #[error(
        "the managed network needs a bridge {link}, and {link} is {what}: it is left as it is; write another name in {}, as bridge = \"zones1\"",
        .path.display()
    )]
    NotOurs {
        /// The name that the bridge should have.
        link: String,
        /// What kind of link has that name.
        what: String,
        /// The path of the network's file.
        path: PathBuf,
    },
    /// The bridge was taken away by somebody else just now.
    #[error("the bridge {0} has gone while it was configured")]
    Vanished(String),
    /// The kernel refused something about links, addresses or routes.
    #[error(transparent)]
    Kernel(Box<rt::Error>),
    /// The rules of the network could not be changed.
    #[error(transparent)]
    Firewall(Box<firewall::Error>),
    /// The host could not be made to forward.
    #[error(transparent)]
    Forwarding(Box<ForwardingError>),
    /// A range has no free address.
    #[error(
        "no free address in {range} for zone '{zone}': all there are ({used}) are recorded in {}; delete a zone, remove lines of zones that are gone, or write a larger range in {}",
        .path.display(), .network.display()
    )]
    Full {
        /// The path of the file of addresses.
        path: PathBuf,
        /// The range of which none is free.
        range: Box<IpNet>,
        /// How many addresses of the range are recorded.
        used: u64,
        /// The zone that was to have one.
        zone: ZoneName,
        /// The path of the network's file.
        network: PathBuf,
    },
    /// An address that was asked for is another zone's.
    #[error(
        "address {address} is the one of net {net} of zone '{zone}' ({}): choose another, or delete that zone",
        .path.display()
    )]
    Taken {
        /// The path of the file of addresses.
        path: PathBuf,
        /// The address that was asked for.
        address: IpAddr,
        /// The zone that has it.
        zone: ZoneName,
        /// The net of that zone, by the name of its link inside.
        net: String,
    },
    /// An address that was asked for is the router's, or stands for all of the range.
    #[error("address {address} is {what} of the managed network {range}: choose another of it")]
    NotForZones {
        /// The address that was asked for.
        address: IpAddr,
        /// What that address is for.
        what: &'static str,
        /// The range that it is in.
        range: Box<IpNet>,
    },
}

impl From<rt::Error> for ManagedError {
    fn from(error: rt::Error) -> Self {
        Self::Kernel(Box::new(error))
    }
}

impl From<firewall::Error> for ManagedError {
    fn from(error: firewall::Error) -> Self {
        Self::Firewall(Box::new(error))
    }
}

impl From<ForwardingError> for ManagedError {
    fn from(error: ForwardingError) -> Self {
        Self::Forwarding(Box::new(error))
    }
}

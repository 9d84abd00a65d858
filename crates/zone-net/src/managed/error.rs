//! What can be wrong with the managed network.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use zone_config::ZoneName;
use zone_config::addresses::AddressesError;
use zone_config::file::FileError;

use super::HostPrefix;

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
    #[error("{} is not right; correct it, or remove it to have a new network chosen", .path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line, column and what is allowed.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A value of the network's file is none that it can have.
    #[error("{}: {key} {value:?}: {reason}", .path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
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
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A range meets a route or an address of the host.
    #[error(
        "the managed network has the range {range}, and the host has {host}: zones and that network could not reach one another; take the host's route away, or halt the zones and write another range in {}",
        .path.display()
    )]
    Overlap {
        /// The network's file.
        path: PathBuf,
        /// The range.
        range: Box<IpNet>,
        /// What the host has.
        host: Box<HostPrefix>,
    },
    /// A range has no free address.
    #[error(
        "no free address in {range} for zone '{zone}': all {used} are recorded in {}; delete a zone, or remove lines of zones that are gone",
        .path.display()
    )]
    Full {
        /// The file of addresses.
        path: PathBuf,
        /// The range.
        range: Box<IpNet>,
        /// How many addresses of the range are recorded.
        used: u64,
        /// The zone.
        zone: ZoneName,
    },
    /// An address that was asked for is another zone's.
    #[error(
        "address {address} is the one of net {net} of zone '{zone}' ({}): choose another, or delete that zone",
        .path.display()
    )]
    Taken {
        /// The file of addresses.
        path: PathBuf,
        /// The address.
        address: IpAddr,
        /// Whose it is.
        zone: ZoneName,
        /// Of which net.
        net: String,
    },
    /// An address that was asked for is the router's, or stands for all of the range.
    #[error("address {address} is {what} of the managed network {range}: choose another of it")]
    NotForZones {
        /// The address.
        address: IpAddr,
        /// Whose address it is.
        what: &'static str,
        /// The range.
        range: Box<IpNet>,
    },
}

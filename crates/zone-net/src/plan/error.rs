//! What keeps a net from being built.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::rt;

/// Why a net cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// What the host has cannot be read.
    #[error(transparent)]
    Host(#[from] rt::Error),
    /// The host has no such link.
    #[error("there is no link '{name}' on this host; there are: {}", .there.join(", "))]
    NoLink {
        /// What was asked for.
        name: String,
        /// The links of the host.
        there: Vec<String>,
    },
    /// The link is the host's loopback.
    #[error("the link '{0}' is the host's loopback: it cannot be a zone's")]
    Loopback(String),
    /// A bridge was to move into a zone.
    #[error("the link '{0}' is a bridge: it cannot move into a zone; attach the net to it by global-nic={0}")]
    BridgeMoves(String),
    /// The host itself needs the link.
    #[error("the host's default route is by the link '{0}': it would be cut off if that moved into a zone")]
    HostsOwn(String),
    /// The link belongs to another one.
    #[error("the link '{link}' is a port of '{master}': it cannot move into a zone")]
    Port {
        /// The link.
        link: String,
        /// What it is a port of.
        master: String,
    },
    /// The mode needs a bridge.
    #[error("net {net}: '{link}' is no bridge; without mode=bridge it is attached to as a macvlan")]
    NotBridge {
        /// The net.
        net: String,
        /// The link.
        link: String,
    },
    /// There is no managed network yet.
    #[error("the managed network is not known")]
    NoManaged,
    /// An address without the length of its prefix is in no network that is known.
    #[error(
        "net {net}: the length of the prefix of {address} is not known: no network of the host there has it; give it as {address}/LENGTH"
    )]
    NoPrefix {
        /// The net.
        net: String,
        /// The address.
        address: IpAddr,
    },
    /// An address is not of the managed network.
    #[error("net {net}: {address} is not of the managed network, which is {}", shown(.ranges))]
    OutsideManaged {
        /// The net.
        net: String,
        /// The address.
        address: IpAddr,
        /// The ranges of the managed network.
        ranges: Vec<IpNet>,
    },
    /// The host has the address itself.
    #[error("net {net}: {address} is an address of this host, on '{link}'")]
    HostsAddress {
        /// The net.
        net: String,
        /// The address.
        address: IpAddr,
        /// The link of the host that has it.
        link: String,
    },
    /// Another zone has the address.
    #[error("net {net}: {address} is an address of zone {zone}")]
    ZonesAddress {
        /// The net.
        net: String,
        /// The address.
        address: IpAddr,
        /// The zone that has it.
        zone: String,
    },
    /// The router is in no network of the net.
    #[error("net {net}: the router {router} is outside of the prefixes of all addresses")]
    FarRouter {
        /// The net.
        net: String,
        /// The router.
        router: IpAddr,
    },
    /// The router is this host, which a macvlan or ipvlan does not reach.
    #[error(
        "net {net}: the router {router} is this host, which a macvlan or ipvlan on '{link}' cannot reach; use a bridge, or mode routed"
    )]
    HostsRouter {
        /// The net.
        net: String,
        /// The router.
        router: IpAddr,
        /// The link of the host that has it.
        link: String,
    },
}

fn shown(ranges: &[IpNet]) -> String {
    ranges.iter().map(IpNet::to_string).collect::<Vec<_>>().join(" and ")
}

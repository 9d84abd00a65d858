//! What keeps a net from being built.

use std::net::IpAddr;

use ipnet::IpNet;

use zone_config::net::MTU_IPV6;

use crate::{guard, rt};

/// Why a net cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// What the host has cannot be read.
    #[error(transparent)]
    Host(#[from] rt::Error),
    /// The host has no such link.
    #[error("there is no link '{name}' on this host; {}", others(.there))]
    NoLink {
        /// What was asked for.
        name: String,
        /// The links of the host, without those of zones.
        there: Vec<String>,
    },
    /// The link is the host's loopback.
    #[error("the link '{0}' is the host's loopback: it cannot be a zone's")]
    Loopback(String),
    /// A bridge was to move into a zone.
    #[error("the link '{0}' is a bridge: it cannot move into a zone; attach the net to it by global-nic={0}")]
    BridgeMoves(String),
    /// The host itself needs the link.
    #[error(
        "the host's default route is by the link '{0}': it would be cut off if that moved into a zone; attach the net to it by global-nic={0}"
    )]
    HostsOwn(String),
    /// The link belongs to another one.
    #[error(
        "the link '{link}' is a port of '{master}': it cannot move into a zone; attach the net to '{master}', or take the link out of it ('ip link set {link} nomaster')"
    )]
    Port {
        /// Names the link of the host that is in the way.
        link: String,
        /// What it is a port of.
        master: String,
    },
    /// The mode needs a bridge.
    #[error("net {net}: '{link}' is no bridge; without mode=bridge the net is a macvlan on it")]
    NotBridge {
        /// Names the net (`physical`) that cannot be built.
        net: String,
        /// Names the link of the host that is in the way.
        link: String,
    },
    /// The bridge would not keep the net to its VLAN.
    #[error(
        "net {net}: the bridge '{bridge}' does not filter VLANs, so vlan-id={vlan} means nothing there ('ip link set {bridge} type bridge vlan_filtering 1' has it do so)"
    )]
    NotFiltering {
        /// Names the net (`physical`) that cannot be built.
        net: String,
        /// Numbers the VLAN that is asked for, 1 to 4094.
        vlan: u16,
        /// Names the bridge on the host that was to have the port.
        bridge: String,
    },
    /// IPv6 has larger packets than the link.
    #[error("net {net}: the MTU is {mtu}, and IPv6 needs at least {MTU_IPV6}")]
    SmallMtu {
        /// Names the net (`physical`) that cannot be built.
        net: String,
        /// The MTU, in bytes.
        mtu: u32,
    },
    /// What is asked needs a place on the host that such a net does not have.
    #[error(transparent)]
    Place(#[from] guard::Error),
    /// A port leads nowhere.
    #[error(
        "a port leads to a net that this host reaches by a link of its own, and none of the zone's nets is by a bridge or routed"
    )]
    Unreached,
    /// There is no managed network yet.
    #[error("the managed network is not known")]
    NoManaged,
    /// An address without the length of its prefix is in no network that is known.
    #[error(
        "net {net}: no network of the host there has {address}, so the length of its prefix must be said; give it as {address}/LENGTH"
    )]
    NoPrefix {
        /// Names the net (`physical`) that cannot be built.
        net: String,
        /// Gives the address, without the length of its prefix.
        address: IpAddr,
    },
    /// An address is not of the managed network.
    #[error("net {net}: {address} is none of the managed network's addresses, which are {}", shown(.ranges))]
    OutsideManaged {
        /// Names the net (`physical`) that cannot be built.
        net: String,
        /// Gives the address, without the length of its prefix.
        address: IpAddr,
        /// The ranges of the managed network.
        ranges: Vec<IpNet>,
    },
    /// The host has the address itself.
    #[error("net {net}: {address} is an address of this host, on '{link}'; give the zone another one")]
    HostsAddress {
        /// Names the net (`physical`) that cannot be built.
        net: String,
        /// Gives the address, without the length of its prefix.
        address: IpAddr,
        /// The link of the host that has it.
        link: String,
    },
    /// Another zone has the address.
    #[error("net {net}: {address} is an address of zone '{zone}'; give this zone another one")]
    ZonesAddress {
        /// Names the net (`physical`) that cannot be built.
        net: String,
        /// Gives the address, without the length of its prefix.
        address: IpAddr,
        /// The zone that has it.
        zone: String,
    },
    /// The router is in no network of the net.
    #[error("net {net}: the router {router} is outside of the net's prefixes, which are {}", shown(.networks))]
    FarRouter {
        /// Names the net (`physical`) that cannot be built.
        net: String,
        /// Gives the router as it was configured (`defrouter`).
        router: IpAddr,
        /// The prefixes of the net's addresses.
        networks: Vec<IpNet>,
    },
    /// The router is this host, which a macvlan or ipvlan does not reach.
    #[error(
        "net {net}: the router {router} is this host, which a net of mode {mode} on '{link}' cannot reach; attach it to a bridge, or set mode=routed"
    )]
    HostsRouter {
        /// Names the net (`physical`) that cannot be built.
        net: String,
        /// How the net is attached.
        mode: &'static str,
        /// Gives the router as it was configured (`defrouter`).
        router: IpAddr,
        /// The link of the host that has it.
        link: String,
    },
}

/// Tells which links there are instead.
fn others(there: &[String]) -> String {
    /// More do not help.
    const MOST: usize = 16;
    match there {
        [] => "it has none but its loopback".to_owned(),
        some if some.len() > MOST => format!("there are: {}, ...", some[..MOST].join(", ")),
        some => format!("there are: {}", some.join(", ")),
    }
}

fn shown(ranges: &[IpNet]) -> String {
    ranges.iter().map(IpNet::to_string).collect::<Vec<_>>().join(" and ")
}

//! What is asked of a zone's network, in the words of a configuration, understood.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use zone_config::net::Address;

use crate::Mac;

/// All that a zone is to have of the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Whose network stack the zone has.
    pub stack: Stack,
    /// Its nets, in the order of the configuration; their numbers are their places.
    pub nets: Vec<NetSpec>,
    /// Ports of the host that lead into the zone.
    pub ports: Vec<PortSpec>,
}

/// Who may change what is in a zone's network namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stack {
    /// The zone's root: the namespace belongs to the zone's user namespace (`ip-type=exclusive`).
    #[default]
    Exclusive,
    /// The host alone: the namespace belongs to the host's user namespace (`ip-type=shared`).
    Shared,
}

/// One net of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetSpec {
    /// The link's name inside; with [`Lower::None`] also the one on the host.
    pub physical: String,
    /// What it is attached to.
    pub lower: Lower,
    /// How; `None` follows from what it is attached to.
    pub mode: Option<Mode>,
    /// Where the addresses come from.
    pub addresses: Addresses,
    /// Addresses that the zone may use beside those that it is given.
    pub allowed: Vec<IpNet>,
    /// The routers of the default routes; of [`Addresses::Managed`] the managed network's if there are none.
    pub routers: Vec<IpAddr>,
    /// Its Ethernet address; `None` for one that follows from its name.
    pub mac: Option<Mac>,
    /// Its MTU in bytes; `None` for that of what it is attached to.
    pub mtu: Option<u32>,
    /// The VLAN that it is in, 1 to 4094.
    pub vlan: Option<u16>,
    /// The most bits in a second, in each direction.
    pub bandwidth: Option<u64>,
    /// What is kept from leaving the zone; `None` for all that is possible there but isolation.
    pub protection: Option<Protection>,
}

/// What a net is attached to (`global-nic`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lower {
    /// The managed network, or for [`Mode::Routed`] nothing but the host's routes (`auto`).
    Managed,
    /// A link of the host: a bridge or an Ethernet link.
    Link(String),
    /// Nothing: the link itself moves into the zone (no `global-nic`).
    None,
}

/// How a net is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By a veth pair whose end on the host is a port of a bridge.
    Bridge,
    /// By a veth pair whose end on the host is a route.
    Routed,
    /// By a macvlan on a link of the host.
    Macvlan,
    /// By an ipvlan (L2) on a link of the host.
    Ipvlan,
    /// By a link of the host that moves in.
    Physical,
}

/// Where the addresses of a net come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// The managed network gives one of each family.
    Managed,
    /// A DHCP server on what it is attached to gives them.
    Dhcp,
    /// These; none leaves the zone to itself.
    Given(Vec<Address>),
}

/// What is kept from leaving a zone (`link-protection`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Protection {
    /// Frames with another Ethernet address than the net's (`mac-nospoof`).
    pub mac: bool,
    /// IP, ARP and neighbour discovery with other addresses than the net's and the allowed ones (`ip-nospoof`).
    pub ip: bool,
    /// Answers of a DHCP server, router advertisements and redirects (`dhcp-nospoof`).
    pub dhcp: bool,
    /// What is neither IPv4, IPv6 nor ARP, and VLAN tags (`restricted`).
    pub restricted: bool,
    /// Frames to other zones of the bridge (`isolated`).
    pub isolated: bool,
}

impl Protection {
    /// Keeps nothing from leaving the zone (`link-protection=none`).
    pub const NONE: Self = Self { mac: false, ip: false, dhcp: false, restricted: false, isolated: false };

    /// Tells whether anything of it needs rules.
    #[must_use]
    pub fn needs_rules(self) -> bool {
        self.mac || self.ip || self.dhcp || self.restricted
    }
}

impl Default for Protection {
    /// All but the zones' isolation from one another.
    fn default() -> Self {
        Self { mac: true, ip: true, dhcp: true, restricted: true, isolated: false }
    }
}

/// A port of the host that leads into the zone, or a range of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PortSpec {
    /// Says whether TCP or UDP comes to the port.
    pub protocol: Protocol,
    /// The address of the host that it is for; `None` for all of them.
    pub host: Option<IpAddr>,
    /// The first port of the host.
    pub first: u16,
    /// The last port of the host.
    pub last: u16,
    /// The port of the zone that `first` leads to; the others follow in order.
    pub to: u16,
}

/// A protocol that has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Means TCP (RFC 9293), number 6.
    Tcp,
    /// Means UDP (RFC 768), number 17.
    Udp,
}

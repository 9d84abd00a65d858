//! What is built for one net, once everything about it is known.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::Mac;
use crate::spec::Protection;

/// One net of a zone, resolved: nothing of it is to be found out or chosen any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Interface {
    /// The name of the host's link: its end of the pair, or what it is called until it is in the zone.
    pub host: String,
    /// What people are told that link is, as its alias (`ip link` shows it).
    pub alias: String,
    /// The link's name inside.
    pub inside: String,
    /// How it is attached.
    pub attachment: Attachment,
    /// Its Ethernet address; of an ipvlan that of its link, of a physical one its own.
    pub mac: Mac,
    /// Its MTU in bytes; `None` leaves it.
    pub mtu: Option<u32>,
    /// The addresses that it has inside.
    pub addresses: Vec<IpNet>,
    /// The routers of its default routes; outside of every prefix they are reached on the link all the same.
    pub routers: Vec<IpAddr>,
    /// Addresses that it may use beside `addresses`.
    pub allowed: Vec<IpNet>,
    /// Of an isolated net, the addresses that the host has on its bridge, with their prefixes; of others none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_addresses: Vec<IpNet>,
    /// Whether a DHCP client inside may ask for an address.
    pub dhcp: bool,
    /// The most bits in a second, in each direction.
    pub bandwidth: Option<u64>,
    /// What is kept from leaving it.
    pub protection: Protection,
}

/// How a net is attached to the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "mode")]
pub enum Attachment {
    /// To a port of this bridge.
    Bridge {
        /// Names the bridge on the host that has the port.
        bridge: String,
        /// The VLAN of the port, untagged inside; on a bridge that filters.
        vlan: Option<u16>,
    },
    /// By routes of the host to its addresses.
    Routed {
        /// The link of the host on whose network it answers for the addresses (proxy ARP and ND).
        uplink: Option<String>,
    },
    /// On a link of the host, as a macvlan (bridge mode).
    Macvlan {
        /// Names the link of the host, as it was called when the zone was built.
        link: String,
        /// Numbers the VLAN on that link, 1 to 4094; `None` is the link itself.
        vlan: Option<u16>,
    },
    /// On a link of the host, as an ipvlan (L2).
    Ipvlan {
        /// Names the link of the host, as it was called when the zone was built.
        link: String,
        /// Numbers the VLAN on that link, 1 to 4094; `None` is the link itself.
        vlan: Option<u16>,
    },
    /// The link itself.
    Physical {
        /// Names the link of the host, as it was called when the zone was built.
        link: String,
    },
}

impl Attachment {
    /// Tells whether the host reaches such a net by a link of its own, as ports need it.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        matches!(self, Self::Bridge { .. } | Self::Routed { .. })
    }

    /// Names the mode as a configuration does.
    #[must_use]
    pub fn mode(&self) -> &'static str {
        match self {
            Self::Bridge { .. } => "bridge",
            Self::Routed { .. } => "routed",
            Self::Macvlan { .. } => "macvlan",
            Self::Ipvlan { .. } => "ipvlan",
            Self::Physical { .. } => "physical",
        }
    }

    /// Names the link of the host that the net is attached to.
    #[must_use]
    pub fn global_nic(&self) -> Option<&str> {
        match self {
            Self::Bridge { bridge: link, .. }
            | Self::Macvlan { link, .. }
            | Self::Ipvlan { link, .. }
            | Self::Physical { link } => Some(link),
            Self::Routed { uplink } => uplink.as_deref(),
        }
    }

    /// The VLAN that the net is in, where that is the host's to say.
    #[must_use]
    pub fn vlan(&self) -> Option<u16> {
        match self {
            Self::Bridge { vlan, .. } | Self::Macvlan { vlan, .. } | Self::Ipvlan { vlan, .. } => *vlan,
            Self::Routed { .. } | Self::Physical { .. } => None,
        }
    }

    /// Tells whether it is on a link of a VLAN, which all zones in that VLAN share.
    #[must_use]
    pub fn shares_vlan_link(&self) -> bool {
        matches!(self, Self::Macvlan { vlan: Some(_), .. } | Self::Ipvlan { vlan: Some(_), .. })
    }
}

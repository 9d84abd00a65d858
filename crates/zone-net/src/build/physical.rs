//! Links of the host that move into a zone and come back.
//!
//! A link that moves loses its addresses and routes, and inside the zone's root does with it what it likes. So it is
//! [`record`]ed before, the record is saved where it outlives everybody, and [`give_back()`] makes the link what the record
//! says. It is found by what it is, never by the name that it has by then: by its hardware and the Ethernet address that
//! is burnt into it, or, of a virtual one, by its number. A virtual one that the zone's root has destroyed is not to be found: one of
//! the host's that is like it is another one.
//!
//! Hardware comes back to the host by itself when the zone's network namespace goes: the kernel puts it into the first
//! namespace of the machine, down, under the name that it had inside, or as `devN` if that is taken. A virtual link is
//! destroyed with the namespace. Whoever must not lose one keeps the namespace with [`pin()`] until the link is out.
//!
//! What is not recorded: settings of the device (ethtool), its queues, its neighbours, and addresses and routes that
//! somebody had leased or heard of, who will again.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{NetError, link};
use crate::Mac;
use crate::rt::address::Address;
use crate::rt::route::{KERNEL, LOCAL, UNICAST};
use crate::rt::{Link, Route, Socket};

pub use give_back::give_back;
pub use pin::{pin, pinned, unpin};

mod give_back;
mod pin;

/// A link of the host as it was before it moved into a zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PhysicalRecord {
    /// Its name.
    pub name: String,
    /// Its index, which it keeps wherever no other link has it.
    pub index: u32,
    /// What a virtual one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The VLAN, of a VLAN link; of one that an earlier program has recorded it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// The hardware, as bus and name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The Ethernet address of the hardware.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    pub permanent_mac: Option<Mac>,
    /// The Ethernet address that it had.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    pub mac: Option<Mac>,
    /// The index of its peer, or of what it is on top of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower: Option<u32>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Whether it was up.
    pub up: bool,
    /// How many packets its queue had room for.
    pub queue_length: u32,
    /// Its group.
    pub group: u32,
    /// The bridge or the like that it was a port of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<String>,
    /// What it said that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Its alternative names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub altnames: Vec<String>,
    /// Its addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<RecordedAddress>,
    /// The routes through it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RecordedRoute>,
}

/// An address that a link had for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RecordedAddress {
    /// The address, and the length of its prefix.
    #[serde(with = "text")]
    pub net: IpNet,
    /// Where it is known, as the kernel counts (`RT_SCOPE_*`).
    pub scope: u8,
    /// The address of the other end, of a point-to-point link; the prefix is that one's.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    pub peer: Option<IpAddr>,
    /// Its broadcast address.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    pub broadcast: Option<Ipv4Addr>,
    /// What it was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether no route came with it.
    pub no_prefix_route: bool,
    /// Whether IPv6 looks if somebody else has it.
    pub detects_duplicates: bool,
}

/// A route that was not the kernel's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RecordedRoute {
    /// Where to.
    #[serde(with = "text")]
    pub destination: IpNet,
    /// The router.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    pub via: Option<IpAddr>,
    /// Whether the router is on the link though no prefix says so.
    pub onlink: bool,
    /// The address that packets are sent from.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    pub source: Option<IpAddr>,
    /// What it leads to, as the kernel counts (`RT_SCOPE_*`).
    pub scope: u8,
    /// Who made it (`RTPROT_*`).
    pub protocol: u8,
    /// Its metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
    /// Its table.
    pub table: u32,
}

/// Records a link of the calling thread's network namespace, to be saved before the link moves.
///
/// # Errors
/// There is no such link, or the kernel does not tell.
pub fn record(name: &str) -> Result<PhysicalRecord, NetError> {
    let mut host = Socket::here()?;
    let link = link(&mut host, name)?;
    let master = link.master.map(|index| host.link(index)).transpose()?.flatten();
    let addresses = host.addresses(Some(link.index))?;
    let routes = host.routes()?;
    Ok(PhysicalRecord {
        index: link.index,
        permanent_mac: link.permanent_mac,
        mac: link.mac,
        lower: link.lower,
        mtu: link.mtu,
        up: link.up,
        queue_length: link.queue_length,
        group: link.group,
        master: master.map(|master| master.name),
        addresses: addresses
            .iter()
            .filter(|address| address.permanent && !address.generated)
            .map(RecordedAddress::of)
            .collect(),
        routes: routes.iter().filter(|route| is_said(route, link.index)).map(RecordedRoute::of).collect(),
        name: link.name,
        kind: link.kind,
        vlan: link.vlan,
        parent: link.parent,
        alias: link.alias,
        altnames: link.altnames,
    })
}

/// Tells whether a route through a link would be missed: it is not made by the kernel with an address, or heard of.
fn is_said(route: &Route, link: u32) -> bool {
    const REDIRECT: u8 = 1;
    const ADVERTISED: u8 = 9;
    let by_itself = matches!(route.protocol, KERNEL | REDIRECT | ADVERTISED);
    route.link == Some(link) && route.kind == UNICAST && route.table != LOCAL && !by_itself
}

impl PhysicalRecord {
    /// Tells whether the link is no hardware, and ends with the network namespace that it is in.
    #[must_use]
    pub fn is_virtual(&self) -> bool {
        self.kind.is_some() && self.parent.is_none()
    }

    /// Tells what the link will be to the host when it is back.
    #[must_use]
    pub fn link(&self) -> Link {
        Link {
            index: self.index,
            name: self.name.clone(),
            kind: self.kind.clone(),
            vlan: self.vlan,
            parent: self.parent.clone(),
            permanent_mac: self.permanent_mac,
            mac: self.mac,
            mtu: self.mtu,
            altnames: self.altnames.clone(),
            ..Link::default()
        }
    }

    /// Finds the link among those of a zone, whatever it is called there.
    pub(super) fn find_inside<'a>(&self, links: &'a [Link]) -> Option<&'a Link> {
        let alike = self.alike(links);
        let by_address = || self.by_address(&alike).or_else(|| self.only_one(&alike));
        self.exact(&alike).or_else(|| self.by_hardware(&alike)).or_else(by_address)
    }

    /// Finds the link among those of the host, whatever it is called there. A virtual one ends with whoever destroys it, and the host
    /// may have others like it, so it is known by its number or by a name that it has from us: it is never another one.
    pub(super) fn find_on_host<'a>(&self, links: &'a [Link]) -> Option<&'a Link> {
        let alike = self.alike(links);
        let exact = self.exact(&alike);
        if self.is_virtual() {
            let named = || alike.iter().find(|link| link.name == self.name).copied();
            let underway = || {
                let back: Vec<_> =
                    alike.iter().copied().filter(|link| give_back::is_underway(&link.name)).collect();
                self.by_address(&back).or_else(|| self.only_one(&back))
            };
            return exact.or_else(named).or_else(underway);
        }
        exact.or_else(|| self.by_hardware(&alike)).or_else(|| self.by_address(&alike))
    }

    /// The links that are of its kind. Those that a zone makes have a kind, or no hardware: none of them is taken for one of the host's.
    fn alike<'a>(&self, links: &'a [Link]) -> Vec<&'a Link> {
        let same = |link: &&Link| {
            link.kind == self.kind
                && link.parent == self.parent
                && link.permanent_mac == self.permanent_mac
                && (self.vlan.is_none() || link.vlan == self.vlan)
        };
        links.iter().filter(same).collect()
    }

    fn exact<'a>(&self, alike: &[&'a Link]) -> Option<&'a Link> {
        alike.iter().find(|link| link.index == self.index && link.lower == self.lower).copied()
    }

    /// The only one of its hardware.
    fn by_hardware<'a>(&self, alike: &[&'a Link]) -> Option<&'a Link> {
        let known = self.parent.is_some() || self.permanent_mac.is_some();
        match alike {
            [only] if known => Some(only),
            _ => None,
        }
    }

    /// What has no Ethernet address, as a WireGuard, and whose number was taken where it went: the only one of its kind.
    fn only_one<'a>(&self, alike: &[&'a Link]) -> Option<&'a Link> {
        match alike {
            [only] if self.mac.is_none() && only.mac.is_none() && only.lower == self.lower => Some(only),
            _ => None,
        }
    }

    /// A port of a card that has several, or a virtual link whose number was taken. What has no Ethernet address is like all others.
    fn by_address<'a>(&self, alike: &[&'a Link]) -> Option<&'a Link> {
        let mac = self.mac?;
        alike.iter().find(|link| link.mac == Some(mac) && link.lower == self.lower).copied()
    }
}

impl RecordedAddress {
    fn of(address: &Address) -> Self {
        Self {
            net: address.net,
            peer: address.peer,
            scope: address.scope.into(),
            broadcast: address.broadcast,
            label: address.label.clone(),
            no_prefix_route: address.no_prefix_route,
            detects_duplicates: address.detects_duplicates,
        }
    }

    fn on(&self, link: u32) -> Address {
        Address {
            peer: self.peer,
            scope: self.scope.into(),
            broadcast: self.broadcast,
            label: self.label.clone(),
            no_prefix_route: self.no_prefix_route,
            detects_duplicates: self.detects_duplicates,
            ..Address::new(link, self.net)
        }
    }
}

impl RecordedRoute {
    fn of(route: &Route) -> Self {
        Self {
            destination: route.destination,
            via: route.via,
            onlink: route.onlink,
            source: route.source,
            scope: route.scope.into(),
            protocol: route.protocol,
            metric: route.metric,
            table: route.table,
        }
    }

    fn through(&self, link: u32) -> Route {
        Route {
            destination: self.destination,
            link: Some(link),
            via: self.via,
            onlink: self.onlink,
            source: self.source,
            scope: self.scope.into(),
            protocol: self.protocol,
            metric: self.metric,
            table: self.table,
            kind: UNICAST,
        }
    }
}

/// Values that are written as people write them.
mod text {
    use super::*;

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'a, T: FromStr<Err: Display>, D: Deserializer<'a>>(
        from: D,
    ) -> Result<T, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The same where there may be none.
mod optional_text {
    use super::*;

    pub(super) fn serialize<T: Display, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(ToString::to_string).serialize(to)
    }

    pub(super) fn deserialize<'a, T: FromStr<Err: Display>, D: Deserializer<'a>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests;

//! From what is asked to what is built: with what the host has, and what was recorded for the zone.

use std::net::IpAddr;

use ipnet::IpNet;
use zone_config::net::{Address, MTU_IPV6};

use crate::guard;
use crate::interface::{Attachment, Interface};
use crate::managed::{Network, Range};
use crate::names::Owner;
use crate::rt::Link;
use crate::spec::{Addresses, Lower, Mode, NetSpec, NetworkSpec, Protection, Stack};

pub use error::PlanError;
pub use host::Host;

mod error;
mod host;

/// What a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// Whose it is.
    pub owner: Owner<'a>,
    /// What is asked.
    pub spec: &'a NetworkSpec,
    /// What the host has.
    pub host: &'a Host,
    /// The managed network, if a net of the zone is in it.
    pub managed: Option<&'a Network>,
}

impl Plan<'_> {
    /// Works out what is built for each net. `leased` has for each net of [`Addresses::Managed`], by its number, the
    /// addresses that the managed network has given it.
    ///
    /// # Errors
    /// The first net that cannot be built.
    pub fn interfaces(&self, leased: impl Fn(usize) -> Vec<IpNet>) -> Result<Vec<Interface>, PlanError> {
        let nets = self.spec.nets.iter().enumerate();
        nets.map(|(number, net)| self.interface(number, net, || leased(number))).collect()
    }

    /// Looks for everything that keeps the nets from being built, as far as it can be told before they are.
    #[must_use]
    pub fn problems(&self) -> Vec<PlanError> {
        let nets = self.spec.nets.iter().enumerate();
        // Of a network that is not chosen yet nothing can be wrong, and of what is not leased only what is of all of it.
        let nets = nets.filter(|(_, net)| net.lower != Lower::Managed || self.managed.is_some());
        let ranges = || self.managed.iter().flat_map(|network| network.ranges()).map(Range::prefix).collect();
        let planned = nets.map(|(number, net)| self.interface(number, net, ranges));
        let mut problems = Vec::new();
        let mut reached = self.spec.uses_managed();
        for interface in planned {
            match interface {
                Ok(Interface { attachment, .. }) => reached |= attachment.is_reached(),
                // What it would have been is not known.
                Err(error) => {
                    reached = true;
                    problems.push(error);
                }
            }
        }
        if !reached && !self.spec.ports.is_empty() {
            problems.push(PlanError::Unreached);
        }
        problems
    }

    /// Works out what is built for one net, whose link on the host has this number.
    ///
    /// # Errors
    /// What keeps it from being built.
    pub fn interface(
        &self,
        number: usize,
        net: &NetSpec,
        leased: impl FnOnce() -> Vec<IpNet>,
    ) -> Result<Interface, PlanError> {
        let attachment = self.attachment(net)?;
        let lower = self.lower(&attachment);
        let own = match attachment {
            Attachment::Physical { .. } | Attachment::Ipvlan { .. } => lower.and_then(|link| link.mac),
            _ => None,
        };
        let addresses = match &net.addresses {
            Addresses::Managed => leased(),
            Addresses::Dhcp => Vec::new(),
            Addresses::Given(given) => self.given(net, &attachment, given)?,
        };
        self.unused(net, &attachment, &addresses)?;
        let mtu = net.mtu.or_else(|| self.mtu(net, &attachment));
        if let Some(mtu) = mtu.filter(|mtu| u64::from(*mtu) < MTU_IPV6)
            && addresses.iter().any(|address| address.addr().is_ipv6())
        {
            return Err(PlanError::SmallMtu { net: net.physical.clone(), mtu });
        }
        let interface = Interface {
            host: self.owner.link(number),
            alias: format!("{} of zone {}", net.physical, self.owner.zone),
            inside: net.physical.clone(),
            mac: net.mac.or(own).unwrap_or_else(|| self.owner.mac(number)),
            mtu,
            routers: self.routers(net, &attachment, &addresses)?,
            allowed: net.allowed.clone(),
            host_addresses: self.host_addresses(net, &attachment),
            dhcp: net.addresses == Addresses::Dhcp,
            bandwidth: net.bandwidth,
            protection: self.protection(net, &attachment),
            attachment,
            addresses,
        };
        guard::check(std::slice::from_ref(&interface))?;
        Ok(interface)
    }

    /// Where a net is attached, and how.
    /// Works out how a net is attached.
    ///
    /// # Errors
    /// What keeps it from being attached.
    pub fn attachment(&self, net: &NetSpec) -> Result<Attachment, PlanError> {
        let vlan = net.vlan;
        let name = match (&net.lower, net.mode) {
            (Lower::Managed, Some(Mode::Routed)) => return Ok(Attachment::Routed { uplink: None }),
            (Lower::Managed, _) => {
                let bridge = self.managed.ok_or(PlanError::NoManaged)?.bridge.clone();
                return Ok(Attachment::Bridge { bridge, vlan: None });
            }
            (Lower::None, _) => return self.moving(&net.physical),
            (Lower::Link(name), _) => name,
        };
        let link = self.host.find(name)?;
        let (link, is_bridge) = match link.kind.as_deref() {
            _ if link.loopback => return Err(PlanError::Loopback(link.name.clone())),
            kind => (link.name.clone(), kind == Some("bridge")),
        };
        if let Some(vlan) = vlan
            && is_bridge
            && matches!(net.mode, None | Some(Mode::Bridge))
            && !self.host.find(&link)?.filters_vlans
        {
            return Err(PlanError::NotFiltering { net: net.physical.clone(), vlan, bridge: link });
        }
        match net.mode {
            Some(Mode::Bridge) if !is_bridge => Err(PlanError::NotBridge { net: net.physical.clone(), link }),
            Some(Mode::Bridge) => Ok(Attachment::Bridge { bridge: link, vlan }),
            None if is_bridge => Ok(Attachment::Bridge { bridge: link, vlan }),
            Some(Mode::Routed) => Ok(Attachment::Routed { uplink: Some(link) }),
            Some(Mode::Ipvlan) => Ok(Attachment::Ipvlan { link, vlan }),
            Some(Mode::Macvlan) | None => Ok(Attachment::Macvlan { link, vlan }),
            Some(Mode::Physical) => self.moving(&link),
        }
    }

    /// A link of the host that moves in, if it can be taken away from there.
    fn moving(&self, name: &str) -> Result<Attachment, PlanError> {
        let link = self.host.find(name)?;
        let name = link.name.clone();
        if link.loopback {
            return Err(PlanError::Loopback(name));
        }
        if link.kind.as_deref() == Some("bridge") {
            return Err(PlanError::BridgeMoves(name));
        }
        if self.host.has_default_route(link.index) {
            return Err(PlanError::HostsOwn(name));
        }
        match link.master.and_then(|index| self.host.by_index(index)) {
            Some(master) => Err(PlanError::Port { link: name, master: master.name.clone() }),
            None => Ok(Attachment::Physical { link: name }),
        }
    }

    fn lower(&self, attachment: &Attachment) -> Option<&Link> {
        let name = match attachment {
            Attachment::Bridge { bridge: link, .. }
            | Attachment::Macvlan { link, .. }
            | Attachment::Ipvlan { link, .. }
            | Attachment::Physical { link } => link,
            Attachment::Routed { uplink } => uplink.as_ref()?,
        };
        self.host.find(name).ok()
    }

    fn mtu(&self, net: &NetSpec, attachment: &Attachment) -> Option<u32> {
        match attachment {
            Attachment::Bridge { .. } if net.lower == Lower::Managed => self.managed?.mtu,
            Attachment::Bridge { .. } | Attachment::Routed { .. } => Some(self.lower(attachment)?.mtu),
            // These have their link's by themselves.
            _ => None,
        }
    }

    /// Completes addresses that the administrator has given with the prefix of the network that they are in.
    fn given(
        &self,
        net: &NetSpec,
        attachment: &Attachment,
        given: &[Address],
    ) -> Result<Vec<IpNet>, PlanError> {
        let managed = self.managed.filter(|_| net.lower == Lower::Managed);
        let on_lower = self.lower(attachment).map(|link| self.host.prefixes(link.index)).unwrap_or_default();
        let complete = |address: &Address| {
            // What a hoster routes to the host is of no range, and goes out as what it is.
            let routed = matches!(attachment, Attachment::Routed { .. });
            if let Some(network) = managed.filter(|_| !routed) {
                let range = network.ranges().find(|range| range.contains(address.ip));
                let range = range.ok_or_else(|| PlanError::OutsideManaged {
                    net: net.physical.clone(),
                    address: address.ip,
                    ranges: network.ranges().map(Range::prefix).collect(),
                })?;
                return Ok(range.with_length(address.ip));
            }
            let around = on_lower.iter().find(|prefix| prefix.contains(&address.ip));
            match (address.prefix, attachment, around) {
                (Some(_), ..) | (None, Attachment::Routed { .. }, _) => Ok(address.net()),
                (None, _, Some(around)) => {
                    Ok(Address { prefix: Some(around.prefix_len()), ..*address }.net())
                }
                (None, _, None) => {
                    Err(PlanError::NoPrefix { net: net.physical.clone(), address: address.ip })
                }
            }
        };
        given.iter().map(complete).collect()
    }

    /// What the host has on the bridge of an isolated net, which such a net reaches all the same, and around which it has the host send
    /// nothing on.
    #[must_use]
    pub fn host_addresses(&self, net: &NetSpec, attachment: &Attachment) -> Vec<IpNet> {
        if !matches!(attachment, Attachment::Bridge { .. }) || !self.protection(net, attachment).isolated {
            return Vec::new();
        }
        if let Some(network) = self.managed.filter(|_| net.lower == Lower::Managed) {
            return network.own_addresses();
        }
        let on_bridge = self.lower(attachment).map(|link| self.host.prefixes(link.index));
        on_bridge.unwrap_or_default()
    }

    fn unused(&self, net: &NetSpec, attachment: &Attachment, addresses: &[IpNet]) -> Result<(), PlanError> {
        let used = addresses.iter().find_map(|address| {
            let link = self.host.owner_of(address.addr())?;
            // What moves in takes its addresses along.
            let moves = matches!(attachment, Attachment::Physical { link: moving } if *moving == link.name);
            (!moves).then(|| (address.addr(), link.name.clone()))
        });
        match used {
            Some((address, link)) => {
                Err(PlanError::HostsAddress { net: net.physical.clone(), address, link })
            }
            None => Ok(()),
        }
    }

    fn routers(
        &self,
        net: &NetSpec,
        attachment: &Attachment,
        addresses: &[IpNet],
    ) -> Result<Vec<IpAddr>, PlanError> {
        let routed = matches!(attachment, Attachment::Routed { .. });
        if net.routers.is_empty() && net.lower == Lower::Managed && !routed {
            let routers = self.managed.map(Network::routers).unwrap_or_default();
            let has = |router: &IpAddr| {
                addresses.iter().any(|address| address.addr().is_ipv4() == router.is_ipv4())
            };
            return Ok(routers.into_iter().filter(has).collect());
        }
        for router in &net.routers {
            // A host's own address has no network: hosters' routers are beside it.
            let mut family =
                addresses.iter().filter(|address| address.addr().is_ipv4() == router.is_ipv4()).peekable();
            let beside = matches!(router, IpAddr::V6(ip) if ip.is_unicast_link_local());
            let reached = |address: &IpNet| {
                address.prefix_len() == address.max_prefix_len() || address.contains(router)
            };
            if !routed && !beside && family.peek().is_some() && !family.any(reached) {
                let networks = addresses.iter().map(IpNet::trunc).collect();
                return Err(PlanError::FarRouter { net: net.physical.clone(), router: *router, networks });
            }
            if let Some(link) = self.host.owner_of(*router)
                && !matches!(attachment, Attachment::Bridge { .. } | Attachment::Routed { .. })
            {
                return Err(PlanError::HostsRouter {
                    net: net.physical.clone(),
                    mode: attachment.mode(),
                    router: *router,
                    link: link.name.clone(),
                });
            }
        }
        Ok(net.routers.clone())
    }

    /// What is kept from leaving a net: on a link that is the zone's alone there is nobody who could, and in a shared zone
    /// nobody needs to.
    fn protection(&self, net: &NetSpec, attachment: &Attachment) -> Protection {
        match attachment {
            Attachment::Bridge { .. } | Attachment::Routed { .. } => net.protection.unwrap_or_default(),
            _ if self.spec.is_shared() => Protection::NONE,
            _ => net.protection.unwrap_or(Protection::NONE),
        }
    }

    /// Names the nets that the guest is to configure, and of whose IPv4 link protection would let nothing out.
    pub fn muted(&self) -> impl Iterator<Item = &str> {
        let is_muted = |net: &&NetSpec| {
            let attachment = self.attachment(net);
            let left = net.allowed.is_empty()
                && matches!(&net.addresses, Addresses::Given(given) if given.is_empty());
            left && attachment
                .is_ok_and(|attachment| attachment.is_reached() && self.protection(net, &attachment).ip)
        };
        self.spec.nets.iter().filter(is_muted).map(|net| net.physical.as_str())
    }

    /// Tells whether what is asked needs rules of the kernel.
    #[must_use]
    pub fn needs_rules(&self) -> bool {
        let guarded = |net: &NetSpec| {
            let hook =
                matches!(self.attachment(net), Ok(Attachment::Bridge { .. } | Attachment::Routed { .. }));
            let protection = net.protection.unwrap_or_default();
            hook && (protection.needs_rules() || protection.isolated || net.bandwidth.is_some())
        };
        !self.spec.ports.is_empty() || self.spec.uses_managed() || self.spec.nets.iter().any(guarded)
    }
}

impl NetworkSpec {
    /// Tells whether a net is in the managed network.
    #[must_use]
    pub fn uses_managed(&self) -> bool {
        self.nets.iter().any(|net| net.lower == Lower::Managed)
    }

    /// Tells whether the host configures the zone's network alone.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.stack == Stack::Shared
    }
}

#[cfg(test)]
mod tests;

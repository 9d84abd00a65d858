//! Addresses of links.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressScope, CacheInfo,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{Error, Request, Socket, attributes};

/// An address of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The index of the link.
    pub link: u32,
    /// The address, and the length of its prefix.
    pub net: IpNet,
    /// Where it is known.
    pub scope: Scope,
    /// The address of the other end, of a point-to-point link; the prefix is that one's.
    pub peer: Option<IpAddr>,
    /// The broadcast address, of IPv4.
    pub broadcast: Option<Ipv4Addr>,
    /// What it is called, of IPv4; `None` for the name of the link.
    pub label: Option<String>,
    /// Whether it stays until it is deleted, and not only for a time.
    pub permanent: bool,
    /// Whether no route to its prefix comes with it.
    pub no_prefix_route: bool,
    /// Whether IPv6 looks, for a second in which the address is of no use, if somebody else has it.
    pub detects_duplicates: bool,
    /// Whether the kernel has made it by itself, from the link's Ethernet address.
    pub generated: bool,
}

/// Where an address is known, or what a route leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Has the address known everywhere (`RT_SCOPE_UNIVERSE`, 0).
    #[default]
    Global,
    /// Has the address known on its link only (`RT_SCOPE_LINK`, 253).
    Link,
    /// On this host alone.
    Host,
    /// Has the number of another scope, 0 to 255, as the kernel counts.
    Other(u8),
}

impl From<u8> for Scope {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::Global,
            253 => Self::Link,
            254 => Self::Host,
            other => Self::Other(other),
        }
    }
}

impl From<Scope> for u8 {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Global => 0,
            Scope::Link => 253,
            Scope::Host => 254,
            Scope::Other(number) => number,
        }
    }
}

impl Address {
    /// Makes a global address of a link, with the route that comes with it, of use at once.
    #[must_use]
    pub fn new(link: u32, net: IpNet) -> Self {
        const POINT_TO_POINT: u8 = 31;
        let broadcast = match net {
            IpNet::V4(net) if net.prefix_len() < POINT_TO_POINT => Some(net.broadcast()),
            _ => None,
        };
        Self {
            link,
            net,
            peer: None,
            scope: Scope::default(),
            broadcast,
            label: None,
            permanent: true,
            no_prefix_route: false,
            detects_duplicates: false,
            generated: false,
        }
    }

    /// `struct ifaddrmsg` and attributes (`IFA_*` of linux/if_addr.h).
    fn read(payload: &[u8]) -> Option<Self> {
        const HEADER: usize = 8;
        let [_, prefix, flags, scope, ..] = *payload else { return None };
        const GENERATED: u8 = 3; // IFAPROT_KERNEL_LL
        let (mut address, mut local, mut flags) = (None, None, u32::from(flags));
        let (mut broadcast, mut label, mut protocol) = (None, None, None);
        attributes::each(attributes::behind(payload, HEADER), |kind, value| match kind {
            // Of a point-to-point link the first is the other end's.
            1 => address = attributes::ip(value),
            2 => local = attributes::ip(value),
            3 => label = Some(attributes::text(value)),
            4 => broadcast = attributes::ip(value),
            8 => flags = attributes::u32(value).unwrap_or(flags),
            11 => protocol = attributes::u8(value),
            _ => {}
        });
        let flags = AddressFlags::from_bits_retain(flags);
        let net = IpNet::new(local.or(address)?, prefix).ok()?;
        Some(Self {
            link: attributes::u32_at(payload, 4)?,
            net,
            peer: address.filter(|address| local.is_some_and(|local| local != *address)),
            scope: scope.into(),
            broadcast: broadcast.and_then(|address| match address {
                IpAddr::V4(address) => Some(address),
                IpAddr::V6(_) => None,
            }),
            label,
            permanent: flags.contains(AddressFlags::Permanent),
            no_prefix_route: flags.contains(AddressFlags::Noprefixroute),
            detects_duplicates: net.addr().is_ipv6() && !flags.contains(AddressFlags::Nodad),
            generated: protocol == Some(GENERATED),
        })
    }

    fn message(&self) -> AddressMessage {
        let address = self.net.addr();
        let mut message = AddressMessage::default();
        message.header.family = family(address);
        message.header.prefix_len = self.net.prefix_len();
        message.header.scope = AddressScope::from(u8::from(self.scope));
        message.header.index = self.link;
        message.attributes.extend([
            AddressAttribute::Local(address),
            AddressAttribute::Address(self.peer.unwrap_or(address)),
        ]);
        message
    }
}

/// Gives a link an address, whatever it had for it before.
pub fn add(address: &Address) -> Request<'static> {
    add_for(address, None)
}

/// Gives a link an address for so many seconds, after which the kernel takes it away; for ever if there is no number.
pub fn add_for(address: &Address, seconds: Option<u32>) -> Request<'static> {
    let mut message = address.message();
    message.attributes.extend(address.broadcast.map(AddressAttribute::Broadcast));
    message.attributes.extend(address.label.clone().map(AddressAttribute::Label));
    let mut flags = AddressFlags::empty();
    flags.set(AddressFlags::Nodad, address.net.addr().is_ipv6() && !address.detects_duplicates);
    flags.set(AddressFlags::Noprefixroute, address.no_prefix_route);
    message.attributes.push(AddressAttribute::Flags(flags));
    if let Some(seconds) = seconds {
        let mut times = CacheInfo::default();
        (times.ifa_preferred, times.ifa_valid) = (seconds, seconds);
        message.attributes.push(AddressAttribute::CacheInfo(times));
    }
    Request::replace(RouteNetlinkMessage::NewAddress(message), "add the address ", address.net.to_string())
}

/// Takes an address from a link.
pub fn delete(address: &Address) -> Request<'static> {
    let message = RouteNetlinkMessage::DelAddress(address.message());
    Request::change(message, "delete the address ", address.net.to_string())
}

impl Socket {
    /// Lists the addresses of one link, or of all links.
    ///
    /// # Errors
    /// What the kernel says; `ENODEV` if there is no such link.
    pub fn addresses(&mut self, link: Option<u32>) -> Result<Vec<Address>, Error> {
        let mut message = AddressMessage::default();
        // The kernel filters by it only if it checks strictly; an older one gives all.
        message.header.index = link.unwrap_or_default();
        let mut all =
            self.dump(&RouteNetlinkMessage::GetAddress(message), "list the addresses", Address::read)?;
        all.retain(|address| link.is_none_or(|link| link == address.link));
        Ok(all)
    }

    /// Takes all addresses from a link.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn flush(&mut self, link: u32) -> Result<(), Error> {
        // Secondary ones go with the primary one of their prefix.
        const GONE: &[rustix::io::Errno] = &[rustix::io::Errno::ADDRNOTAVAIL];
        let addresses = self.addresses(Some(link))?;
        self.run(addresses.iter().map(|address| delete(address).tolerating(GONE)))
    }
}

/// The family of an address.
pub(super) fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

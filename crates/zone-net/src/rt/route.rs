//! Reads, adds and deletes routes of the kernel's tables.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use netlink_packet_route::route::{
    RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::address::{Scope, family};
use super::{Error, Request, Socket, attributes};

/// The routing protocol that what is made on the host for zones is marked with (`ip route show proto 122`): routes, and
/// proxy entries of neighbours. By it they are found again. It is in none of iproute2's `rt_protos`.
pub const ZONES: u8 = 122;
/// The protocol of routes that an administrator says.
pub const STATIC: u8 = 4;
/// The protocol of routes that the kernel makes by itself.
pub const KERNEL: u8 = 2;
/// Numbers the table that routes are in unless another one is said (`RT_TABLE_MAIN`).
pub const MAIN: u32 = 254;
/// The table of what is delivered on this host.
pub const LOCAL: u32 = 255;

/// A route to one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where to; a prefix of length 0 is the default route.
    pub destination: IpNet,
    /// The index of the link that it goes through. `None` of one that is nowhere, or through several links.
    pub link: Option<u32>,
    /// The router that it goes by; `None` if the destination is on the link.
    pub via: Option<IpAddr>,
    /// Whether the router is on the link though no prefix says so.
    pub onlink: bool,
    /// The address that packets are sent from.
    pub source: Option<IpAddr>,
    /// What it leads to; IPv6 has no such thing.
    pub scope: Scope,
    /// Numbers who made the route (`RTPROT_*`); ours are [`ZONES`].
    pub protocol: u8,
    /// Its metric: of several routes to one destination the least is used.
    pub metric: Option<u32>,
    /// The table that it is in.
    pub table: u32,
    /// What is done with a packet: 1 for what a route is for (`RTN_UNICAST`).
    pub kind: u8,
}

/// The kind of a route to some other host.
pub const UNICAST: u8 = 1;

impl Route {
    /// Makes a static route to what is on a link.
    #[must_use]
    pub fn on_link(destination: IpNet, link: u32) -> Self {
        Self {
            destination,
            link: Some(link),
            via: None,
            onlink: false,
            source: None,
            scope: Scope::Link,
            protocol: STATIC,
            metric: None,
            table: MAIN,
            kind: UNICAST,
        }
    }

    /// Makes a static default route by a router on a link.
    #[must_use]
    pub fn default_by(router: IpAddr, link: u32) -> Self {
        let scope = Scope::Global;
        Self { via: Some(router), scope, ..Self::on_link(default_of(router.is_ipv4()), link) }
    }

    /// `struct rtmsg` and attributes (`RTA_*` of linux/rtnetlink.h).
    fn read(payload: &[u8]) -> Option<Self> {
        const HEADER: usize = 12;
        let [family, length, _, _, table, protocol, scope, kind, ..] = *payload else { return None };
        let flags = RouteFlags::from_bits_retain(attributes::u32_at(payload, 8)?);
        if flags.contains(RouteFlags::Cloned) {
            return None;
        }
        let any = default_of(family == u8::from(AddressFamily::Inet));
        let mut destination = Some(any.addr());
        let mut route = Self {
            destination: any,
            link: None,
            via: None,
            onlink: flags.contains(RouteFlags::Onlink),
            source: None,
            scope: scope.into(),
            protocol,
            metric: None,
            table: table.into(),
            kind,
        };
        attributes::each(attributes::behind(payload, HEADER), |kind, value| match kind {
            1 => destination = attributes::ip(value),
            4 => route.link = attributes::u32(value),
            5 => route.via = attributes::ip(value),
            6 => route.metric = attributes::u32(value),
            7 => route.source = attributes::ip(value),
            15 => route.table = attributes::u32(value).unwrap_or(route.table),
            // RTA_VIA: a router of the other family.
            18 => route.via = attributes::ip(attributes::behind(value, 2)),
            _ => {}
        });
        route.destination = IpNet::new(destination?, length).ok()?;
        Some(route)
    }

    fn message(&self) -> RouteMessage {
        let mut message = RouteMessage::default();
        let address = self.destination.addr();
        message.header.address_family = family(address);
        message.header.destination_prefix_length = self.destination.prefix_len();
        message.header.protocol = RouteProtocol::from(self.protocol);
        message.header.scope = RouteScope::from(u8::from(self.scope));
        message.header.kind = RouteType::from(self.kind);
        message.header.flags.set(RouteFlags::Onlink, self.onlink);
        // One byte in the header, four in the attribute, which wins.
        message.header.table = RouteHeader::RT_TABLE_UNSPEC;
        message.attributes.push(RouteAttribute::Table(self.table));
        if self.destination.prefix_len() > 0 {
            message.attributes.push(RouteAttribute::Destination(address.into()));
        }
        message.attributes.extend(self.link.map(RouteAttribute::Oif));
        message.attributes.extend(self.via.map(|router| self.by(router)));
        message.attributes.extend(self.source.map(|source| RouteAttribute::PrefSource(source.into())));
        message.attributes.extend(self.metric.map(RouteAttribute::Priority));
        message
    }

    /// The router, of either family.
    fn by(&self, router: IpAddr) -> RouteAttribute {
        if router.is_ipv4() == self.destination.addr().is_ipv4() {
            RouteAttribute::Gateway(router.into())
        } else {
            RouteAttribute::Via(router.into())
        }
    }
}

impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.destination.prefix_len() > 0 {
            write!(f, "{}", self.destination)?;
        } else {
            f.write_str("default")?;
        }
        self.via.map_or(Ok(()), |router| write!(f, " via {router}"))
    }
}

/// The prefix of a default route.
fn default_of(v4: bool) -> IpNet {
    let v4 = v4.then(|| Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0).into());
    v4.unwrap_or_else(|| Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0).into())
}

/// Adds a route; refused (`EEXIST`) if there is one to the same destination with the same metric.
pub fn add(route: &Route) -> Request<'static> {
    Request::create(RouteNetlinkMessage::NewRoute(route.message()), "add the route ", route.to_string())
}

/// Adds a route, in the place of one to the same destination with the same metric.
pub fn replace(route: &Route) -> Request<'static> {
    Request::replace(RouteNetlinkMessage::NewRoute(route.message()), "set the route ", route.to_string())
}

/// Deletes a route.
pub fn delete(route: &Route) -> Request<'static> {
    Request::change(RouteNetlinkMessage::DelRoute(route.message()), "delete the route ", route.to_string())
}

impl Socket {
    /// Lists the routes of all tables, of both families, without what the kernel has looked up.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn routes(&mut self) -> Result<Vec<Route>, Error> {
        self.list_routes(RouteProtocol::Unspec)
    }

    /// Lists those that are marked with a protocol.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn routes_by(&mut self, protocol: u8) -> Result<Vec<Route>, Error> {
        let mut all = self.list_routes(RouteProtocol::from(protocol))?;
        // The kernel filters by it only if it checks strictly; an older one gives all.
        all.retain(|route| route.protocol == protocol);
        Ok(all)
    }

    fn list_routes(&mut self, protocol: RouteProtocol) -> Result<Vec<Route>, Error> {
        let mut all = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut message = RouteMessage::default();
            message.header.address_family = family;
            message.header.protocol = protocol;
            all.extend(self.dump(&RouteNetlinkMessage::GetRoute(message), "list the routes", Route::read)?);
        }
        Ok(all)
    }
}

//! Neighbours: what is said about them, and the addresses that the host answers for in the place of others.

use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::RouteProtocol;

use super::address::family;
use super::{Error, Request, Socket, attributes};
use crate::Mac;

/// An address that the host answers for on a link (proxy ARP and proxy ND), as long as it forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// The index of the link.
    pub link: u32,
    /// Names the address that the host answers for.
    pub address: IpAddr,
    /// Who made it, as of a route.
    pub protocol: u8,
}

impl Proxy {
    /// `struct ndmsg` and attributes (`NDA_*` of linux/neighbour.h).
    fn read(payload: &[u8]) -> Option<Self> {
        const HEADER: usize = 12;
        const PROXY: u8 = 0x8;
        const FLAGS: usize = 10;
        if payload.get(FLAGS)? & PROXY == 0 {
            return None;
        }
        let (mut address, mut protocol) = (None, 0);
        attributes::each(attributes::behind(payload, HEADER), |kind, value| match kind {
            1 => address = attributes::ip(value),
            12 => protocol = attributes::u8(value).unwrap_or_default(),
            _ => {}
        });
        Some(Self { link: attributes::u32_at(payload, 4)?, address: address?, protocol })
    }

    fn message(&self) -> NeighbourMessage {
        let mut message = entry(self.link, self.address);
        message.header.flags = NeighbourFlags::Proxy;
        message.attributes.push(NeighbourAttribute::Protocol(RouteProtocol::from(self.protocol)));
        message
    }
}

fn entry(link: u32, address: IpAddr) -> NeighbourMessage {
    let destination = match address {
        IpAddr::V4(address) => NeighbourAddress::Inet(address),
        IpAddr::V6(address) => NeighbourAddress::Inet6(address),
    };
    let mut message = NeighbourMessage::default();
    message.header.family = family(address);
    message.header.ifindex = link;
    message.attributes.push(NeighbourAttribute::Destination(destination));
    message
}

/// Has the host answer for an address on a link; nothing happens if it does.
pub fn add_proxy(proxy: &Proxy) -> Request<'static> {
    let message = RouteNetlinkMessage::NewNeighbour(proxy.message());
    Request::replace(message, "answer for the address ", proxy.address.to_string())
}

/// Has the host no longer answer for an address on a link.
pub fn delete_proxy(proxy: &Proxy) -> Request<'static> {
    let message = RouteNetlinkMessage::DelNeighbour(proxy.message());
    Request::change(message, "stop answering for the address ", proxy.address.to_string())
}

/// Says for ever which Ethernet address has an address on a link, in the place of what was known.
pub fn set(link: u32, address: IpAddr, mac: Mac) -> Request<'static> {
    let mut message = entry(link, address);
    message.header.state = NeighbourState::Permanent;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()));
    Request::replace(RouteNetlinkMessage::NewNeighbour(message), "set the neighbour ", address.to_string())
}

/// Forgets which Ethernet address has an address on a link.
pub fn delete(link: u32, address: IpAddr) -> Request<'static> {
    let message = RouteNetlinkMessage::DelNeighbour(entry(link, address));
    Request::change(message, "delete the neighbour ", address.to_string())
}

impl Socket {
    /// Lists the addresses that the host answers for, on all links.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn proxies(&mut self) -> Result<Vec<Proxy>, Error> {
        let mut message = NeighbourMessage::default();
        message.header.flags = NeighbourFlags::Proxy;
        self.dump(&RouteNetlinkMessage::GetNeighbour(message), "list the proxy neighbours", Proxy::read)
    }
}

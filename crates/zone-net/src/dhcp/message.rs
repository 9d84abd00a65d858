//! The packets of DHCP: what a client says, and what it takes from an answer.
//!
//! Ethernet, IPv4, UDP and the fixed part of DHCP are read and written by `smoltcp`. Options are read here: of those that
//! are asked for, each in whole, put together if a server has split it (RFC 3396). A server that puts options into the
//! fields for file names (option 52) is not understood; none has been met for decades.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    DhcpMessageType, DhcpOpCode, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress, EthernetFrame,
    EthernetProtocol, EthernetRepr, IpAddress, IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
};

use crate::interface::Attachment;
use crate::resolver::plain;
use crate::{Interface, Mac};

/// The ports of servers and clients.
pub(super) const SERVER: u16 = 67;
pub(super) const CLIENT: u16 = 68;
/// The Ethernet address of all stations.
const ALL: Mac = Mac([0xff; 6]);
/// The largest answer that is read; more than a client has to take (RFC 2131, section 2: 576).
pub(super) const LARGEST: usize = 1514;
/// How many routes and nameservers are taken of an answer.
const MOST: usize = 16;
/// What begins the options (RFC 2131, section 3).
const COOKIE: u32 = 0x6382_5363;

/// Options of RFC 2132 and 3442.
const MASK: u8 = 1;
const ROUTERS: u8 = 3;
const NAMESERVERS: u8 = 6;
const HOST_NAME: u8 = 12;
const DOMAIN: u8 = 15;
const SECONDS: u8 = 51;
const TYPE: u8 = 53;
const SERVER_ID: u8 = 54;
const RENEW: u8 = 58;
const REBIND: u8 = 59;
const CLIENT_ID: u8 = 61;
const ROUTES: u8 = 121;
/// What is asked for. The last comes first: who knows it sends it in place of the routers (RFC 3442).
const WANTED: [u8; 7] = [ROUTES, MASK, ROUTERS, NAMESERVERS, DOMAIN, RENEW, REBIND];
/// What is read of an answer.
const READ: [u8; 10] = [MASK, ROUTERS, NAMESERVERS, DOMAIN, SECONDS, TYPE, SERVER_ID, RENEW, REBIND, ROUTES];

/// By what servers know a client, the same at each boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Gives the Ethernet address that frames come from and that the server answers to.
    pub mac: Mac,
    /// The client identifier, by which servers know one from another (RFC 2131, section 4.2).
    pub id: Vec<u8>,
    /// The host name that it tells them; none if empty.
    pub name: String,
    /// Whether it hears answers only if they are for all.
    pub broadcast: bool,
}

impl Identity {
    /// Tells by what the link of an interface is known to servers.
    #[must_use]
    pub fn of(interface: &Interface, hostname: &str) -> Self {
        const ETHERNET: u8 = 1;
        const OTHER: u8 = 0;
        let shared = matches!(interface.attachment, Attachment::Ipvlan { .. });
        // The ipvlans of a link have its Ethernet address, all of them, and get what is for an address that they have.
        let id = if shared {
            [&[OTHER], &interface.mac.0[..], interface.host.as_bytes()].concat()
        } else {
            [&[ETHERNET], &interface.mac.0[..]].concat()
        };
        let label = hostname.split('.').next().unwrap_or_default();
        let good = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') && label.len() < 64;
        let name = if good { label.to_owned() } else { String::new() };
        Self { mac: interface.mac, id, name, broadcast: shared }
    }
}

/// What a client says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// Who gives addresses?
    Discover,
    /// I take the address that this server offers.
    Take {
        /// Names the address that is spoken of.
        address: Ipv4Addr,
        /// Names the server that has offered it.
        server: Ipv4Addr,
    },
    /// I have this address: may I keep it?
    Keep {
        /// Names the address that is spoken of.
        address: Ipv4Addr,
        /// The server that is asked, and where it is on the link; `None` asks all.
        server: Option<(Ipv4Addr, Mac)>,
    },
    /// I need this address no more.
    Release {
        /// Names the address that is spoken of.
        address: Ipv4Addr,
        /// Names the server that has given it.
        server: Ipv4Addr,
        /// Where that is on the link.
        at: Mac,
    },
}

/// Writes a frame with what a client says in an exchange, `secs` after that has begun. `None` for a name or an identifier
/// that is too long for it.
#[must_use]
pub fn frame(identity: &Identity, words: Words, xid: u32, secs: u16) -> Option<Vec<u8>> {
    const LEAST: usize = 300; // RFC 951: some servers and relays want no less.
    const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
    const EVERYBODY: Ipv4Addr = Ipv4Addr::BROADCAST;
    let all = (ANY, EVERYBODY, ALL);
    let (message_type, address, requested_ip, server_identifier, (from, to, at)) = match words {
        Words::Discover => (DhcpMessageType::Discover, ANY, None, None, all),
        Words::Take { address, server } => (DhcpMessageType::Request, ANY, Some(address), Some(server), all),
        Words::Keep { address, server } => {
            let to = server.map_or((address, EVERYBODY, ALL), |(server, at)| (address, server, at));
            (DhcpMessageType::Request, address, None, None, to)
        }
        Words::Release { address, server, at } => {
            (DhcpMessageType::Release, address, None, Some(server), (address, server, at))
        }
    };
    let asks = message_type != DhcpMessageType::Release;
    let mut options = vec![DhcpOption { kind: CLIENT_ID, data: &identity.id }];
    if asks && !identity.name.is_empty() {
        options.push(DhcpOption { kind: HOST_NAME, data: identity.name.as_bytes() });
    }
    let dhcp = DhcpRepr {
        message_type,
        transaction_id: xid,
        secs,
        client_hardware_address: EthernetAddress(identity.mac.0),
        client_ip: address,
        your_ip: ANY,
        server_ip: ANY,
        router: None,
        subnet_mask: None,
        relay_agent_ip: ANY,
        broadcast: identity.broadcast && asks,
        requested_ip,
        client_identifier: None,
        server_identifier,
        parameter_request_list: asks.then_some(&WANTED),
        dns_servers: None,
        max_size: asks.then_some(1500),
        lease_duration: None,
        renew_duration: None,
        rebind_duration: None,
        additional_options: &options,
    };
    let mut payload = vec![0; dhcp.buffer_len().max(LEAST)];
    dhcp.emit(&mut DhcpPacket::new_unchecked(payload.as_mut_slice())).ok()?;
    Some(around(identity.mac, (from, to, at), &payload))
}

/// Puts Ethernet, IPv4 and UDP around a message.
fn around(mac: Mac, (from, to, at): (Ipv4Addr, Ipv4Addr, Mac), payload: &[u8]) -> Vec<u8> {
    const HOPS: u8 = 64;
    let sums = ChecksumCapabilities::default();
    let udp = UdpRepr { src_port: CLIENT, dst_port: SERVER };
    let ip = Ipv4Repr {
        src_addr: from,
        dst_addr: to,
        next_header: IpProtocol::Udp,
        payload_len: udp.header_len() + payload.len(),
        hop_limit: HOPS,
    };
    let ethernet = EthernetRepr {
        src_addr: EthernetAddress(mac.0),
        dst_addr: EthernetAddress(at.0),
        ethertype: EthernetProtocol::Ipv4,
    };
    let mut bytes = vec![0; ethernet.buffer_len() + ip.buffer_len() + ip.payload_len];
    let mut frame = EthernetFrame::new_unchecked(bytes.as_mut_slice());
    ethernet.emit(&mut frame);
    let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet, &sums);
    let (from, to) = (IpAddress::Ipv4(from), IpAddress::Ipv4(to));
    let mut datagram = UdpPacket::new_unchecked(packet.payload_mut());
    udp.emit(&mut datagram, &from, &to, payload.len(), |to| to.copy_from_slice(payload), &sums);
    bytes
}

/// What kind of answer a server gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An address is offered.
    Offer,
    /// An address is given.
    Ack,
    /// What was asked for is refused.
    Nak,
}

/// A route that a server tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Says which destinations the route is for; 0.0.0.0/0 is the default one.
    pub to: Ipv4Net,
    /// The router; `None` for what is on the link itself.
    #[serde(default)]
    pub via: Option<Ipv4Addr>,
}

/// An answer of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Tells an offer, a grant and a refusal apart.
    pub kind: Kind,
    /// Where it comes from on the link.
    pub from: Mac,
    /// What the server calls itself.
    pub server: Option<Ipv4Addr>,
    /// The address that it is about.
    pub yours: Ipv4Addr,
    /// The mask of the network.
    pub mask: Option<Ipv4Addr>,
    /// For how many seconds, and after how many it may be renewed (T1), and by others (T2).
    pub seconds: Option<u32>,
    /// Gives T1: after how many seconds the lease is to be renewed by its server.
    pub renew: Option<u32>,
    /// Gives T2: after how many seconds any server may renew it.
    pub rebind: Option<u32>,
    /// Lists the routes that come with the address, the classless ones if there are any.
    pub routes: Vec<Route>,
    /// Lists the nameservers that come with the address, the best first.
    pub nameservers: Vec<Ipv4Addr>,
    /// The domains, of characters that can stand in files of other programs.
    pub search: Vec<String>,
}

impl Answer {
    /// The address with its prefix, if a host can have it. Without a mask it is that of the address' class, as it was when
    /// masks were left out.
    pub(super) fn address(&self) -> Option<Ipv4Net> {
        let [first, ..] = self.yours.octets();
        let class = match first {
            0 | 127 | 224.. => return None,
            1..=126 => 8,
            128..=191 => 16,
            192..=223 => 24,
        };
        let length = self.mask.map_or(Some(class), |mask| {
            let bits = u32::from(mask);
            (bits != 0 && bits.leading_ones() == bits.count_ones()).then(|| mask_length(bits))
        })?;
        let net = Ipv4Net::new(self.yours, length).ok()?;
        // Of a network of two hosts both addresses are hosts'.
        let ends = length < 31 && (net.addr() == net.network() || net.addr() == net.broadcast());
        (!ends).then_some(net)
    }
}

fn mask_length(bits: u32) -> u8 {
    u8::try_from(bits.count_ones()).unwrap_or(32)
}

/// Reads a frame as an answer to what a client with this Ethernet address has asked in this exchange; `None` if it is
/// anything else.
///
/// The checksum of UDP is not looked at: what comes from this host itself has none yet. That of the link was good.
#[must_use]
pub fn answer(frame: &[u8], mac: Mac, xid: u32) -> Option<Answer> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    if frame.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let ip = Ipv4Packet::new_checked(frame.payload()).ok()?;
    // An answer fits into what a client must take; one in fragments is none.
    let whole = ip.version() == 4
        && ip.header_len() >= 20
        && ip.verify_checksum()
        && !ip.more_frags()
        && ip.frag_offset() == 0;
    if !whole || ip.next_header() != IpProtocol::Udp {
        return None;
    }
    let udp = UdpPacket::new_checked(ip.payload()).ok()?;
    if udp.src_port() != SERVER || udp.dst_port() != CLIENT {
        return None;
    }
    let dhcp = DhcpPacket::new_checked(udp.payload()).ok()?;
    let ours = dhcp.opcode() == DhcpOpCode::Reply
        && dhcp.magic_number() == COOKIE
        && dhcp.transaction_id() == xid
        && dhcp.hardware_len() == 6
        && dhcp.client_hardware_address() == EthernetAddress(mac.0);
    ours.then(|| read(&dhcp, Mac(frame.src_addr().0))).flatten()
}

fn read(dhcp: &DhcpPacket<&[u8]>, from: Mac) -> Option<Answer> {
    let mut options: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    for DhcpOption { kind, data } in dhcp.options() {
        if READ.contains(&kind) {
            options.entry(kind).or_default().extend(data);
        }
    }
    let bytes = |kind: u8| options.get(&kind).map(Vec::as_slice);
    let address = |kind: u8| bytes(kind).and_then(|bytes| Some(Ipv4Addr::from(*bytes.first_chunk::<4>()?)));
    let number =
        |kind: u8| bytes(kind).and_then(|bytes| Some(u32::from_be_bytes(*bytes.first_chunk::<4>()?)));
    let kind = match bytes(TYPE)? {
        [2] => Kind::Offer,
        [5] => Kind::Ack,
        [6] => Kind::Nak,
        _ => return None,
    };
    let server = address(SERVER_ID).filter(is_host);
    let routes = match bytes(ROUTES) {
        Some(routes) => classless(routes),
        None => addresses(bytes(ROUTERS)).first().map(|router| default_by(*router)).into_iter().collect(),
    };
    let domain = bytes(DOMAIN).and_then(|bytes| str::from_utf8(bytes).ok()).unwrap_or_default();
    let domain = domain.trim_end_matches('\0');
    Some(Answer {
        kind,
        from,
        server,
        yours: dhcp.your_ip(),
        mask: address(MASK),
        seconds: number(SECONDS),
        renew: number(RENEW),
        rebind: number(REBIND),
        routes,
        nameservers: addresses(bytes(NAMESERVERS)),
        search: plain(domain.split_ascii_whitespace()),
    })
}

fn is_host(address: &Ipv4Addr) -> bool {
    !address.is_unspecified() && !address.is_broadcast() && !address.is_multicast() && !address.is_loopback()
}

fn addresses(bytes: Option<&[u8]>) -> Vec<Ipv4Addr> {
    let (all, _) = bytes.unwrap_or_default().as_chunks::<4>();
    all.iter().map(|bytes| Ipv4Addr::from(*bytes)).filter(is_host).take(MOST).collect()
}

fn default_by(router: Ipv4Addr) -> Route {
    Route { to: Ipv4Net::default(), via: Some(router) }
}

/// Reads routes as RFC 3442 has them: the length of a prefix, as many of its bytes as that needs, a router.
fn classless(bytes: &[u8]) -> Vec<Route> {
    let mut routes = Vec::new();
    let mut rest = bytes;
    while let Some((length, behind)) = rest.split_first()
        && routes.len() < MOST
    {
        let significant = usize::from(*length).div_ceil(8);
        let Some((prefix, behind)) = behind.split_at_checked(significant) else { break };
        let Some((router, behind)) = behind.split_first_chunk::<4>() else { break };
        rest = behind;
        let mut octets = [0; 4];
        let Some(octets_of_it) = octets.get_mut(..significant) else { break };
        octets_of_it.copy_from_slice(prefix);
        let Ok(to) = Ipv4Net::new(octets.into(), *length) else { break };
        let router = Ipv4Addr::from(*router);
        if router.is_unspecified() || is_host(&router) {
            routes
                .push(Route { to: to.trunc(), via: Some(router).filter(|router| !router.is_unspecified()) });
        }
    }
    routes
}

#[cfg(test)]
pub(super) mod tests;

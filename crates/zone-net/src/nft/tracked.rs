//! The flows of datagrams that the kernel remembers, as rules have translated them: ctnetlink.
//!
//! A flow is translated as the rules were when it began, and goes on so as long as it does not rest. Numbers are those of
//! linux/netfilter/nfnetlink_conntrack.h and, of the filter, of the kernel's own net/netfilter/nf_internals.h.

use std::net::{IpAddr, SocketAddr};

use netlink_packet_core::{DefaultNla, NLA_F_NESTED, NLM_F_ACK, NLM_F_REQUEST};
use netlink_packet_netfilter::conntrack::ConntrackMessage;
use rustix::io::Errno;

use super::expression::nested;
use super::socket::{Socket, packet};
use super::{Error, Family, NETFILTER};
use crate::rt::attributes::{behind, find, ip};

const GET: u8 = 1; // IPCTNL_MSG_CT_GET
const DELETE: u8 = 2; // IPCTNL_MSG_CT_DELETE
const TUPLE_ORIG: u16 = 1; // CTA_TUPLE_ORIG
const TUPLE_REPLY: u16 = 2; // CTA_TUPLE_REPLY
const ID: u16 = 12; // CTA_ID
const ZONE: u16 = 18; // CTA_ZONE
const FILTER: u16 = 25; // CTA_FILTER
const ORIG_FLAGS: u16 = 1; // CTA_FILTER_ORIG_FLAGS
const BY_PROTOCOL: u32 = 1 << 3; // CTA_FILTER_F_CTA_PROTO_NUM
const PROTO: u16 = 2; // CTA_TUPLE_PROTO
const PROTO_NUM: u16 = 1; // CTA_PROTO_NUM
const UDP: u8 = 17; // IPPROTO_UDP
/// How many flows are forgotten at once: the answers must fit into the socket's buffer.
const BATCH: usize = 64;

/// A flow of datagrams (UDP).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Where its first datagram was sent to.
    pub sent_to: SocketAddr,
    /// Who answers: where it was led.
    pub led_to: SocketAddr,
    family: Family,
    /// What names it: the attributes by which the kernel finds it.
    named: Vec<(u16, Vec<u8>)>,
}

/// Lists the flows of datagrams of one family, [`Family::Ip`] or [`Family::Ip6`], in the network namespace of the calling thread, for
/// which `is_meant` holds: of all that a busy host has no more is kept.
///
/// # Errors
/// [`Error::List`], also from a kernel that tells nobody of its connections.
pub fn flows(family: Family, is_meant: impl Fn(&Flow) -> bool) -> Result<Vec<Flow>, Error> {
    let udp = nested(PROTO, &[DefaultNla::new(PROTO_NUM, vec![UDP])]);
    let flags = DefaultNla::new(ORIG_FLAGS, BY_PROTOCOL.to_ne_bytes().to_vec());
    let request = message(GET, vec![nested(TUPLE_ORIG, &[udp]), nested(FILTER, &[flags])]);
    let mut socket = Socket::open()?;
    let found = socket.dump_read("connections", family.number(), &request, |_, message| {
        read(message, family).filter(&is_meant)
    })?;
    socket.keep();
    Ok(found)
}

/// Has the kernel forget flows: the next datagram of each begins it anew, by the rules that there are. Those that are over
/// by themselves are passed over.
///
/// # Errors
/// What the kernel says to the first that it keeps.
pub fn forget(flows: &[Flow]) -> Result<(), Error> {
    if flows.is_empty() {
        return Ok(());
    }
    let mut socket = Socket::open()?;
    for batch in flows.chunks(BATCH) {
        let mut bytes = Vec::new();
        for (sequence, flow) in (1..).zip(batch) {
            let named = flow.named.iter().map(|(kind, value)| DefaultNla::new(*kind, value.clone()));
            let delete = message(DELETE, named.collect());
            bytes.extend(packet(delete, flow.family.number(), NLM_F_REQUEST | NLM_F_ACK, sequence));
        }
        let refused = socket.batch(&bytes)?.into_iter().filter_map(|answer| answer.refused);
        if let Some(source) = refused.into_iter().find(|errno| *errno != Errno::NOENT) {
            return Err(Error::Socket { call: "send", source });
        }
    }
    socket.keep();
    Ok(())
}

/// A message about connections. The library's own attributes do not say of others that they are nested.
fn message(message_type: u8, attributes: Vec<DefaultNla>) -> ConntrackMessage {
    ConntrackMessage::Other { message_type, attributes }
}

fn read(message: &[u8], family: Family) -> Option<Flow> {
    let attributes = behind(message, NETFILTER);
    let (orig, reply) = (find(attributes, TUPLE_ORIG)?, find(attributes, TUPLE_REPLY)?);
    let mut named = vec![(TUPLE_ORIG | NLA_F_NESTED, orig.to_vec())];
    // Of another one that has begun meanwhile with the same ends the kernel says that it is not there.
    for kind in [ID, ZONE] {
        named.extend(find(attributes, kind).map(|value| (kind, value.to_vec())));
    }
    Some(Flow { sent_to: end(orig, [2, 4], 3)?, led_to: end(reply, [1, 3], 2)?, family, named })
}

/// An end of a tuple: `addresses` are the kinds of its address, of IPv4 and of IPv6, `port` that of its port.
fn end(tuple: &[u8], addresses: [u16; 2], port: u16) -> Option<SocketAddr> {
    const IP: u16 = 1; // CTA_TUPLE_IP
    let (ends, protocol) = (find(tuple, IP)?, find(tuple, PROTO)?);
    let address: IpAddr = addresses.into_iter().find_map(|kind| ip(find(ends, kind)?))?;
    let port = find(protocol, port)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))?;
    Some(SocketAddr::new(address, port))
}

//! Builds rules of nf_tables out of expressions.

use netlink_packet_netfilter::nftables::{Operator, Verdict};
use std::net::IpAddr;

use super::expression::{self as expr, Expression, SECOND, VALUE};
use super::{Family, Field};

/// A rule: what it is true of, read from left to right, and then what is done.
///
/// A field that a packet does not have (cut off, another protocol, a fragment) ends the rule as if it were not true:
/// also one that says `is_not`. What must not pass is therefore never told by what it is, but by a last rule without
/// a condition behind those that tell what may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    expressions: Vec<Expression>,
    comment: Option<String>,
}

impl Rule {
    /// Makes a rule that is true of every packet and does nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with(mut self, more: impl IntoIterator<Item = Expression>) -> Self {
        self.expressions.extend(more);
        self
    }

    fn check(self, field: Field, operator: Operator, bytes: &[u8]) -> Self {
        self.with([expr::load(field, VALUE), expr::compare(operator, bytes)])
    }

    /// True if the field is this.
    #[must_use]
    pub fn is(self, field: Field, bytes: &[u8]) -> Self {
        self.check(field, Operator::Equal, bytes)
    }

    /// True if the field is something else.
    #[must_use]
    pub fn is_not(self, field: Field, bytes: &[u8]) -> Self {
        self.check(field, Operator::NotEqual, bytes)
    }

    /// True if the field is there.
    #[must_use]
    pub fn has(self, field: Field) -> Self {
        let length = usize::try_from(field.length()).unwrap_or_default();
        self.check(field, Operator::GreatherThanEqual, &vec![0; length])
    }

    /// True if the field is between these, or one of them.
    #[must_use]
    pub fn between(self, field: Field, first: &[u8], last: &[u8]) -> Self {
        self.with([
            expr::load(field, VALUE),
            expr::compare(Operator::GreatherThanEqual, first),
            expr::compare(Operator::LessThanEqual, last),
        ])
    }

    /// True if what the mask covers of the field is this.
    #[must_use]
    pub fn masked_is(self, field: Field, mask: &[u8], bytes: &[u8]) -> Self {
        self.with([expr::load(field, VALUE), expr::mask(mask), expr::compare(Operator::Equal, bytes)])
    }

    /// True if what the mask covers of the field is something else.
    #[must_use]
    pub fn masked_is_not(self, field: Field, mask: &[u8], bytes: &[u8]) -> Self {
        self.with([expr::load(field, VALUE), expr::mask(mask), expr::compare(Operator::NotEqual, bytes)])
    }

    /// True if the set has the field.
    #[must_use]
    pub fn is_in(self, field: Field, set: &str) -> Self {
        self.with([expr::load(field, VALUE), expr::lookup(set, false, None)])
    }

    /// True if the set has not the field.
    #[must_use]
    pub fn is_not_in(self, field: Field, set: &str) -> Self {
        self.with([expr::load(field, VALUE), expr::lookup(set, true, None)])
    }

    /// True of what came by an Ethernet link.
    #[must_use]
    pub fn ether(self) -> Self {
        self.is(Field::IN_KIND, &1_u16.to_ne_bytes())
    }

    /// True of IPv4, in the family netdev or bridge.
    #[must_use]
    pub fn ip(self) -> Self {
        self.is(Field::PROTOCOL, &[0x08, 0x00])
    }

    /// True of IPv6, in the family netdev or bridge.
    #[must_use]
    pub fn ip6(self) -> Self {
        self.is(Field::PROTOCOL, &[0x86, 0xdd])
    }

    /// True of ARP, in the family netdev or bridge.
    #[must_use]
    pub fn arp(self) -> Self {
        self.is(Field::PROTOCOL, &[0x08, 0x06])
    }

    /// True of the packets of the family inet that are of the family of an address.
    #[must_use]
    pub fn family_of(self, address: IpAddr) -> Self {
        self.is(Field::NF_PROTOCOL, &[family(address).number()])
    }

    /// True of a protocol above IP.
    #[must_use]
    pub fn transport(self, protocol: u8) -> Self {
        self.is(Field::TRANSPORT_PROTOCOL, &[protocol])
    }

    /// True if the name of a link is this.
    #[must_use]
    pub fn link_is(self, field: Field, name: &str) -> Self {
        self.is(field, &link(name))
    }

    /// True if the name of a link is another one.
    #[must_use]
    pub fn link_is_not(self, field: Field, name: &str) -> Self {
        self.is_not(field, &link(name))
    }

    /// True if the source of a packet of the family inet is in a prefix.
    #[must_use]
    pub fn source_in(self, prefix: ipnet::IpNet) -> Self {
        self.in_prefix(prefix, Field::IP_SOURCE, Field::IP6_SOURCE)
    }

    /// True if the destination of a packet of the family inet is in a prefix.
    #[must_use]
    pub fn destination_in(self, prefix: ipnet::IpNet) -> Self {
        self.in_prefix(prefix, Field::IP_DESTINATION, Field::IP6_DESTINATION)
    }

    fn in_prefix(self, prefix: ipnet::IpNet, four: Field, six: Field) -> Self {
        let field = if prefix.addr().is_ipv4() { four } else { six };
        let rule = self.family_of(prefix.addr());
        let network = octets(prefix.network());
        if prefix.prefix_len() == prefix.max_prefix_len() {
            return rule.is(field, &network);
        }
        rule.masked_is(field, &octets(prefix.netmask()), &network)
    }

    /// True of what goes over a rate of bytes in a second, after a burst of bytes.
    #[must_use]
    pub fn over(self, rate: u64, burst: u32) -> Self {
        self.with([expr::limit_over(rate, burst)])
    }

    /// Adds the field to a set that learns, unless that is full.
    #[must_use]
    pub fn learn(self, field: Field, set: &str) -> Self {
        self.with([expr::load(field, VALUE), expr::add_to_set(set)])
    }

    /// True of a connection beyond so many of those whose field is the same; a set of [`Set::Counted`](super::Set::Counted)
    /// counts them.
    #[must_use]
    pub fn beyond(self, field: Field, set: &str, most: u32) -> Self {
        self.with([expr::load(field, VALUE), expr::count_in_set(set, most)])
    }

    /// True of a connection beyond so many of those that have come to this rule.
    #[must_use]
    pub fn beyond_all(self, most: u32) -> Self {
        self.with([expr::count(most)])
    }

    /// Counts packets and bytes.
    #[must_use]
    pub fn counter(self) -> Self {
        self.with([expr::counter()])
    }

    /// Sets the packet's mark.
    #[must_use]
    pub fn set_mark(self, mark: u32) -> Self {
        self.with([expr::immediate(&mark.to_ne_bytes(), VALUE), expr::set_mark()])
    }

    /// Drops the packet, and ends the rule.
    #[must_use]
    pub fn drop(self) -> Self {
        self.with([expr::verdict(Verdict::Other(0), None)])
    }

    /// Ends the chain's hook with the packet let through.
    #[must_use]
    pub fn accept(self) -> Self {
        self.with([expr::verdict(Verdict::Other(1), None)])
    }

    /// Goes on behind the rule that jumped here.
    #[must_use]
    pub fn leave(self) -> Self {
        self.with([expr::verdict(Verdict::Return, None)])
    }

    /// Goes on in a chain and comes back.
    #[must_use]
    pub fn jump(self, chain: &str) -> Self {
        self.with([expr::verdict(Verdict::Jump, Some(chain))])
    }

    /// Goes on in a chain and comes back to where this one was jumped to from.
    #[must_use]
    pub fn goto(self, chain: &str) -> Self {
        self.with([expr::verdict(Verdict::Goto, Some(chain))])
    }

    /// Gives the connection the address of the link that it leaves by.
    #[must_use]
    pub fn masquerade(self) -> Self {
        self.with([expr::masquerade()])
    }

    /// Sends the connection to an address, its port unchanged.
    #[must_use]
    pub fn dnat(self, to: IpAddr) -> Self {
        self.with([expr::immediate(&octets(to), VALUE), expr::dnat(family(to), false)])
    }

    /// Sends the connection to the port of an address that a map gives for its destination port.
    #[must_use]
    pub fn dnat_map(self, to: IpAddr, map: &str) -> Self {
        self.with([
            expr::load(Field::DESTINATION_PORT, VALUE),
            expr::lookup(map, false, Some(SECOND)),
            expr::immediate(&octets(to), VALUE),
            expr::dnat(family(to), true),
        ])
    }

    /// Says what the rule is for: `nft list ruleset` shows it, and errors name the rule by it.
    #[must_use]
    pub fn comment(mut self, text: &str) -> Self {
        self.comment = Some(text.to_owned());
        self
    }

    pub(super) fn into_parts(self) -> (Vec<Expression>, Option<String>) {
        (self.expressions, self.comment)
    }
}

fn family(address: IpAddr) -> Family {
    if address.is_ipv4() { Family::Ip } else { Family::Ip6 }
}

/// The bytes of an address.
pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The name of a link as the kernel compares it.
fn link(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(name.bytes().take(15)).for_each(|(to, byte)| *to = byte);
    bytes
}

//! Sets and maps.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use netlink_packet_netfilter::nftables::{ListAttribute, SetElementAttribute, SetElementFlags};

use super::expression::data;
use super::rule::octets;

/// The most values that rules may add to a set.
pub const LEARNED: u32 = 256;

/// The most values that rules may count connections for.
pub const COUNTED: u32 = 65_535;

/// A set or a map of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Set {
    /// Holds values that stay as they are, each of its type's length in bytes.
    Values(SetType, Vec<Vec<u8>>),
    /// Values that rules add to, [`LEARNED`] at most.
    Learned(SetType, Vec<Vec<u8>>),
    /// Values for which rules count connections, [`COUNTED`] at most.
    Counted(SetType),
    /// Ranges of values, sorted and apart from one another: what [`intervals`] makes.
    Intervals(SetType, Vec<Interval>),
    /// Values, and what each leads to.
    Map(SetType, SetType, Vec<(Vec<u8>, Vec<u8>)>),
}

/// What a set has in it. The numbers are those by which nft(8) knows how to print them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetType {
    /// Has IPv4 addresses, of 4 bytes.
    Ip,
    /// Has IPv6 addresses, of 16 bytes.
    Ip6,
    /// Types of Ethernet frames.
    EtherType,
    /// Ports of TCP or UDP, two bytes in network order.
    Port,
}

impl SetType {
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Ip => 7,
            Self::Ip6 => 8,
            Self::EtherType => 10,
            Self::Port => 13,
        }
    }

    pub(super) fn length(self) -> u32 {
        match self {
            Self::Ip => 4,
            Self::Ip6 => 16,
            Self::EtherType | Self::Port => 2,
        }
    }
}

/// A range of values, in network byte order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The first of them.
    pub first: Vec<u8>,
    /// The one after the last; `None` if it is the last that there is.
    pub end: Option<Vec<u8>>,
}

/// Collects the prefixes of one family, whole addresses among them, into ranges.
#[must_use]
pub fn intervals(prefixes: &[IpNet], kind: SetType) -> Vec<Interval> {
    let four = kind == SetType::Ip;
    let mut ranges: Vec<(u128, u128)> = prefixes
        .iter()
        .filter(|prefix| prefix.addr().is_ipv4() == four)
        .map(|prefix| (number(prefix.network()), number(prefix.broadcast())))
        .collect();
    ranges.sort_unstable();
    let mut merged: Vec<(u128, u128)> = Vec::new();
    for (first, last) in ranges {
        match merged.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
        .into_iter()
        .map(|(first, last)| Interval {
            first: bytes(first, four),
            end: last
                .checked_add(1)
                .filter(|end| !four || *end <= u128::from(u32::MAX))
                .map(|end| bytes(end, four)),
        })
        .collect()
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

fn bytes(number: u128, four: bool) -> Vec<u8> {
    match u32::try_from(number) {
        Ok(number) if four => octets(Ipv4Addr::from(number).into()),
        _ => octets(Ipv6Addr::from(number).into()),
    }
}

type Element = ListAttribute<SetElementAttribute>;

impl Set {
    /// NFT_SET_* flags, the key's type and the type of what it leads to.
    pub(super) fn shape(&self) -> (u32, SetType, Option<SetType>) {
        match self {
            Self::Values(key, _) => (0, *key, None),
            Self::Learned(key, _) => (0x20, *key, None),
            Self::Counted(key) => (0x20, *key, None),
            Self::Intervals(key, _) => (0x4, *key, None),
            Self::Map(key, value, _) => (0x8, *key, Some(*value)),
        }
    }

    pub(super) fn elements(&self) -> Vec<Element> {
        let key = |bytes: &[u8]| SetElementAttribute::Key(data(bytes));
        match self {
            Self::Values(_, values) | Self::Learned(_, values) => {
                values.iter().map(|value| ListAttribute::Element(vec![key(value)])).collect()
            }
            Self::Counted(_) => Vec::new(),
            Self::Intervals(_, intervals) => intervals
                .iter()
                .flat_map(|Interval { first, end }| {
                    let end = end.as_ref().map(|end| {
                        let flags = SetElementAttribute::Flags(SetElementFlags::IntervalEnd);
                        ListAttribute::Element(vec![key(end), flags])
                    });
                    [Some(ListAttribute::Element(vec![key(first)])), end].into_iter().flatten()
                })
                .collect(),
            Self::Map(_, _, pairs) => pairs
                .iter()
                .map(|(from, to)| {
                    ListAttribute::Element(vec![key(from), SetElementAttribute::Data(data(to))])
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_become_ranges_that_do_not_touch() {
        let read = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpNet>>();
        let four = |texts: &[&str]| intervals(&read(texts), SetType::Ip);
        let range = |first: [u8; 4], end: Option<[u8; 4]>| Interval {
            first: first.to_vec(),
            end: end.map(|end| end.to_vec()),
        };
        assert_eq!(
            four(&["10.0.0.3/32", "10.0.0.2/32", "10.0.0.8/29", "10.0.0.9/32", "fd00::/64"]),
            [range([10, 0, 0, 2], Some([10, 0, 0, 4])), range([10, 0, 0, 8], Some([10, 0, 0, 16]))]
        );
        assert_eq!(four(&["0.0.0.0/0"]), [range([0; 4], None)]);
        assert_eq!(four(&[]), []);
        let all = intervals(&read(&["::/0"]), SetType::Ip6);
        assert_eq!(all, [Interval { first: vec![0; 16], end: None }]);
    }
}

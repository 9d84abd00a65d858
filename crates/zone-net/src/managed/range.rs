//! A range of addresses, counted from its first.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// The place of the router's address; 0 is the network's (RFC 4291 calls it the routers' anycast address).
const ROUTER: u128 = 1;
const FIRST: u128 = 2;
/// Addresses of an IPv6 range that zones are given: as many as fit behind the last colon.
const MOST: u128 = 1 << 16;

/// A range of addresses of the managed network: the router has the first one, zones have others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    prefix: IpNet,
}

impl Range {
    /// Makes the range of a prefix, whose bits behind its length do not count.
    pub(crate) fn new(prefix: IpNet) -> Self {
        Self { prefix: prefix.trunc() }
    }

    /// Gives the prefix that holds all its addresses.
    #[must_use]
    pub fn prefix(self) -> IpNet {
        self.prefix
    }

    /// Gives the address of the router, with the length of the prefix.
    #[must_use]
    pub fn router(self) -> IpNet {
        self.with_length(self.at(ROUTER))
    }

    /// Gives an address the length of the prefix.
    #[must_use]
    pub fn with_length(self, address: IpAddr) -> IpNet {
        // It cannot be too long for a family that it is of.
        IpNet::new(address, self.prefix.prefix_len()).unwrap_or_else(|_| address.into())
    }

    /// Tells whether an address is in the range, be it one that no zone can have.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        self.prefix.contains(&address)
    }

    /// Whose address of the range this is, if it is none that a zone can have.
    pub(super) fn reserved(self, address: IpAddr) -> Option<&'static str> {
        match self.place(address)? {
            0 => Some("the address of the network itself"),
            ROUTER => Some("the address of the router"),
            place if place > self.last() => Some("the broadcast address"),
            _ => None,
        }
    }

    /// The place of an address of a zone; `None` for one that no zone can have.
    pub(super) fn zone_place(self, address: IpAddr) -> Option<u128> {
        self.place(address).filter(|place| (FIRST..=self.last()).contains(place))
    }

    /// How many addresses are given without being asked for.
    pub(super) fn span(self) -> u128 {
        (self.last() - FIRST + 1).min(MOST)
    }

    /// The address of a zone that a number stands for, the same one for numbers that are a span apart.
    pub(super) fn zone_address(self, number: u128) -> IpAddr {
        self.at(FIRST + number % self.span())
    }

    /// The number that stands for an address of a zone; see [`Self::zone_address`].
    pub(super) fn zone_number(place: u128) -> u128 {
        place - FIRST
    }

    fn last(self) -> u128 {
        let bits = u32::from(self.prefix.max_prefix_len() - self.prefix.prefix_len());
        let all = 1_u128.checked_shl(bits).unwrap_or_default().wrapping_sub(1);
        // The last of IPv4 is for all stations.
        if self.prefix.addr().is_ipv4() { all - 1 } else { all }
    }

    fn place(self, address: IpAddr) -> Option<u128> {
        self.contains(address).then(|| number(address) - number(self.prefix.addr()))
    }

    fn at(self, place: u128) -> IpAddr {
        let address = number(self.prefix.addr()) + place;
        match self.prefix {
            IpNet::V4(_) => Ipv4Addr::from(u32::try_from(address).unwrap_or(u32::MAX)).into(),
            IpNet::V6(_) => Ipv6Addr::from(address).into(),
        }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Range {
        Range::new(text.parse().unwrap())
    }

    #[test]
    fn what_stands_for_all_is_no_zones() {
        let v4 = range("10.9.16.0/20");
        assert_eq!(v4.router().to_string(), "10.9.16.1/20");
        assert_eq!(v4.span(), 4093);
        let whose = |range: Range, address: &str| range.reserved(address.parse().unwrap());
        assert!(whose(v4, "10.9.16.0").unwrap().contains("network"));
        assert!(whose(v4, "10.9.16.1").unwrap().contains("router"));
        assert!(whose(v4, "10.9.31.255").unwrap().contains("broadcast"));
        assert_eq!(whose(v4, "10.9.16.2"), None);
        assert_eq!(whose(v4, "10.9.31.254"), None);
        assert_eq!(v4.zone_place("10.9.32.0".parse().unwrap()), None);
        assert_eq!(v4.zone_place("10.9.16.1".parse().unwrap()), None);
        assert_eq!(v4.zone_address(4092), "10.9.31.254".parse::<IpAddr>().unwrap());
        assert_eq!(v4.zone_address(4093), "10.9.16.2".parse::<IpAddr>().unwrap());
        let v6 = range("fd00:1:2::/64");
        assert_eq!(v6.router().to_string(), "fd00:1:2::1/64");
        assert_eq!(v6.span(), 1 << 16);
        assert_eq!(v6.zone_address(0), "fd00:1:2::2".parse::<IpAddr>().unwrap());
        assert_eq!(v6.zone_place("fd00:1:2::ffff:ffff".parse().unwrap()), Some(0xffff_ffff));
        assert_eq!((range("10.0.0.0/30").span(), range("fd00::/126").span()), (1, 2));
    }
}

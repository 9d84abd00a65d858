//! What `net` and `port` resources may say: names of links, addresses, rates, ports, and what of it goes together.
//!
//! All of it is text, so that `zonecfg` refuses at once what the kernel would refuse at a boot. What is there on the host
//! is not looked at.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

mod mac;
mod port;
mod rules;

pub use mac::{BadMac, Mac};
pub use port::{HostPorts, MOST_PORTS, PROTOCOLS};
pub(crate) use rules::{Net, complete, host_ports, mismatch, problems, protocols};

/// The word of `global-nic` for the managed network.
pub const AUTO: &str = "auto";

/// The word of `address` for one that a DHCP server gives.
pub const DHCP: &str = "dhcp";

/// The words of `link-protection`.
pub const PROTECTION: [&str; 6] =
    ["mac-nospoof", "ip-nospoof", "dhcp-nospoof", "restricted", "isolated", "none"];

/// The most nets of a zone: their numbers are part of links' names.
pub const MOST_NETS: usize = 64;

/// The smallest and the largest MTU of an Ethernet link, in bytes.
pub const MTU: (u64, u64) = (68, 65_535);

/// The smallest MTU, in bytes, with which the kernel speaks IPv6 (RFC 8200 section 5).
pub const MTU_IPV6: u64 = 1280;

/// Longest name of a link, in bytes (IFNAMSIZ less the NUL).
const LINK_NAME_MAX: usize = 15;

/// Tells whether the kernel takes a name for a link: `dev_valid_name` of net/core/dev.c. A `%` is no letter there: the
/// kernel would make numbers of it.
#[must_use]
pub fn is_link_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= LINK_NAME_MAX
        && name != "."
        && name != ".."
        && !name.contains(|c: char| matches!(c, '/' | ':' | '%' | '"') || c.is_whitespace() || c.is_control())
}

/// An address of a zone, with the length of its network's prefix if that was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// The length of the prefix, in bits.
    pub prefix: Option<u8>,
}

impl Address {
    /// The address with its prefix; without one it is a host's own.
    #[must_use]
    pub fn net(self) -> IpNet {
        match self.prefix.map(|prefix| IpNet::new(self.ip, prefix)) {
            Some(Ok(net)) => net,
            _ => IpNet::from(self.ip),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip.fmt(f)?;
        self.prefix.map_or(Ok(()), |prefix| write!(f, "/{prefix}"))
    }
}

/// A text that is no address that a zone can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the address of one host, with or without the length of its prefix")]
pub struct BadAddress;

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let (ip, prefix) = match text.split_once('/') {
            Some((ip, prefix)) => (ip, Some(prefix)),
            None => (text, None),
        };
        let ip: IpAddr = ip.parse().map_err(|_| BadAddress)?;
        let prefix = prefix.map(|digits| number(digits).ok_or(BadAddress)).transpose()?;
        let address = Self { ip, prefix };
        let fits = prefix.is_none_or(|prefix| prefix > 0 && IpNet::new(ip, prefix).is_ok());
        // The first and the last address of an IPv4 network are nobody's, but where there are only two (RFC 3021).
        let whole = match address.net() {
            IpNet::V4(net) => {
                net.prefix_len() < 31 && (net.addr() == net.network() || net.addr() == net.broadcast())
            }
            IpNet::V6(_) => false,
        };
        if fits && !whole && is_of_one_host(ip) { Ok(address) } else { Err(BadAddress) }
    }
}

/// Tells whether an address is one that a zone can have, or a router: of one host, and of more than the host itself.
pub(crate) fn is_of_one_host(ip: IpAddr) -> bool {
    let special = match ip {
        IpAddr::V4(ip) => ip.is_broadcast() || ip.octets()[0] == 0 || ip.octets()[0] >= 240,
        IpAddr::V6(ip) => ip.to_ipv4_mapped().is_some(),
    };
    !(special || ip.is_loopback() || ip.is_multicast() || ip.is_unspecified())
}

/// Reads an address or a prefix that a zone is allowed beside its own.
#[must_use]
pub fn allowed(text: &str) -> Option<IpNet> {
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()?;
    is_of_one_host(net.addr()).then(|| net.trunc()).or_else(|| (net.prefix_len() == 0).then_some(net))
}

/// Reads a rate in bits in a second: a whole number with K, M or G (powers of ten, as Solaris' `maxbw` has them); a plain
/// number is in megabits. At least 8 kilobits.
#[must_use]
pub fn bandwidth(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 1_000),
        b'm' | b'M' => (&text[..text.len() - 1], 1_000_000),
        b'g' | b'G' => (&text[..text.len() - 1], 1_000_000_000),
        _ => (text, 1_000_000),
    };
    number::<u64>(digits)?.checked_mul(unit).filter(|rate| (8_000..=1_000_000_000_000).contains(rate))
}

/// A number as it is written in one way only: digits, no sign, no zeros before it.
fn number<N: FromStr + ToString>(digits: &str) -> Option<N> {
    digits.parse().ok().filter(|number: &N| number.to_string() == digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_links_are_the_kernels() {
        for good in ["eth0", "br-lan", "enp0s31f6", "a", "vlan.5", "ünï", "123456789012345"] {
            assert!(is_link_name(good), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "a:0", "1234567890123456", "eth%d", "a\nb", "üüüüüüüü"]
        {
            assert!(!is_link_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn addresses_are_those_of_hosts() {
        for good in
            ["192.0.2.5", "192.0.2.5/24", "10.0.0.0/31", "2001:db8::1/64", "fd00::/64", "192.0.2.255/23"]
        {
            let address: Address = good.parse().unwrap();
            assert_eq!(address.to_string(), good);
        }
        let bad = [
            "",
            "web",
            "192.0.2",
            "192.0.2.0/24",
            "192.0.2.255/24",
            "192.0.2.5/33",
            "192.0.2.5/",
            "192.0.2.5/024",
            "192.0.2.5/0",
            "127.0.0.1",
            "224.0.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "255.255.255.255",
            "::",
            "::1",
            "ff02::1",
            "::ffff:192.0.2.1",
            "fe80::1%eth0",
            "2001:db8::1/129",
        ];
        for text in bad {
            assert_eq!(text.parse::<Address>(), Err(BadAddress), "{text}");
        }
    }

    #[test]
    fn rates_have_units() {
        assert_eq!(bandwidth("100M"), Some(100_000_000));
        assert_eq!(bandwidth("100"), Some(100_000_000));
        assert_eq!(bandwidth("64k"), Some(64_000));
        assert_eq!(bandwidth("10g"), Some(10_000_000_000));
        for bad in ["", "M", "1T", "7k", "-1M", "1.5G", "01M", "99999999999999999999", "99999999G"] {
            assert_eq!(bandwidth(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_allowed_is_an_address_or_a_prefix() {
        assert_eq!(allowed("192.0.2.7/24").unwrap().to_string(), "192.0.2.0/24");
        assert_eq!(allowed("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert_eq!(allowed("::/0").unwrap().to_string(), "::/0");
        assert!(allowed("0.0.0.0/0").is_some());
        for bad in ["", "224.0.0.1", "127.0.0.0/8", "web"] {
            assert_eq!(allowed(bad), None, "{bad}");
        }
    }
}

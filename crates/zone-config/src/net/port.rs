//! Ports of the host that lead into a zone.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::{is_of_one_host, number};

/// The words of `protocol`.
pub const PROTOCOLS: [&str; 2] = ["tcp", "udp"];

/// The most ports of one resource.
pub const MOST_PORTS: u16 = 4096;

/// Ports of the host: `8080`, `8000-8010`, `192.0.2.1:8080`, `[2001:db8::1]:8080`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostPorts {
    /// The address of the host that they are of; `None` for all of them.
    pub address: Option<IpAddr>,
    /// The first port.
    pub first: u16,
    /// The last port, which is the first if there is one only.
    pub last: u16,
}

/// A text that names no ports of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a port or a range of ports, with or without an address of the host before it")]
pub struct BadPorts;

impl HostPorts {
    /// Tells whether a packet could be for both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        let apart = matches!((self.address, other.address), (Some(one), Some(two)) if one != two);
        !apart && self.first <= other.last && other.first <= self.last
    }
}

impl FromStr for HostPorts {
    type Err = BadPorts;

    fn from_str(text: &str) -> Result<Self, BadPorts> {
        let (address, ports) = match text.rsplit_once(':') {
            None => (None, text),
            Some((address, ports)) => {
                let inner = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
                let ip: IpAddr = inner.unwrap_or(address).parse().map_err(|_| BadPorts)?;
                let proper = ip.is_ipv6() == inner.is_some() && (is_of_one_host(ip) || ip.is_loopback());
                (Some(ip).filter(|_| proper).map(Some).ok_or(BadPorts)?, ports)
            }
        };
        let port = |digits: &str| number::<u16>(digits).filter(|port| *port > 0).ok_or(BadPorts);
        let (first, last) = match ports.split_once('-') {
            Some((first, last)) => (port(first)?, port(last)?),
            None => (port(ports)?, port(ports)?),
        };
        let fits = first <= last && last - first < MOST_PORTS;
        if fits { Ok(Self { address, first, last }) } else { Err(BadPorts) }
    }
}

impl fmt::Display for HostPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(IpAddr::V4(ip)) => write!(f, "{ip}:")?,
            Some(IpAddr::V6(ip)) => write!(f, "[{ip}]:")?,
            None => {}
        }
        write!(f, "{}", self.first)?;
        if self.last == self.first { Ok(()) } else { write!(f, "-{}", self.last) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_they_are_written() {
        for good in ["80", "8000-8010", "192.0.2.1:80", "[2001:db8::1]:80-81", "127.0.0.1:8080", "[::1]:1"] {
            let ports: HostPorts = good.parse().unwrap();
            assert_eq!(ports.to_string(), good);
        }
        let bad = [
            "",
            "0",
            "65536",
            "80-",
            "81-80",
            "1-4097",
            "080",
            "web:80",
            "2001:db8::1:80",
            "[192.0.2.1]:80",
            "0.0.0.0:80",
            "*:80",
        ];
        for text in bad {
            assert_eq!(text.parse::<HostPorts>(), Err(BadPorts), "{text}");
        }
    }

    #[test]
    fn ports_meet_where_a_packet_could_be_for_both() {
        let ports = |text: &str| text.parse::<HostPorts>().unwrap();
        assert!(ports("80-90").meets(&ports("192.0.2.1:85")));
        assert!(!ports("192.0.2.1:80").meets(&ports("192.0.2.2:80")));
        assert!(!ports("80-90").meets(&ports("91")));
    }
}

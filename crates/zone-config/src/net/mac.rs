//! Link-layer addresses.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

/// A text that is no Ethernet address of one station.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not the Ethernet address of one station: six pairs of hexadecimal digits with ':' between, the first one even, not all 0"
)]
pub struct BadMac;

impl Mac {
    /// Makes the address that a number stands for: unicast, locally administered.
    #[must_use]
    pub fn local(number: u64) -> Self {
        let [.., a, b, c, d, e] = number.to_be_bytes();
        Self([0x02, a, b, c, d, e])
    }

    /// The link-local IPv6 address that the kernel forms from it (EUI-64, RFC 4291 appendix A).
    #[must_use]
    pub fn link_local(self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.0;
        Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 0x02, b, c, 0xff, 0xfe, d, e, f])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// As the text that people write.
impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

impl FromStr for Mac {
    type Err = BadMac;

    /// Reads pairs of digits; also single ones, as Solaris writes them (2:8:20:5e:1:7).
    fn from_str(text: &str) -> Result<Self, BadMac> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| (1..=2).contains(&part.len())).ok_or(BadMac)?;
            let digits = part.bytes().all(|digit| digit.is_ascii_hexdigit());
            *byte = u8::from_str_radix(part, 16).ok().filter(|_| digits).ok_or(BadMac)?;
        }
        let station = bytes[0] & 1 == 0 && bytes != [0; 6];
        if parts.next().is_none() && station { Ok(Self(bytes)) } else { Err(BadMac) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        assert_eq!("02:08:20:5e:01:07".parse(), Ok(Mac([2, 8, 0x20, 0x5e, 1, 7])));
        assert_eq!("2:8:20:5E:1:7".parse(), Ok(Mac([2, 8, 0x20, 0x5e, 1, 7])));
        let bad = [
            "",
            "02:08:20:5e:01",
            "02:08:20:5e:01:07:1",
            "01:00:5e:00:00:01",
            "0:0:0:0:0:0",
            "+2:8:20:5e:1:7",
        ];
        for text in bad {
            assert_eq!(text.parse::<Mac>(), Err(BadMac), "{text}");
        }
    }

    #[test]
    fn a_link_local_address_is_the_kernels() {
        assert_eq!(
            Mac([0x02, 0xfc, 0, 0, 0, 1]).link_local(),
            "fe80::fc:ff:fe00:1".parse::<Ipv6Addr>().unwrap()
        );
    }
}

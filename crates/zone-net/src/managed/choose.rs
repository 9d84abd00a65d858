//! The choice of ranges that meet nothing of the host.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rustix::io::Errno;

use super::HostPrefix;

/// The length of the IPv4 range: 4093 zones.
const LENGTH: u8 = 20;
/// How often random bits may meet something before that is no chance any more.
const TRIES: usize = 64;

/// Where ranges are looked for, in this order. Other programs take theirs from the beginning of 10/8 (VPNs,
/// k3s at 10.42, podman at 10.88, Kubernetes at 10.96 and 10.244), from 172.17/16 on (Docker) and
/// 192.168.0/24 on (homes): so first comes a part in which nobody begins.
const POOLS: [(Ipv4Addr, u8); 4] = [
    (Ipv4Addr::new(10, 160, 0, 0), 11),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
];

/// Chooses an IPv4 range. The seed says where in each pool the search begins, so that two installations
/// mostly differ also while neither of them is there to be seen by the other.
pub(super) fn ipv4(seed: u64, host: &[HostPrefix]) -> Option<Ipv4Net> {
    let near: Vec<&HostPrefix> = host.iter().filter(|other| other.prefix.addr().is_ipv4()).collect();
    POOLS.iter().find_map(|(first, length)| {
        let count = 1_u32 << (LENGTH - length);
        let start = u32::try_from(seed % u64::from(count)).unwrap_or_default();
        let candidates =
            (0..count).map(|step| u32::from(*first) + (((start + step) % count) << (32 - LENGTH)));
        let mut ranges = candidates.filter_map(|first| Ipv4Net::new(first.into(), LENGTH).ok());
        ranges.find(|range| !near.iter().any(|other| other.meets(IpNet::V4(*range))))
    })
}

/// Chooses an IPv6 range: a /64 of unique local addresses (RFC 4193), whose 40 bits are random so that
/// networks that meet one day do not collide.
///
/// # Errors
/// Those of `random`.
pub(super) fn ipv6(
    host: &[HostPrefix],
    random: impl Fn() -> Result<[u8; 5], Errno>,
) -> Result<Option<Ipv6Net>, Errno> {
    for _ in 0..TRIES {
        let [a, b, c, d, e] = random()?;
        let first = Ipv6Addr::from([0xfd, a, b, c, d, e, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let range = Ipv6Net::new(first, 64).ok();
        let free = range.filter(|range| !host.iter().any(|other| other.meets(IpNet::V6(*range))));
        if free.is_some() {
            return Ok(free);
        }
    }
    Ok(None)
}

/// Gives random bytes of the kernel.
///
/// # Errors
/// Those of getrandom(2).
pub(super) fn random() -> Result<[u8; 5], Errno> {
    let mut bytes = [0; 5];
    // A call for this few bytes gives all of them.
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn host(prefixes: &[&str]) -> Vec<HostPrefix> {
        let of = |text: &&str| HostPrefix { prefix: text.parse().unwrap(), link: None };
        prefixes.iter().map(of).collect()
    }

    fn chosen(seed: u64, prefixes: &[&str]) -> String {
        ipv4(seed, &host(prefixes)).unwrap().to_string()
    }

    #[test]
    fn the_first_free_range_behind_the_seed_is_taken() {
        assert_eq!(chosen(0, &[]), "10.160.0.0/20");
        assert_eq!(chosen(1, &[]), "10.160.16.0/20");
        assert_eq!(chosen(511, &[]), "10.191.240.0/20");
        assert_eq!(chosen(512, &[]), "10.160.0.0/20");
        // A way to the internet is in nobody's way, and IPv6 neither.
        assert_eq!(
            chosen(0, &["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "::/0", "fc00::/7"]),
            "10.160.0.0/20"
        );
        assert_eq!(chosen(0, &["10.160.15.255/32", "10.160.16.0/21"]), "10.160.32.0/20");
        assert_eq!(chosen(511, &["10.191.240.0/24"]), "10.160.0.0/20");
        assert_eq!(chosen(0, &["10.160.0.0/11"]), "10.0.0.0/20");
        assert_eq!(chosen(3, &["10.0.0.0/8"]), "172.16.48.0/20");
        assert_eq!(chosen(5, &["10.0.0.0/8", "172.16.0.0/12"]), "192.168.80.0/20");
        assert_eq!(ipv4(5, &host(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"])), None);
        assert_eq!(
            ipv4(5, &host(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/17", "192.168.128.0/17"])),
            None
        );
    }

    #[test]
    fn random_bits_that_meet_something_are_drawn_again() {
        let draws = Cell::new(0);
        let random = || {
            draws.set(draws.get() + 1);
            Ok([0, 0, 0, 0, draws.get()])
        };
        let range = ipv6(&host(&["fd00:0:1::/48", "fd00:0:2::5/128", "::/0", "fc00::/7"]), random).unwrap();
        assert_eq!(range.unwrap().to_string(), "fd00:0:3::/64");
        assert_eq!(ipv6(&host(&["fd00::/8"]), super::random), Ok(None));
        assert_eq!(ipv6(&[], || Err(Errno::NOSYS)), Err(Errno::NOSYS));
        assert_ne!(super::random().unwrap(), super::random().unwrap());
    }
}

//! What a zone may send and what it may not, with the words of link protection that it is about.

use super::frames::{self as f, MAC, OTHER_MAC};

const GOOD6: &str = "fd00::5";
const LOCAL6: &str = "fe80::fc:ff:fe00:1";
const BAD6: &str = "fd00::6";
const MANY6: &str = "ff02::1";

/// A word of link protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Mac,
    Ip,
    Dhcp,
    Restricted,
}
use Word::{Dhcp, Ip, Mac as MACW, Restricted};

pub(super) struct Case {
    pub(super) name: &'static str,
    /// The words that drop it, any of them.
    pub(super) caught: &'static [Word],
    pub(super) frame: Vec<u8>,
}

fn case(name: &'static str, caught: &'static [Word], frame: Vec<u8>) -> Case {
    Case { name, caught, frame }
}

/// Every case.
pub(super) fn all() -> Vec<Case> {
    link_cases().into_iter().chain(ip6_cases()).collect()
}

fn link_cases() -> Vec<Case> {
    let udp4 = |from: &str| f::ip4(from, "10.0.0.255", 17, &f::udp(1000, 2000));
    let arp_good = || f::arp(1, MAC, "10.0.0.5", "10.0.0.1");
    vec![
        case("good IPv4", &[], f::ether(MAC, 0x0800, &udp4("10.0.0.5"))),
        case("allowed IPv4", &[], f::ether(MAC, 0x0800, &udp4("192.168.7.200"))),
        case("forged Ethernet source", &[MACW], f::ether(OTHER_MAC, 0x0800, &udp4("10.0.0.5"))),
        case("forged IPv4", &[Ip], f::ether(MAC, 0x0800, &udp4("10.0.0.6"))),
        case("unspecified IPv4", &[Ip], f::ether(MAC, 0x0800, &udp4("0.0.0.0"))),
        case("beyond the allowed", &[Ip], f::ether(MAC, 0x0800, &udp4("192.168.8.0"))),
        case("another type", &[Restricted], f::ether(MAC, 0x88b5, &[0x11; 60])),
        case("802.3, a length for a type", &[Restricted], f::ether(MAC, 60, &[0x42; 60])),
        case("VLAN tag", &[Restricted], f::tagged(MAC, &[0x8100], 0x0800, &udp4("10.0.0.5"))),
        case("802.1ad tag", &[Restricted], f::tagged(MAC, &[0x88a8], 0x0800, &udp4("10.0.0.5"))),
        case(
            "VLAN tag, forged IPv4",
            &[Restricted, Ip],
            f::tagged(MAC, &[0x8100], 0x0800, &udp4("10.0.0.6")),
        ),
        case(
            "QinQ",
            &[Restricted, Ip, Dhcp, MACW],
            f::tagged(MAC, &[0x88a8, 0x8100], 0x0800, &udp4("10.0.0.5")),
        ),
        case(
            "two VLAN tags",
            &[Restricted, Ip, Dhcp, MACW],
            f::tagged(MAC, &[0x8100, 0x8100], 0x0800, &udp4("10.0.0.6")),
        ),
        case("good ARP", &[], f::ether(MAC, 0x0806, &arp_good())),
        case("ARP answer", &[], f::ether(MAC, 0x0806, &f::arp(2, MAC, "10.0.0.5", "10.0.0.1"))),
        case("ARP probe", &[], f::ether(MAC, 0x0806, &f::arp(1, MAC, "0.0.0.0", "10.0.0.5"))),
        case("ARP probe for another's", &[Ip], f::ether(MAC, 0x0806, &f::arp(1, MAC, "0.0.0.0", "10.0.0.1"))),
        case("forged IPv4 in ARP", &[Ip], f::ether(MAC, 0x0806, &f::arp(2, MAC, "10.0.0.1", "10.0.0.9"))),
        case("gratuitous ARP, forged", &[Ip], f::ether(MAC, 0x0806, &f::arp(1, MAC, "10.0.0.1", "10.0.0.1"))),
        case("ARP answer from nobody", &[Ip], f::ether(MAC, 0x0806, &f::arp(2, MAC, "0.0.0.0", "10.0.0.5"))),
        case(
            "forged Ethernet in ARP",
            &[MACW],
            f::ether(MAC, 0x0806, &f::arp(2, OTHER_MAC, "10.0.0.5", "10.0.0.1")),
        ),
        case("ARP cut off", &[Ip, MACW], f::ether(MAC, 0x0806, &arp_good()[..7])),
        case("ARP of other lengths", &[Ip], {
            let mut arp = arp_good();
            arp[4] = 8;
            f::ether(MAC, 0x0806, &arp)
        }),
        case("VLAN tag, forged ARP", &[Restricted, Ip], {
            f::tagged(MAC, &[0x8100], 0x0806, &f::arp(2, MAC, "10.0.0.1", "10.0.0.9"))
        }),
        case("DHCP client", &[Ip], {
            f::ether(MAC, 0x0800, &f::ip4("0.0.0.0", "255.255.255.255", 17, &f::udp(68, 67)))
        }),
        case("DHCP server", &[Dhcp], {
            f::ether(MAC, 0x0800, &f::ip4("10.0.0.5", "255.255.255.255", 17, &f::udp(67, 68)))
        }),
        case("DHCP server on another port", &[Dhcp], {
            f::ether(MAC, 0x0800, &f::ip4("10.0.0.5", "255.255.255.255", 17, &f::udp(1067, 68)))
        }),
        case("DHCP server, first fragment", &[Dhcp], {
            f::ether(
                MAC,
                0x0800,
                &f::ip4_fragment("10.0.0.5", "255.255.255.255", 17, 0x2000, &f::udp(67, 68)),
            )
        }),
        case("later fragment of UDP", &[], {
            f::ether(MAC, 0x0800, &f::ip4_fragment("10.0.0.5", "10.0.0.9", 17, 0x2010, &f::udp(67, 68)))
        }),
        case("later fragment, forged IPv4", &[Ip], {
            f::ether(MAC, 0x0800, &f::ip4_fragment("10.0.0.6", "10.0.0.9", 17, 0x2010, &f::udp(1, 2)))
        }),
        case(
            "ICMP echo",
            &[],
            f::ether(MAC, 0x0800, &f::ip4("10.0.0.5", "10.0.0.9", 1, &[8, 0, 0, 0, 0, 0, 0, 0])),
        ),
        case("ICMP redirect", &[Dhcp], {
            f::ether(MAC, 0x0800, &f::ip4("10.0.0.5", "10.0.0.9", 1, &[5, 1, 0, 0, 10, 0, 0, 5]))
        }),
        case("ICMP router advertisement", &[Dhcp], {
            f::ether(MAC, 0x0800, &f::ip4("10.0.0.5", "10.0.0.9", 1, &[9, 0, 0, 0, 1, 2, 0, 30]))
        }),
    ]
}

fn ip6_cases() -> Vec<Case> {
    let six =
        |from: &str, next: u8, payload: &[u8]| f::ether(MAC, 0x86dd, &f::ip6(from, MANY6, next, payload));
    let na = |address: &str, options: &[u8]| f::icmp6(136, &f::target(address, options));
    let ns = |address: &str, options: &[u8]| f::icmp6(135, &f::target(address, options));
    let ra = || f::icmp6(134, &[64, 0, 0, 30, 0, 0, 0, 0, 0, 0, 0, 0]);
    let ours = f::option(2, MAC);
    let forged = f::option(2, OTHER_MAC);
    let nonce = [14, 1, 1, 2, 3, 4, 5, 6];
    let rs = |options: &[u8]| f::icmp6(133, &[&[0; 4][..], options].concat());
    vec![
        case("good IPv6", &[], six(GOOD6, 17, &f::udp(1000, 2000))),
        case("allowed IPv6", &[], six("fd77::abcd", 17, &f::udp(1000, 2000))),
        case("link-local IPv6", &[], six(LOCAL6, 17, &f::udp(1000, 2000))),
        case("forged IPv6", &[Ip], six(BAD6, 17, &f::udp(1000, 2000))),
        case("forged link-local", &[Ip], six("fe80::fc:ff:fe00:2", 17, &f::udp(1000, 2000))),
        case("no IPv6 source", &[Ip], six("::", 17, &f::udp(1000, 2000))),
        case("duplicate address detection", &[], six("::", 58, &ns(GOOD6, &[]))),
        case("the same with a nonce", &[], six("::", 58, &ns(LOCAL6, &nonce))),
        case("detection of another's", &[Ip], six("::", 58, &ns(BAD6, &[]))),
        case("MLD report", &[], six("::", 0, &f::extension(58, &f::icmp6(143, &[0; 24])))),
        case("NA from nobody", &[Ip], six("::", 58, &na(GOOD6, &ours))),
        case("good NA", &[], six(GOOD6, 58, &na(GOOD6, &ours))),
        case("good NA from link-local", &[], six(LOCAL6, 58, &na(GOOD6, &ours))),
        case("NA without option", &[], six(GOOD6, 58, &na(GOOD6, &[]))),
        case("NA of another's", &[Ip], six(GOOD6, 58, &na(BAD6, &ours))),
        case("NA with forged Ethernet", &[MACW], six(GOOD6, 58, &na(GOOD6, &forged))),
        case("NA with a second option", &[MACW], six(GOOD6, 58, &na(GOOD6, &[&ours[..], &forged].concat()))),
        case(
            "NA with a nonce, then forged",
            &[MACW],
            six(GOOD6, 58, &na(GOOD6, &[&nonce[..], &forged].concat())),
        ),
        case("NA of another's behind hop-by-hop", &[Ip], six(GOOD6, 0, &f::extension(58, &na(BAD6, &ours)))),
        case("NA of another's behind two headers", &[Ip], {
            six(GOOD6, 0, &f::extension(60, &f::extension(58, &na(BAD6, &ours))))
        }),
        case(
            "NA in an atomic fragment",
            &[Ip, MACW],
            six(GOOD6, 44, &f::fragment(58, 0, false, &na(GOOD6, &ours))),
        ),
        case("NA of another's in a first fragment", &[Ip, MACW], {
            six(GOOD6, 44, &f::fragment(58, 0, true, &na(BAD6, &ours)))
        }),
        case("NA cut off", &[Ip], six(GOOD6, 58, &na(GOOD6, &[])[..12])),
        case("good NS", &[], six(GOOD6, 58, &ns(BAD6, &f::option(1, MAC)))),
        case("NS with forged Ethernet", &[MACW], six(GOOD6, 58, &ns(BAD6, &f::option(1, OTHER_MAC)))),
        case("NS from another", &[Ip], six(BAD6, 58, &ns(GOOD6, &f::option(1, MAC)))),
        case("good RS", &[], six(LOCAL6, 58, &rs(&f::option(1, MAC)))),
        case("RS with forged Ethernet", &[MACW], six(LOCAL6, 58, &rs(&f::option(1, OTHER_MAC)))),
        case("RA", &[Dhcp], six(LOCAL6, 58, &ra())),
        case("RA behind hop-by-hop", &[Dhcp], six(LOCAL6, 0, &f::extension(58, &ra()))),
        case("RA behind destination options", &[Dhcp], six(LOCAL6, 60, &f::extension(58, &ra()))),
        case("RA in an atomic fragment", &[Dhcp], six(LOCAL6, 44, &f::fragment(58, 0, false, &ra()))),
        case("RA in a first fragment", &[Dhcp], six(LOCAL6, 44, &f::fragment(58, 0, true, &ra()))),
        case("RA hidden by a fragment that ends before it", &[Dhcp, Ip, MACW], {
            six(LOCAL6, 44, &f::fragment(60, 0, true, &[58, 1, 1, 4, 0, 0, 0, 0]))
        }),
        case("RA whose type is in the next fragment", &[Dhcp, Ip, MACW], {
            six(LOCAL6, 44, &f::fragment(60, 0, true, &[58, 0, 1, 4, 0, 0, 0, 0]))
        }),
        case(
            "VLAN tag, RA",
            &[Restricted, Dhcp],
            f::tagged(MAC, &[0x8100], 0x86dd, &f::ip6(LOCAL6, MANY6, 58, &ra())),
        ),
        case("redirect", &[Dhcp], six(LOCAL6, 58, &f::icmp6(137, &[0; 36]))),
        case("echo", &[], six(GOOD6, 58, &f::icmp6(128, &[0; 12]))),
        case("later fragment of ICMPv6", &[], six(GOOD6, 44, &f::fragment(58, 64, false, &[0x33; 32]))),
        case(
            "later fragment of UDP over IPv6",
            &[],
            six(GOOD6, 44, &f::fragment(17, 64, false, &[0x33; 32])),
        ),
        case("DHCPv6 client", &[], six(LOCAL6, 17, &f::udp(546, 547))),
        case("DHCPv6 server", &[Dhcp], six(LOCAL6, 17, &f::udp(547, 546))),
        case("DHCPv6 server on another port", &[Dhcp], six(LOCAL6, 17, &f::udp(1547, 546))),
        case(
            "DHCPv6 server behind hop-by-hop",
            &[Dhcp],
            six(LOCAL6, 0, &f::extension(17, &f::udp(547, 546))),
        ),
        case("DHCPv6 server in a first fragment", &[Dhcp], {
            six(LOCAL6, 44, &f::fragment(17, 0, true, &f::udp(547, 546)))
        }),
        case("no IPv6 in a frame of IPv6", &[Ip, MACW, Dhcp], {
            let mut packet = f::ip6(GOOD6, MANY6, 17, &f::udp(1000, 2000));
            packet[0] = 0x40;
            f::ether(MAC, 0x86dd, &packet)
        }),
        case("TCP", &[], six(GOOD6, 6, &[0; 20])),
    ]
}

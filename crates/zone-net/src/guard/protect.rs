//! The rules of a zone's links, word by word.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::chains::{Chains, ICMP, ICMPV6, SEEN, UDP};
use crate::Interface;
use crate::interface::Attachment;
use crate::nft::{ChainType, Field, Hook, HookPoint, Rule, Set, SetType, intervals};

/// What may go beyond the bandwidth at once, in bytes, beside the second's worth that the kernel's bucket holds always: twice
/// what it sends at once over a veth pair, so that no rate is too low for a whole one.
const BURST: u32 = 128 << 10;

const ETHER_ARP: [u8; 2] = [0x08, 0x06];
const ETHER_IP: [u8; 2] = [0x08, 0x00];
const ETHER_IP6: [u8; 2] = [0x86, 0xdd];

/// ICMPv6 types of RFC 4861, 2710 and 3810.
const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;
const LISTENER_REPORTS: [u8; 3] = [131, 132, 143];
/// ICMP types of RFC 792 and 1256.
const ICMP_REDIRECT: u8 = 5;
const ICMP_ROUTER_ADVERTISEMENT: u8 = 9;

/// Writes the chains of a link that see its frames first.
pub(super) fn first_look(chains: &mut Chains<'_>, interface: &Interface) {
    let protection = interface.protection;
    let mut words = Vec::new();
    if protection.restricted {
        restricted(chains);
        words.push("restricted");
    }
    if protection.mac {
        mac(chains, interface);
        words.push("mac");
    }
    if protection.ip {
        ip(chains, interface);
        words.push("ip");
    }
    if protection.dhcp {
        dhcp(chains);
        words.push("dhcp");
    }
    chains.base(&Hook {
        kind: ChainType::Filter,
        point: HookPoint::NetdevIngress,
        priority: 0,
        device: Some(&interface.host),
    });
    for word in words {
        let chain = chains.name(word);
        chains.add_to_base(Rule::new().jump(&chain).comment(word));
    }
    if let Some(bandwidth) = interface.bandwidth {
        chains.add_to_base(
            Rule::new().over((bandwidth / 8).max(1), BURST).counter().drop().comment("over maxbw"),
        );
    }
    chains.add_to_base(Rule::new().set_mark(SEEN).comment("for the second look"));
}

fn restricted(chains: &mut Chains<'_>) {
    const CHAIN: &str = "restricted";
    chains.make(&[CHAIN]);
    let types = Set::Values(SetType::EtherType, [ETHER_IP, ETHER_ARP, ETHER_IP6].map(Into::into).into());
    chains.set("types", &types);
    let types = chains.name("types");
    chains
        .add(CHAIN, Rule::new().ether().is_in(Field::ETHER_TYPE, &types).leave().comment("IPv4, IPv6, ARP"));
    chains.drop(CHAIN, Rule::new(), "other protocol, or VLAN tag");
}

fn mac(chains: &mut Chains<'_>, interface: &Interface) {
    const ARP: &str = "mac-arp";
    const IP6: &str = "mac-ip6";
    const ICMP6: &str = "mac-icmp6";
    const AT_24: &str = "mac-option24";
    const AT_8: &str = "mac-option8";
    let mac = interface.mac.0;
    chains.make(&["mac", "mac-inside", ARP, IP6, ICMP6, AT_24, AT_8]);
    let [inside, arp, ip6, to_icmp6, at_24, at_8] =
        ["mac-inside", ARP, IP6, ICMP6, AT_24, AT_8].map(|chain| chains.name(chain));
    chains.add("mac", Rule::new().ether().is(Field::ETHER_SOURCE, &mac).goto(&inside));
    chains.drop("mac", Rule::new(), "forged Ethernet source");

    chains.add("mac-inside", Rule::new().arp().goto(&arp));
    chains.add("mac-inside", Rule::new().ip6().goto(&ip6));
    nested_tags(chains, "mac-inside");

    chains.add(ARP, Rule::new().arp().is(Field::ARP_SENDER_ETHER, &mac).leave());
    chains.drop(ARP, Rule::new(), "forged Ethernet address in ARP");

    icmp6_or_other(chains, IP6, &to_icmp6);
    chains.add(ICMP6, later_fragment());
    for (kind, options) in
        [(NEIGHBOUR_SOLICITATION, &at_24), (NEIGHBOUR_ADVERTISEMENT, &at_24), (ROUTER_SOLICITATION, &at_8)]
    {
        chains.add(ICMP6, icmp6_type(kind).goto(options));
    }
    chains.add(ICMP6, icmp6().is_not(Field::ICMP_TYPE, &[NEIGHBOUR_SOLICITATION]).leave());
    chains.drop(ICMP6, Rule::new(), "ICMPv6 without type");

    for (chain, offset) in [(AT_24, 24), (AT_8, 8)] {
        let second = Field::transport(offset + 8, 1);
        fragmented_nd(chains, chain);
        chains.drop(chain, icmp6().has(second), "more neighbour options than can be checked");
        // The source's and the target's link-layer address; and the nonce of duplicate address detection (RFC 7527).
        for kind in [1, 2] {
            let option: Vec<u8> = [kind, 1].into_iter().chain(mac).collect();
            chains.add(chain, icmp6().is(Field::transport(offset, 8), &option).leave());
        }
        chains.add(chain, icmp6().is(Field::transport(offset, 2), &[14, 1]).leave());
        chains.drop(chain, icmp6().has(Field::transport(offset, 1)), "forged Ethernet address in ND");
    }
}

/// The addresses that a net may use.
fn addresses(interface: &Interface) -> Vec<IpNet> {
    let own = interface.addresses.iter().map(|address| IpNet::from(address.addr()));
    own.chain(interface.allowed.iter().copied()).collect()
}

fn ip(chains: &mut Chains<'_>, interface: &Interface) {
    chains.make(&["ip", "ip6", "ip-nd", "ip-icmp6", "ip-unspecified", "ip-target"]);
    // What a DHCP server gives is learned at a later hook, and what a net may use of IPv4 is decided there.
    if !learns(interface) {
        ip4_and_arp(chains, interface, None);
        ip4_or_arp(chains, "ip");
    }
    let ip6 = chains.name("ip6");
    chains.add("ip", Rule::new().ip6().goto(&ip6));
    nested_tags(chains, "ip");
    ip6_and_nd(chains, interface);
}

/// Tells whether the IPv4 addresses of a net are those that its DHCP server gives it.
pub(super) fn learns(interface: &Interface) -> bool {
    interface.protection.ip && interface.dhcp && matches!(interface.attachment, Attachment::Bridge { .. })
}

/// Sends IPv4 and ARP from a chain to theirs.
pub(super) fn ip4_or_arp(chains: &mut Chains<'_>, chain: &str) {
    let [ip4, arp] = ["ip4", "ip-arp"].map(|chain| chains.name(chain));
    chains.add(chain, Rule::new().ip().goto(&ip4));
    chains.add(chain, Rule::new().arp().goto(&arp));
}

/// Writes the chains for who sends IPv4 and ARP; `leases` is a set of addresses that are good, too.
pub(super) fn ip4_and_arp(chains: &mut Chains<'_>, interface: &Interface, leases: Option<&str>) {
    let good = intervals(&addresses(interface), SetType::Ip);
    chains.set("addresses4", &Set::Intervals(SetType::Ip, good));
    chains.make(&["ip4", "ip-arp"]);
    let addresses = &chains.name("addresses4");
    let dhcp = interface.dhcp;
    let unspecified = Ipv4Addr::UNSPECIFIED.octets();
    for set in [Some(&**addresses), leases].into_iter().flatten() {
        chains.add("ip4", Rule::new().ip().is_in(Field::IP_SOURCE, set).leave());
    }
    if dhcp {
        let asks = Rule::new()
            .ip()
            .is(Field::IP_SOURCE, &unspecified)
            .is(Field::IP_DESTINATION, &Ipv4Addr::BROADCAST.octets())
            .transport(UDP)
            .is(Field::SOURCE_PORT, &68_u16.to_be_bytes())
            .is(Field::DESTINATION_PORT, &67_u16.to_be_bytes());
        chains.add("ip4", asks.leave().comment("DHCP client"));
    }
    chains.drop("ip4", Rule::new(), "forged IPv4 source");

    // IPv4 over Ethernet: the addresses stand elsewhere in any other.
    let kind = || Rule::new().arp().is(Field::ARP_KIND, &[0, 1, 0x08, 0, 6, 4]);
    for set in [Some(&**addresses), leases].into_iter().flatten() {
        chains.add("ip-arp", kind().is_in(Field::ARP_SENDER_IP, set).leave());
    }
    let probe = kind().is(Field::ARP_OPERATION, &[0, 1]).is(Field::ARP_SENDER_IP, &unspecified);
    // What a DHCP client will be given, it cannot be known to probe for.
    let probe = if dhcp { probe } else { probe.is_in(Field::ARP_TARGET_IP, addresses) };
    chains.add("ip-arp", probe.leave().comment("probe"));
    chains.drop("ip-arp", Rule::new(), "forged IPv4 address in ARP");
}

fn ip6_and_nd(chains: &mut Chains<'_>, interface: &Interface) {
    let link_local = IpNet::from(IpAddr::from(interface.mac.link_local()));
    let good: Vec<IpNet> = addresses(interface).into_iter().chain([link_local]).collect();
    chains.set("addresses6", &Set::Intervals(SetType::Ip6, intervals(&good, SetType::Ip6)));
    let addresses = chains.name("addresses6");
    let [nd, icmp6_chain, unspecified, target] =
        ["ip-nd", "ip-icmp6", "ip-unspecified", "ip-target"].map(|chain| chains.name(chain));
    chains.add("ip6", Rule::new().ip6().is_in(Field::IP6_SOURCE, &addresses).goto(&nd));
    let none = Ipv6Addr::UNSPECIFIED.octets();
    chains.add("ip6", Rule::new().ip6().is(Field::IP6_SOURCE, &none).goto(&unspecified));
    chains.drop("ip6", Rule::new(), "forged IPv6 source");

    icmp6_or_other(chains, "ip-nd", &icmp6_chain);
    chains.add("ip-icmp6", later_fragment());
    chains.add("ip-icmp6", icmp6_type(NEIGHBOUR_ADVERTISEMENT).goto(&target));
    chains.add("ip-icmp6", icmp6().is_not(Field::ICMP_TYPE, &[NEIGHBOUR_ADVERTISEMENT]).leave());
    chains.drop("ip-icmp6", Rule::new(), "ICMPv6 without type");

    chains.add("ip-unspecified", icmp6_type(NEIGHBOUR_SOLICITATION).goto(&target));
    for kind in LISTENER_REPORTS {
        chains.add("ip-unspecified", icmp6_type(kind).leave());
    }
    chains.drop("ip-unspecified", Rule::new(), "no IPv6 source");

    fragmented_nd(chains, "ip-target");
    chains.add("ip-target", icmp6().is_in(Field::ND_TARGET, &addresses).leave());
    chains.drop("ip-target", Rule::new(), "forged IPv6 address in ND");
}

fn dhcp(chains: &mut Chains<'_>) {
    chains.make(&["dhcp", "dhcp4", "dhcp4-icmp", "dhcp4-udp", "dhcp6", "dhcp6-icmp", "dhcp6-udp"]);
    let [four, icmp4, udp4, six, icmp6_chain, udp6] =
        ["dhcp4", "dhcp4-icmp", "dhcp4-udp", "dhcp6", "dhcp6-icmp", "dhcp6-udp"]
            .map(|chain| chains.name(chain));
    chains.add("dhcp", Rule::new().ip().goto(&four));
    chains.add("dhcp", Rule::new().ip6().goto(&six));
    nested_tags(chains, "dhcp");

    for (chain, icmp_number, icmp_chain, udp_chain) in
        [("dhcp4", ICMP, &icmp4, &udp4), ("dhcp6", ICMPV6, &icmp6_chain, &udp6)]
    {
        chains.add(chain, of(chain).transport(icmp_number).goto(icmp_chain));
        chains.add(chain, of(chain).transport(UDP).goto(udp_chain));
        chains.add(chain, of(chain).is_not(Field::TRANSPORT_PROTOCOL, &[UDP]).leave());
        chains.drop(chain, Rule::new(), "headers that hide the protocol");
    }

    let later4 = || Rule::new().ip().masked_is_not(Field::IP_FRAGMENT, &[0x1f, 0xff], &[0, 0]).leave();
    let icmp = || Rule::new().ip().transport(ICMP);
    chains.add("dhcp4-icmp", later4());
    for (kind, what) in [(ICMP_REDIRECT, "redirect"), (ICMP_ROUTER_ADVERTISEMENT, "router advertisement")] {
        chains.drop("dhcp4-icmp", icmp().is(Field::ICMP_TYPE, &[kind]), what);
    }
    chains.add("dhcp4-icmp", icmp().is_not(Field::ICMP_TYPE, &[ICMP_REDIRECT]).leave());
    chains.drop("dhcp4-icmp", Rule::new(), "ICMP without type");
    chains.add("dhcp6-icmp", later_fragment());
    for (kind, what) in [(ROUTER_ADVERTISEMENT, "router advertisement"), (REDIRECT, "redirect")] {
        chains.drop("dhcp6-icmp", icmp6_type(kind), what);
    }
    chains.add("dhcp6-icmp", icmp6().is_not(Field::ICMP_TYPE, &[REDIRECT]).leave());
    chains.drop("dhcp6-icmp", Rule::new(), "ICMPv6 without type");

    chains.add("dhcp4-udp", later4());
    chains.add("dhcp6-udp", later_fragment());
    for (chain, server, client) in [("dhcp4-udp", 67_u16, 68_u16), ("dhcp6-udp", 547, 546)] {
        let udp = || of(chain).transport(UDP);
        let (server, client) = (server.to_be_bytes(), client.to_be_bytes());
        chains.drop(chain, udp().is(Field::SOURCE_PORT, &server), "DHCP server");
        chains.drop(chain, udp().is(Field::DESTINATION_PORT, &client), "answer to a DHCP client");
        chains.add(chain, udp().is_not(Field::DESTINATION_PORT, &client).leave());
        chains.drop(chain, Rule::new(), "UDP without ports");
    }
}

/// Begins a rule of a chain for IPv4 or IPv6, by the chain's name.
fn of(chain: &str) -> Rule {
    if chain.starts_with("dhcp4") { Rule::new().ip() } else { Rule::new().ip6() }
}

fn icmp6() -> Rule {
    Rule::new().ip6().transport(ICMPV6)
}

fn icmp6_type(kind: u8) -> Rule {
    icmp6().is(Field::ICMP_TYPE, &[kind])
}

/// Lets fragments of IPv6 but the first pass.
fn later_fragment() -> Rule {
    Rule::new().ip6().masked_is_not(Field::FragmentOffset, &[0xff, 0xf8], &[0, 0]).leave()
}

/// Drops neighbour discovery in fragments, which nobody may send or heed (RFC 6980).
fn fragmented_nd(chains: &mut Chains<'_>, chain: &str) {
    chains.drop(chain, Rule::new().ip6().is(Field::Fragmented, &[1]), "ND in fragments");
}

/// Sends ICMPv6 to a chain, lets other protocols pass, and drops what does not show its protocol.
fn icmp6_or_other(chains: &mut Chains<'_>, chain: &str, to: &str) {
    chains.add(chain, icmp6().goto(to));
    chains.add(chain, Rule::new().ip6().is_not(Field::TRANSPORT_PROTOCOL, &[ICMPV6]).leave());
    chains.drop(chain, Rule::new(), "headers that hide the protocol");
}

/// Drops what has a VLAN tag behind the one that the kernel took off, 802.1Q or 802.1ad.
fn nested_tags(chains: &mut Chains<'_>, chain: &str) {
    for tag in [[0x81, 0x00], [0x88, 0xa8]] {
        chains.drop(chain, Rule::new().is(Field::PROTOCOL, &tag), "VLAN tag behind another");
    }
}

//! Raw frames through a guarded link: what arrives at another zone and at the host, and what does not.

use std::process::Command;

use super::cases::{self, Case, Word};
use super::frames::{self as f, MAC, OTHER_MAC};
use super::*;
use crate::Mac;
use crate::lab::{Netns, Wire, veth};
use crate::spec::Protection;
use zone_config::{Layout, ZoneName};

mod shared;

/// A host with a bridge, a guarded zone and another zone on it.
struct Bridged {
    host: Netns,
    zone: Netns,
    _other: Netns,
    from: Wire,
    to_other: Wire,
    to_host: Wire,
}

fn owner(zone: &ZoneName) -> Owner<'_> {
    let elsewhere = Layout::new(Some("/nowhere/at/all".into())).unwrap();
    Owner { installation: elsewhere.id(), zone }
}

fn interface(host: &str, protection: Protection) -> Interface {
    Interface {
        host: host.to_owned(),
        alias: String::new(),
        inside: "eth0".to_owned(),
        attachment: Attachment::Bridge { bridge: "br0".to_owned(), vlan: None },
        mac: Mac(MAC),
        mtu: None,
        addresses: vec!["10.0.0.5/24".parse().unwrap(), "fd00::5/64".parse().unwrap()],
        routers: Vec::new(),
        allowed: vec!["192.168.7.0/24".parse().unwrap(), "fd77::/32".parse().unwrap()],
        host_addresses: Vec::new(),
        dhcp: false,
        bandwidth: None,
        protection,
    }
}

/// Guards the links of a zone that no port of the host leads to.
fn guard(owner: Owner<'_>, interfaces: &[Interface]) -> Result<(), Error> {
    let shared = share(owner.installation, interfaces)?;
    apply(owner, Nets { interfaces, published: false }, &shared)
}

fn bridged() -> Bridged {
    let (host, zone, other) = (Netns::new(), Netns::new(), Netns::new());
    // No IPv6 of their own, which would say things meanwhile.
    for netns in [&host, &zone, &other] {
        netns.sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1");
    }
    host.all(&["ip link add br0 type bridge mcast_snooping 0", "ip link set br0 up"]);
    veth(&host, "z1", &zone, "eth0");
    veth(&host, "z2", &other, "eth0");
    host.all(&["ip link set z1 master br0", "ip link set z2 master br0"]);
    let (from, to_other, to_host) = (zone.wire("eth0"), other.wire("eth0"), host.wire("br0"));
    Bridged { host, zone, _other: other, from, to_other, to_host }
}

impl Bridged {
    fn apply(&self, interfaces: &[Interface]) {
        let zone: ZoneName = "web".parse().unwrap();
        self.host.run(|| guard(owner(&zone), interfaces)).unwrap_or_else(|error| panic!("{}", chain(&error)));
    }

    /// Sends frames and tells which arrived, at the other zone and at the host alike. Nobody else says anything here, so
    /// what is seen between two marks is the frame between them.
    fn arrived(&self, frames: &[Vec<u8>]) -> Vec<bool> {
        let mark = |number: usize| {
            let good = f::ether(MAC, 0x0800, &f::ip4("10.0.0.5", "10.0.0.9", 17, &f::udp(1, 2)));
            [good, format!("mark{number:05}").into_bytes()].concat()
        };
        self.from.send(&mark(0));
        for (number, frame) in frames.iter().enumerate() {
            self.from.send(frame);
            self.from.send(&mark(number + 1));
        }
        let seen = |wire: &Wire| -> Vec<bool> {
            wire.until(&mark(0));
            (1..=frames.len()).map(|number| wire.until(&mark(number)).len() > 1).collect()
        };
        let (zone, host) = (seen(&self.to_other), seen(&self.to_host));
        assert_eq!(zone, host, "zone and host do not see the same");
        zone
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {}", chain(cause))).unwrap_or_default();
    format!("{error}{cause}")
}

#[test]
fn what_is_isolated_has_the_host_send_nothing_on_to_other_zones() {
    zone_testing::needs_root!();
    let lab = bridged();
    let alone = Protection { isolated: true, ..Protection::NONE };
    let host = vec!["10.0.0.1/24".parse().unwrap(), "fd00::1/64".parse().unwrap()];
    let isolated = |protection| Interface { host_addresses: host.clone(), ..interface("z1", protection) };
    // What the guest gives itself.
    let unknown = |protection| Interface { addresses: vec![], ..isolated(protection) };
    let four = |to: &str| f::ether(MAC, 0x0800, &f::ip4("10.0.0.5", to, 17, &f::udp(1, 2)));
    let six = |to: &str| f::ether(MAC, 0x86dd, &f::ip6("fd00::5", to, 17, &f::udp(1, 2)));
    let frames = [
        (four("10.0.0.1"), true),
        (four("10.0.0.9"), false),
        (four("192.0.2.9"), true),
        (six("fd00::1"), true),
        (six("fd00::9"), false),
        (six("2001:db8::9"), true),
        (six("ff02::1"), true),
    ];
    let all = Protection { isolated: true, ..Protection::default() };
    for interface in [isolated(alone), isolated(all), unknown(alone)] {
        lab.apply(&[interface]);
        for (frame, comes) in &frames {
            let tail = b"the end";
            lab.from.send(frame);
            lab.from.send(&[four("10.0.0.1"), tail.to_vec()].concat());
            let seen = |wire: &Wire| wire.until(tail).len() > 1;
            assert!(seen(&lab.to_other), "the bridge itself is told otherwise: {frame:?}");
            assert_eq!(seen(&lab.to_host), *comes, "{frame:?}");
        }
    }
    lab.apply(&[interface("z1", Protection { isolated: false, ..alone })]);
    let rules = lab.host.sh("nft list ruleset");
    assert!(!rules.contains("isolated"), "{rules}");
}

#[test]
fn each_word_drops_what_it_says_and_nothing_else() {
    zone_testing::needs_root!();
    let lab = bridged();
    let cases: Vec<Case> = cases::all();
    let frames: Vec<Vec<u8>> = cases.iter().map(|case| case.frame.clone()).collect();
    let mut wrong = Vec::new();
    for bits in 0..16_u8 {
        let [mac, ip, dhcp, restricted] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
        lab.apply(&[interface("z1", Protection { mac, ip, dhcp, restricted, isolated: false })]);
        let on = |word: &Word| match word {
            Word::Mac => mac,
            Word::Ip => ip,
            Word::Dhcp => dhcp,
            Word::Restricted => restricted,
        };
        for (case, arrived) in cases.iter().zip(lab.arrived(&frames)) {
            if arrived == case.caught.iter().any(on) {
                let verb = if arrived { "passes" } else { "is dropped" };
                wrong.push(format!(
                    "mac {mac} ip {ip} dhcp {dhcp} restricted {restricted}: {} {verb}",
                    case.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), 16 * cases.len(), wrong.join("\n"));
}

#[test]
fn a_dhcp_client_may_ask_only_where_it_is_said() {
    zone_testing::needs_root!();
    let lab = bridged();
    let ask = |from: &str, to: &str, sport, dport| {
        f::ether(MAC, 0x0800, &f::ip4(from, to, 17, &f::udp(sport, dport)))
    };
    let frames = [
        ask("0.0.0.0", "255.255.255.255", 68, 67),
        ask("0.0.0.0", "255.255.255.255", 68, 69),
        ask("0.0.0.0", "10.0.0.9", 68, 67),
        ask("10.0.0.77", "255.255.255.255", 68, 67),
        f::ether(MAC, 0x0806, &f::arp(1, MAC, "0.0.0.0", "10.0.0.77")),
    ];
    let mut one = interface("z1", Protection::default());
    lab.apply(std::slice::from_ref(&one));
    assert_eq!(lab.arrived(&frames), [false; 5]);
    one.dhcp = true;
    lab.apply(&[one]);
    assert_eq!(lab.arrived(&frames), [true, false, false, false, true]);
}

#[test]
fn what_a_dhcp_server_grants_is_good_from_then_on() {
    zone_testing::needs_root!();
    let lab = bridged();
    let mut one = interface("z1", Protection::default());
    one.dhcp = true;
    one.addresses.retain(|address| address.addr().is_ipv6());
    one.allowed = vec!["10.0.0.5/32".parse().unwrap()];
    lab.apply(std::slice::from_ref(&one));
    let uses = |address: &str| {
        [
            f::ether(MAC, 0x0800, &f::ip4(address, "10.0.0.255", 17, &f::udp(1000, 2000))),
            f::ether(MAC, 0x0806, &f::arp(1, MAC, address, "10.0.0.1")),
        ]
    };
    let good = |address: &str| lab.arrived(&uses(address));
    let server = |kind, mac, address: &str| {
        let packet = f::ip4("10.0.0.1", "255.255.255.255", 17, &f::dhcp(kind, mac, address));
        lab.to_other.send(&f::ether(OTHER_MAC, 0x0800, &packet));
        lab.to_host.until(&packet);
    };
    server(2, MAC, "10.0.0.77");
    server(5, OTHER_MAC, "10.0.0.77");
    server(5, MAC, "0.0.0.0");
    assert_eq!(good("10.0.0.77"), [false; 2], "offered, or granted to another");
    server(5, MAC, "10.0.0.77");
    assert_eq!(good("10.0.0.77"), [true; 2], "granted");
    assert_eq!(good("10.0.0.78"), [false; 2], "not granted");
    assert_eq!(good("0.0.0.0"), [false, true], "none, but for a probe");
    assert_eq!(good("10.0.0.5"), [true; 2], "allowed");
    one.bandwidth = Some(1_000_000_000);
    lab.apply(std::slice::from_ref(&one));
    assert_eq!(good("10.0.0.77"), [true; 2], "kept over a change");
    let zone: ZoneName = "web".parse().unwrap();
    lab.host.run(|| remove(owner(&zone)).unwrap());
    lab.apply(&[one]);
    assert_eq!(good("10.0.0.77"), [false; 2], "forgotten with the zone's rules");
}

/// Sends every other frame of a zone, at random, by way of an ifb device. Half of those are not classified again when they
/// come back, and keep that they are to be left alone. False if the kernel has not what that needs.
fn redirect(zone: &Netns) -> bool {
    const BYTECODE: &str = "5,32 0 0 4294963256,84 0 0 1,21 0 1 1,6 0 0 4294967295,6 0 0 0";
    let tc = |arguments: &[&str]| {
        zone.run(|| Command::new("tc").args(arguments).output().unwrap().status.success())
    };
    zone.try_sh("ip link add ifb0 type ifb").0
        && zone.try_sh("ip link set ifb0 up").0
        && tc(&["qdisc", "add", "dev", "eth0", "clsact"])
        && tc(&[
            &["filter", "add", "dev", "eth0", "egress", "bpf", "bytecode", BYTECODE][..],
            &["action", "mirred", "egress", "redirect", "dev", "ifb0"],
        ]
        .concat())
}

#[test]
fn frames_that_skip_the_ingress_hook_are_dropped_at_the_next() {
    zone_testing::needs_root!();
    let lab = bridged();
    lab.apply(&[interface("z1", Protection::default())]);
    if !redirect(&lab.zone) {
        return zone_testing::skip(concat!(file!(), ":", line!()), "needs ifb, cls_bpf and act_mirred");
    }
    let forged = f::ether(MAC, 0x0800, &f::ip4("10.0.0.6", "10.0.0.9", 17, &f::udp(1, 2)));
    for _ in 0..200 {
        lab.from.send(&[&forged[..], b"forged"].concat());
    }
    lab.zone.sh("tc qdisc del dev eth0 clsact");
    let packet = f::ether(MAC, 0x0800, &f::ip4("10.0.0.5", "10.0.0.9", 17, &f::udp(1, 2)));
    lab.from.send(&[&packet[..], b"the last frame"].concat());
    for wire in [&lab.to_other, &lab.to_host] {
        let frames = wire.until(b"the last frame");
        assert!(!frames.iter().any(|frame| frame.ends_with(b"forged")));
    }
    let counted = counter(&lab.host.sh("nft list ruleset"), "came past the first look");
    println!("{counted} of 200 frames came past the ingress hook");
    assert!(counted > 0);
}

/// The packets that the rules with this comment have counted.
fn counter(ruleset: &str, comment: &str) -> u64 {
    let lines: Vec<&str> = ruleset.lines().filter(|line| line.contains(comment)).collect();
    assert!(!lines.is_empty(), "{ruleset}");
    let count = |line: &str| line.split("packets ").nth(1)?.split(' ').next()?.parse().ok();
    lines.into_iter().map(|line| count(line).unwrap_or(0_u64)).sum()
}

#[test]
fn what_is_dropped_is_counted_where_nft_shows_it() {
    zone_testing::needs_root!();
    let lab = bridged();
    lab.apply(&[interface("z1", Protection::default())]);
    lab.arrived(&[f::ether(OTHER_MAC, 0x0800, &f::ip4("10.0.0.5", "10.0.0.9", 17, &f::udp(1, 2)))]);
    let rules = lab.host.sh("nft list ruleset");
    println!("{rules}");
    assert_eq!(counter(&rules, "forged Ethernet source"), 1);
    for part in [
        "ip saddr @z1-addresses4",
        "10.0.0.5, 192.168.7.0/24",
        "ether saddr 02:fc:00:00:00:01 goto",
        "icmpv6 type nd-router-advert",
        "udp sport 547",
    ] {
        assert!(rules.contains(part), "{part}");
    }
}

#[test]
fn two_zones_and_two_installations_stand_side_by_side() {
    zone_testing::needs_root!();
    let lab = bridged();
    let (web, web1): (ZoneName, ZoneName) = ("web".parse().unwrap(), "web1".parse().unwrap());
    let here = Owner { installation: Layout::host().id(), zone: &web };
    let all = [owner(&web), owner(&web1), here];
    let mut second = interface("z2", Protection::default());
    second.mac = Mac(OTHER_MAC);
    second.bandwidth = Some(1_000_000_000);
    lab.host.run(|| {
        for _ in 0..3 {
            guard(all[0], &[interface("z1", Protection::default())]).unwrap();
            guard(all[1], std::slice::from_ref(&second)).unwrap();
        }
        // The kernel is still busy with what was removed, and makes the next one wait.
        std::thread::sleep(std::time::Duration::from_millis(100));
        let started = std::time::Instant::now();
        guard(all[2], &[interface("z1", Protection::default()), second.clone()]).unwrap();
        println!("the guard of a zone with two nets: {:?}", started.elapsed());
    });
    let mut names: Vec<String> =
        lab.host.run(|| nft::tables().unwrap().into_iter().map(|table| table.name).collect());
    names.sort_unstable();
    names.dedup();
    let of_zones = ["zones-web", "zones/1cf84d0e2a-web", "zones/1cf84d0e2a-web1"];
    assert_eq!(names, [&["zones"], &of_zones[..1], &["zones/1cf84d0e2a"], &of_zones[1..]].concat());
    lab.host.run(|| {
        for _ in 0..2 {
            remove(all[0]).unwrap();
            remove(all[2]).unwrap();
        }
    });
    let rules = lab.host.sh("nft list ruleset");
    assert!(rules.contains("zones/1cf84d0e2a-web1") && !rules.contains("zones-web"), "{rules}");
    // No rules are wanted any more: no table is left.
    second.protection = Protection { isolated: true, ..Protection::NONE };
    second.bandwidth = None;
    let first = interface("z1", second.protection);
    lab.host.run(|| {
        guard(all[1], &[first, second]).unwrap();
        assert!(release_if_unused(all[1].installation).unwrap());
        assert!(
            !release_if_unused(here.installation).unwrap(),
            "in whose group it is, is for that one to say"
        );
        lab.host.all(&["ip link delete z1", "ip link delete z2"]);
        assert!(release_if_unused(here.installation).unwrap());
    });
    assert_eq!(lab.host.sh("nft list ruleset"), "");
}

#[test]
fn a_zone_whose_links_are_gone_is_guarded_anew_or_not_at_all() {
    zone_testing::needs_root!();
    let lab = bridged();
    lab.apply(&[interface("z1", Protection::default())]);
    lab.host.sh("ip link del z1");
    let zone: ZoneName = "web".parse().unwrap();
    let before = lab.host.sh("nft list ruleset");
    let error = lab.host.run(|| {
        let nobody = interface("a-name-of-16-bytes", Protection::default());
        guard(owner(&zone), &[interface("z2", Protection::default()), nobody]).unwrap_err()
    });
    let said = chain(&error);
    let subject = "chain a-name-of-16-bytes of table netdev zones/1cf84d0e2a-web";
    assert!(
        said.starts_with(&format!(
            "cannot change the rules for the link protection of zone 'web': the kernel refused {subject}"
        )),
        "{said}"
    );
    assert_eq!(lab.host.sh("nft list ruleset"), before, "nothing of a refused transaction is in force");
    veth(&lab.host, "z1", &lab.zone, "eth1");
    lab.apply(&[interface("z1", Protection::default())]);
    lab.host.run(|| remove(owner(&zone)).unwrap());
    let rules = lab.host.sh("nft list ruleset");
    assert!(!rules.contains("-web"), "{rules}");
}

#[test]
fn what_goes_over_the_bandwidth_is_dropped_and_counted() {
    zone_testing::needs_root!();
    let lab = bridged();
    let mut one = interface("z1", Protection::NONE);
    one.bandwidth = Some(8_000);
    lab.apply(&[one]);
    let frame = f::ether(MAC, 0x0800, &f::ip4("10.0.0.5", "10.0.0.9", 17, &[0x55; 1400]));
    for _ in 0..200 {
        lab.from.send(&frame);
    }
    let rules = lab.host.sh("nft list ruleset");
    // 128 KiB of burst at a thousand bytes a second: the rest of 200 frames does not pass.
    assert!(counter(&rules, "over maxbw") >= 90, "{rules}");
    assert!(rules.contains("limit rate over 1000 bytes/second burst 128 kbytes"), "{rules}");
}

#[test]
fn a_routed_net_is_guarded_for_the_host_itself() {
    zone_testing::needs_root!();
    let (host, zone) = (Netns::new(), Netns::new());
    veth(&host, "z1", &zone, "eth0");
    host.all(&["ip address add 10.0.0.1/32 dev z1", "ip route add 10.0.0.0/24 dev z1"]);
    let mac = "02:fc:00:00:00:ee";
    host.sh(&format!("ip link set z1 address {mac}"));
    let mut one = interface("z1", Protection::default());
    one.attachment = Attachment::Routed { uplink: None };
    let web: ZoneName = "web".parse().unwrap();
    host.run(|| guard(owner(&web), &[one]).unwrap_or_else(|error| panic!("{}", chain(&error))));
    let socket = host.run(|| {
        let socket = std::net::UdpSocket::bind("0.0.0.0:2000").unwrap();
        socket.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        socket
    });
    let wire = zone.wire("eth0");
    let mac: Mac = mac.parse().unwrap();
    let say = |from: &str| {
        let packet = f::ip4(from, "10.0.0.1", 17, &f::udp(1000, 2000));
        let mut frame = f::ether(MAC, 0x0800, &packet);
        frame[..6].copy_from_slice(&mac.0);
        wire.send(&frame);
    };
    say("10.0.0.6");
    say("10.0.0.5");
    let from = socket.recv_from(&mut [0; 64]).unwrap().1;
    assert_eq!(from.to_string(), "10.0.0.5:1000");
    let rules = host.sh("nft list ruleset");
    assert_eq!(counter(&rules, "forged IPv4 source"), 1, "{rules}");
    for family in ["netdev", "arp", "ip", "ip6"] {
        assert!(rules.contains(&format!("table {family} ")), "{rules}");
    }
    // Past the ingress hook, too.
    if redirect(&zone) {
        for _ in 0..200 {
            say("10.0.0.6");
        }
        zone.sh("tc qdisc del dev eth0 clsact");
        say("10.0.0.5");
        let from = socket.recv_from(&mut [0; 64]).unwrap().1;
        assert_eq!(from.to_string(), "10.0.0.5:1000");
        let rules = host.sh("nft list ruleset");
        assert!(counter(&rules, "came past the first look") > 0, "{rules}");
    }
}

#[test]
fn a_net_without_a_place_for_rules_is_refused() {
    let mut one = interface("z1", Protection::default());
    one.attachment = Attachment::Macvlan { link: "eth0".to_owned(), vlan: None };
    let error = check(std::slice::from_ref(&one)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "net eth0: link-protection is not possible with mode macvlan, of which the host sees no frames; allowed there: none, or ip-type=shared"
    );
    one.protection = Protection::NONE;
    assert!(check(std::slice::from_ref(&one)).is_ok());
    one.bandwidth = Some(1_000_000);
    assert!(matches!(check(&[one]), Err(Error::NoPlace { word: "maxbw", .. })));
}

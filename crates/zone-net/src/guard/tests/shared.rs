//! The rules that all zones share: whose frames they look at, and how long they are there.

use super::*;
use crate::names;

fn packet(mac: [u8; 6], from: &str) -> Vec<u8> {
    f::ether(mac, 0x0800, &f::ip4(from, "10.0.0.9", 17, &f::udp(1, 2)))
}

fn other(protection: Protection) -> Interface {
    let mac = Mac(OTHER_MAC);
    Interface { mac, addresses: vec!["10.0.0.6/24".parse().unwrap()], ..interface("z2", protection) }
}

fn tables(netns: &Netns) -> String {
    netns.sh("nft list tables")
}

fn group_of(netns: &Netns, link: &str) -> u32 {
    netns.run(|| rt::Socket::here().unwrap().link(link).unwrap().unwrap().group)
}

/// The tables of a zone that an earlier program has booted: each has a second look of its own.
fn of_before(table: &str, link: &str, mac: &str) -> String {
    format!(
        "table netdev {table} {{ chain {link} {{
            type filter hook ingress device {link} priority 0; policy accept;
            ether saddr != {mac} drop; meta mark set 0x5a4f4e45
        }}
        }}
        table bridge {table} {{ chain prerouting {{
            type filter hook prerouting priority -1000; policy accept;
            iifname {link} meta mark != 0x5a4f4e45 counter drop; iifname {link} meta mark set 0
        }}
        }}"
    )
}

fn load(netns: &Netns, rules: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), rules).unwrap();
    netns.sh(&format!("nft -f {}", file.path().display()));
}

#[test]
fn a_frame_without_a_first_look_is_dropped_whatever_zone_it_is_of() {
    zone_testing::needs_root!();
    let lab = bridged();
    lab.apply(&[interface("z1", Protection::default())]);
    lab.host.sh("nft delete table netdev zones/1cf84d0e2a-web");
    let last = [&packet(OTHER_MAC, "10.0.0.6")[..], b"the last frame"].concat();
    let heard = |tail: &[u8]| {
        lab.from.send(&[&packet(MAC, "10.0.0.5")[..], tail].concat());
        // From a link that these rules are not about.
        lab.to_other.send(&last);
        lab.to_host.until(&last).iter().any(|frame| frame.ends_with(tail))
    };
    assert!(!heard(b"first"));
    assert_eq!(counter(&lab.host.sh("nft list ruleset"), "came past the first look"), 1);
    lab.host.sh("ip link set z1 group 0");
    assert!(heard(b"second"), "it is by their group that the links are told");
}

#[test]
fn two_installations_look_at_their_own_links() {
    zone_testing::needs_root!();
    let lab = bridged();
    let web: ZoneName = "web".parse().unwrap();
    let here = Owner { installation: Layout::host().id(), zone: &web };
    lab.apply(&[interface("z1", Protection::default())]);
    lab.host.run(|| guard(here, &[other(Protection::default())]).unwrap());
    assert_ne!(group_of(&lab.host, "z1"), group_of(&lab.host, "z2"));
    assert_eq!(lab.arrived(&[packet(MAC, "10.0.0.5"), packet(MAC, "10.0.0.77")]), [true, false]);
    let answer = packet(OTHER_MAC, "10.0.0.6");
    lab.to_other.send(&answer);
    lab.to_host.until(&answer);
    assert_eq!(counter(&lab.host.sh("nft list ruleset"), "came past the first look"), 0);
    lab.host.sh("ip link delete z1");
    lab.host.run(|| {
        assert!(release_if_unused(owner(&web).installation).unwrap());
        assert!(!release_if_unused(here.installation).unwrap());
    });
    let left = tables(&lab.host);
    assert!(
        left.contains("table bridge zones\n") && !left.contains("table bridge zones/1cf84d0e2a\n"),
        "{left}"
    );
}

#[test]
fn what_is_shared_goes_with_the_last_link() {
    zone_testing::needs_root!();
    let lab = bridged();
    let (web, db): (ZoneName, ZoneName) = ("web".parse().unwrap(), "db".parse().unwrap());
    let installation = owner(&web).installation;
    let shared = format!("table bridge {}\n", names::table(installation));
    let released = || lab.host.run(|| release_if_unused(installation).unwrap());
    assert!(released(), "what never was is gone");
    lab.apply(&[interface("z1", Protection::default())]);
    lab.host.run(|| guard(owner(&db), &[other(Protection::default())]).unwrap());
    assert!(!released());
    lab.host.sh("ip link delete z1");
    lab.host.run(|| remove(owner(&web)).unwrap());
    assert!(!released());
    assert!(tables(&lab.host).contains(&shared));
    // Nothing of the other one is checked any more; then its link is nobody's affair.
    lab.host.run(|| guard(owner(&db), &[other(Protection::NONE)]).unwrap());
    assert_eq!(group_of(&lab.host, "z2"), 0);
    for _ in 0..2 {
        assert!(released());
        assert_eq!(tables(&lab.host), "");
    }
    // Nor is one that an administrator has put somewhere else.
    lab.host.sh("ip link set z2 group 77");
    lab.host.run(|| guard(owner(&db), &[other(Protection::NONE)]).unwrap());
    assert_eq!(group_of(&lab.host, "z2"), 77);
}

#[test]
fn what_was_changed_of_it_is_repaired() {
    zone_testing::needs_root!();
    let lab = bridged();
    let nets = [interface("z1", Protection::default())];
    lab.apply(&nets);
    let table = "bridge zones/1cf84d0e2a";
    let stripped = || {
        let rules = lab.host.sh(&format!("nft list table {table}"));
        (rules, group_of(&lab.host, "z1"))
    };
    let before = stripped();
    for change in [
        format!("nft flush chain {table} input"),
        format!("nft delete table {table}"),
        format!("nft insert rule {table} prerouting accept"),
        "ip link set z1 group 0".to_owned(),
    ] {
        lab.host.sh(&change);
        lab.apply(&nets);
        assert_eq!(stripped(), before, "{change}");
    }
    // What is as it has to be is left, with what it has counted.
    let handle = || lab.host.sh(&format!("nft -a list table {table}"));
    let made = handle();
    lab.apply(&nets);
    assert_eq!(handle(), made);
}

#[test]
fn a_zone_of_before_keeps_its_own_look_and_comes_to_the_shared_one() {
    zone_testing::needs_root!();
    for shared_first in [true, false] {
        let lab = bridged();
        let table = "zones/1cf84d0e2a-web";
        let before = of_before(table, "z1", "02:fc:00:00:00:01");
        let good = packet(MAC, "10.0.0.5");
        let works = |when: &str| {
            assert_eq!(
                lab.arrived(std::slice::from_ref(&good)),
                [true],
                "{when}, shared first {shared_first}"
            );
        };
        let another = || {
            let db: ZoneName = "db".parse().unwrap();
            lab.host.run(|| guard(owner(&db), &[other(Protection::default())]).unwrap());
        };
        if shared_first {
            another();
            load(&lab.host, &before);
        } else {
            load(&lab.host, &before);
            another();
        }
        works("beside others");
        let nets = [interface("z1", Protection::default())];
        lab.host.run(|| drop(share(owner(&"web".parse().unwrap()).installation, &nets).unwrap()));
        works("seen by both");
        lab.apply(&nets);
        works("seen by the shared one");
        assert!(!tables(&lab.host).contains(&format!("bridge {table}")));
        let rules = lab.host.sh("nft list ruleset");
        assert_eq!(counter(&rules, "came past the first look"), 0, "{rules}");
    }
}

#[test]
fn what_a_published_zone_sends_to_all_does_not_come_back() {
    zone_testing::needs_root!();
    let lab = bridged();
    lab.host.sh("bridge link set dev z1 hairpin on");
    let web: ZoneName = "web".parse().unwrap();
    let nets = [interface("z1", Protection::default())];
    let comes_back = |published, tail: &[u8]| {
        lab.host.run(|| {
            let shared = share(owner(&web).installation, &nets).unwrap();
            apply(owner(&web), Nets { interfaces: &nets, published }, &shared).unwrap();
        });
        let mut frame = [&packet(MAC, "10.0.0.5")[..], tail].concat();
        frame[..6].copy_from_slice(&[0xff; 6]);
        lab.from.send(&frame);
        let mut last = [&packet(OTHER_MAC, "10.0.0.6")[..], tail, b" heard"].concat();
        last[..6].copy_from_slice(&[0xff; 6]);
        lab.to_other.until(&frame);
        lab.to_other.send(&last);
        lab.from.until(&last).contains(&frame)
    };
    assert!(!comes_back(true, b"published"));
    assert!(tables(&lab.host).contains("bridge zones/1cf84d0e2a-web"));
    assert!(comes_back(false, b"not published"), "by the port alone it does");
    assert!(!tables(&lab.host).contains("bridge zones/1cf84d0e2a-web"), "what needs no table has none");
}

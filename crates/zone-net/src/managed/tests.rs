//! Tests of the network's file and of the addresses that zones are given.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use zone_config::ZoneName;

use super::*;

mod host;

fn layout() -> (tempfile::TempDir, Layout) {
    let dir = tempfile::tempdir().unwrap();
    let layout = at(dir.path());
    (dir, layout)
}

fn at(root: &Path) -> Layout {
    Layout::new(Some(root.to_owned())).unwrap()
}

fn name(zone: &str) -> ZoneName {
    zone.parse().unwrap()
}

fn write(layout: &Layout, text: &str) {
    fs::create_dir_all(layout.etc()).unwrap();
    fs::write(layout.network(), text).unwrap();
}

/// A network with these lines for its file.
fn network(layout: &Layout, text: &str) -> Network {
    write(layout, text);
    Network::load(layout).unwrap().unwrap()
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn host(prefix: &str, link: &str) -> HostPrefix {
    HostPrefix { prefix: prefix.parse().unwrap(), link: Some(link.to_owned()) }
}

#[test]
fn a_network_is_chosen_once_and_kept() {
    let (dir, layout) = layout();
    assert_eq!(Network::load(&layout).unwrap(), None);
    let network = Network::load_or_choose(&layout, &[]).unwrap();
    assert_eq!(network.bridge, names::bridge(layout.id()));
    assert_eq!(network.mac.0[0] & 3, 2, "unicast, locally administered");
    let (ipv4, ipv6) = (network.ipv4.unwrap(), network.ipv6.unwrap());
    assert_eq!((ipv4.prefix().prefix_len(), ipv6.prefix().prefix_len()), (20, 64));
    assert_eq!(network.bridge_addresses(), [ipv4.router(), ipv6.router()]);
    assert_eq!((network.mtu, network.nameservers.len()), (None, 0));
    // A route that has come later changes nothing by itself.
    let later = [host(&ipv4.prefix().to_string(), "tun0")];
    assert_eq!(Network::load_or_choose(&layout, &later).unwrap(), network);
    assert_eq!(network.check(&[host("10.0.0.0/9", "eth0"), host("0.0.0.0/0", "eth0")]).ok(), Some(()));
    let refused = network.check(&later).unwrap_err().to_string();
    let file = layout.network();
    assert!(refused.contains(&format!("has {} (dev tun0)", ipv4.prefix())), "{refused}");
    assert!(refused.ends_with(&format!("write another range in {}", file.display())), "{refused}");
    // Where somebody else was first, another range is chosen.
    fs::remove_file(&file).unwrap();
    assert_ne!(Network::load_or_choose(&layout, &later).unwrap().ipv4, Some(ipv4));
    let other = at(&dir.path().join("other"));
    assert_ne!(Network::load_or_choose(&other, &[]).unwrap().ipv4, Some(ipv4));
    let all: Vec<HostPrefix> =
        ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].iter().map(|net| host(net, "tun0")).collect();
    let third = at(&dir.path().join("third"));
    assert!(matches!(Network::load_or_choose(&third, &all), Err(ManagedError::NoRange { .. })));
    assert!(!third.network().exists());
}

#[test]
fn what_people_write_is_understood() {
    let (_dir, layout) = layout();
    let text = "bridge = \"br9\"\nipv4 = \"10.1.0.0/16\"\nmtu = 9000\nnameservers = [\"9.9.9.9\", \"2620:fe::fe\"]\n";
    let network = network(&layout, text);
    assert_eq!((network.bridge.as_str(), network.mtu, network.ipv6), ("br9", Some(9000), None));
    assert_eq!(network.bridge_addresses(), ["10.1.0.1/16".parse().unwrap()]);
    assert_eq!(network.nameservers, ips(&["9.9.9.9", "2620:fe::fe"]));
    assert_eq!(network.routers(), ips(&["10.1.0.1"]));
    let v6 = self::network(&layout, "ipv6 = \"fd00:1::/64\"\n");
    assert_eq!((v6.ipv4, v6.routers()), (None, ips(&["fd00:1::1"])));
}

#[test]
fn what_people_wrote_before_there_was_a_network_stays() {
    let (_dir, layout) = layout();
    for text in ["", "# mine\nnameservers = [\"9.9.9.9\"]", "mtu = 1400\n"] {
        write(&layout, text);
        assert_eq!(Network::load(&layout).unwrap(), None);
        assert_eq!(nameservers(&layout).unwrap().len(), usize::from(text.contains('9')));
        let network = Network::load_or_choose(&layout, &[]).unwrap();
        assert!(network.ipv4.is_some() && network.ipv6.is_some());
        assert_eq!(network.mtu, text.contains("1400").then_some(1400));
        assert!(fs::read_to_string(layout.network()).unwrap().starts_with(text));
        assert_eq!(Network::load_or_choose(&layout, &[]).unwrap(), network);
    }
}

#[test]
fn what_makes_no_sense_is_refused_by_file_and_key() {
    let (_dir, layout) = layout();
    let of = |text: &str| {
        write(&layout, text);
        let error = Network::load(&layout).unwrap_err();
        zone_sys::Chain(&error).to_string()
    };
    for (text, told) in [
        ("ipv4 = \"10.0.0.0/20\"\nipv5 = \"x\"\n", "unknown field `ipv5`, expected one of `bridge`"),
        ("ipv4 = 10", "invalid type: integer `10`"),
        ("ipv4 = \"10.0.0.1/20\"", "ipv4 \"10.0.0.1/20\": the address must be the first"),
        ("ipv4 = \"10.0.0.0/31\"", "of 8 to 30 bits"),
        ("ipv4 = \"10.0.0.0/7\"", "of 8 to 30 bits"),
        ("ipv4 = \"10.0.0.0\"", "ADDRESS/LENGTH"),
        ("ipv4 = \"fd00::/64\"", "ADDRESS/LENGTH"),
        ("ipv4 = \"127.0.0.0/8\"", "none of stations"),
        ("ipv4 = \"169.254.0.0/16\"", "none of stations"),
        ("ipv4 = \"224.0.0.0/8\"", "none of stations"),
        ("ipv6 = \"10.0.0.0/20\"", "ADDRESS/LENGTH"),
        ("ipv6 = \"fe80::/64\"", "none that are routed"),
        ("ipv6 = \"fd00::1/64\"", "must be the first"),
        ("ipv6 = \"fd00::/127\"", "of 16 to 126 bits"),
        ("ipv4 = \"10.0.0.0/20\"\nmtu = 100", "mtu \"100\": an MTU is 1280 to 65535"),
        ("ipv4 = \"10.0.0.0/20\"\nmtu = -1", "an MTU is 1280 to 65535"),
        ("ipv4 = \"10.0.0.0/20\"\nbridge = \"a/b\"", "bridge \"a/b\": a link has 1 to 15 bytes"),
        ("ipv4 = \"10.0.0.0/20\"\nbridge = \"..\"", "a link has 1 to 15 bytes"),
        ("ipv4 = \"10.0.0.0/20\"\nbridge = \"sixteen-bytes-xx\"", "a link has 1 to 15 bytes"),
        (
            "ipv4 = \"10.0.0.0/20\"\nnameservers = [\"127.0.0.53\"]",
            "nameservers \"127.0.0.53\": a nameserver is",
        ),
        ("ipv4 = \"10.0.0.0/20\"\nnameservers = [\"dns\"]", "nameservers \"dns\""),
        ("ipv4 = \"10.0.0.0/20\"\nnameservers = \"9.9.9.9\"", "invalid type: string"),
        ("ipv4 = \u{0}", "is not right"),
    ] {
        let said = of(text);
        assert!(said.contains("etc/zones/network.toml") && said.contains(told), "{text}: {said}");
    }
    fs::write(layout.network(), b"ipv4 = \"\xff\"").unwrap();
    assert!(Network::load(&layout).is_err());
    fs::write(layout.network(), "#".repeat(usize::try_from(zone_config::file::DOCUMENT).unwrap() + 1))
        .unwrap();
    assert!(Network::load(&layout).is_err());
    fs::remove_file(layout.network()).unwrap();
    fs::create_dir(layout.network()).unwrap();
    assert!(Network::load_or_choose(&layout, &[]).is_err(), "what is there is never replaced");
}

#[test]
fn a_zone_keeps_its_addresses_until_it_is_deleted() {
    let (_dir, layout) = layout();
    let network = network(&layout, "ipv4 = \"10.1.0.0/20\"\nipv6 = \"fd00:1::/64\"\n");
    let (web, db) = (name("web"), name("db"));
    assert_eq!(lookup(&layout, &network, &web, "eth0").unwrap(), []);
    let first = allocate(&layout, &network, &web, "eth0").unwrap();
    assert_eq!(allocate(&layout, &network, &web, "eth0").unwrap(), first);
    assert_eq!(lookup(&layout, &network, &web, "eth0").unwrap(), first);
    let [v4, v6] = first[..] else { panic!("{first:?}") };
    assert_eq!((v4.prefix_len(), v6.prefix_len()), (20, 64));
    let numbers = network.ranges().zip([v4, v6]).map(|(range, net)| range.zone_place(net.addr()).unwrap());
    let numbers: Vec<u128> = numbers.collect();
    assert_eq!(numbers[0], numbers[1], "the same number behind both prefixes");
    let second = allocate(&layout, &network, &web, "eth1").unwrap();
    let other = allocate(&layout, &network, &db, "eth0").unwrap();
    assert!(first != second && first != other && second != other);
    rename(&layout, &web, &name("www")).unwrap();
    assert_eq!(allocate(&layout, &network, &name("www"), "eth0").unwrap(), first);
    assert_ne!(allocate(&layout, &network, &web, "eth0").unwrap(), first);
    release(&layout, &web).unwrap();
    release(&layout, &name("www")).unwrap();
    assert_eq!(lookup(&layout, &network, &name("www"), "eth0").unwrap(), []);
    assert_eq!(allocate(&layout, &network, &web, "eth0").unwrap(), first, "made again, it has what it had");
}

#[test]
fn what_an_administrator_gives_is_nobody_elses() {
    let (_dir, layout) = layout();
    let network = network(&layout, "ipv4 = \"10.1.0.0/29\"\nipv6 = \"fd00:1::/64\"\n");
    let (web, db) = (name("web"), name("db"));
    reserve(&layout, &network, &web, "eth0", &ips(&["192.0.2.1"])).unwrap();
    assert!(!layout.addresses().exists(), "an address of elsewhere is no matter of this network");
    reserve(
        &layout,
        &network,
        &web,
        "eth0",
        &ips(&["10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6", "192.0.2.1"]),
    )
    .unwrap();
    let only = allocate(&layout, &network, &db, "eth0").unwrap();
    assert_eq!(only[0].to_string(), "10.1.0.2/29");
    let full = allocate(&layout, &network, &name("third"), "eth0").unwrap_err().to_string();
    let told = format!(
        "no free address in 10.1.0.0/29 for zone 'third': all there are (5) are recorded in {}; delete a zone",
        layout.addresses().display()
    );
    assert!(full.starts_with(&told), "{full}");
    let taken = reserve(&layout, &network, &web, "eth0", &ips(&["10.1.0.2"])).unwrap_err().to_string();
    assert!(taken.starts_with("address 10.1.0.2 is the one of net eth0 of zone 'db' ("), "{taken}");
    for (address, whose) in [
        ("10.1.0.0", "the network itself"),
        ("10.1.0.1", "the router"),
        ("10.1.0.7", "the broadcast"),
        ("fd00:1::1", "the router"),
    ] {
        let refused = reserve(&layout, &network, &web, "eth0", &ips(&[address])).unwrap_err().to_string();
        assert!(
            refused.starts_with(&format!("address {address} is ")) && refused.contains(whose),
            "{refused}"
        );
    }
    // Once nobody gives it any more, the zone keeps the first that it had.
    let kept = allocate(&layout, &network, &web, "eth0").unwrap();
    assert_eq!(kept[0].to_string(), "10.1.0.3/29");
    assert!(allocate(&layout, &network, &name("third"), "eth0").is_ok());
    reserve(&layout, &network, &web, "eth0", &[]).unwrap();
    assert_eq!(lookup(&layout, &network, &web, "eth0").unwrap(), []);
}

#[test]
fn another_range_gives_other_addresses() {
    let (_dir, layout) = layout();
    let web = name("web");
    let old = network(&layout, "ipv4 = \"10.1.0.0/20\"\nipv6 = \"fd00:1::/64\"\n");
    let before = allocate(&layout, &old, &web, "eth0").unwrap();
    let new = network(&layout, "ipv4 = \"10.2.0.0/20\"\nipv6 = \"fd00:1::/64\"\n");
    assert_eq!(lookup(&layout, &new, &web, "eth0").unwrap(), before[1..]);
    let after = allocate(&layout, &new, &web, "eth0").unwrap();
    assert!(new.ipv4.unwrap().contains(after[0].addr()));
    assert_eq!(after[1], before[1]);
}

#[test]
fn a_line_that_makes_no_sense_keeps_new_addresses_from_being_given() {
    let (_dir, layout) = layout();
    let network = network(&layout, "ipv4 = \"10.1.0.0/20\"\n");
    let web = allocate(&layout, &network, &name("web"), "eth0").unwrap();
    let text = fs::read_to_string(layout.addresses()).unwrap();
    fs::write(layout.addresses(), format!("{text}db eth0 10.1.0.2O\n")).unwrap();
    let refused = allocate(&layout, &network, &name("new"), "eth0").unwrap_err().to_string();
    assert!(refused.contains("addresses, line 2: \"10.1.0.2O\" is not an IP address"), "{refused}");
    assert_eq!(allocate(&layout, &network, &name("web"), "eth0").unwrap(), web, "what is known is given");
}

/// All zones that a process or thread of this number gives addresses to.
fn zones_of(worker: usize) -> impl Iterator<Item = ZoneName> {
    (0..25).map(move |zone| name(&format!("w{worker}z{zone}")))
}

fn allocate_all(layout: &Layout, worker: usize) {
    let network = Network::load_or_choose(layout, &[]).unwrap();
    for zone in zones_of(worker) {
        allocate(layout, &network, &zone, "eth0").unwrap();
    }
}

fn assert_all_differ(layout: &Layout) {
    let network = Network::load(layout).unwrap().unwrap();
    let all = (0..8).flat_map(zones_of).flat_map(|zone| lookup(layout, &network, &zone, "eth0").unwrap());
    let all: Vec<IpNet> = all.collect();
    assert_eq!(all.len(), 8 * 25 * 2);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
}

#[test]
fn threads_side_by_side_choose_one_network_and_share_no_address() {
    let (_dir, layout) = layout();
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let layout = &layout;
            scope.spawn(move || allocate_all(layout, worker));
        }
    });
    assert_all_differ(&layout);
}

const WORKER: &str = "ZONES_TEST_ALLOCATE";

/// What each of the processes below does; by itself it is no test.
#[test]
fn a_worker_allocates() {
    let Ok(order) = std::env::var(WORKER) else { return };
    let (worker, root) = order.split_once(' ').unwrap();
    allocate_all(&at(Path::new(root)), worker.parse().unwrap());
}

#[test]
fn processes_side_by_side_choose_one_network_and_share_no_address() {
    let (dir, layout) = layout();
    let workers: Vec<_> = (0..8)
        .map(|worker| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "managed::tests::a_worker_allocates"])
                .env(WORKER, format!("{worker} {}", dir.path().display()))
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut worker in workers {
        assert!(worker.wait().unwrap().success());
    }
    assert_all_differ(&layout);
}

#[test]
fn what_a_writer_that_was_killed_left_of_the_network_is_no_harm() {
    let (_dir, layout) = layout();
    Network::load_or_choose(&layout, &[]).unwrap();
    let whole = fs::read(layout.network()).unwrap();
    for length in (0..=whole.len()).step_by(7) {
        fs::remove_file(layout.network()).unwrap();
        fs::write(layout.etc().join(".network.toml.new"), &whole[..length]).unwrap();
        assert_eq!(Network::load(&layout).unwrap(), None);
        Network::load_or_choose(&layout, &[]).unwrap();
        assert!(!layout.etc().join(".network.toml.new").exists());
    }
}

#[derive(Clone, Debug)]
enum Step {
    Allocate(u8, u8),
    Release(u8),
    Rename(u8, u8),
    Reserve(u8, u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..12_u8, 0..2_u8).prop_map(|(zone, net)| Step::Allocate(zone, net)),
        1 => (0..12_u8).prop_map(Step::Release),
        1 => (0..12_u8, 0..12_u8).prop_map(|(zone, to)| Step::Rename(zone, to)),
        1 => (0..12_u8, 0..18_u8).prop_map(|(zone, place)| Step::Reserve(zone, place)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is done, no two nets have an address in common, what is given stays, and a range is full only
    /// when it is.
    #[test]
    fn no_two_zones_are_ever_the_same(steps in proptest::collection::vec(step(), 1..40)) {
        let (_dir, layout) = layout();
        // Room for 13.
        let network = network(&layout, "ipv4 = \"10.1.0.0/28\"\nipv6 = \"fd00:1::/64\"\n");
        let zone = |number: u8| name(&format!("z{number}"));
        let mut has: BTreeMap<(u8, u8), Vec<IpNet>> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Allocate(who, net) => match allocate(&layout, &network, &zone(who), &format!("eth{net}")) {
                    Ok(given) => {
                        let before = has.insert((who, net), given.clone()).unwrap_or_default();
                        prop_assert!(before.iter().all(|address| given.contains(address)));
                        prop_assert_eq!(given.len(), 2);
                    }
                    Err(ManagedError::Full { used, .. }) => {
                        prop_assert_eq!(used, 13);
                        prop_assert!(has.values().flatten().filter(|net| net.addr().is_ipv4()).count() == 13);
                    }
                    Err(other) => panic!("{other}"),
                },
                Step::Release(who) => {
                    release(&layout, &zone(who)).unwrap();
                    has.retain(|(zone, _), _| *zone != who);
                }
                Step::Rename(who, to) => {
                    rename(&layout, &zone(who), &zone(to)).unwrap();
                    let moved: Vec<_> = has.iter().filter(|((zone, _), _)| *zone == who).map(|(key, given)| (*key, given.clone())).collect();
                    if who != to && !moved.is_empty() {
                        has.retain(|(zone, _), _| *zone != who && *zone != to);
                        has.extend(moved.into_iter().map(|((_, net), given)| ((to, net), given)));
                    }
                }
                Step::Reserve(who, place) => {
                    let address: IpAddr = [10, 1, 0, place].into();
                    match reserve(&layout, &network, &zone(who), "eth0", &[address]) {
                        Ok(()) if place < 16 => {
                            has.insert((who, 0), vec![network.ipv4.unwrap().with_length(address)]);
                        }
                        Ok(()) => {
                            has.remove(&(who, 0));
                        }
                        Err(ManagedError::Taken { .. }) => {
                            let other = has.iter().find(|(_, given)| given.iter().any(|net| net.addr() == address));
                            prop_assert!(other.is_some_and(|(key, _)| *key != (who, 0)));
                        }
                        Err(ManagedError::NotForZones { .. }) => prop_assert!([0, 1, 15].contains(&place)),
                        Err(other) => panic!("{other}"),
                    }
                }
            }
            let all: Vec<&IpNet> = has.values().flatten().collect();
            prop_assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
            for ((who, net), given) in &has {
                prop_assert_eq!(&lookup(&layout, &network, &zone(*who), &format!("eth{net}")).unwrap(), given);
            }
        }
    }
}

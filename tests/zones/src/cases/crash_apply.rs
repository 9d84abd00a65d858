//! A daemon that is killed while it gives a zone that runs what is configured by now: the next one gives it the rest, and the
//! zone is the same one all the time. And one that is killed while it takes back what could not all be given.

use super::crash::{Judge, be_up, leaves_nothing, sweep_of, zone};
use super::live::differs;
use crate::harness::world::World;
use crate::harness::{Command, Lab, Ran, Status, Zone, cases, ip, need_failpoints};

cases![
    apply: 600,
    apply_and_its_recovery: 1200,
    apply_that_is_taken_back: 180,
    apply_of_a_net: 900,
    apply_without_a_net: 900,
    apply_of_a_net_and_its_recovery: 1800,
    apply_of_other_addresses: 900,
    apply_of_links: 900,
    apply_without_links: 900,
    apply_of_links_and_its_recovery: 1800,
];

/// A zone that is up and lacks something that it can be given.
pub(super) fn be_changed(zone: &Zone<'_>) {
    zone.zonecfg("set shutdown-timeout=60").ok();
    be_up(zone);
    zone.zonecfg("set shutdown-timeout=77").ok();
}

/// It has all, and is the zone that it was.
pub(super) fn is_given(zone: &Zone<'_>, before: &Status, ran: &Ran) {
    ran.ok();
    let now = zone.status();
    assert_eq!((&now.state, &now.uniqid, now.pid), (&before.state, &before.uniqid, before.pid), "{ran}");
    assert!(differs(zone).is_empty(), "{ran}");
    assert!(!zone.run_dir().join("snapshot.next.toml").exists(), "{ran}");
    zone.zlogin(["true"]).ok();
}

fn sweep(lab: &Lab, second: usize, judge: Judge) {
    sweep_of(&zone(lab), be_changed, &["apply"], second, judge);
}

fn apply(lab: &Lab) {
    sweep(lab, 0, is_given);
}

fn apply_and_its_recovery(lab: &Lab) {
    sweep(lab, 6, is_given);
}

/// The last step fails; the daemon takes back what it has done, and is killed in that. The next one begins anew, and now it
/// does not fail.
fn apply_that_is_taken_back(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    be_changed(&zone);
    let before = zone.status();
    zone.fails("zoneadmd", "snapshot.commit", 1, "EIO", false);
    zone.zoneadm(["apply"]).refuses().stderr_has("could not keep what the zone is changed to");
    let failed = zone.fail_no_more();
    need_failpoints(&failed);
    assert_eq!(failed, ["zoneadmd snapshot.commit EIO"]);
    assert_eq!(differs(&zone).len(), 1, "nothing was given");
    assert_eq!(zone.unfinished(), None);
    zone.fails_and_dies("zoneadmd", "snapshot.commit", "EIO", "apply.back");
    let ran = zone.zoneadm(["apply"]);
    let deaths = zone.die_no_more();
    assert!(deaths.contains(&"zoneadmd apply.back".to_owned()), "{deaths:?}\n{ran}");
    is_given(&zone, &before, &ran);
    leaves_nothing(&zone, &world, "apply.back");
}

/// A zone that is up and is to have a net, and ports of the host.
fn lack_a_net(zone: &Zone<'_>) {
    be_up(zone);
    zone.zonecfg("add net; end; add port; set host=8080; set to=80; end").ok();
}

/// It has them, and after a halt it is configured without.
fn has_a_net(zone: &Zone<'_>, before: &Status, ran: &Ran) {
    is_given(zone, before, ran);
    zone.sh("ip -4 -o address show dev eth0 | grep -q inet && cat /sys/class/net/eth0/operstate")
        .ok()
        .stdout_is("up\n");
    Command::new("nft").args(["list", "ruleset"]).run().ok().stdout_has("dnat");
    zone.zonecfg("remove -F net; remove -F port").ok();
}

/// A zone that is up with a net and ports and is to have none.
fn have_a_net_too_many(zone: &Zone<'_>) {
    zone.zonecfg("add net; end; add port; set host=8080; set to=80; end").ok();
    be_up(zone);
    zone.zonecfg("remove net; remove port").ok();
}

fn has_no_net(zone: &Zone<'_>, before: &Status, ran: &Ran) {
    is_given(zone, before, ran);
    zone.sh("! ip link show eth0 2>/dev/null").ok();
    assert!(!zone.run_dir().join("network.toml").exists(), "{ran}");
    let links = ip("-o link show").out();
    assert!(!links.contains("of zone web"), "{links}\n{ran}");
}

fn apply_of_a_net(lab: &Lab) {
    sweep_of(&zone(lab), lack_a_net, &["apply"], 0, has_a_net);
}

fn apply_without_a_net(lab: &Lab) {
    sweep_of(&zone(lab), have_a_net_too_many, &["apply"], 0, has_no_net);
}

fn apply_of_a_net_and_its_recovery(lab: &Lab) {
    sweep_of(&zone(lab), lack_a_net, &["apply"], 7, has_a_net);
}

/// A zone that is up with a net and is to have other addresses and another router there, and a bridge for it.
fn have_other_addresses(zone: &Zone<'_>) {
    zone.zonecfg("remove -F net; add net; set global-nic=br0; set address=198.51.100.7/24; set defrouter=198.51.100.1; end").ok();
    be_up(zone);
    zone.zonecfg("select net physical=eth0; set address=198.51.100.8/24; set defrouter=198.51.100.254; set maxbw=50M; end")
        .ok();
}

fn has_the_other_addresses(zone: &Zone<'_>, before: &Status, ran: &Ran) {
    is_given(zone, before, ran);
    let has = zone.sh("ip -4 -o address show dev eth0; ip route show default").ok().out();
    assert!(has.contains("198.51.100.8/24") && has.contains("via 198.51.100.254"), "{has}\n{ran}");
    assert!(!has.contains("198.51.100.7") && has.matches("default").count() == 1, "{has}\n{ran}");
    Command::new("ping").args(["-n", "-c1", "-W10", "198.51.100.8"]).run().ok();
}

fn apply_of_other_addresses(lab: &Lab) {
    ip("link add br0 address 02:00:00:00:00:0b type bridge").ok();
    // It is to have the same addresses all the time, whether or not it has a port.
    ip("link set br0 addrgenmode none up").ok();
    ip("address add 198.51.100.1/24 dev br0").ok();
    let zone = zone(lab);
    zone.zonecfg("add net; set global-nic=br0; set address=198.51.100.7/24; end").ok();
    sweep_of(&zone, have_other_addresses, &["apply"], 0, has_the_other_addresses);
    ip("link delete br0").ok();
}

const LINKS: &str = "add net; set physical=lan0; set address=198.51.100.7/24; end;
    add net; set physical=mac0; set global-nic=low0; set address=203.0.113.7/24; end;
    add net; set physical=eth0; set global-nic=br0; set address=192.0.2.7/24; end";

/// A zone that is up and is to have a link of the host, a macvlan, and a port of a bridge.
fn lack_links(zone: &Zone<'_>) {
    be_up(zone);
    zone.zonecfg(LINKS).ok();
}

/// And an address there that nobody gives. Each apply and boot waits ten seconds for it: once through is enough.
fn lack_links_and_a_lease(zone: &Zone<'_>) {
    lack_links(zone);
    zone.zonecfg("select net physical=eth0; set address=dhcp; end").ok();
}

fn has_links(zone: &Zone<'_>, before: &Status, ran: &Ran) {
    is_given(zone, before, ran);
    zone.sh("ip -4 -o address show dev lan0; ip -4 -o address show dev mac0; ip link show eth0")
        .ok()
        .stdout_has("198.51.100.7/24")
        .stdout_has("203.0.113.7/24");
    assert!(!ip("-o link show").out().contains("lan0"), "{ran}");
    zone.zonecfg("remove -F net").ok();
}

fn have_links_too_many(zone: &Zone<'_>) {
    zone.zonecfg(LINKS).ok();
    be_up(zone);
    zone.zonecfg("remove -F net").ok();
}

fn has_no_links(zone: &Zone<'_>, before: &Status, ran: &Ran) {
    has_no_net(zone, before, ran);
    zone.sh("! ip link show lan0 2>/dev/null; ! ip link show mac0 2>/dev/null").ok();
    assert!(ip("-4 -o address show dev lan0").out().contains("198.51.100.1/24"), "{ran}");
    assert!(!zone.run_dir().join("netns").exists(), "{ran}");
}

/// The host's links that these nets are made of.
fn with_links(lab: &Lab, work: impl FnOnce(&Zone<'_>)) {
    super::crash_net::make_link();
    ip("link add low0 address 02:00:00:00:04:01 type veth peer name low1").ok();
    ip("link add br0 address 02:00:00:00:00:0b type bridge").ok();
    for link in ["low0", "low1", "br0"] {
        ip(&format!("link set {link} addrgenmode none up")).ok();
    }
    work(&zone(lab));
    for link in ["lan0", "low0", "br0"] {
        ip(&format!("link delete {link}")).ok();
    }
}

fn apply_of_links(lab: &Lab) {
    with_links(lab, |zone| sweep_of(zone, lack_links_and_a_lease, &["apply"], 0, has_links));
}

fn apply_without_links(lab: &Lab) {
    with_links(lab, |zone| sweep_of(zone, have_links_too_many, &["apply"], 0, has_no_links));
}

fn apply_of_links_and_its_recovery(lab: &Lab) {
    with_links(lab, |zone| sweep_of(zone, lack_links, &["apply"], 7, has_links));
}

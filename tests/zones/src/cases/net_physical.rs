//! A link of the host that moves into a zone, and comes back as it was, whatever became of the zone and of the link in it.

use super::crash_net::make_link;
use crate::harness::world::World;
use crate::harness::{Command, Lab, Zone, cases, ip, kill_and_wait, until_none};

cases![
    it_moves_in_and_comes_back: 120,
    it_moves_in_under_another_name: 120,
    it_comes_back_whatever_was_done_to_it: 300,
    it_comes_back_when_daemon_and_zsched_were_killed: 180,
    its_name_was_taken_meanwhile: 180,
    what_the_host_needs_stays: 180,
];

const NET: &str = "add net; set physical=lan0; set address=[198.51.100.7/24,2001:db8:51::7/64]; set defrouter=198.51.100.254; end";

/// The host's network, with the link.
fn there() -> World {
    make_link();
    World::look(&[])
}

/// Waits until the host's network is as it was.
#[track_caller]
fn is_back(zone: &Zone<'_>, before: &World, after: &str) {
    until_none(&format!("the link is back after {after}"), || {
        let mut changed = World::look(&[]).since(before, &zone.root());
        changed.retain(|thing| thing.contains("network: "));
        changed
    });
}

#[track_caller]
fn has_gone() {
    let links = ip("-o link show").out();
    assert!(!links.contains("lan0:") && !links.contains("lan0@"), "the link must be in the zone: {links}");
}

/// A zone with the link, not up.
#[track_caller]
fn with_link<'lab>(lab: &'lab Lab) -> (World, Zone<'lab>) {
    let before = there();
    let zone = lab.sparse_with("web", NET);
    (before, zone)
}

fn it_moves_in_and_comes_back(lab: &Lab) {
    let (before, zone) = with_link(lab);
    zone.zoneadm(["boot"]).ok();
    has_gone();
    zone.sh("ip -o address show dev lan0").ok().stdout_has("198.51.100.7/24").stdout_has("2001:db8:51::7/64");
    zone.sh("cat /sys/class/net/lan0/address").ok().stdout_is("02:00:00:00:02:01\n");
    zone.sh("ip route").ok().stdout_has("default via 198.51.100.254");
    let inside = zone.status();
    zone.zoneadm(["reboot"]).ok();
    has_gone();
    let rebooted = zone.status();
    let _ = zone.zlogin(["reboot"]);
    zone.runs_again(&rebooted);
    assert_ne!(zone.status().uniqid, inside.uniqid);
    zone.sh("ip -o address show dev lan0").ok().stdout_has("198.51.100.7/24");
    zone.halt_whatever();
    is_back(&zone, &before, "a halt");
    zone.zoneadm(["boot"]).ok();
    zone.zoneadm_within(90, ["shutdown"]).ok();
    is_back(&zone, &before, "a shutdown");
    zone.zoneadm(["boot"]).ok();
    let _ = zone.zlogin(["poweroff"]);
    zone.becomes("installed");
    is_back(&zone, &before, "a power-off from inside");
    zone.zoneadm(["ready"]).ok();
    has_gone();
    zone.halt_whatever();
    is_back(&zone, &before, "a halt of a ready zone");
    ip("link delete lan0");
}

fn it_moves_in_under_another_name(lab: &Lab) {
    let before = there();
    let zone = lab.sparse_with(
        "web",
        "add net; set physical=wan; set global-nic=lan0; set mode=physical; set address=198.51.100.7/24; end",
    );
    zone.zoneadm(["boot"]).ok();
    has_gone();
    zone.sh("ip -o address show dev wan").ok().stdout_has("198.51.100.7/24");
    zone.sh("cat /sys/class/net/wan/address").ok().stdout_is("02:00:00:00:02:01\n");
    zone.zoneadm(["reboot"]).ok();
    zone.sh("ip -o address show dev wan").ok().stdout_has("198.51.100.7/24");
    zone.halt_whatever();
    is_back(&zone, &before, "a halt");
    ip("link delete lan0");
}

fn it_comes_back_whatever_was_done_to_it(lab: &Lab) {
    let (before, zone) = with_link(lab);
    for deed in [
        "ip link set lan0 down",
        "ip link set lan0 down; ip link set lan0 name eth7; ip link set eth7 up",
        "ip link set lan0 down; ip link set lan0 name far0",
        "ip link set lan0 address 02:00:00:00:66:66 mtu 1280 alias mine",
        "ip link property add dev lan0 altname mine",
        "ip address flush dev lan0; ip address add 203.0.113.9/24 dev lan0; ip route add 192.0.2.0/24 via 203.0.113.10",
        "ip link add br0 type bridge; ip link set br0 up; ip link set lan0 master br0",
        "ip link add link lan0 name mac0 type macvlan; ip link set mac0 up",
        "ip link add bond0 type bond 2>/dev/null; ip link set lan0 down; ip link set lan0 master bond0 2>/dev/null; true",
        "ip link add dummy0 type dummy 2>/dev/null; tc qdisc add dev lan0 root tbf rate 1mbit burst 32k latency 50ms 2>/dev/null; true",
        "ip link set lan0 promisc on; sysctl -qw net.ipv6.conf.lan0.disable_ipv6=1",
        "unshare --net sh -c 'sleep 0.1' & wait",
    ] {
        zone.zoneadm(["boot"]).ok();
        zone.sh(deed).ok();
        zone.halt_whatever();
        is_back(&zone, &before, deed);
    }
    // Deep in the zone: in a namespace of its own, which nobody outside can look into.
    zone.zoneadm(["boot"]).ok();
    let script = "setsid unshare --net sleep 100 </dev/null >/dev/null 2>&1 & pid=$!; \
        while [ \"$(readlink /proc/$pid/ns/net)\" = \"$(readlink /proc/1/ns/net)\" ]; do sleep 0.1; done; ip link set lan0 netns $pid";
    zone.sh(script).ok();
    zone.zoneadm(["halt"]).refuses().stderr_has("the link 'lan0' is no more");
    // Told once: nothing brings it back, and the zone is not held up by it for ever.
    zone.zoneadm(["halt"]).ok();
    zone.is("installed");
    zone.zoneadm(["boot"]).refuses().stderr_has("there is no link 'lan0'");
    let _ = Command::new("ip").args(["link", "delete", "lan0"]).run();
    let _ = Command::new("ip").args(["link", "delete", "far0"]).run();
}

fn it_comes_back_when_daemon_and_zsched_were_killed(lab: &Lab) {
    let (before, zone) = with_link(lab);
    for (daemon, keeper) in [(true, false), (false, true), (true, true)] {
        zone.zoneadm(["boot"]).ok();
        let zsched = zone.keeper();
        if daemon {
            zone.kill_daemon();
        }
        if keeper {
            kill_and_wait(zsched);
        }
        zone.sh("ip link set lan0 down; ip link set lan0 name eth7").ok();
        // The next command is all the recovery that there is.
        zone.zoneadm(["halt"]).ok();
        is_back(&zone, &before, &format!("deaths: daemon {daemon}, zsched {keeper}"));
    }
    // And of the zone itself, with nobody there who would see it.
    zone.zoneadm(["boot"]).ok();
    let (zsched, init) = (zone.keeper(), zone.status().pid1());
    zone.kill_daemon();
    kill_and_wait(zsched);
    kill_and_wait(init);
    let _ = zone.zoneadm(["halt"]);
    zone.becomes("installed");
    is_back(&zone, &before, "the death of everybody");
    zone.zoneadm(["boot"]).ok();
    zone.halt_whatever();
    is_back(&zone, &before, "a boot after that");
    ip("link delete lan0");
}

fn its_name_was_taken_meanwhile(lab: &Lab) {
    let (_, zone) = with_link(lab);
    zone.zoneadm(["boot"]).ok();
    ip("link add lan0 address 02:00:00:00:09:09 type bridge");
    let ran = zone.zoneadm(["halt"]);
    assert!(ran.err().contains("another link is called 'lan0' by now"), "{ran}");
    ip("link show lan0").stdout_has("02:00:00:00:09:09");
    // It is on the host all the same, for its owner to name.
    let links = ip("-o link show").out();
    assert!(links.contains("02:00:00:00:02:01"), "{links}");
    ip("link delete lan0");
    let _ = zone.zoneadm(["halt"]);
    zone.is("installed");
    ip("link delete far0");
}

fn what_the_host_needs_stays(lab: &Lab) {
    let _internet = lab.internet();
    ip("link add br0 type bridge");
    ip("link add nic0 type veth peer name wire0");
    ip("link set nic0 master br0");
    let zone = lab.sparse("web");
    for (link, why) in [
        ("up0", "the host's default route is by the link 'up0'"),
        ("lo", "the host's loopback"),
        ("br0", "attach the net to it by global-nic=br0"),
        ("nic0", "a port of 'br0'"),
        ("nix0", "there is no link 'nix0' on this host"),
    ] {
        zone.zonecfg(&format!("add net; set physical={link}; end")).ok();
        zone.zoneadm(["verify"]).refuses().stderr_has(why);
        zone.zoneadm(["boot"]).refuses().stderr_has(why);
        zone.zonecfg("remove -F net").ok();
    }
    ip("link delete nic0");
    ip("link delete br0");
}

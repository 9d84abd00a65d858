//! A daemon that is killed at every boundary between two steps of a zone that has a network: in the managed one with
//! ports, or by a link of the host that moves in.

use super::crash::{
    Judge, Prepare, be_up, is_down, is_up, is_up_anew, nothing, sweep_of, zone, zone_with_net,
};
use crate::harness::{Lab, Zone, cases, ip, need_failpoints, until};

cases![
    boot_with_the_managed_network: 900,
    halt_with_the_managed_network: 900,
    reboot_with_the_managed_network: 900,
    boot_with_a_link_of_the_host: 900,
    halt_with_a_link_of_the_host: 900,
    reboot_with_a_link_of_the_host: 900,
    halt_and_its_recovery_with_both: 1800,
    the_last_bridge_goes_with_whoever_is_next: 180,
];

fn managed(lab: &Lab, prepare: Prepare, verb: &str, second: usize, judge: Judge) {
    sweep_of(&zone_with_net(lab), prepare, &[verb], second, judge);
}

/// A link of the host that has all that a link can have, and another one at its far end.
pub(super) fn make_link() {
    ip("link add lan0 address 02:00:00:00:02:01 mtu 1400 type veth peer name far0");
    ip("address add 198.51.100.1/24 dev lan0");
    ip("address add 2001:db8:51::1/64 dev lan0 nodad");
    ip("link set far0 up");
    ip("link set lan0 up");
    ip("route add 203.0.113.0/24 via 198.51.100.254");
    ip("-6 route add 2001:db8:113::/48 via 2001:db8:51::fe");
    for link in ["lan0", "far0"] {
        until("the link has all of its addresses", || {
            let of_link = ip(&format!("-6 -o address show dev {link} scope link")).out();
            (of_link.contains("fe80") && !of_link.contains("tentative")).then_some(())
        });
    }
}

fn physical(lab: &Lab, prepare: Prepare, verb: &str, judge: Judge) {
    make_link();
    let zone = zone(lab);
    zone.zonecfg("add net; set physical=lan0; set address=198.51.100.7/24; end").ok();
    // That the link is back with all that it had is seen after each death: what has gone is told like what is new.
    sweep_of(&zone, prepare, &[verb], 0, judge);
    ip("link delete lan0");
}

#[track_caller]
fn has_a_net(zone: &Zone<'_>, link: &str) {
    zone.sh(&format!("ip -4 -o address show dev {link}; cat /sys/class/net/{link}/operstate"))
        .ok()
        .stdout_has("up\n");
}

fn boot_with_the_managed_network(lab: &Lab) {
    managed(lab, nothing, "boot", 0, |zone, before, ran| {
        is_up(zone, before, ran);
        has_a_net(zone, "eth0");
    });
}

fn halt_with_the_managed_network(lab: &Lab) {
    managed(lab, be_up, "halt", 0, is_down);
}

fn reboot_with_the_managed_network(lab: &Lab) {
    managed(lab, be_up, "reboot", 0, |zone, before, ran| {
        is_up_anew(zone, before, ran);
        has_a_net(zone, "eth0");
    });
}

fn boot_with_a_link_of_the_host(lab: &Lab) {
    physical(lab, nothing, "boot", |zone, before, ran| {
        is_up(zone, before, ran);
        has_a_net(zone, "lan0");
    });
}

fn halt_with_a_link_of_the_host(lab: &Lab) {
    physical(lab, be_up, "halt", is_down);
}

fn reboot_with_a_link_of_the_host(lab: &Lab) {
    physical(lab, be_up, "reboot", |zone, before, ran| {
        is_up_anew(zone, before, ran);
        has_a_net(zone, "lan0");
    });
}

fn halt_and_its_recovery_with_both(lab: &Lab) {
    make_link();
    let zone = zone_with_net(lab);
    zone.zonecfg("add net; set physical=lan0; set address=198.51.100.7/24; end").ok();
    sweep_of(&zone, be_up, &["halt"], 9, is_down);
    ip("link delete lan0");
}

/// The daemon removes the last bridge beside its answer, and is killed in that: the next command of any zone removes what is left, and
/// a boot has all of it again.
fn the_last_bridge_goes_with_whoever_is_next(lab: &Lab) {
    let zone = zone_with_net(lab);
    let other = lab.sparse("other");
    let tables = || crate::harness::Command::new("nft").args(["list", "tables"]).run().ok().out();
    let bridges = || ip("-o link show type bridge").out();
    for point in ["network.unbridged", "network.released", "network.unshared"] {
        be_up(&zone);
        zone.dies(&[("zoneadmd", point, 1)]);
        zone.zoneadm(["halt"]).ok();
        zone.dead_or_done();
        let deaths = zone.die_no_more();
        need_failpoints(&deaths);
        assert_eq!(deaths, [format!("zoneadmd {point}")]);
        assert_eq!(bridges(), "", "after {point}");
        zone.is("installed");
        // Somebody else's end looks, too.
        other.boot();
        other.halt_whatever();
        until("the managed network has gone", || (bridges().is_empty() && tables().is_empty()).then_some(()));
        // And in the midst of it, nobody else's: the zone that needs it has it.
        zone.zoneadm(["boot"]).ok();
        zone.dies(&[("zoneadmd", point, 1)]);
        zone.zoneadm(["halt"]).ok();
        zone.dead_or_done();
        assert_eq!(zone.die_no_more(), [format!("zoneadmd {point}")]);
        zone.zoneadm(["boot"]).ok();
        has_a_net(&zone, "eth0");
        let router = zone.sh("ip -4 route show default").ok().out();
        let router = router.split_whitespace().nth(2).unwrap_or_else(|| panic!("{router}")).to_owned();
        zone.sh(&format!("ping -n -c1 -W10 {router}")).ok();
        zone.halt_whatever();
        until("the managed network has gone", || (bridges().is_empty() && tables().is_empty()).then_some(()));
    }
}

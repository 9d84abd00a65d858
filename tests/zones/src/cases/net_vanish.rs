//! What of the host goes away in the midst of a boot: that is told in a sentence, nothing is left, and the same command again boots
//! the zone once it is back.

use super::crash_net::make_link;
use crate::harness::world::World;
use crate::harness::{Command, Lab, Zone, cases, ip, until};

cases![
    a_bridge: 180,
    the_end_of_a_pair: 180,
    the_link_below_a_macvlan: 180,
    a_link_that_moves_in: 180,
];

/// Boots the zone while the host loses something at `point`, and again when it is there again.
#[track_caller]
fn loses(zone: &Zone<'_>, point: &str, lose: impl FnOnce(), why: &str, mend: impl FnOnce()) {
    let ran = zone.stopped_at(point, zone.zoneadm_command(["boot"]), lose);
    let said = ran.refuses().err();
    assert!(said.contains(why), "after {point}\n{ran}");
    assert!(said.lines().filter(|line| !line.is_empty()).count() <= 2, "one sentence after {point}\n{ran}");
    zone.is("installed");
    assert!(!zone.run_dir().join("network.toml").exists() && !zone.run_dir().join("netns").exists());
    until(&format!("nothing of the zone is left after {point}"), || {
        let links = ip("-o link show").out();
        let tables = Command::new("nft").args(["list", "tables"]).run().ok().out();
        (!links.contains("of zone web") && !tables.contains("zones-")).then_some(())
    });
    mend();
    zone.zoneadm(["boot"]).ok();
    zone.sh("ip -4 -o address show dev eth0; cat /sys/class/net/eth0/operstate").ok().stdout_has("up\n");
    zone.halt_whatever();
}

fn a_bridge(lab: &Lab) {
    let make = || {
        ip("link add br0 type bridge");
        ip("address add 198.51.100.1/24 dev br0");
        ip("link set br0 up");
    };
    let lose = || drop(ip("link delete br0"));
    make();
    let zone = lab.sparse_with("web", "add net; set global-nic=br0; set address=198.51.100.7; end");
    loses(&zone, "network.recorded", lose, "there is no link 'br0'", make);
    // A port of nothing would reach nobody.
    loses(&zone, "network.published", lose, "the link 'br0' has gone while it was configured", make);
    lose();
}

fn the_end_of_a_pair(lab: &Lab) {
    let zone = lab.sparse_with("web", "add net; end");
    let lose = || {
        let links = ip("-o link show type veth").out();
        let name =
            links.lines().find(|line| line.contains("of zone web")).and_then(|line| line.split(": ").nth(1));
        let name = name.and_then(|name| name.split('@').next()).unwrap_or_else(|| panic!("{links}"));
        ip(&format!("link delete {name}"));
    };
    for point in ["network.linked", "network.guarded", "network.published"] {
        loses(&zone, point, lose, "the link 'eth0' has gone while it was configured", || {});
    }
    // The bridge that all share. Whether it was found once already is a race.
    let bridge = || drop(ip(&format!("link delete {}", super::net_modes::managed_bridge())));
    loses(&zone, "network.managed", bridge, "link 'z", || {});
}

fn the_link_below_a_macvlan(lab: &Lab) {
    let make = || {
        ip("link add lan0 type veth peer name far0");
        ip("link set far0 up");
        ip("link set lan0 up");
    };
    let lose = || drop(ip("link delete lan0"));
    make();
    let zone = lab.sparse_with("web", "add net; set global-nic=lan0; set address=192.0.2.60/24; end");
    loses(&zone, "network.recorded", lose, "there is no link 'lan0'", make);
    loses(&zone, "network.linked", lose, "the link 'eth0' has gone while it was configured", make);
    lose();
}

fn a_link_that_moves_in(lab: &Lab) {
    make_link();
    let zone = lab.sparse_with(
        "web",
        "add net; set physical=eth0; set global-nic=lan0; set mode=physical; set address=198.51.100.7/24; end",
    );
    let before = World::look(&[]);
    let lose = || drop(ip("link delete lan0"));
    loses(&zone, "network.recorded", lose, "there is no link 'lan0'", make_link);
    // In the zone's namespace, which nobody but the daemon knows yet.
    let pin = zone.run_dir().join("netns");
    let inside = || {
        let words = [&*format!("--net={}", pin.display()), "ip", "link", "delete", "eth0"];
        Command::new("nsenter").args(words).run().ok();
    };
    loses(&zone, "network.linked", inside, "the link 'eth0' has gone while it was configured", make_link);
    until("the link is back", || {
        let mut changed = World::look(&[]).since(&before, &zone.root());
        changed.retain(|thing| thing.contains("network: ") && !thing.contains("far0"));
        changed.is_empty().then_some(())
    });
    lose();
}

//! A zone whose zsched was killed, and whose daemon is killed, too, at every point on its way to another one.

use super::crash::{be_up, leaves_nothing, zone};
use crate::harness::world::World;
use crate::harness::{Lab, Zone, cases, identity, kill_and_wait, need_failpoints, until};

cases![
    zsched_is_replaced: 180,
    a_zone_without_anybody_is_found_again: 300,
];

/// Has zsched killed by `kill` and the daemon at its first point after that, at its second, and so on; after each the next command
/// finds the zone as it was.
fn sweep(lab: &Lab, least: usize, kill: fn(&Zone<'_>)) {
    let zone = zone(lab);
    let world = World::look(&[]);
    for number in 1.. {
        be_up(&zone);
        zone.zlogin(["true"]).ok();
        let before = zone.status();
        let keeper = zone.keeper();
        zone.die_at(&[number]);
        kill(&zone);
        let deaths = until("the daemon has died, or zsched is replaced", || {
            let deaths = zone.deaths();
            let now = zone.status();
            let replaced = now.zsched.is_some_and(|now| now.pid != keeper) && zone.daemon().is_some();
            (replaced || !deaths.is_empty() || zone.nobody_is_daemon()).then_some(deaths)
        });
        zone.is("running");
        let ran = zone.zoneadm(["boot"]);
        let deaths = [deaths, zone.die_no_more()].into_iter().max_by_key(Vec::len).unwrap_or_default();
        if number == 1 {
            need_failpoints(&deaths);
        }
        let at = deaths.join(", then ");
        eprintln!("{number}: {at}\n{ran}");
        ran.ok().stderr_has("already booted");
        let now = zone.status();
        assert_eq!(identity(&now), identity(&before), "after a death at {at}");
        assert!(now.zsched.as_ref().is_some_and(|now| now.pid != keeper), "after a death at {at}");
        zone.sh("echo said > /dev/console").ok();
        // Its end is seen, too.
        let _ = zone.zlogin(["reboot"]);
        zone.runs_again(&now);
        leaves_nothing(&zone, &world, &at);
        if deaths.is_empty() {
            assert!(
                number > least,
                "there are {least} points at least on the way, and not only {}",
                number - 1
            );
            return;
        }
    }
}

fn zsched_is_replaced(lab: &Lab) {
    sweep(lab, 2, |zone| kill_and_wait(zone.keeper()));
}

fn a_zone_without_anybody_is_found_again(lab: &Lab) {
    sweep(lab, 6, |zone| {
        let keeper = zone.keeper();
        zone.kill_daemon();
        kill_and_wait(keeper);
    });
}

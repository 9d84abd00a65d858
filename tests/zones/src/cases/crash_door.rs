//! A daemon that leaves is killed on its way out, and its zsched as well: whoever connects then is served, and the zone is as it was.

use super::crash::{be_up, leaves_nothing, zone};
use super::daemon_rest::{left, unwarned};
use super::door_open::asks;
use crate::harness::world::World;
use crate::harness::{Lab, cases, identity, kill_and_wait, need_failpoints, until};

cases![
    a_daemon_dies_as_it_leaves: 180,
    zsched_dies_as_the_daemon_leaves: 180,
    zsched_dies_when_the_daemon_has_left: 180,
];

const POINTS: [&str; 3] = ["rest.idle", "rest.told", "rest.written"];

fn a_daemon_dies_as_it_leaves(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    lab.daemons_leave_after("0");
    for point in POINTS {
        for alone in [true, false] {
            zone.dies(&[("zoneadmd", point, 1)]);
            be_up(&zone);
            let died = until("the daemon dies", || Some(zone.deaths()).filter(|deaths| !deaths.is_empty()));
            until("nobody is the daemon", || zone.nobody_is_daemon().then_some(()));
            need_failpoints(&zone.die_no_more());
            assert!(died.iter().all(|death| death.contains(point)), "{died:?}");
            let before = zone.status();
            if alone {
                assert!(asks(&zone.run_dir(), "GetStatus").is_ok_and(|it| it.contains("running")));
                left(&zone);
                unwarned(&zone);
            } else {
                kill_and_wait(zone.keeper());
                zone.zoneadm(["boot"]).ok().stderr_has("already booted");
            }
            assert_eq!(identity(&zone.status()), identity(&before), "after a death at {point}");
            zone.sh("echo said > /dev/console").ok();
            leaves_nothing(&zone, &world, point);
        }
    }
}

fn zsched_dies_as_the_daemon_leaves(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    lab.daemons_leave_after("0");
    for point in ["leave.told", "leave.gone", "callers.came"] {
        be_up(&zone);
        let before = left(&zone);
        let zsched = zone.keeper();
        zone.dies(&[("zsched", point, 1)]);
        // Brings a daemon, which leaves.
        let answer = asks(&zone.run_dir(), "GetStatus");
        assert_eq!(answer.is_ok(), point != "callers.came", "{answer:?}");
        let died = until("zsched dies", || Some(zone.deaths()).filter(|deaths| !deaths.is_empty()));
        need_failpoints(&zone.die_no_more());
        assert_eq!(died, [format!("zsched {point}")]);
        if point == "leave.told" {
            // The daemon is not gone yet: it stays, and has another take the zone over.
            zone.waits_for("another zsched has the zone", |now| {
                now.zsched.as_ref().is_some_and(|now| now.pid != zsched)
            });
        } else {
            until("nobody is the daemon", || zone.nobody_is_daemon().then_some(()));
            zone.is("running");
            zone.zoneadm(["boot"]).ok().stderr_has("already booted");
        }
        assert_eq!(identity(&zone.status()), identity(&before), "after a death at {point}");
        left(&zone);
        unwarned(&zone);
        leaves_nothing(&zone, &world, point);
    }
}

fn zsched_dies_when_the_daemon_has_left(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    lab.daemons_leave_after("0");
    be_up(&zone);
    let before = left(&zone);
    kill_and_wait(zone.keeper());
    zone.is("running");
    zone.zoneadm(["boot"]).ok().stderr_has("already booted");
    assert_eq!(identity(&zone.status()), identity(&before));
    let now = left(&zone);
    let _ = zone.zlogin(["reboot"]);
    zone.runs_again(&now);
    leaves_nothing(&zone, &world, "the death of a zsched without a daemon");
}

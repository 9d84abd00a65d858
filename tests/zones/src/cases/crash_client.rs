//! A zoneadm that is killed at every point, by a person or by the kernel: what it has asked for happens, or does not
//! begin, and the same command once more finds its way.

use super::crash::{be_ready, be_up, leaves_nothing, nothing, zone};
use crate::harness::world::World;
use crate::harness::{Lab, Place, Ran, Zone, cases, identity, need_failpoints, places};

cases![
    ready: 180,
    boot: 180,
    boot_of_a_ready_zone: 180,
    halt: 180,
    reboot: 180,
    shutdown: 180,
    shutdown_and_boot: 180,
    a_verb_that_changes_nothing: 180,
    mark: 180,
    with_no_daemon_there: 300,
];

/// Where `words` lead to.
struct Verb<'a> {
    prepare: fn(&Zone<'_>),
    words: &'a [&'a str],
    /// The state before it, and the state after it.
    from: &'a str,
    to: &'a str,
    /// What the command may say instead of success when it was through before it was given again.
    or: &'a str,
}

/// The points from which on the daemon has the call.
fn is_asked(point: &str) -> bool {
    ["call.sent", "call.replied"].contains(&point)
}

/// Gives the command, zoneadm being killed at each of its points, one after the other; and gives it again.
fn sweep(lab: &Lab, verb: &Verb<'_>) {
    let zone = zone(lab);
    let world = World::look(&[]);
    (verb.prepare)(&zone);
    let passed = zone.passed_by("zoneadm", || {
        zone.zoneadm(verb.words).ok();
    });
    need_failpoints(&passed);
    leaves_nothing(&zone, &world, "nothing");
    for Place { point, passage } in places(&passed) {
        let at = format!("{point} {passage}");
        (verb.prepare)(&zone);
        let before = zone.status();
        assert_eq!(before.state, verb.from, "before a death at {at}");
        zone.dies(&[("zoneadm", &point, passage)]);
        let ran = zone.zoneadm(verb.words);
        let deaths = zone.die_no_more();
        eprintln!("{at}: {ran}");
        assert_eq!(deaths, [format!("zoneadm {point}")], "{ran}");
        assert_eq!(ran.code(), None, "it was killed at {at}\n{ran}");
        // The daemon carries on with what it was asked for, and nobody is there to hear of it.
        let now = zone.waits_for(&format!("the zone settles after a death at {at}"), |now| {
            let goal = if is_asked(&point) { now.state == verb.to } else { now.uniqid == before.uniqid };
            now.operation.is_none() && goal
        });
        if is_asked(&point) {
            let is_other = now.uniqid != before.uniqid;
            assert_eq!(is_other, !(verb.from == "ready" && verb.to == "running"), "{at}: {now:?}");
        } else {
            assert_eq!((&now.state, identity(&now)), (&before.state, identity(&before)), "{at}");
        }
        let again = zone.zoneadm(verb.words);
        assert!(is_fine(&again, verb), "given again after a death at {at}\n{again}");
        zone.waits_for(&format!("the zone is {} after all", verb.to), |now| now.state == verb.to);
        if verb.to == "running" {
            zone.zlogin(["cat", "/proc/mounts"]).ok().stdout_has(" /data ");
        }
        leaves_nothing(&zone, &world, &at);
    }
}

fn is_fine(ran: &Ran, verb: &Verb<'_>) -> bool {
    ran.code() == Some(0) || !verb.or.is_empty() && ran.err().contains(verb.or)
}

fn ready(lab: &Lab) {
    sweep(lab, &Verb { prepare: nothing, words: &["ready"], from: "installed", to: "ready", or: "" });
}

fn boot(lab: &Lab) {
    sweep(lab, &Verb { prepare: nothing, words: &["boot"], from: "installed", to: "running", or: "" });
}

fn boot_of_a_ready_zone(lab: &Lab) {
    sweep(lab, &Verb { prepare: be_ready, words: &["boot"], from: "ready", to: "running", or: "" });
}

fn halt(lab: &Lab) {
    sweep(lab, &Verb { prepare: be_up, words: &["halt"], from: "running", to: "installed", or: "" });
}

/// A running zone becomes a running one: it has been rebooted when it is another incarnation.
fn reboot(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    be_up(&zone);
    let passed = zone.passed_by("zoneadm", || {
        zone.zoneadm(["reboot"]).ok();
    });
    need_failpoints(&passed);
    for Place { point, passage } in places(&passed) {
        let before = zone.status();
        zone.dies(&[("zoneadm", &point, passage)]);
        let ran = zone.zoneadm(["reboot"]);
        assert_eq!(zone.die_no_more(), [format!("zoneadm {point}")], "{ran}");
        if is_asked(&point) {
            zone.runs_again(&before);
        } else {
            assert_eq!(zone.identity(), identity(&before), "nobody was asked for anything at {point}");
        }
        let settled = zone.waits_for("the zone settles", |now| now.operation.is_none());
        zone.zoneadm(["reboot"]).ok();
        assert_ne!(zone.status().uniqid, settled.uniqid, "given again, it reboots");
        zone.is("running");
    }
    leaves_nothing(&zone, &world, "the reboots");
}

fn shutdown(lab: &Lab) {
    let or = "not running";
    sweep(lab, &Verb { prepare: be_up, words: &["shutdown"], from: "running", to: "installed", or });
}

/// As for `reboot`, the incarnation tells.
fn shutdown_and_boot(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    for point in ["client.checked", "call.connected", "call.sent", "call.replied"] {
        be_up(&zone);
        zone.zlogin(["true"]).ok();
        let before = zone.status();
        zone.dies(&[("zoneadm", point, 1)]);
        let ran = zone.zoneadm(["shutdown", "-r"]);
        let deaths = zone.die_no_more();
        need_failpoints(&deaths);
        assert_eq!(deaths, [format!("zoneadm {point}")], "{ran}");
        if is_asked(point) {
            zone.runs_again(&before);
        } else {
            assert_eq!(zone.identity(), identity(&before), "nobody was asked for anything at {point}");
        }
        zone.zoneadm(["shutdown", "-r"]).ok();
        zone.is("running");
        leaves_nothing(&zone, &world, point);
    }
}

fn a_verb_that_changes_nothing(lab: &Lab) {
    let zone = zone(lab);
    for prepare in [nothing as fn(&Zone<'_>), be_up] {
        prepare(&zone);
        let (state, before) = (zone.status().state, zone.identity());
        zone.dies(&[("zoneadm", "client.checked", 1)]);
        let ran = zone.zoneadm(["verify"]);
        need_failpoints(&zone.die_no_more());
        assert_eq!(ran.code(), None, "{ran}");
        assert_eq!((zone.status().state, zone.identity()), (state, before));
        zone.zoneadm(["verify"]).ok();
    }
}

fn mark(lab: &Lab) {
    let _memory = lab.in_memory();
    let zone = zone(lab);
    let passed = zone.passed_by("zoneadm", || {
        zone.zoneadm(["mark", "incomplete"]).ok();
    });
    need_failpoints(&passed);
    for Place { point, passage } in places(&passed) {
        zone.zoneadm(["uninstall", "-F"]).ok();
        zone.zoneadm(["install"]).ok();
        zone.dies(&[("zoneadm", &point, passage)]);
        let ran = zone.zoneadm(["mark", "incomplete"]);
        assert_eq!(zone.die_no_more(), [format!("zoneadm {point}")], "{ran}");
        let state = if point == "file.renamed" { "incomplete" } else { "installed" };
        zone.is(state);
        zone.zoneadm(["mark", "incomplete"]).ok();
        zone.is("incomplete");
    }
}

/// The points on the way to a daemon, for every verb that may have to start one.
fn with_no_daemon_there(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    for point in ["start.locked", "start.spawned", "start.served"] {
        for (words, to) in
            [("boot", "running"), ("reboot", "running"), ("halt", "installed"), ("ready", "ready")]
        {
            be_up(&zone);
            let before = zone.identity();
            zone.kill_daemon();
            zone.dies(&[("zoneadm", point, 1)]);
            let ran = zone.zoneadm([words]);
            let deaths = zone.die_no_more();
            need_failpoints(&deaths);
            assert_eq!(deaths, [format!("zoneadm {point}")], "{ran}");
            zone.is("running");
            assert_eq!(zone.identity(), before, "{words} at {point}");
            zone.zoneadm([words]).ok();
            zone.is(to);
            leaves_nothing(&zone, &world, point);
        }
    }
}

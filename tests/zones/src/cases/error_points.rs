//! Calls of our own code that fail, once or from then on, at each of the points of the list that can fail and with each
//! of their errors: whoever asked is told in a sentence, what is shown is true, the plain command once more finds its
//! way, and nothing is left.

use super::crash::{be_up, leaves_nothing, nothing, zone_with_net};
use super::crash_apply::be_changed;
use crate::harness::world::World;
use crate::harness::{Lab, Place, Point, Ran, Zone, cases, is_error, need_failpoints, places, skip};
use std::collections::BTreeSet;

cases![
    the_daemon_in_ready: 600,
    the_daemon_in_a_boot: 600,
    the_daemon_in_a_halt: 600,
    the_daemon_in_a_reboot: 600,
    the_daemon_in_an_apply: 600,
    zoneadm_in_a_boot: 300,
    zoneadm_in_a_halt: 300,
    zoneadm_in_an_install: 300,
    zoneadm_in_an_uninstall: 300,
    every_call_of_the_list_has_failed: 60 last,
];

/// What is done while something fails.
struct Deed<'a> {
    program: &'a str,
    prepare: fn(&Zone<'_>),
    command: &'a [&'a str],
    /// The state that it leads to.
    to: &'a str,
}

fn sweep(lab: &Lab, deed: &Deed<'_>) {
    let zone = zone_with_net(lab);
    let world = World::look(&[]);
    let points = lab.points();
    // The managed network is chosen once, and the zone given its addresses: by the first time it is up.
    (deed.prepare)(&zone);
    zone.zoneadm(deed.command).ok();
    settle(&zone, &world, deed.command, "the first time");
    (deed.prepare)(&zone);
    let calls = zone.calls_in(|| {
        zone.zoneadm(deed.command).ok();
    });
    settle(&zone, &world, deed.command, "nothing");
    let of_program = calls.iter().filter_map(|call| call.strip_prefix(deed.program)?.strip_prefix(' '));
    let passed: Vec<String> = of_program.map(str::to_owned).collect();
    need_failpoints(&passed);
    for Place { point, passage } in places(&passed) {
        let name = format!("{} {point}", deed.program);
        let Some(known) = points.iter().find(|known| known.is_call() && known.with_program() == name) else {
            panic!("not in the list of crates/zone-fail/src/list.rs: {name}");
        };
        for error in known.errors.split(' ') {
            // No signal comes for ever.
            for always in [false, true].into_iter().filter(|always| !always || error != "EINTR") {
                let at = format!("{name} {passage} {error} {}", if always { "for ever" } else { "once" });
                (deed.prepare)(&zone);
                zone.fails(deed.program, &point, passage, error, always);
                let ran = zone.zoneadm_within(90, deed.command);
                is_told(&ran);
                is_true(&zone, &ran);
                let failed = zone.fail_no_more();
                eprintln!("{at}: {failed:?}\n{ran}");
                assert!(
                    failed.iter().all(|failed| known.is_hit(failed)) && !failed.is_empty(),
                    "{at}: {failed:?}\n{ran}"
                );
                again(&zone, deed.command, &ran);
                zone.waits_for("it settles", |now| now.operation.is_none());
                zone.is(deed.to);
                settle(&zone, &world, deed.command, &at);
            }
        }
    }
}

/// The plain command, once more.
pub(super) fn again(zone: &Zone<'_>, command: &[&str], first: &Ran) {
    let state = zone.status().state;
    if command[0] == "install" {
        match state.as_str() {
            "incomplete" => drop(zone.zoneadm(["uninstall", "-F"]).ok()),
            "installed" => return,
            _ => {}
        }
    }
    if command[0] == "uninstall" && state == "configured" {
        return;
    }
    // What is not running cannot be rebooted any more.
    let command = if command[0] == "reboot" && state == "installed" { &["boot"] } else { command };
    let ran = zone.zoneadm(command);
    assert!(ran.code() == Some(0), "the plain command once more, after\n{first}\nin state {state}:\n{ran}");
}

/// It has done what it was told to, or says why not.
pub(super) fn is_told(ran: &Ran) {
    let err = ran.err();
    assert!(!err.contains("panicked at"), "it panics\n{ran}");
    match ran.code() {
        Some(0) => {}
        Some(_) => assert!(!err.trim().is_empty(), "it fails and says nothing\n{ran}"),
        None => panic!("it was killed\n{ran}"),
    }
}

/// What is shown of a zone is what the kernel has of it.
pub(super) fn is_true(zone: &Zone<'_>, ran: &Ran) {
    let now = zone.waits_for("what is shown is the kernel's", |now| {
        let lives = !crate::soak::kernel::first_processes().is_empty();
        match now.state.as_str() {
            "ready" | "running" => lives,
            "configured" | "installed" | "incomplete" => !lives || now.operation.is_some(),
            _ => true,
        }
    });
    assert!(now.state != "unknown", "{now:?}\n{ran}");
}

/// Takes everything down, and sees that nothing is left.
pub(super) fn settle(zone: &Zone<'_>, world: &World, command: &[&str], at: &str) {
    match command[0] {
        "install" => {
            zone.zoneadm(["uninstall", "-F"]).ok();
            zone.is("configured");
            assert!(!zone.path().exists(), "the zonepath is there after a failure at {at}");
        }
        "uninstall" => {
            assert!(!zone.path().exists(), "the zonepath is there after a failure at {at}");
            zone.zoneadm(["install"]).ok();
        }
        _ => leaves_nothing(zone, world, at),
    }
}

pub(super) fn be_configured(zone: &Zone<'_>) {
    if zone.status().state == "installed" {
        zone.zoneadm(["uninstall", "-F"]).ok();
    }
}

fn daemon<'a>(prepare: fn(&Zone<'_>), command: &'a [&'a str], to: &'a str) -> Deed<'a> {
    Deed { program: "zoneadmd", prepare, command, to }
}

fn client<'a>(prepare: fn(&Zone<'_>), command: &'a [&'a str], to: &'a str) -> Deed<'a> {
    Deed { program: "zoneadm", prepare, command, to }
}

fn the_daemon_in_ready(lab: &Lab) {
    sweep(lab, &daemon(nothing, &["ready"], "ready"));
}

fn the_daemon_in_a_boot(lab: &Lab) {
    sweep(lab, &daemon(nothing, &["boot"], "running"));
}

fn the_daemon_in_a_halt(lab: &Lab) {
    sweep(lab, &daemon(be_up, &["halt"], "installed"));
}

fn the_daemon_in_a_reboot(lab: &Lab) {
    sweep(lab, &daemon(be_up, &["reboot"], "running"));
}

fn the_daemon_in_an_apply(lab: &Lab) {
    sweep(lab, &daemon(be_changed, &["apply"], "running"));
}

fn zoneadm_in_a_boot(lab: &Lab) {
    sweep(lab, &client(nothing, &["boot"], "running"));
}

fn zoneadm_in_a_halt(lab: &Lab) {
    sweep(lab, &client(be_up, &["halt"], "installed"));
}

fn zoneadm_in_an_install(lab: &Lab) {
    let _memory = lab.in_memory();
    sweep(lab, &client(be_configured, &["install"], "installed"));
}

fn zoneadm_in_an_uninstall(lab: &Lab) {
    let _memory = lab.in_memory();
    sweep(lab, &client(nothing, &["uninstall", "-F"], "configured"));
}

fn every_call_of_the_list_has_failed(lab: &Lab) {
    let (points, faults) = (lab.points(), lab.faults());
    let own = "error_points::every_call_of_the_list_has_failed";
    let all = super::all().map(|case| case.name()).filter(|name| is_error(name) && name != own);
    if !all.collect::<BTreeSet<_>>().is_subset(&faults.ran) {
        skip("only a part of the error suite was run");
    }
    let wanted = points.iter().filter(|point| point.is_call() && point.except.is_empty());
    let each = wanted.flat_map(|point: &Point| {
        point.errors.split(' ').map(|error| format!("{} {error}", point.with_program()))
    });
    let forgotten: Vec<_> = each.filter(|failure| !faults.errors.contains(failure)).collect();
    assert!(forgotten.is_empty(), "no test of the error suite has made these fail: {forgotten:#?}");
}

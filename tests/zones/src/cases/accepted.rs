//! Operations that were accepted: what others are told and get meanwhile, and what holds until the next one.

use crate::harness::{Lab, Terminal, Zone, cases, started_at, until, write_program};
use std::fs;

cases![
    a_boot_waits_for_a_shutdown_and_then_boots: 120,
    each_verb_beside_a_shutdown: 300,
    a_boot_that_a_second_shutdown_asks_for_is_written_down: 120,
    any_two_verbs_at_once_are_as_one_after_the_other: 600,
    an_interrupt_says_what_goes_on: 120,
    configured_arguments_hold_for_what_the_zone_does_itself: 120,
    given_arguments_hold_until_others_are_given: 120,
    a_ready_zone_boots_as_it_was_made_ready,
    nothing_is_taken_down_for_what_is_known_to_fail: 120,
];

/// A zone whose init hears nothing, so that a shutdown takes all of its time.
const DEAF: &str = "exec sleep 2147483647";

/// Begins a shutdown, and waits until it is accepted.
#[track_caller]
fn shutting_down(zone: &Zone<'_>, options: &[&str]) -> crate::harness::Running {
    let words = ["shutdown", "-t", "3"].iter().chain(options);
    let shutdown = zone.zoneadm_command(words).start();
    until("the shutdown is under way", || {
        (zone.door_status_if()?["operation"].as_str() == Some("shutdown")).then_some(())
    });
    shutdown
}

fn a_boot_waits_for_a_shutdown_and_then_boots(lab: &Lab) {
    let zone = lab.booted_tiny(DEAF);
    let before = zone.status();
    let shutdown = shutting_down(&zone, &[]);
    assert_eq!(zone.status().operation.as_deref(), Some("shutdown"));
    zone.zoneadm(["list", "-v"]).ok().stdout_has("shutdown (now: ask init)");
    let boot = zone.zoneadm(["boot"]);
    assert!(!boot.ok().err().contains("already booted"), "{boot}");
    shutdown.wait().ok();
    let after = zone.status();
    assert_eq!((after.state.as_str(), after.operation), ("running", None));
    assert_ne!(after.uniqid, before.uniqid);
}

fn each_verb_beside_a_shutdown(lab: &Lab) {
    let zone = lab.tiny("web", DEAF);
    for (verb, code, state) in [
        (&["boot"][..], 0, "running"),
        (&["ready"], 0, "ready"),
        (&["halt"], 0, "installed"),
        (&["shutdown"], 0, "installed"),
        (&["shutdown", "-r"], 0, "running"),
        (&["reboot"], 1, "installed"),
    ] {
        zone.halt_whatever();
        zone.boot();
        let before = zone.status();
        let shutdown = shutting_down(&zone, &[]);
        let second = zone.zoneadm(verb);
        second.exits(code);
        if code == 1 {
            second.stderr_has("shutdown is in progress (now: ask init)");
        }
        shutdown.wait().ok();
        let after = zone.waits_for("nothing is done any more", |now| now.operation.is_none());
        assert_eq!(after.state, state, "{verb:?}");
        assert_ne!(after.uniqid, before.uniqid, "{verb:?}: the incarnation that was to end has ended");
    }
    // A boot that is part of the shutdown is not made twice.
    zone.halt_whatever();
    zone.boot();
    let shutdown = shutting_down(&zone, &["-r"]);
    zone.zoneadm(["boot"]).ok().stderr_has("zone is already booted");
    shutdown.wait().ok();
    zone.is("running");
}

/// Else it would be lost with the daemon, and with whoever asked for it.
fn a_boot_that_a_second_shutdown_asks_for_is_written_down(lab: &Lab) {
    let zone = lab.booted_tiny(DEAF);
    let written = |up: bool| {
        until(&format!("the journal says of the zone's coming back: {up}"), || {
            let line = zone.unfinished().filter(|line| line.starts_with("begin shutdown "))?;
            line.contains(&format!(" {up} ")).then_some(())
        });
    };
    let first = zone.zoneadm_command(["shutdown", "-t", "600"]).start();
    written(false);
    let second = zone.zoneadm_command(["shutdown", "-t", "600", "-r"]).start();
    written(true);
    // Who does not ask for it does not take it back.
    let third = zone.zoneadm_command(["shutdown", "-t", "1"]).start();
    third.wait().ok().stderr_has("shutdown already in progress");
    let now = zone.becomes("running");
    assert_eq!(now.last_exit.map(|exit| exit.how).as_deref(), Some("halted"));
    first.wait().ok();
    second.wait().ok();
    zone.is("running");
}

fn an_interrupt_says_what_goes_on(lab: &Lab) {
    let zone = lab.booted_tiny(DEAF);
    // From the first moment in which a line shows the step.
    for columns in [80, 200] {
        let mut terminal = Terminal::start(zone.zoneadm_command(["shutdown", "-t", "20"]), 24, columns);
        terminal.shows("shutdown: ask init");
        terminal.types("\u{3}");
        terminal.shows("zone 'web': interrupted; its zoneadmd goes on with the shutdown (now: ask init");
        assert_eq!(terminal.ends().0.code(), Some(1));
        assert_eq!(zone.status().operation.as_deref(), Some("shutdown"), "it goes on");
        // Who waits for what comes behind an operation is not deaf to an interrupt.
        zone.zonecfg("set ready-check=false").ok();
        let mut waiting = Terminal::start(zone.zoneadm_command(["boot", "--wait=600"]), 24, columns);
        waiting.shows("boot: waiting for shutdown to finish");
        zone.zoneadm(["halt"]).ok();
        zone.becomes("running");
        until("the wait has begun", || zone.status().operation.is_none().then_some(()));
        waiting.types("\u{3}");
        assert!(!waiting.ends().0.success());
        zone.is("running");
    }
}

/// The state after a verb that is given in `state`, and its exit status.
fn after(verb: &str, state: &'static str) -> (&'static str, i32) {
    match (verb, state) {
        ("boot", _) => ("running", 0),
        ("ready", _) => ("ready", 0),
        ("halt", _) => ("installed", 0),
        ("reboot", "running") => ("running", 0),
        ("shutdown", "running" | "installed") => ("installed", 0),
        (_, state) => (state, 1),
    }
}

fn any_two_verbs_at_once_are_as_one_after_the_other(lab: &Lab) {
    let zone = lab.tiny("web", "trap 'exit 0' TERM; while :; do sleep 1; done");
    zone.zonecfg("set restart-init=false").ok();
    const VERBS: [&str; 5] = ["boot", "ready", "halt", "reboot", "shutdown"];
    for first in VERBS {
        for second in VERBS {
            zone.halt_whatever();
            zone.boot();
            let [one, other] = [first, second].map(|verb| zone.zoneadm_command([verb]).start());
            let (one, other) = (one.wait(), other.wait());
            let now = zone.waits_for("nothing is done any more", |now| now.operation.is_none()).state;
            let seen = (now.as_str(), one.code(), other.code());
            let orders = [(first, second, false), (second, first, true)].map(|(a, b, swapped)| {
                let (between, code_a) = after(a, "running");
                let (state, code_b) = after(b, between);
                let (one, other) = if swapped { (code_b, code_a) } else { (code_a, code_b) };
                (state, Some(one), Some(other))
            });
            // A halt calls a boot off that has begun, and whoever reboots may find that a shutdown has been accepted.
            let called_off = [first, second].contains(&"halt")
                && ["boot", "ready", "reboot"].iter().any(|verb| [first, second].contains(verb))
                && now == "installed";
            let refused = [first, second].contains(&"reboot")
                && [first, second].contains(&"shutdown")
                && now == "installed";
            // Whoever shuts a zone down may come when the other one has ended it.
            let late = now == "installed"
                && ["halt", "shutdown"].contains(&first)
                && ["halt", "shutdown"].contains(&second)
                && [(first, &one, &other), (second, &other, &one)].iter().any(|(verb, ran, earlier)| {
                    *verb == "shutdown" && ran.err().contains("not running") && earlier.code() == Some(0)
                });
            // Two who want the same may be told that it was done for them.
            let same = first == second && now == orders[0].0 && one.code() <= Some(1);
            assert!(
                orders.contains(&seen) || called_off || refused || late || same,
                "{first} and {second}: {seen:?}, not {orders:?}\n{one}\n{other}"
            );
        }
    }
}

/// The arguments that the first process of a sparse zone was given.
pub(super) fn arguments(zone: &Zone<'_>) -> Vec<String> {
    let line = fs::read_to_string(format!("/proc/{}/cmdline", zone.status().pid1())).unwrap_or_default();
    line.split('\0').skip(1).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn configured_arguments_hold_for_what_the_zone_does_itself(lab: &Lab) {
    let zone = lab.sparse_with("web", "set bootargs=\"-m configured\"");
    zone.boot();
    assert_eq!(arguments(&zone), ["-m", "configured"]);
    let before = zone.status();
    let _ = zone.zlogin(["reboot"]);
    let after = zone.runs_again(&before);
    assert_eq!(arguments(&zone), ["-m", "configured"], "after a reboot from inside");
    let pid = rustix::process::Pid::from_raw(after.pid1()).unwrap_or_else(|| panic!("no PID 1"));
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    zone.runs_again(&after);
    assert_eq!(arguments(&zone), ["-m", "configured"], "after a restart of init");
}

fn given_arguments_hold_until_others_are_given(lab: &Lab) {
    let script = r#"echo "$0 $*" > /args; exec sleep 2147483647"#;
    let zone = lab.tiny("web", script);
    write_program(&zone.file("/sbin/other"), &format!("#!/bin/sh\n{script}\n"));
    zone.zonecfg("set bootargs=\"-m configured\"; set init=/sbin/nope").ok();
    let args = |verb: &[&str]| {
        let _ = fs::remove_file(zone.file("/args"));
        zone.zoneadm(verb).ok();
        zone.written("/args")
    };
    assert_eq!(args(&["boot", "--", "-i", "/sbin/other", "-s"]), "/sbin/other -s\n");
    assert_eq!(args(&["reboot"]), "/sbin/other -s\n");
    zone.kill_daemon();
    assert_eq!(args(&["reboot"]), "/sbin/other -s\n", "no daemon has to remember them");
    assert_eq!(args(&["reboot", "--", "-i", "/sbin/other", "-m", "x"]), "/sbin/other -m x\n");
    assert_eq!(args(&["shutdown", "-t", "1", "-r"]), "/sbin/other -m x\n");
    zone.halt();
    zone.zonecfg("set init=/sbin/other").ok();
    assert_eq!(args(&["boot"]), "/sbin/other -m configured\n", "a halt forgets them");
}

fn a_ready_zone_boots_as_it_was_made_ready(lab: &Lab) {
    let zone = lab.sparse_with("web", "set bootargs=\"-m first\"");
    zone.zoneadm(["ready"]).ok();
    zone.zonecfg("set bootargs=\"-m second\"").ok();
    zone.boot();
    assert_eq!(arguments(&zone), ["-m", "first"]);
    zone.zoneadm(["reboot"]).ok();
    assert_eq!(arguments(&zone), ["-m", "second"]);
}

fn nothing_is_taken_down_for_what_is_known_to_fail(lab: &Lab) {
    let zone = lab.booted_tiny(DEAF);
    let identity = || {
        let status = zone.status();
        (status.state.clone(), status.uniqid.clone(), started_at(status.pid1()))
    };
    let before = identity();
    let stays = |words: &[&str]| {
        zone.zoneadm(words).refuses().stderr_has("the zone stays as it is, for it could not be booted again");
        assert_eq!(identity(), before, "{words:?}");
    };
    stays(&["reboot", "--", "-i", "/sbin/nope"]);
    zone.zonecfg("set init=/sbin/nope").ok();
    stays(&["reboot"]);
    stays(&["shutdown", "-r"]);
    stays(&["ready"]);
    zone.zonecfg("clear init; add fs; set dir=/data; set special=/nowhere; set type=lofs; end").ok();
    stays(&["reboot"]);
    zone.zonecfg("remove fs dir=/data").ok();
    zone.zoneadm(["reboot"]).ok();
    assert_ne!(identity(), before);
}

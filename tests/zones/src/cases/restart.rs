//! A daemon that is killed at any moment.

use crate::harness::{Lab, Zone, cases, kill_and_wait, proc_status, started_at, until};
use std::time::Duration;

cases![
    a_running_zone_does_not_notice,
    a_ready_zone_is_booted_by_the_next_daemon,
    the_next_daemon_can_halt,
    without_a_live_zone_nothing_is_recovered,
    a_reboot_asked_for_meanwhile_is_not_lost,
    a_poweroff_asked_for_meanwhile_is_not_lost,
    killed_while_it_boots: 180,
    killed_while_it_halts: 180,
    killed_again_and_again: 120,
    zlogin_goes_on,
    a_zone_without_its_keeper_can_be_cleared,
    a_ready_zone_whose_keeper_is_killed_boots: 180,
    logins_survive_the_daemon,
];

/// What the daemon says that finds a zone whose own daemon was killed.
fn warning(zone: &Zone<'_>, state: &str) -> String {
    format!(
        "zone '{}': WARNING: zone is in state '{state}', but zoneadmd does not appear to be available; \
         restarted zoneadmd to recover.",
        zone.name()
    )
}

/// PID 1 by its number and its start time.
fn first_process(zone: &Zone<'_>) -> (i32, Option<u64>) {
    let pid = zone.status().pid1();
    (pid, started_at(pid))
}

fn a_running_zone_does_not_notice(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let (first, before) = (first_process(&zone), zone.status());
    let killed = zone.kill_daemon();
    assert_eq!(zone.status().state, "running", "the state is no daemon's memory");
    assert_eq!(first_process(&zone), first);
    let ran = zone.zoneadm(["boot"]);
    ran.ok().stderr_has(&warning(&zone, "running")).stderr_has("zone is already booted");
    assert_eq!(first_process(&zone), first);
    assert_eq!(zone.status().incarnation(), before.incarnation());
    assert_ne!(zone.daemon(), Some(killed));
    // Adopted once, said once.
    zone.zoneadm(["boot"]).ok().stderr_is("zone 'web': zone is already booted\n");
    zone.zoneadm(["reboot"]).ok();
    zone.halt();
}

fn a_ready_zone_is_booted_by_the_next_daemon(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.zoneadm(["ready"]).ok();
    let first = first_process(&zone);
    zone.kill_daemon();
    zone.is("ready");
    zone.zoneadm(["boot"]).ok().stderr_has(&warning(&zone, "ready"));
    zone.is("running");
    assert_eq!(first_process(&zone), first);
}

fn the_next_daemon_can_halt(lab: &Lab) {
    let zone = lab.sparse_with("web", "add fs; set dir=/data; set special=swap; set type=tmpfs; end");
    for state in ["ready", "running"] {
        zone.zoneadm([if state == "ready" { "ready" } else { "boot" }]).ok();
        zone.kill_daemon();
        zone.zoneadm(["halt"]).ok().stderr_has(&warning(&zone, state));
        zone.is("installed");
    }
}

fn without_a_live_zone_nothing_is_recovered(lab: &Lab) {
    let zone = lab.sparse("web");
    lab.command("zoneadmd", ["-z", "web"]).run().ok();
    if let Some(pid) = zone.daemon() {
        kill_and_wait(pid);
    }
    // A stale door of a zone that was not up is nobody's news.
    zone.zoneadm(["boot"]).ok().quiet();
}

fn a_reboot_asked_for_meanwhile_is_not_lost(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let before = zone.status();
    zone.kill_daemon();
    let _ = zone.zlogin(["reboot"]);
    let after = zone.runs_again(&before);
    assert_eq!(after.last_exit.map(|exit| exit.how).as_deref(), Some("rebooted"));
    assert!(zone.daemon().is_some(), "the keeper started a daemon to tell it");
}

fn a_poweroff_asked_for_meanwhile_is_not_lost(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    zone.kill_daemon();
    let _ = zone.zlogin(["poweroff"]);
    let after = zone.becomes("installed");
    assert_eq!(after.last_exit.map(|exit| exit.how).as_deref(), Some("poweroff"));
}

/// Starts `verb`, kills the daemon `delay` after it serves, and gives what the command said.
fn killed_during(zone: &Zone<'_>, verb: &str, delay: Duration) -> crate::harness::Ran {
    let mut command = zone.zoneadm_command([verb]).start();
    // A halt may be over, and its daemon gone, before anybody has looked.
    let daemon = until("a daemon serves, or has served", || match zone.daemon() {
        None => command.ended().then_some(None),
        there => Some(there),
    });
    let Some(daemon) = daemon else { return command.wait() };
    // The delay is the blow itself, at another moment each time; nothing waits for it.
    std::thread::sleep(delay);
    if proc_status(daemon, "Pid").is_some() {
        kill_and_wait(daemon);
    }
    command.wait()
}

fn killed_while_it_boots(lab: &Lab) {
    let zone = lab.sparse("web");
    for micros in [0, 300, 700, 1_500, 3_000, 6_000, 12_000, 25_000] {
        let ran = killed_during(&zone, "boot", Duration::from_micros(micros));
        let state = zone.status().state;
        if ran.code() == Some(0) {
            assert_eq!(state, "running", "the command said that the zone was booted\n{ran}");
        }
        zone.zoneadm(["boot"]).ok();
        zone.is("running");
        zone.zlogin(["true"]).ok();
        zone.halt_whatever();
        zone.daemon_leaves();
    }
}

fn killed_while_it_halts(lab: &Lab) {
    let zone = lab.sparse("web");
    for micros in [0, 300, 700, 1_500, 3_000, 6_000] {
        zone.zoneadm(["boot"]).ok();
        let ran = killed_during(&zone, "halt", Duration::from_micros(micros));
        if ran.code() == Some(0) {
            zone.is("installed");
        }
        zone.halt_whatever();
        zone.is("installed");
    }
}

fn killed_again_and_again(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let first = first_process(&zone);
    for _ in 0..12 {
        zone.kill_daemon();
        zone.zoneadm(["boot"]).ok();
    }
    assert_eq!(first_process(&zone), first);
    zone.zlogin(["true"]).ok();
}

fn zlogin_goes_on(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    zone.kill_daemon();
    zone.zlogin(["echo", "still here"]).ok().stdout_is("still here\n");
}

fn a_ready_zone_whose_keeper_is_killed_boots(lab: &Lab) {
    let zone = lab.sparse("web");
    // Whether it is the boot that finds zsched dead, or the daemon that has replaced it by then, and is about to forget the zone.
    for pause in [0, 1, 2, 3, 5, 8, 13, 21] {
        zone.zoneadm(["ready"]).ok();
        kill_and_wait(zone.keeper());
        std::thread::sleep(Duration::from_millis(pause));
        zone.zoneadm(["boot"]).ok();
        zone.is("running");
        zone.halt();
    }
}

fn logins_survive_the_daemon(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let login = zone.zlogin_command(["/bin/sh", "-c", "echo > /run/started; cat /run/go; echo done"]);
    zone.sh("mkfifo /run/go").ok();
    let login = login.start();
    until("the login has begun", || (zone.sh("test -e /run/started").code() == Some(0)).then_some(()));
    zone.kill_daemon();
    zone.sh("echo > /run/go").ok();
    login.wait().ok().stdout_has("done");
}

fn a_zone_without_its_keeper_can_be_cleared(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let (pid1, _) = first_process(&zone);
    kill_and_wait(zone.keeper());
    let _ = zone.zoneadm(["halt"]);
    zone.becomes("installed");
    until("the zone's PID 1 has gone", || {
        proc_status(pid1, "State").is_none_or(|s| s.starts_with('Z')).then_some(())
    });
    zone.boot();
}

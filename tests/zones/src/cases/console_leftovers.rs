//! What stands where the console should be: a dead daemon's socket, other files, a second keeper.

use crate::harness::init::ECHO;
use crate::harness::{Lab, Wire, cases, kill_and_wait, make_dir, proc_status, read, until, write};
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::fs::symlink;

cases![
    a_dead_daemons_socket,
    a_file_in_its_place,
    a_directory_in_its_place,
    a_keeper_without_its_socket_is_removed,
    a_keeper_of_a_living_zone_without_its_socket_is_not_doubled,
    a_keeper_that_hears_nothing_goes_with_its_daemon,
];

fn a_dead_daemons_socket(lab: &Lab) {
    let zone = lab.tiny("web", ECHO);
    let terminal = zone.console(&[]);
    drop(terminal.ends_by("~."));
    zone.daemon_leaves();
    assert!(!zone.run_dir().join("console").exists(), "a daemon that leaves takes its socket away");
    zone.boot();
    zone.kill_daemon();
    assert!(zone.run_dir().join("console").exists());
    let mut terminal = zone.console(&[]);
    terminal.types("here");
    terminal.shows("here");
    let shown = terminal.shown();
    let warning = "WARNING: zone is in state 'running', but zoneadmd does not appear to be available; \
                   restarted zoneadmd to recover.";
    assert!(shown.contains(warning), "{shown:?}");
}

fn a_file_in_its_place(lab: &Lab) {
    let zone = lab.tiny("web", ECHO);
    make_dir(&zone.run_dir(), 0o700);
    write(&zone.run_dir().join("console"), "no socket\n");
    zone.boot();
    let mut terminal = zone.console(&[]);
    terminal.types("here");
    terminal.shows("here");
    drop(terminal.ends_by("\r~."));
    zone.halt();
    zone.daemon_leaves();
    // A link is replaced, and what it leads to is left alone.
    let other = lab.path("other");
    write(&other, "mine\n");
    symlink(&other, zone.run_dir().join("console")).unwrap_or_else(|e| panic!("{e}"));
    drop(zone.console(&[]).ends_by("~."));
    assert_eq!(read(&other), "mine\n");
}

fn a_directory_in_its_place(lab: &Lab) {
    let zone = lab.tiny("web", ECHO);
    let place = zone.run_dir().join("console");
    make_dir(&zone.run_dir(), 0o700);
    make_dir(&place, 0o700);
    let remedy = format!("{} is a directory; remove it", place.display());
    for ran in [zone.zoneadm(["boot"]), zone.console_command(&[]).run()] {
        ran.refuses().stderr_has("console setup: socket initialization failed").stderr_has(&remedy);
    }
    zone.is("installed");
    std::fs::remove_dir(&place).unwrap_or_else(|e| panic!("{e}"));
    zone.boot();
    // And under a living zone.
    zone.kill_daemon();
    std::fs::remove_file(&place).unwrap_or_else(|e| panic!("{e}"));
    make_dir(&place, 0o700);
    zone.console_command(&[]).run().refuses().stderr_has(&remedy);
    zone.is("running");
    std::fs::remove_dir(&place).unwrap_or_else(|e| panic!("{e}"));
    let mut wire = zone.console(&[]);
    wire.types("here");
    wire.shows("here");
}

fn a_keeper_without_its_socket_is_removed(lab: &Lab) {
    let zone = lab.tiny("web", ECHO);
    let mut terminal = zone.console(&[]);
    zone.zoneadm(["ready"]).ok();
    let keeper = zone.keeper();
    zone.halt();
    terminal.shows("[NOTICE: Zone halted]");
    let daemon = zone.daemon().unwrap_or_default();
    // Its daemon dies, and somebody tidies up. It does not see that its last client goes, upon which it would leave, and take
    // zsched along; and nobody is in a queue, for whom zsched would have another started.
    stop(daemon);
    terminal.signal(Signal::KILL);
    kill_and_wait(daemon);
    for name in ["zsched", "door", "console"] {
        let _ = std::fs::remove_file(zone.run_dir().join(name));
    }
    drop(terminal);
    let ran = zone.zoneadm(["boot"]);
    ran.ok().stderr_has(
        "WARNING: multiple zone console instances detected for zone 'web'; 1 of 1 successfully removed.",
    );
    goes(keeper);
    let mut wire = Wire::attached(&zone, false);
    wire.says("here");
    wire.hears("here");
}

fn a_keeper_that_hears_nothing_goes_with_its_daemon(lab: &Lab) {
    let zone = lab.tiny("web", ECHO);
    let mut terminal = zone.console(&[]);
    zone.zoneadm(["ready"]).ok();
    let keeper = zone.keeper();
    zone.halt();
    terminal.shows("[NOTICE: Zone halted]");
    stop(keeper);
    drop(terminal.ends_by("\r~."));
    // Its last client has gone. It cannot dismiss zsched.
    zone.daemon_leaves();
    goes(keeper);
    for name in ["zsched", "door", "console"] {
        assert!(!zone.run_dir().join(name).exists(), "{name} is left");
    }
    zone.boot();
}

/// Waits until a process has ended.
fn goes(process: i32) {
    until(&format!("process {process} has gone"), || {
        proc_status(process, "State").is_none_or(|state| state.starts_with('Z')).then_some(())
    });
}

/// Stops a process, and waits until it is.
fn stop(process: i32) {
    let pid = Pid::from_raw(process).unwrap_or_else(|| panic!("{process} is no process id"));
    kill_process(pid, Signal::STOP).unwrap_or_else(|e| panic!("kill({process}): {e}"));
    until("it is stopped", || proc_status(process, "State").filter(|state| state.starts_with('T')));
}

fn a_keeper_of_a_living_zone_without_its_socket_is_not_doubled(lab: &Lab) {
    // One that lives on when its console is hung up.
    let zone = lab.tiny("web", "exec sleep 100000");
    zone.boot();
    let (keeper, first) = (zone.keeper(), zone.status().pid1());
    zone.kill_daemon();
    for name in ["zsched", "door", "console"] {
        let _ = std::fs::remove_file(zone.run_dir().join(name));
    }
    let ran = zone.zoneadm(["boot"]);
    ran.refuses().stderr_has("zsched was removed, so that nobody can speak to it");
    ran.stderr_has(&format!("'kill -KILL {keeper}' ends zsched and hangs up the zone's console"));
    // Nor does something else in its place make it one that died.
    write(&zone.run_dir().join("zsched"), "no socket\n");
    zone.zoneadm(["boot"]).refuses().stderr_has("zsched is not its socket");
    assert!(proc_status(first, "State").is_some_and(|state| !state.starts_with('Z')), "the zone lives");
    // The remedy that was named: the zone runs on, under another one.
    kill_and_wait(keeper);
    zone.zoneadm(["boot"]).stderr_has("the zone runs on under a new one");
    zone.is("running");
    assert_eq!(zone.status().pid1(), first);
    assert_ne!(zone.keeper(), keeper);
    zone.zoneadm(["halt"]).ok();
    goes(first);
    zone.boot();
}

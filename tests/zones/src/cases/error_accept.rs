//! Daemons that can accept nobody any more, for as long as the cause is there: who comes is told so in a sentence, at once
//! where a descriptor that was kept back lets him be turned away, and the plain command works when the cause is gone.

use crate::harness::{Command, Lab, Running, Wire, Zone, cases, kill_and_wait, need_failpoints, skip, until};
use std::collections::BTreeSet;
use std::fs;

cases![
    a_caller_at_the_door_is_turned_away,
    a_client_of_the_console_is_turned_away,
    a_connection_to_zsched_is_turned_away,
    a_daemon_without_descriptors_says_so,
    a_zsched_without_descriptors_says_so,
    a_zsched_that_is_crowded_says_so,
    a_daemon_that_cannot_even_turn_away_is_given_up,
    a_zsched_that_cannot_even_turn_away_is_given_up,
];

const ERRORS: [(&str, &str); 2] = [("EMFILE", "Too many open files"), ("ENOMEM", "Cannot allocate memory")];

fn turned_away(lab: &Lab, program: &str, point: &str, come: impl Fn(&Zone<'_>, &str)) {
    let zone = lab.booted_sparse();
    let before = zone.status();
    for (error, text) in ERRORS {
        zone.fails(program, point, 1, error, true);
        come(&zone, text);
        come(&zone, text);
        let failed = zone.fail_no_more();
        need_failpoints(&failed);
        assert!(failed.iter().all(|line| *line == format!("{program} {point} {error}")), "{failed:?}");
        let now = zone.status();
        assert_eq!((now.state.as_str(), now.uniqid), ("running", before.uniqid.clone()));
    }
    zone.zlogin(["true"]).ok();
    zone.zoneadm(["reboot"]).ok();
    zone.halt();
}

fn a_caller_at_the_door_is_turned_away(lab: &Lab) {
    turned_away(lab, "zoneadmd", "door.accept", |zone, text| {
        zone.zoneadm_within(30, ["reboot"])
            .exits(1)
            .stderr_has("zoneadmd cannot accept this call, nothing was done")
            .stderr_has(text);
    });
}

fn a_client_of_the_console_is_turned_away(lab: &Lab) {
    turned_away(lab, "zoneadmd", "console.accept", |zone, _| {
        zone.console_command(&[])
            .within(30)
            .run()
            .refuses()
            .stderr_has("has no descriptor left for another client");
    });
}

fn a_connection_to_zsched_is_turned_away(lab: &Lab) {
    turned_away(lab, "zsched", "keeper.accept", |zone, text| {
        let no_room = "zsched has no room for another connection";
        zone.zlogin_command(["true"]).within(30).run().refuses().stderr_has(no_room).stderr_has(text);
        // The next daemon needs two.
        if let Some(daemon) = zone.daemon() {
            kill_and_wait(daemon);
        }
        zone.zoneadm_within(30, ["halt"]).exits(1).stderr_has(no_room).stderr_has(text);
    });
}

/// The numbers of a process' descriptors.
fn numbers(pid: i32) -> BTreeSet<u64> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The number that the next descriptor gets.
fn free(pid: i32) -> u64 {
    let numbers = numbers(pid);
    (0..).find(|number| !numbers.contains(number)).unwrap_or(0)
}

/// Lets a process have no more descriptors than those before the first number that is free, and gives the limit to be
/// put back.
fn fill(pid: i32) -> String {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    let words: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
    let [.., soft, hard, _] = words[..] else { panic!("no limit of files in {limits}") };
    let free = free(pid);
    eprintln!("{:?}: no more than {free}", numbers(pid));
    limit(pid, &format!("{free}:{hard}"));
    format!("{soft}:{hard}")
}

fn limit(pid: i32, limits: &str) {
    Command::new("prlimit").args(["--pid", &pid.to_string(), &format!("--nofile={limits}")]).run().ok();
}

fn a_daemon_without_descriptors_says_so(lab: &Lab) {
    let zone = lab.booted_sparse();
    let daemon = zone.daemon().unwrap_or_else(|| panic!("there is no daemon"));
    // What it keeps back has a number that it got when it began to serve, and those before it must be in use, too.
    let mut watchers = Vec::new();
    until("all numbers before those of what is open are in use", || {
        let most = numbers(daemon).into_iter().filter(|number| *number < 40).max();
        let filled = most.is_some_and(|most| free(daemon) > most);
        if !filled {
            let mut watcher = Wire::connect(&zone);
            watcher.says("IDENT 1 C;watch 0\n");
            watcher.hears("OK\n");
            watchers.push(watcher);
        }
        filled.then_some(())
    });
    let limits = fill(daemon);
    zone.zoneadm_within(30, ["reboot"]).exits(1).stderr_has("Too many open files");
    zone.console_command(&[])
        .within(30)
        .run()
        .refuses()
        .stderr_has("has no descriptor left for another client");
    zone.is("running");
    limit(daemon, &limits);
    zone.zoneadm(["reboot"]).ok();
    assert_eq!(zone.daemon(), Some(daemon));
    zone.halt();
}

fn a_zsched_without_descriptors_says_so(lab: &Lab) {
    let zone = lab.booted_sparse();
    let keeper = zone.keeper();
    let limits = fill(keeper);
    zone.zlogin_command(["true"]).within(30).run().refuses().stderr_has("Too many open files");
    limit(keeper, &limits);
    zone.zlogin(["true"]).ok();
    zone.halt();
}

fn a_zsched_that_is_crowded_says_so(lab: &Lab) {
    let zone = lab.booted_sparse();
    let crowd: Vec<_> = (0..100)
        .map(|_| zone_sys::unix::connect_in(&zone.run_dir(), "zsched", rustix::net::SocketType::SEQPACKET))
        .collect();
    zone.zoneadm_within(30, ["list"]).exits(1).stderr_has("zsched has no room for another connection");
    // Who comes too early waits for those before it.
    let mut early = zone.zlogin_command(["true"]).start();
    assert!(!early.ended());
    drop(crowd);
    early.wait().ok();
    zone.halt();
}

/// A process whose accept4(2) fails, whatever it gives up for it, for as long as this lives.
fn fails_to_accept(zone: &Zone<'_>, pid: i32) -> Running {
    if Command::new("strace").args(["-V"]).run_if().is_none() {
        skip("there is no strace");
    }
    let out = zone.run_dir().join("strace");
    let strace = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=accept4", "-e", "inject=accept4:error=ENOMEM", "-o"])
        .args([&out])
        .args(["-p", &pid.to_string()])
        .start();
    until("strace has attached itself to all threads", || {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
        let traced = |task: fs::DirEntry| {
            !fs::read_to_string(task.path().join("status")).unwrap_or_default().contains("TracerPid:\t0\n")
        };
        tasks.flatten().all(traced).then_some(())
    });
    strace
}

fn let_go(zone: &Zone<'_>, mut strace: Running) {
    strace.kill();
    until("strace has let go", || strace.ended().then_some(()));
    let _ = fs::remove_file(zone.run_dir().join("strace"));
}

fn a_daemon_that_cannot_even_turn_away_is_given_up(lab: &Lab) {
    let zone = lab.booted_sparse();
    let daemon = zone.daemon().unwrap_or_else(|| panic!("there is no daemon"));
    let strace = fails_to_accept(&zone, daemon);
    zone.zoneadm_within(60, ["reboot"])
        .exits(1)
        .stderr_has(&format!("its zoneadmd, process {daemon}, answers nobody"));
    let_go(&zone, strace);
    zone.zoneadm(["halt"]).ok();
}

fn a_zsched_that_cannot_even_turn_away_is_given_up(lab: &Lab) {
    let zone = lab.booted_sparse();
    let strace = fails_to_accept(&zone, zone.keeper());
    zone.zlogin_command(["true"]).within(60).run().refuses().stderr_has("zsched does not answer");
    let_go(&zone, strace);
    zone.zlogin(["true"]).ok();
    zone.halt();
}

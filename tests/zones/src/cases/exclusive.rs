//! One daemon for a zone, however many are started at once; and nobody who needs one hears of the others.

use crate::harness::{Command, Lab, Running, Zone, cases, proc_status, until};
use std::collections::BTreeSet;
use std::fs;

cases![
    fifty_daemons: 120,
    fifty_daemons_of_a_zone_that_runs: 120,
    fifty_lists_and_no_daemon: 120,
    fifty_readies_and_no_daemon: 120,
    fifty_boots_and_no_daemon: 120,
    fifty_halts_of_a_zone_whose_daemon_died: 120,
    fifty_commands_in_a_zone_whose_daemon_died: 120,
    twenty_at_the_console_and_no_daemon: 120,
];

const MANY: usize = 50;

/// The daemons in sight, by what the kernel calls them.
fn daemons() -> BTreeSet<u32> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_daemon = |pid: &u32| {
        let number = i32::try_from(*pid).unwrap_or_default();
        let lives = proc_status(number, "State").is_some_and(|state| !state.starts_with('Z'));
        lives && fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "zoneadmd")
    };
    pids.filter(is_daemon).collect()
}

/// Exactly one is left, and it is the one that serves.
#[track_caller]
fn one_serves(zone: &Zone<'_>) {
    until("only the daemon that serves is left", || {
        let serving = zone.daemon().and_then(|pid| u32::try_from(pid).ok());
        (serving.is_some() && daemons() == serving.into_iter().collect()).then_some(())
    });
}

fn at_once(commands: impl Iterator<Item = Command>) -> Vec<crate::harness::Ran> {
    let running: Vec<_> = commands.map(Command::start).collect();
    running.into_iter().map(Running::wait).collect()
}

/// All that were started are through, each with success and without a word that is not the daemon's answer.
#[track_caller]
fn all_succeed(zone: &Zone<'_>, words: &[&str], may_say: &str) {
    for ran in at_once((0..MANY).map(|_| zone.zoneadm_command(words))) {
        ran.ok();
        let said = ran.err();
        let of_race = said.lines().find(|line| may_say.is_empty() || !line.contains(may_say));
        assert_eq!(of_race, None, "{ran}");
    }
}

fn of_fifty_one_serves(lab: &Lab, zone: &Zone<'_>, may_say: &str) {
    let ran = at_once((0..MANY).map(|_| lab.command("zoneadmd", ["-z", "web"])));
    let (served, left): (Vec<_>, Vec<_>) = ran.iter().partition(|ran| ran.code() == Some(0));
    assert_eq!(served.len(), 1, "one serves: {served:?}");
    for ran in &served {
        assert!(ran.out().is_empty() && ran.err().lines().all(|line| line.contains(may_say)), "{ran}");
    }
    for ran in left {
        // As the reference: the daemon is silent, and the status says that it is not this one.
        ran.exits(1).quiet().stdout_is("");
    }
    one_serves(zone);
}

fn fifty_daemons(lab: &Lab) {
    let zone = lab.sparse("web");
    of_fifty_one_serves(lab, &zone, "nothing");
    zone.boot();
    one_serves(&zone);
}

fn fifty_daemons_of_a_zone_that_runs(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let before = zone.identity();
    of_fifty_are_beaten(lab, &zone);
    zone.kill_daemon();
    of_fifty_one_serves(lab, &zone, "restarted zoneadmd to recover.");
    assert_eq!(zone.identity(), before);
}

/// With one that serves, all others leave.
fn of_fifty_are_beaten(lab: &Lab, zone: &Zone<'_>) {
    let daemon = zone.daemon();
    for ran in at_once((0..MANY).map(|_| lab.command("zoneadmd", ["-z", "web"]))) {
        ran.exits(1).quiet().stdout_is("");
    }
    assert_eq!(zone.daemon(), daemon);
    one_serves(zone);
}

fn fifty_lists_and_no_daemon(lab: &Lab) {
    let zone = lab.sparse("web");
    for ran in at_once((0..MANY).map(|_| zone.zoneadm_command(["list", "-v"]))) {
        ran.ok().quiet().stdout_has("installed");
    }
    assert!(daemons().is_empty(), "a list starts nobody");
    zone.boot();
    zone.kill_daemon();
    for ran in at_once((0..MANY).map(|_| zone.zoneadm_command(["list", "-v"]))) {
        ran.ok().quiet().stdout_has("running");
    }
    assert!(daemons().is_empty(), "a list starts nobody");
}

fn fifty_readies_and_no_daemon(lab: &Lab) {
    let zone = lab.sparse("web");
    all_succeed(&zone, &["ready"], "zone is already ready");
    zone.is("ready");
    assert!(zone.status().last_exit.is_none(), "it was made ready once");
    one_serves(&zone);
}

fn fifty_boots_and_no_daemon(lab: &Lab) {
    let zone = lab.sparse("web");
    all_succeed(&zone, &["boot"], "zone is already booted");
    zone.is("running");
    assert!(zone.status().last_exit.is_none(), "it was booted once");
    one_serves(&zone);
    let before = zone.identity();
    zone.kill_daemon();
    for ran in at_once((0..MANY).map(|_| zone.zoneadm_command(["boot"]))) {
        ran.ok();
        let strange = |line: &&str| {
            !line.contains("zone is already booted") && !line.contains("restarted zoneadmd to recover.")
        };
        assert_eq!(ran.err().lines().find(strange), None, "{ran}");
    }
    assert_eq!(zone.identity(), before);
    one_serves(&zone);
}

fn fifty_halts_of_a_zone_whose_daemon_died(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    zone.kill_daemon();
    for ran in at_once((0..MANY).map(|_| zone.zoneadm_command(["halt"]))) {
        ran.ok();
    }
    zone.is("installed");
    until("the daemons have gone", || daemons().is_empty().then_some(()));
}

fn fifty_commands_in_a_zone_whose_daemon_died(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let before = zone.identity();
    zone.kill_daemon();
    for ran in at_once((0..MANY).map(|number| zone.zlogin_command(["echo", &number.to_string()]))) {
        ran.ok().quiet();
    }
    assert_eq!(zone.identity(), before);
    assert!(daemons().is_empty(), "to enter a zone takes no daemon");
}

/// One has it; nobody is told of anything but that.
fn twenty_at_the_console_and_no_daemon(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    for _ in 0..2 {
        zone.kill_daemon();
        let all: Vec<_> = (0..20).map(|_| zone.console_command(&["-Q", "--watch"]).start()).collect();
        zone.waits_for("all of them look on", |now| now.consoles.as_ref().is_some_and(|all| all.len() == 20));
        one_serves(&zone);
        for mut one in all {
            one.kill();
            let ran = one.wait();
            assert!(!ran.err().contains("zoneadmd") || ran.err().contains("to recover."), "{ran}");
        }
        zone.waits_for("nobody looks on", |now| now.consoles.as_ref().is_some_and(Vec::is_empty));
    }
}

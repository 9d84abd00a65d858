//! A daemon that nothing needs leaves its zone to zsched, and another comes for whoever connects and for what the zone does.

use super::crash::{be_up, leaves_nothing, zone};
use super::crash_keeper::tell_init;
use super::door_open::asks;
use crate::harness::world::World;
use crate::harness::{
    Lab, Status, Wire, Zone, cases, identity, kill_and_wait, proc_status, read, skip, until, within,
};
use rustix::process::Signal;
use std::time::{Duration, Instant};

cases![
    it_leaves_and_nobody_who_only_looks_brings_one_back: 120,
    it_is_back_for_whoever_connects: 120,
    it_is_back_for_what_the_zone_asks_for: 120,
    who_is_attached_keeps_it: 120,
    it_is_back_before_the_log_misses_anything: 180,
    the_process_of_its_unit_sees_zsched_die: 180,
    it_leaves_after_a_minute_and_what_is_said_then_is_logged_within_one: 300,
];

/// Waits until the daemon of a zone that runs has left, and sees that nothing else has changed.
#[track_caller]
pub(super) fn left(zone: &Zone<'_>) -> Status {
    let before = zone.status();
    zone.daemon_leaves();
    let now = zone.status();
    assert_eq!(identity(&now), identity(&before));
    zone.is("running");
    assert_eq!(now.zsched.as_ref().map(|it| it.pid), before.zsched.as_ref().map(|it| it.pid));
    now
}

/// A command that needs a daemon, and starts one: without a warning, since none has died.
#[track_caller]
pub(super) fn unwarned(zone: &Zone<'_>) {
    let ran = zone.zoneadm(["boot"]);
    ran.ok().stderr_has("already booted");
    assert!(!ran.err().contains("WARNING"), "none has died\n{ran}");
}

fn it_leaves_and_nobody_who_only_looks_brings_one_back(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    lab.daemons_leave_after("1");
    be_up(&zone);
    let now = left(&zone);
    assert_eq!((now.operation, now.consoles.map_or(0, |all| all.len())), (None, 0));
    assert!(now.readiness.is_some_and(|it| it.state == "ready"), "it is on record");
    for look in [&["list"][..], &["list", "-v"], &["list", "--json"], &["status"]] {
        zone.zoneadm(look.iter().copied()).ok().quiet().stdout_has("web");
        assert!(zone.nobody_is_daemon(), "{look:?} starts no daemon");
    }
    zone.zlogin(["true"]).ok();
    assert!(zone.nobody_is_daemon(), "zlogin needs none");
    let keeper = now.zsched.map_or(0, |it| it.pid);
    let most = 4 * rustix::param::page_size() / 1024;
    until("zsched has given back what it does not need of its stack", || {
        stack(keeper).filter(|size| *size <= most)
    });
    leaves_nothing(&zone, &world, "a daemon that left");
}

/// How much of a process's stack is in memory, in kB.
fn stack(pid: i32) -> Option<usize> {
    let maps = read(&std::path::Path::new("/proc").join(pid.to_string()).join("smaps"));
    let (_, stack) = maps.split_once("[stack]")?;
    let size = stack.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    size.trim().strip_suffix(" kB")?.trim().parse().ok()
}

fn it_is_back_for_whoever_connects(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    lab.daemons_leave_after("1");
    be_up(&zone);
    left(&zone);
    assert!(asks(&zone.run_dir(), "GetStatus").is_ok_and(|answer| answer.contains("running")));
    left(&zone);
    drop(Wire::attached(&zone, false));
    left(&zone);
    // It has left, and nobody is warned.
    unwarned(&zone);
    left(&zone);
    // What was said while none was there is not lost, and that one has come is not said.
    zone.sh("echo said while nobody was there > /dev/console").ok();
    drop(Wire::attached(&zone, false));
    left(&zone);
    let log = read(&zone.root().join("var/log/zones/web.console.log"));
    assert!(log.contains("said while nobody was there"), "{log}");
    assert!(!log.contains("reconnected"), "{log}");
    // Whoever reads the log finds there what the zone has said by now, and whoever follows it what it says from now on.
    zone.sh("echo said for a reader > /dev/console").ok();
    assert!(zone.nobody_is_daemon());
    zone.zoneadm(["console", "--log"]).ok().stdout_has("said for a reader");
    left(&zone);
    let mut follows = zone.zoneadm_command(["console", "--log", "--follow"]).start();
    until("a daemon is there for it", || zone.daemon());
    zone.sh("echo said for a follower > /dev/console").ok();
    let file = zone.root().join("var/log/zones/web.console.log");
    until("it is logged", || read(&file).contains("said for a follower").then_some(()));
    follows.kill();
    assert!(follows.wait().out().contains("said for a reader"));
    left(&zone);
    // At once, and again and again.
    lab.daemons_leave_after("0");
    for _ in 0..10 {
        assert!(asks(&zone.run_dir(), "GetStatus").is_ok_and(|answer| answer.contains("running")));
        unwarned(&zone);
    }
    left(&zone);
    // A daemon that died is warned about as ever.
    lab.daemons_leave_after("\"never\"");
    assert!(asks(&zone.run_dir(), "GetStatus").is_ok());
    until("a daemon is there", || zone.daemon());
    zone.kill_daemon();
    zone.zoneadm(["boot"]).ok().stderr_has("restarted zoneadmd to recover").stderr_has("already booted");
    leaves_nothing(&zone, &world, "daemons that left");
}

fn init_listens(zone: &Zone<'_>) {
    until("init listens", || {
        let caught = proc_status(zone.status().pid1(), "SigBlk")?;
        u64::from_str_radix(&caught, 16).ok().filter(|mask| mask & (1 << 14) != 0)
    });
}

/// Boots a zone whose daemon leaves at once, until its init takes signals.
fn be_up_and_listen(lab: &Lab, zone: &Zone<'_>) {
    lab.daemons_leave_after("0");
    be_up(zone);
    // A command that runs in it was let in by an init that is through with its own start.
    zone.zlogin(["true"]).ok();
    init_listens(zone);
}

fn it_is_back_for_what_the_zone_asks_for(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    be_up_and_listen(lab, &zone);
    let before = left(&zone);
    tell_init(&zone, Signal::TERM);
    let after = zone.runs_again(&before);
    assert_eq!(after.last_exit.map(|exit| exit.how).as_deref(), Some("rebooted"));
    zone.waits_for("its readiness is known", |now| {
        now.readiness.as_ref().is_some_and(|it| it.state != "starting")
    });
    zone.zlogin(["true"]).ok();
    let before = left(&zone);
    init_listens(&zone);
    tell_init(&zone, Signal::USR2);
    let after = zone.becomes("installed");
    let last = after.last_exit.unwrap_or_else(|| panic!("its end must be on record"));
    assert_eq!((Some(last.uniqid), last.how.as_str()), (before.uniqid, "poweroff"));
    leaves_nothing(&zone, &world, "daemons that came for the zone");
}

fn who_is_attached_keeps_it(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    lab.daemons_leave_after("0");
    be_up(&zone);
    left(&zone);
    let mut events = zone.zoneadm_command(["events", "--follow"]).start();
    // It is what brings one back, as there is nobody else.
    let daemon = Some(until("there is a daemon", || zone.daemon()));
    let console = Wire::attached(&zone, false);
    // Long enough for one that would leave: others came and went in less.
    for _ in 0..3 {
        zone.zoneadm(["boot"]).ok().stderr_has("already booted");
        zone.zlogin(["true"]).ok();
    }
    drop(console);
    zone.zlogin(["true"]).ok();
    assert_eq!(zone.daemon(), daemon, "the monitor keeps it");
    let console = Wire::attached(&zone, false);
    events.kill();
    let _ = events.wait();
    zone.zlogin(["true"]).ok();
    assert_eq!(zone.daemon(), daemon, "the console keeps it");
    drop(console);
    left(&zone);
    leaves_nothing(&zone, &world, "who was attached");
}

fn it_is_back_before_the_log_misses_anything(lab: &Lab) {
    // Four times as many lines as bring a daemon, and more than zsched keeps.
    const TIMES: usize = 4;
    const LINES: usize = 4000;
    let zone = zone(lab);
    let world = World::look(&[]);
    lab.daemons_leave_after("0");
    be_up(&zone);
    let path = zone.root().join("var/log/zones/web.console.log");
    let numbers = || -> Vec<usize> {
        {
            let word = |line: &str| line.trim().rsplit(' ').next()?.parse().ok();
            read(&path).lines().filter_map(word).collect()
        }
    };
    for time in 0..TIMES {
        left(&zone);
        let (first, last) = (time * LINES + 1, (time + 1) * LINES);
        zone.sh(&format!("seq -f %014.0f {first} {last} > /dev/console")).ok();
        // Nobody calls. What came after the last daemon has left is too little to bring another.
        until("most of it is logged", || (numbers().len() + LINES > last).then_some(()));
    }
    left(&zone);
    assert!(asks(&zone.run_dir(), "GetStatus").is_ok());
    until("all of it is logged", || numbers().last().filter(|&&last| last == TIMES * LINES).map(|_| ()));
    let all = numbers();
    assert!(all.iter().copied().eq(1..=TIMES * LINES), "{} lines, each in its place", all.len());
    leaves_nothing(&zone, &world, "a flood");
}

/// Whether a process has a pidfd of another (proc_pid_fdinfo(5)).
fn watches(process: u32, other: i32) -> bool {
    let open = std::fs::read_dir(format!("/proc/{process}/fdinfo")).into_iter().flatten().flatten();
    let line = format!("Pid:\t{other}");
    open.map(|fd| std::fs::read_to_string(fd.path()).unwrap_or_default())
        .any(|info| info.lines().any(|it| it == line))
}

fn the_process_of_its_unit_sees_zsched_die(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    be_up_and_listen(lab, &zone);
    // What a unit of systemd stands on.
    let unit = lab.command("zones-host", ["start", zone.name()]).within(180).start();
    for alone in [true, false, true] {
        let watched =
            |now: &Status| now.zsched.as_ref().is_some_and(|zsched| watches(unit.pid(), zsched.pid));
        let before = zone.waits_for("both are waited for", watched);
        let zsched = zone.keeper();
        if alone {
            left(&zone);
        } else {
            // There is one, at work, who dies as well.
            lab.daemons_leave_after("\"never\"");
            assert!(asks(&zone.run_dir(), "GetStatus").is_ok());
            kill_and_wait(until("a daemon is there", || zone.daemon()));
            lab.daemons_leave_after("0");
        }
        kill_and_wait(zsched);
        let after = zone.waits_for("another zsched has the zone", |now| {
            now.zsched.as_ref().is_some_and(|now| now.pid != zsched)
        });
        assert_eq!(identity(&after), identity(&before));
        zone.zlogin(["true"]).ok();
    }
    let before = left(&zone);
    tell_init(&zone, Signal::USR2);
    let after = zone.becomes("installed");
    let last = after.last_exit.unwrap_or_else(|| panic!("its end must be on record"));
    assert_eq!((Some(last.uniqid), last.how.as_str()), (before.uniqid, "poweroff"));
    unit.wait().ok();
    // Its lock, which stays as long as the zone is installed.
    let _ = std::fs::remove_file(zone.run_dir().join("unit.lock"));
    leaves_nothing(&zone, &world, "a zsched that was killed");
}

fn it_leaves_after_a_minute_and_what_is_said_then_is_logged_within_one(lab: &Lab) {
    let minutes = |count: u64| Duration::from_secs(60 * count);
    let zone = zone(lab);
    let world = World::look(&[]);
    if lab.spec().daemon_idle.is_some() {
        skip("the default is not what this run has");
    }
    assert!(!lab.etc().join("zones.toml").exists());
    let begun = Instant::now();
    be_up(&zone);
    let gone = within(minutes(2), || zone.nobody_is_daemon().then_some(()));
    assert!(gone.is_some(), "it leaves by itself");
    assert!(begun.elapsed() >= minutes(1), "not before a minute is over");
    let file = zone.root().join("var/log/zones/web.console.log");
    zone.sh("echo said while nobody was there > /dev/console").ok();
    assert!(zone.nobody_is_daemon());
    let logged = within(minutes(2), || read(&file).contains("said while nobody was there").then_some(()));
    assert!(logged.is_some(), "nobody has to ask for that");
    leaves_nothing(&zone, &world, "a minute");
}

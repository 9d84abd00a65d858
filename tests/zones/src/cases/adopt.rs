//! A zone whose zsched was killed: its processes run on, and another zsched takes them over.

use super::crash::{be_ready, be_up, leaves_nothing, zone};
use super::crash_keeper::{gone, tell_init};
use crate::harness::init::IDLE;
use crate::harness::world::World;
use crate::harness::{Lab, Status, Zone, cases, kill_and_wait, proc_status, started_at, until};
use rustix::process::Signal;

cases![
    a_running_zone_is_taken_over: 120,
    it_reboots_and_powers_off_as_before: 180,
    its_init_fails_as_before: 120,
    its_console_stays: 120,
    a_login_goes_on: 120,
    one_after_the_other_is_killed: 180,
    a_ready_zone_ends_with_it: 120,
    an_installed_zone_gets_another: 120,
    without_a_daemon_the_next_one_takes_over: 180,
    whose_name_is_no_text_is_not_taken_for_dead: 120,
    without_a_daemon_the_console_is_given_anew: 120,
    without_a_daemon_an_end_is_noticed_later: 180,
    without_a_daemon_a_ready_zone_is_cleared_away: 120,
    a_zone_that_is_traced_already: 120,
    the_record_alone_makes_no_zone: 120,
];

/// What must not change.
fn identity(zone: &Zone<'_>) -> (Option<String>, i32, Option<u64>, String) {
    let status = zone.status();
    let pid = status.pid1();
    (status.uniqid.clone(), pid, started_at(pid), status.state)
}

/// Waits until the zone has another keeper than `before`, and gives its status.
#[track_caller]
pub(super) fn adopted(zone: &Zone<'_>, before: i32) -> Status {
    zone.waits_for("another zsched has the zone", |now| {
        now.zsched.as_ref().is_some_and(|keeper| keeper.pid != before && keeper.adopted.is_some())
    })
}

/// Kills zsched under a daemon that lives.
#[track_caller]
fn orphaned(zone: &Zone<'_>) -> Status {
    let keeper = zone.keeper();
    kill_and_wait(keeper);
    adopted(zone, keeper)
}

/// Kills daemon and zsched.
#[track_caller]
pub(super) fn kill_both(zone: &Zone<'_>) {
    let keeper = zone.keeper();
    if zone.daemon().is_some() {
        zone.kill_daemon();
    }
    kill_and_wait(keeper);
}

/// Waits until the console's log has `text`.
#[track_caller]
fn says(lab: &Lab, text: &str) {
    until(&format!("the console says {text:?}"), || {
        lab.zoneadm(["console", "web", "--log"]).out().contains(text).then_some(())
    });
}

fn lost(status: &Status) -> Vec<String> {
    let adopted = status.zsched.as_ref().and_then(|keeper| keeper.adopted.clone());
    adopted.map(|adopted| adopted.lost).unwrap_or_default()
}

fn witness(status: &Status) -> String {
    let adopted = status.zsched.as_ref().and_then(|keeper| keeper.adopted.clone());
    adopted.map(|adopted| adopted.witness).unwrap_or_default()
}

fn a_running_zone_is_taken_over(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    be_up(&zone);
    let (before, daemon) = (identity(&zone), zone.daemon());
    let status = orphaned(&zone);
    assert_eq!(identity(&zone), before);
    assert_eq!(zone.daemon(), daemon, "the daemon is the same");
    assert_eq!((witness(&status).as_str(), lost(&status)), ("tracer", Vec::new()));
    zone.zlogin(["cat", "/proc/mounts"]).ok().stdout_has(" /data ");
    says(lab, "zsched has died; the zone runs on under a new one");
    zone.zoneadm(["boot"]).ok().stderr_has("already booted");
    leaves_nothing(&zone, &world, "zsched");
}

fn it_reboots_and_powers_off_as_before(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    be_up(&zone);
    for daemon_lives in [true, false] {
        let before = orphaned(&zone);
        if !daemon_lives {
            zone.kill_daemon();
        }
        let _ = zone.zlogin(["reboot"]);
        let after = zone.runs_again(&before);
        assert_eq!(after.last_exit.map(|exit| exit.how).as_deref(), Some("rebooted"));
        let keeper = after.zsched.unwrap_or_else(|| panic!("it has a zsched"));
        assert!(keeper.adopted.is_none(), "a zone that zsched has made itself");
        zone.waits_for("the reboot is through", |now| now.operation.is_none());
    }
    for daemon_lives in [true, false] {
        let before = orphaned(&zone);
        if !daemon_lives {
            zone.kill_daemon();
        }
        let _ = zone.zlogin(["poweroff"]);
        let after = zone.becomes("installed");
        let last = after.last_exit.unwrap_or_else(|| panic!("its end must be on record"));
        assert_eq!((Some(last.uniqid), last.how.as_str()), (before.uniqid, "poweroff"));
        zone.daemon_leaves();
        be_up(&zone);
    }
    let before = orphaned(&zone);
    zone.zoneadm(["reboot"]).ok();
    let after = zone.runs_again(&before);
    assert_eq!(after.last_exit.map(|exit| exit.how).as_deref(), Some("rebooted"));
    orphaned(&zone);
    zone.zoneadm(["shutdown"]).ok();
    zone.is("installed");
    leaves_nothing(&zone, &world, "zsched");
}

fn its_init_fails_as_before(lab: &Lab) {
    let script = "mkfifo /run/go; read -r word < /run/go; exit 7";
    let zone = lab.tiny("web", script);
    lab.zonecfg("web", "set restart-init=false").ok();
    be_up(&zone);
    until("init has made its pipe", || (zone.sh("test -p /run/go").code() == Some(0)).then_some(()));
    orphaned(&zone);
    let _ = zone.sh("echo go > /run/go");
    let after = zone.becomes("installed");
    let last = after.last_exit.unwrap_or_else(|| panic!("its end must be on record"));
    assert_eq!((last.how.as_str(), last.status), ("exited", Some(7)));
}

fn its_console_stays(lab: &Lab) {
    let zone = zone(lab);
    for name in [".profile", ".bashrc", ".bash_profile"] {
        crate::harness::write(&zone.file("/root").join(name), "PS1='ready> '\n");
    }
    be_up(&zone);
    let mut terminal = zone.console(&[]);
    terminal.shows("ready> ");
    terminal.types("x=kept; echo be''fore\r");
    terminal.shows("before\r\n");
    orphaned(&zone);
    terminal.shows("[NOTICE: zsched has died; the zone runs on");
    terminal.types("echo $x-it\r");
    terminal.shows("kept-it\r\n");
    // What was said before is still there for the next one, also after the daemon.
    terminal.types("\r~.");
    let _ = terminal.ends();
    zone.kill_daemon();
    zone.zoneadm(["boot"]).ok();
    let mut terminal = zone.console(&[]);
    terminal.shows("before\r\n");
    terminal.shows("kept-it\r\n");
    terminal.types("echo $x-still\r");
    terminal.shows("kept-still\r\n");
}

fn a_login_goes_on(lab: &Lab) {
    let zone = zone(lab);
    be_up(&zone);
    zone.sh("mkfifo /run/go").ok();
    let login = zone.zlogin_command(["/bin/sh", "-c", "echo > /run/started; cat /run/go; echo done"]).start();
    until("the login has begun", || (zone.sh("test -e /run/started").code() == Some(0)).then_some(()));
    kill_both(&zone);
    // Entered while there is neither a daemon nor a zsched.
    zone.sh("echo > /run/go").ok();
    login.wait().ok().stdout_has("done");
    zone.is("running");
}

fn one_after_the_other_is_killed(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    be_up(&zone);
    let before = identity(&zone);
    for turn in 0..12 {
        let keeper = zone.keeper();
        kill_and_wait(keeper);
        if turn % 3 == 2 {
            // Before or after another zsched has come, as it happens.
            if let Some(daemon) = zone.daemon() {
                kill_and_wait(daemon);
            }
            zone.zoneadm(["boot"]).ok();
        }
        adopted(&zone, keeper);
        assert_eq!(identity(&zone), before);
    }
    zone.zlogin(["true"]).ok();
    leaves_nothing(&zone, &world, "twelve zscheds");
}

fn a_ready_zone_ends_with_it(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    be_ready(&zone);
    let pid = zone.status().pid1();
    kill_and_wait(zone.keeper());
    zone.becomes("installed");
    assert!(gone(pid));
    says(lab, "which was ready but not running");
    leaves_nothing(&zone, &world, "zsched");
    be_ready(&zone);
    be_up(&zone);
    leaves_nothing(&zone, &world, "zsched");
}

fn an_installed_zone_gets_another(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    let mut console = zone.console(&[]);
    let find = || {
        World::look(&[])
            .since(&world, &lab.root())
            .into_iter()
            .find_map(|thing| thing.strip_prefix("process ")?.split_once(" zsched ")?.0.parse().ok())
    };
    let keeper: i32 = until("it has a zsched", find);
    kill_and_wait(keeper);
    until("it has another zsched", || find().filter(|&now| now != keeper));
    be_up(&zone);
    zone.zlogin(["true"]).ok();
    console.types("\r~.");
    let _ = console.ends();
    leaves_nothing(&zone, &world, "zsched");
}

fn without_a_daemon_the_next_one_takes_over(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    for (next, state) in
        [("boot", "running"), ("reboot", "running"), ("halt", "installed"), ("ready", "ready")]
    {
        be_up(&zone);
        let (before, pid) = (identity(&zone), zone.status().pid1());
        kill_both(&zone);
        // Right also while there is nobody to ask.
        let alone = zone.status();
        assert_eq!((alone.state.as_str(), alone.pid, alone.zsched.is_none()), ("running", Some(pid), true));
        zone.zlogin(["cat", "/proc/mounts"]).ok().stdout_has(" /data ");
        assert_eq!(identity(&zone), before);
        let ran = zone.zoneadm([next]);
        ran.ok().stderr_has("zsched has died; the zone runs on under a new one");
        zone.is(state);
        if next == "boot" {
            assert_eq!(identity(&zone), before);
            let status = zone.status();
            assert_eq!(
                (witness(&status).as_str(), lost(&status)),
                ("tracer", vec!["terminal".into(), "output".into()])
            );
        } else {
            assert!(gone(pid), "{next} has ended it");
        }
        leaves_nothing(&zone, &world, &format!("zsched and daemon, and a {next}"));
    }
}

fn whose_name_is_no_text_is_not_taken_for_dead(lab: &Lab) {
    // A process may write its own name only, and its cgroup has any that the zone gives it.
    let init = r#"printf 'a\377) Z' > /proc/1/comm
at=$(printf '/sys/fs/cgroup/\377'); [ ! -e /sys/fs/cgroup/cgroup.procs ] || { busybox mkdir "$at" && echo 1 > "$at/cgroup.procs"; }
echo named > /named; while :; do sleep 1; done"#;
    let zone = lab.tiny("web", init);
    be_up(&zone);
    until("init has its name", || (zone.sh("test -e /named").code() == Some(0)).then_some(()));
    let (before, pid) = (identity(&zone), zone.status().pid1());
    let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    assert!(read("comm").starts_with(b"a\xff) Z"), "{}", read("comm").escape_ascii());
    if zone.sh("test -e /sys/fs/cgroup/cgroup.procs").code() == Some(0) {
        assert!(read("cgroup").windows(2).any(|at| at == b"/\xff"), "{}", read("cgroup").escape_ascii());
    }
    kill_both(&zone);
    zone.is("running");
    zone.zoneadm(["boot"]).ok().stderr_has("zsched has died; the zone runs on under a new one");
    assert_eq!(identity(&zone), before);
    zone.halt();
}

fn without_a_daemon_the_console_is_given_anew(lab: &Lab) {
    // Nothing in it reads the console: a shell there would take every other line.
    let zone = lab.tiny("web", IDLE);
    be_up(&zone);
    kill_both(&zone);
    zone.zoneadm(["boot"]).ok();
    let mut terminal = zone.console(&[]);
    zone.sh("echo from the zone > /dev/console").ok();
    terminal.shows("from the zone\r\n");
    // In both directions.
    let read = "exec < /dev/console; echo now > /dev/console; read -r line; echo got $line";
    let reader = zone.zlogin_command(["sh", "-c", read]).start();
    terminal.shows("now\r\n");
    terminal.types("words\r");
    reader.wait().ok().stdout_has("got words");
    terminal.types("\r~.");
    let _ = terminal.ends();
    // And once more: what lies there now was put there by a daemon.
    kill_both(&zone);
    zone.zoneadm(["boot"]).ok();
    zone.sh("echo once more > /dev/console").ok();
    let mut terminal = zone.console(&[]);
    terminal.shows("once more\r\n");
}

fn without_a_daemon_an_end_is_noticed_later(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    for (signal, next, state) in [(Signal::TERM, "boot", "running"), (Signal::USR2, "halt", "installed")] {
        be_up(&zone);
        zone.zlogin(["true"]).ok();
        let before = zone.status();
        until("init listens", || {
            let caught = proc_status(before.pid1(), "SigBlk")?;
            u64::from_str_radix(&caught, 16).ok().filter(|mask| mask & (1 << 14) != 0)
        });
        kill_both(&zone);
        tell_init(&zone, signal);
        until("the zone has ended", || gone(before.pid1()).then_some(()));
        zone.is("installed");
        zone.zoneadm([next]).ok();
        let after =
            zone.waits_for(&format!("it is {state}"), |now| now.state == state && now.operation.is_none());
        let last = after.last_exit.unwrap_or_else(|| panic!("its end must be on record"));
        assert_eq!((Some(last.uniqid), last.how.as_str()), (before.uniqid, "unknown"));
        leaves_nothing(&zone, &world, "all of it");
    }
}

fn without_a_daemon_a_ready_zone_is_cleared_away(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    for (next, state) in [("boot", "running"), ("ready", "ready"), ("halt", "installed")] {
        be_ready(&zone);
        let pid = zone.status().pid1();
        kill_both(&zone);
        until("its first process has ended", || gone(pid).then_some(()));
        zone.is("installed");
        zone.zoneadm([next]).ok();
        zone.is(state);
        leaves_nothing(&zone, &world, "both, while it was ready");
    }
}

fn a_zone_that_is_traced_already(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    be_up(&zone);
    let before = identity(&zone);
    let pid = rustix::process::Pid::from_raw(before.1).unwrap_or_else(|| panic!("no PID 1"));
    // By this test: a tracer that does nothing.
    zone_sys::trace::seize(pid).unwrap_or_else(|e| panic!("{e}"));
    let keeper = zone.keeper();
    kill_and_wait(keeper);
    let status = adopted(&zone, keeper);
    assert_eq!(witness(&status), "nobody");
    says(lab, "that cannot trace its first process");
    assert_eq!(identity(&zone), before);
    // It ends, and nobody but its tracer is told how.
    zone.zoneadm(["halt"]).ok();
    zone.is("installed");
    while zone_sys::trace::next(pid).is_ok_and(|event| event.is_none()) {}
    leaves_nothing(&zone, &world, "zsched");
}

fn the_record_alone_makes_no_zone(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    be_up(&zone);
    let record = zone.run_dir().join("incarnation");
    let text = crate::harness::read(&record);
    leaves_nothing(&zone, &world, "nobody");
    // What a crash or a person left, of a zone that is no more.
    crate::harness::write(&record, &text);
    zone.is("installed");
    crate::harness::write(&record, text.replace("pid ", "pid 1"));
    zone.is("installed");
    be_up(&zone);
    zone.zlogin(["true"]).ok();
    leaves_nothing(&zone, &world, "a record");
}

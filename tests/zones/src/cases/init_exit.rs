//! An init that exits or crashes, and the three flags of the policy.

use crate::harness::{Lab, cases, read, until, write};

cases![
    an_init_that_exits_is_started_again_then_the_zone_halts: 120,
    how_it_exited_is_recorded,
    a_kill_is_recorded_as_a_signal,
    restart_init_false_halts,
    restart_on_exit_0_only,
    reboot_on_exit,
    starting_again_is_a_new_incarnation,
    a_shutdown_ends_a_zone_whose_init_waits_to_be_started_again: 180,
];

fn an_init_that_exits_is_started_again_then_the_zone_halts(lab: &Lab) {
    let zone = lab.tiny("web", "echo again >> /starts; exit 3");
    let boot = zone.zoneadm(["boot"]);
    boot.refuses().stderr_has("init /sbin/init exited with status 3 as soon as it was started");
    let last = until("the zone gives up", || {
        let now = zone.status();
        // Between two lives it is installed, too.
        let gave_up = now.last_exit.as_ref().is_some_and(|exit| exit.restarts == 5);
        (now.state == "installed" && now.operation.is_none() && gave_up).then_some(now)
    });
    let exit = last.last_exit;
    let Some(exit) = exit else { panic!("how it ended must be known") };
    assert_eq!((exit.how.as_str(), exit.status), ("exited", Some(3)));
    let starts = read(&zone.file("/starts")).lines().count();
    assert_eq!(starts, 6, "once, and again five times");
    let list = zone.zoneadm(["list", "-v"]);
    list.ok().stdout_has("installed").stdout_has("init exited 3, 5 restarts");
    zone.daemon_leaves();
}

fn how_it_exited_is_recorded(lab: &Lab) {
    let zone = lab.tiny("web", "cat /go; exit 7");
    fifo(&zone.file("/go"));
    zone.zonecfg("set restart-init=false").ok();
    zone.boot();
    let first = zone.status().incarnation();
    write(&zone.file("/go"), "go\n");
    let after = zone.becomes("installed");
    let Some(exit) = after.last_exit else { panic!("how it ended must be known") };
    assert_eq!((exit.how.as_str(), exit.status, exit.uniqid), ("exited", Some(7), first));
    // The next incarnation does not forget how the one before ended.
    zone.boot();
    assert_eq!(zone.status().last_exit.and_then(|exit| exit.status), Some(7));
}

fn a_kill_is_recorded_as_a_signal(lab: &Lab) {
    let zone = lab.tiny("web", "exec sleep 2147483647");
    zone.zonecfg("set restart-init=false").ok();
    zone.boot();
    let pid = rustix::process::Pid::from_raw(zone.status().pid1());
    if let Some(pid) = pid {
        // From outside: the kernel keeps all others from a PID 1 that does not ask for them.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    let after = zone.becomes("installed");
    assert_eq!(after.last_exit.map(|exit| (exit.how, exit.signal)), Some(("killed".into(), Some(9))));
}

fn restart_init_false_halts(lab: &Lab) {
    let zone = lab.tiny("web", "echo again >> /starts; exit 0");
    zone.zonecfg("set restart-init=false").ok();
    zone.zoneadm(["boot"])
        .ok()
        .stderr_has("WARNING: init /sbin/init exited with status 0 as soon as it was started");
    until("the zone has halted", || {
        let now = zone.status();
        (now.state == "installed" && now.last_exit.is_some()).then_some(())
    });
    zone.daemon_leaves();
    assert_eq!(read(&zone.file("/starts")), "again\n");
}

fn restart_on_exit_0_only(lab: &Lab) {
    let zone = lab.tiny("web", "echo again >> /starts; test $(cat /starts | wc -l) -lt 3 && exit 0; exit 1");
    zone.zonecfg("set restart-init-on-exit-0=true").ok();
    zone.zoneadm(["boot"]).ok();
    let last = until("the zone has halted", || {
        let now = zone.status();
        let ended = now.last_exit.as_ref().is_some_and(|exit| exit.status == Some(1));
        (now.state == "installed" && ended).then_some(now)
    });
    assert!(last.last_exit.is_some());
    assert_eq!(read(&zone.file("/starts")).lines().count(), 3);
}

fn reboot_on_exit(lab: &Lab) {
    let zone = lab.tiny("web", "test -e /second || { touch /second; exit 5; }; exec sleep 2147483647");
    zone.zonecfg("set reboot-on-init-exit=true").ok();
    zone.zoneadm(["boot"]).refuses().stderr_has("exited with status 5");
    let now = zone
        .waits_for("the second incarnation runs", |now| now.state == "running" && now.last_exit.is_some());
    assert_eq!(now.last_exit.and_then(|exit| exit.status), Some(5));
}

fn starting_again_is_a_new_incarnation(lab: &Lab) {
    let zone = lab.tiny("web", "cat /go; exit 1");
    fifo(&zone.file("/go"));
    zone.boot();
    let before = zone.status();
    write(&zone.file("/go"), "go\n");
    let after = zone.runs_again(&before);
    assert_ne!(after.incarnation(), before.incarnation());
    assert!(after.restarts.unwrap_or(0) >= 1, "{after:?}");
    zone.zoneadm(["list", "-v"]).ok().stdout_has("init exited 1, 1 restart\n");
}

/// There is no init that could be asked, and the zone is not to come up again behind the back of whoever asked.
fn a_shutdown_ends_a_zone_whose_init_waits_to_be_started_again(lab: &Lab) {
    // The sixth time it stays, for a shutdown that comes late.
    let stays = "trap 'exit 0' TERM INT PWR USR1 USR2; while :; do sleep 1000 & wait; done";
    let zone = lab
        .tiny("web", &format!("echo again >> /starts; test $(cat /starts | wc -l) -lt 6 && exit 3; {stays}"));
    // Whether init ends before a boot has looked at it is luck.
    let boots = || drop(zone.zoneadm(["boot"]));
    boots();
    let waits = || {
        zone.waits_for("init waits to be started for the last time", |now| {
            (now.state.as_str(), now.restarts) == ("down", Some(4))
        });
    };
    waits();
    zone.zoneadm(["shutdown", "-t", "60"]).ok();
    zone.is("installed");
    assert_eq!(zone.status().last_exit.map(|exit| exit.how).as_deref(), Some("shutdown"));
    write(&zone.file("/starts"), "");
    boots();
    waits();
    let shut = || zone.zoneadm(["shutdown", "-r", "-t", "60"]);
    // Who names an incarnation does not end the next one, if init was started again in that moment; that one stays.
    if shut().ok().err().contains("has been rebooted meanwhile") {
        shut().ok();
    }
    let now = zone.status();
    assert_eq!((now.state.as_str(), now.restarts), ("running", Some(0)), "booted, and not started again");
    assert_eq!(now.last_exit.map(|exit| exit.how).as_deref(), Some("shutdown"));
}

fn fifo(path: &std::path::Path) {
    crate::harness::Command::new("mkfifo").args([path]).run().ok();
}

//! Whether a zone is ready: who tells, who waits, and what is left of it when somebody dies.

use super::crash;
use crate::harness::{Lab, Zone, cases, kill_and_wait, need_failpoints, read, until, write, write_program};

cases![
    a_sparse_zone_is_ready_when_its_rc_has_ended,
    who_waits_is_told_why_it_is_not_ready,
    a_command_tells,
    an_init_that_tells_nothing_is_ready_when_it_runs,
    an_init_that_dies_shows_its_last_words,
    one_that_dies_before_it_is_ready_is_told,
    others_in_the_zone_cannot_tell_for_init,
    a_flood_of_notifications_holds_up_nobody,
    a_state_is_waited_for,
    nobody_waits_for_a_deleted_zone,
    nobody_waits_in_vain_without_a_daemon,
    it_is_told_through_a_killed_zsched,
    it_is_lost_with_daemon_and_zsched,
    it_survives_deaths_at_every_point: 300,
    the_daemon_dies_as_it_hears_of_it,
    debian12_systemd: 240,
    debian12_sysvinit: 240,
    debian13_openrc: 240,
];

/// A sparse zone whose rc waits until something is written to a fifo.
fn held<'lab>(lab: &'lab Lab) -> Zone<'lab> {
    let zone = lab.sparse("web");
    hold(&zone);
    zone
}

fn hold(zone: &Zone<'_>) {
    write_program(&zone.file("/etc/rc"), "#!/bin/sh\ncat /go > /dev/null\n");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, zone.file("/go"), mode).unwrap_or_else(|e| panic!("{e}"));
}

fn release(zone: &Zone<'_>) {
    write(&zone.file("/go"), "go\n");
}

#[track_caller]
fn has(zone: &Zone<'_>, state: &str, by: Option<&str>) {
    let readiness = zone.status().readiness;
    let told = readiness.as_ref().map(|now| (now.state.as_str(), now.by.as_deref()));
    assert_eq!(told, Some((state, by)));
}

#[track_caller]
fn becomes_ready(zone: &Zone<'_>, by: &str) {
    zone.zoneadm(["wait", "--ready", "-t", "50"]).ok();
    has(zone, "ready", Some(by));
}

fn a_sparse_zone_is_ready_when_its_rc_has_ended(lab: &Lab) {
    let zone = held(lab);
    assert_eq!(zone.status().readiness, None);
    zone.boot();
    has(&zone, "starting", None);
    assert_eq!(zone.door_status()["readiness"]["state"], "starting");
    release(&zone);
    becomes_ready(&zone, "notify");
    assert_eq!(zone.door_status()["readiness"]["by"], "notify");
    let environment = zone.zlogin(["sh", "-c", "tr '\\0' '\\n' < /proc/$$/environ; env"]);
    assert!(!environment.ok().out().contains("NOTIFY_SOCKET"), "{environment}");
    // Another life begins anew.
    hold_again(&zone);
    zone.zoneadm(["reboot"]).ok();
    has(&zone, "starting", None);
    release(&zone);
    becomes_ready(&zone, "notify");
    zone.halt();
    assert_eq!(zone.status().readiness, None);
    assert!(!zone.run_dir().join("ready").exists());
    // Without an rc, and in single-user, there is nothing to wait for.
    std::fs::remove_file(zone.file("/etc/rc")).unwrap_or_else(|e| panic!("{e}"));
    zone.zoneadm(["boot", "--wait"]).ok();
    zone.halt();
    hold_again(&zone);
    zone.zoneadm(["boot", "--wait=50", "-s"]).ok();
    has(&zone, "ready", Some("notify"));
}

fn hold_again(zone: &Zone<'_>) {
    let _ = std::fs::remove_file(zone.file("/go"));
    hold(zone);
}

fn who_waits_is_told_why_it_is_not_ready(lab: &Lab) {
    let zone = held(lab);
    let ran = zone.zoneadm(["boot", "--wait=0"]);
    ran.exits(1).stderr_has("is not ready after 0 seconds: its init has not said so yet");
    zone.is("running");
    zone.zoneadm(["wait", "--ready", "-t", "0"]).exits(1).stderr_has("has not said so yet");
    zone.zoneadm(["wait"]).exits(2);
    zone.zoneadm(["wait", "--ready", "--state", "ready"]).exits(2);
    zone.zoneadm(["wait", "--state", "asleep"]).exits(2);
    let waiting = zone.zoneadm_command(["wait", "--ready"]).start();
    release(&zone);
    waiting.wait().ok();
    zone.halt();
    zone.zoneadm(["wait", "--ready", "-t", "0"]).exits(1).stderr_has("it does not run");
}

fn a_command_tells(lab: &Lab) {
    let zone =
        lab.sparse_with("web", "set ready-check=\"test -e /tmp/served || { echo not yet >&2; exit 4; }\"");
    let ran = zone.zoneadm(["boot", "--wait=2"]);
    ran.exits(1).stderr_has("ready-check has not succeeded yet").stderr_has("not yet");
    has(&zone, "starting", None);
    zone.sh("touch /tmp/served").ok();
    becomes_ready(&zone, "check");
    // It was asked what is ready, and stays so.
    zone.sh("rm /tmp/served").ok();
    zone.kill_daemon();
    becomes_ready(&zone, "check");
    // Another command can be given while it is waited for.
    zone.zoneadm(["halt"]).ok();
    zone.zonecfg("set ready-check=\"false\"").ok();
    zone.boot();
    zone.zoneadm(["wait", "--ready", "-t", "1"]).exits(1);
    zone.zonecfg("set ready-check=\"true\"").ok();
    zone.zoneadm(["apply"]).ok();
    becomes_ready(&zone, "check");
}

fn an_init_that_tells_nothing_is_ready_when_it_runs(lab: &Lab) {
    let zone = lab.tiny("web", "exec sleep 2147483647");
    zone.zoneadm(["boot", "--wait"]).ok();
    has(&zone, "ready", Some("init"));
}

fn an_init_that_dies_shows_its_last_words(lab: &Lab) {
    let script = "printf '\\033[2J\\033]0;owned\\007cannot find my root\\r\\nPANIC: no root\\n'; exit 3";
    let zone = lab.tiny("web", script);
    zone.zonecfg("set restart-init=false").ok();
    let boot = zone.zoneadm(["boot"]);
    boot.refuses()
        .stderr_has("init /sbin/init exited with status 3 as soon as it was started")
        .stderr_has("console: cannot find my root\n")
        .stderr_has("console: PANIC: no root\n");
    assert!(!boot.err().contains("owned") && !boot.err().contains('\u{1b}'), "{boot}");
    zone.becomes("installed");
}

fn one_that_dies_before_it_is_ready_is_told(lab: &Lab) {
    let zone = lab.tiny("web", "cat /go; echo giving up; exit 7");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, zone.file("/go"), mode).unwrap_or_else(|e| panic!("{e}"));
    zone.zonecfg("set restart-init=false; set ready-check=false").ok();
    let waiting = zone.zoneadm_command(["boot", "--wait"]).start();
    zone.becomes("running");
    // As long as the boot is at it, an end is one "as soon as it was started".
    until("the boot is over", || zone.status().operation.is_none().then_some(()));
    release(&zone);
    let ran = waiting.wait();
    ran.exits(1)
        .stderr_has("gone down before it was ready: its init exited 7")
        .stderr_has("console: giving up");
}

fn others_in_the_zone_cannot_tell_for_init(lab: &Lab) {
    let zone = held(lab);
    zone.boot();
    let send = "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); \
                [s.sendto(b'READY=1', '/run/host/notify') for _ in range(40)]";
    zone.zlogin(["python3", "-c", send]).ok();
    zone.zoneadm(["wait", "--ready", "-t", "1"]).exits(1);
    has(&zone, "starting", None);
    // Nobody but the zone's root may even try.
    let as_user = ["setpriv", "--reuid", "1000", "python3", "-c", send];
    zone.zlogin(as_user).exits(1).stderr_has("Permission denied");
    release(&zone);
    becomes_ready(&zone, "notify");
}

fn a_flood_of_notifications_holds_up_nobody(lab: &Lab) {
    let zone = held(lab);
    zone.boot();
    let flood = "import os, socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
                 r, w = os.pipe()\n\
                 while True: s.sendmsg([b'READY=1\\nSTATUS=' + b'x' * 9000], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, \
                 r.to_bytes(4, 'little'))], 0, '/run/host/notify')";
    let _ = zone.zlogin([
        "sh",
        "-c",
        "printf '%s' \"$1\" > /tmp/flood; python3 /tmp/flood > /dev/null 2>&1 &",
        "sh",
        flood,
    ]);
    zone.zoneadm(["wait", "--ready", "-t", "1"]).exits(1);
    zone.zlogin(["true"]).ok();
    zone.zoneadm(["shutdown"]).ok();
    zone.is("installed");
}

fn a_state_is_waited_for(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.zoneadm(["wait", "--state", "installed", "-t", "0"]).ok();
    let ran = zone.zoneadm(["wait", "--state", "running", "-t", "0"]);
    ran.exits(1).stderr_has("is installed and not running after 0 seconds");
    let waiting = zone.zoneadm_command(["wait", "--state", "running"]).start();
    zone.boot();
    waiting.wait().ok();
}

fn nobody_waits_for_a_deleted_zone(lab: &Lab) {
    let zone = lab.sparse("web");
    let waiting = [&["wait", "--ready"][..], &["wait", "--state", "running"]];
    let waiting = waiting.map(|words| zone.zoneadm_command(words).start());
    zone.remove();
    for command in waiting {
        command.wait().exits(1).stderr_has("zone 'web': No such zone configured");
    }
}

fn nobody_waits_in_vain_without_a_daemon(lab: &Lab) {
    let zone = held(lab);
    zone.boot();
    zone.kill_daemon();
    // With no daemon there it waits in the socket.
    release(&zone);
    until("rc has ended", || (!read(&zone.file("/etc/rc")).is_empty()).then_some(()));
    has(&zone, "starting", None);
    becomes_ready(&zone, "notify");
    zone.kill_daemon();
    has(&zone, "ready", Some("notify"));
    becomes_ready(&zone, "notify");
}

fn it_is_told_through_a_killed_zsched(lab: &Lab) {
    let zone = held(lab);
    zone.boot();
    let before = zone.identity();
    until("the daemon listens", || (zone.door_status()["readiness"]["by"] == "notify").then_some(()));
    let keeper = zone.keeper();
    kill_and_wait(keeper);
    until("there is another", || zone.status().zsched.filter(|now| now.pid != keeper));
    zone.kill_daemon();
    release(&zone);
    becomes_ready(&zone, "notify");
    assert_eq!(zone.identity(), before);
}

fn it_is_lost_with_daemon_and_zsched(lab: &Lab) {
    let zone = held(lab);
    zone.boot();
    zone.kill_daemon();
    kill_and_wait(zone.keeper());
    let ran = zone.zoneadm(["wait", "--ready", "-t", "50"]);
    ran.exits(1).stderr_has("cannot be told whether it is ready").stderr_has("zlogin web");
    has(&zone, "unknown", Some("notify"));
    // Its rc went with the console, which was hung up.
    hold_again(&zone);
    zone.zoneadm(["reboot"]).ok();
    release(&zone);
    becomes_ready(&zone, "notify");
}

fn it_survives_deaths_at_every_point(lab: &Lab) {
    fn is_ready(zone: &Zone<'_>, before: &crate::harness::Status, ran: &crate::harness::Ran) {
        crash::is_up(zone, before, ran);
        has(zone, "ready", Some("notify"));
    }
    crash::sweep_of(&crash::zone(lab), crash::nothing, &["boot", "--wait"], 0, is_ready);
}

fn the_daemon_dies_as_it_hears_of_it(lab: &Lab) {
    let zone = held(lab);
    for point in ["readiness.heard", "readiness.recorded"] {
        zone.boot();
        let before = zone.identity();
        zone.dies(&[("zoneadmd", point, 1)]);
        release(&zone);
        becomes_ready(&zone, "notify");
        assert_eq!(zone.identity(), before);
        let deaths = zone.die_no_more();
        need_failpoints(&deaths);
        assert!(deaths.iter().any(|death| death.contains(point)), "{deaths:?}");
        zone.zoneadm(["halt"]).ok();
        hold_again(&zone);
    }
}

fn guest(lab: &Lab, guest: &str, by: &str) {
    let zone = lab.guest("deb", guest, "");
    zone.zoneadm_within(120, ["boot", "--wait=100"]).ok();
    has(&zone, "ready", Some(by));
    let before = zone.status();
    zone.zoneadm_within(120, ["shutdown", "-r"]).ok();
    zone.runs_again(&before);
    zone.zoneadm_within(120, ["wait", "--ready", "-t", "100"]).ok();
    has(&zone, "ready", Some(by));
    if by == "notify" {
        zone.zlogin(["systemctl", "is-system-running"]).ok().stdout_is("running\n");
        zone.zlogin(["sh", "-c", "for n in 1 2 3 4 5 6 7 8 9 10 11 12; do systemctl daemon-reload; done"])
            .ok();
    }
    if by == "runlevel" {
        let getty = zone.zlogin(["sh", "-c", "cat /proc/[0-9]*/comm 2>/dev/null"]);
        assert!(getty.out().lines().any(|line| line.contains("getty")), "{getty}");
    }
}

fn debian12_systemd(lab: &Lab) {
    guest(lab, "debian12-systemd", "notify");
}

fn debian12_sysvinit(lab: &Lab) {
    guest(lab, "debian12-sysvinit", "runlevel");
}

fn debian13_openrc(lab: &Lab) {
    guest(lab, "debian13-openrc", "runlevel");
}

//! The arguments of a reboot from inside: they are left in a file of the zone's `/run`, and hold for one boot.

use super::accepted::arguments;
use super::adopt::{adopted, kill_both};
use super::crash::{leaves_nothing, zone};
use super::crash_keeper::{tell_init, up_and_alone};
use crate::harness::world::World;
use crate::harness::{Lab, Status, Zone, cases, kill_and_wait, until, write_program};
use rustix::process::Signal;

cases![
    they_arrive_and_hold_for_one_boot: 120,
    who_asks_from_outside_has_his_own: 180,
    a_restart_of_init_is_not_that_boot: 120,
    an_init_is_named: 120,
    what_is_not_fit_is_passed_over: 240,
    what_is_mounted_over_them_is_not_looked_at: 120,
    they_outlive_daemon_and_zsched: 240,
    they_outlive_a_daemon_at_every_boundary: 300,
];

/// Leaves them as any program in the zone can.
const LEAVE: &str = "mkdir -p /run/systemd && echo '-m left' > /run/systemd/reboot-param";

/// A zone that runs with arguments that somebody outside has given.
fn up<'lab>(lab: &'lab Lab) -> Zone<'lab> {
    let zone = lab.sparse_with("web", "set bootargs=\"-m configured\"");
    zone.zoneadm(["boot", "--", "-m", "given"]).ok();
    zone
}

/// Reboots it from inside.
#[track_caller]
fn reboots(zone: &Zone<'_>, words: &[&str]) -> Status {
    let before = zone.status();
    let _ = zone.zlogin(words);
    let after = zone.runs_again(&before);
    assert_eq!(after.last_exit.as_ref().map(|exit| exit.how.as_str()), Some("rebooted"));
    zone.waits_for("the reboot is through", |now| now.operation.is_none())
}

/// Runs `script` inside and has init reboot, by a command that takes no arguments.
#[track_caller]
fn reboots_after(zone: &Zone<'_>, script: &str) {
    zone.sh(script).ok();
    reboots(zone, &["kill", "-TERM", "1"]);
}

fn they_arrive_and_hold_for_one_boot(lab: &Lab) {
    let zone = up(lab);
    reboots(&zone, &["reboot", "--", "-s"]);
    assert_eq!(arguments(&zone), ["-s"]);
    until("the console says so", || {
        let log = lab.zoneadm(["console", "web", "--log"]).out();
        log.contains("NOTICE: Zone rebooting with arguments: -s]").then_some(())
    });
    reboots(&zone, &["reboot"]);
    assert_eq!(arguments(&zone), ["-m", "given"], "what was given outside holds again");
    reboots(&zone, &["reboot", "--", "-m", "left", "--odd"]);
    assert_eq!(arguments(&zone), ["-m", "left", "--odd"]);
    zone.zoneadm(["reboot"]).ok();
    assert_eq!(arguments(&zone), ["-m", "given"], "also for whoever reboots from outside");
    // The last command says what holds.
    reboots_after(&zone, LEAVE);
    assert_eq!(arguments(&zone), ["-m", "left"]);
    zone.sh(LEAVE).ok();
    reboots(&zone, &["reboot"]);
    assert_eq!(arguments(&zone), ["-m", "given"]);
}

fn who_asks_from_outside_has_his_own(lab: &Lab) {
    let zone = up(lab);
    zone.sh(LEAVE).ok();
    zone.zoneadm(["reboot", "--", "-m", "outside"]).ok();
    assert_eq!(arguments(&zone), ["-m", "outside"]);
    zone.sh(LEAVE).ok();
    zone.zoneadm(["reboot"]).ok();
    assert_eq!(arguments(&zone), ["-m", "outside"]);
    zone.sh(LEAVE).ok();
    zone.zoneadm(["shutdown", "-r"]).ok();
    assert_eq!(arguments(&zone), ["-m", "outside"]);
    zone.halt();
    // An init that is asked to go down reboots instead: how the zone comes back has been said before.
    let contrary =
        format!("trap \"{LEAVE}; exec busybox reboot -f\" INT TERM PWR USR1 USR2; while :; do sleep 1; done");
    let zone = lab.tiny("contrary", &contrary);
    zone.boot();
    zone.zoneadm_within(60, ["shutdown", "-r", "--", "-m", "outside"]).ok();
    let now = zone.status();
    assert_eq!(now.last_exit.map(|exit| exit.how).as_deref(), Some("rebooted"));
    assert_eq!(arguments(&zone), ["/sbin/init", "-m", "outside"]);
}

fn a_restart_of_init_is_not_that_boot(lab: &Lab) {
    let zone = up(lab);
    let before = reboots(&zone, &["reboot", "--", "-m", "left"]);
    assert_eq!(arguments(&zone), ["-m", "left"]);
    tell_init(&zone, Signal::KILL);
    zone.runs_again(&before);
    assert_eq!(arguments(&zone), ["-m", "given"]);
}

fn an_init_is_named(lab: &Lab) {
    let zone = up(lab);
    write_program(&zone.file("/etc/other"), "#!/bin/sh\nexec sleep 2147483647\n");
    reboots(&zone, &["reboot", "--", "-i", "/etc/nope"]);
    assert_eq!(arguments(&zone), ["-m", "given"]);
    zone.zoneadm(["log"])
        .ok()
        .stdout_has("reboots without the arguments that it has left")
        .stdout_has("/etc/nope");
    reboots(&zone, &["reboot", "--", "-i", "/etc/other"]);
    assert_eq!(arguments(&zone), ["2147483647"]);
    zone.zoneadm(["reboot"]).ok();
    assert_eq!(arguments(&zone), ["-m", "given"]);
}

fn what_is_not_fit_is_passed_over(lab: &Lab) {
    let zone = up(lab);
    for (script, why) in [
        ("mkfifo /run/systemd/reboot-param", "is not a regular file"),
        ("mkdir /run/systemd/reboot-param", "is not a regular file"),
        ("ln -s /etc/hostname /run/systemd/reboot-param", "cannot open /run/systemd/reboot-param: "),
        ("rmdir /run/systemd; ln -s /etc /run/systemd", "cannot open /run/systemd/reboot-param: "),
        ("head -c 10000000 /dev/zero > /run/systemd/reboot-param", "boot argument string too long"),
        ("printf -- '-s\\033[2J\\n' > /run/systemd/reboot-param", "is not text"),
        ("printf '\\377' > /run/systemd/reboot-param", "is not text"),
    ] {
        let told = || zone.zoneadm(["log"]).ok().out().lines().filter(|line| line.contains(why)).count();
        let before = told();
        reboots_after(&zone, &format!("mkdir -p /run/systemd; {script}"));
        assert_eq!(arguments(&zone), ["-m", "given"], "{script}");
        assert_eq!(told(), before + 1, "{script}");
    }
    reboots_after(&zone, "mkdir -p /run/systemd; touch /run/systemd/reboot-param");
    assert_eq!(arguments(&zone), ["-m", "given"], "an empty file is none");
    reboots_after(&zone, &format!("{LEAVE}; head -c 10000000 /dev/zero >> /run/systemd/reboot-param"));
    assert_eq!(arguments(&zone), ["-m", "left"], "the first line counts");
}

fn what_is_mounted_over_them_is_not_looked_at(lab: &Lab) {
    let zone = up(lab);
    let over = |at: &str| format!("mkdir -p {at}; mount -t tmpfs none {at}; {LEAVE}");
    for at in ["/run/systemd", "/run"] {
        reboots_after(&zone, &over(at));
        assert_eq!(arguments(&zone), ["-m", "given"], "{at}");
    }
    reboots_after(&zone, &format!("{LEAVE}; mount -t tmpfs none /run/systemd"));
    assert_eq!(arguments(&zone), ["-m", "left"], "what lies below is there when the mount is gone");
}

fn kill_zsched(zone: &Zone<'_>) {
    let keeper = zone.keeper();
    kill_and_wait(keeper);
    adopted(zone, keeper);
}

/// Kills both, and has a command bring others.
fn kill_all(zone: &Zone<'_>) {
    let keeper = zone.keeper();
    kill_both(zone);
    zone.zoneadm(["boot"]).ok().stderr_has("already booted");
    adopted(zone, keeper);
}

fn they_outlive_daemon_and_zsched(lab: &Lab) {
    let zone = up(lab);
    let arrive = |dead: &str| {
        reboots(&zone, &["reboot", "--", "-m", "left"]);
        assert_eq!(arguments(&zone), ["-m", "left"], "{dead}");
    };
    zone.kill_daemon();
    arrive("zoneadmd");
    kill_zsched(&zone);
    arrive("zsched");
    kill_all(&zone);
    arrive("both");
    // One after the other, with what the first heir was handed.
    kill_all(&zone);
    kill_zsched(&zone);
    zone.kill_daemon();
    arrive("all");
}

fn they_outlive_a_daemon_at_every_boundary(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    for number in 1.. {
        let before = up_and_alone(&zone);
        zone.sh(LEAVE).ok();
        zone.die_at(&[number]);
        tell_init(&zone, Signal::TERM);
        zone.waits_for("the zone runs again", |now| {
            now.state == "running" && now.uniqid != before.uniqid && now.operation.is_none()
        });
        zone.dead_or_done();
        let deaths = zone.die_no_more();
        assert_eq!(arguments(&zone), ["-m", "left"], "{deaths:?}");
        leaves_nothing(&zone, &world, &deaths.join(", then "));
        if deaths.is_empty() {
            break;
        }
    }
}

//! A daemon that is killed at every boundary between two steps, and nobody there who would insist:
//! whoever made the call was killed with it. The next command finds what is left.

use super::crash::{be_ready, be_up, is_drawn, leaves_nothing, nothing, seed, zone};
use crate::harness::world::World;
use crate::harness::{Lab, Status, Zone, cases, need_failpoints};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

cases![
    ready: 600,
    boot: 600,
    halt: 600,
    reboot: 600,
    uninstall_after_a_crash: 300,
    an_idle_death_is_not_noticed: 120,
];

/// Makes one call at the door, and hears its end, whatever that is.
pub(super) fn call(zone: &Zone<'_>, method: &str) {
    let socket = zone_sys::unix::connect_in(&zone.run_dir(), "door", rustix::net::SocketType::STREAM);
    let mut stream = UnixStream::from(socket.unwrap_or_else(|e| panic!("the door: {e}")));
    stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap_or_else(|e| panic!("{e}"));
    let _ = stream.write_all(format!("{{\"method\":\"org.zones.zoneadmd.{method}\"}}\0").as_bytes());
    let mut byte = [0];
    while stream.read(&mut byte).unwrap_or(0) == 1 && byte[0] != 0 {}
}

/// Waits until the zone is in a state that nobody is going to change by himself. Who asks how things stand just as the
/// daemon dies knocks at a door that zsched then has another serve, and that one carries on what was begun.
fn settles(zone: &Zone<'_>) -> Status {
    zone.waits_for("the zone settles", |now| {
        let carried_on = || zone.unfinished().is_some() && zone.daemon().is_some();
        now.operation.is_none() && now.state != "down" && !carried_on()
    })
}

/// Calls `method` with the daemon killed at its first boundary, its second and so on. Of the zone that is
/// then alone `judge` gets the state before, the state now and where the daemon died; then one of
/// some commands, another one each day, must bring it where that command leads to.
fn sweep(lab: &Lab, prepare: fn(&Zone<'_>), method: &str, judge: fn(&Status, &Status, &str)) {
    let nexts = [("halt", "installed"), ("ready", "ready"), ("boot", "running")];
    let zone = zone(lab);
    let world = World::look(&[]);
    let seed = seed();
    eprintln!("seed {seed}: set CRASH_SEED to it for the same commands");
    for number in 1.. {
        let mut died = false;
        let drawn =
            nexts.into_iter().enumerate().filter(|&(which, _)| is_drawn(seed, number, which, nexts.len()));
        for (next, state) in drawn.map(|(_, next)| next) {
            prepare(&zone);
            if zone.daemon().is_none() {
                lab.command("zoneadmd", ["-z", "web"]).run().ok();
            }
            let before = zone.status();
            zone.die_at(&[number]);
            call(&zone, method);
            zone.dead_or_done();
            let deaths = zone.die_no_more();
            if number == 1 {
                need_failpoints(&deaths);
            }
            let at = deaths.join(", then ");
            let now = settles(&zone);
            eprintln!("{number}: {at}: {} {:?}", now.state, now.last_exit);
            judge(&before, &now, &at);
            let ran = zone.zoneadm([next]);
            eprintln!("{ran}");
            ran.ok();
            zone.is(state);
            let unfinished = zone.unfinished().filter(|_| zone.daemon().is_some());
            assert_eq!(unfinished, None, "after a death at {at} and a {next}");
            if state == "running" {
                zone.zlogin(["cat", "/proc/mounts"]).ok().stdout_has(" /data ");
            }
            leaves_nothing(&zone, &world, &at);
            died |= !deaths.is_empty();
        }
        if !died {
            return;
        }
    }
}

fn ready(lab: &Lab) {
    sweep(lab, nothing, "Ready", |_, now, at| {
        assert!(["installed", "ready"].contains(&now.state.as_str()), "{at}: {now:?}");
    });
}

fn boot(lab: &Lab) {
    sweep(lab, nothing, "Boot", |_, now, at| {
        assert!(["installed", "ready", "running"].contains(&now.state.as_str()), "{at}: {now:?}");
    });
}

fn halt(lab: &Lab) {
    sweep(lab, be_up, "Halt", |before, now, at| match now.state.as_str() {
        // Not yet begun: it is untouched. Its first process lives: nobody's turn but the next command's.
        "running" | "shutting_down" => assert_eq!(now.uniqid, before.uniqid, "{at}"),
        // Once its first process is dead, the keeper sees to the rest.
        "installed" => {
            let how = now.last_exit.as_ref().map(|exit| (exit.uniqid.clone(), exit.how.as_str()));
            assert_eq!(how, before.uniqid.clone().map(|id| (id, "halted")), "{at}");
        }
        other => panic!("{at}: {other}"),
    });
}

fn reboot(lab: &Lab) {
    sweep(lab, be_up, "Reboot", |before, now, at| match now.state.as_str() {
        "running" if now.uniqid == before.uniqid => {}
        "running" => {
            let how = now.last_exit.as_ref().map(|exit| (exit.uniqid.clone(), exit.how.as_str()));
            assert_eq!(how, before.uniqid.clone().map(|id| (id, "rebooted")), "{at}");
        }
        "shutting_down" | "ready" | "installed" => {}
        other => panic!("{at}: {other}"),
    });
}

fn uninstall_after_a_crash(lab: &Lab) {
    let zone = zone(lab);
    be_up(&zone);
    for number in 1.. {
        let world_before_death = zone.status();
        zone.die_at(&[number]);
        call(&zone, "Halt");
        zone.dead_or_done();
        let deaths = zone.die_no_more();
        let now = settles(&zone);
        eprintln!("{number}: {deaths:?}: {} {:?}", now.state, world_before_death.uniqid);
        if now.state != "installed" {
            zone.zoneadm(["uninstall", "-F"]).refuses();
            zone.halt_whatever();
        }
        zone.zoneadm(["uninstall", "-F"]).ok();
        zone.is("configured");
        if deaths.is_empty() {
            return;
        }
        zone.zoneadm(["install"]).ok();
        be_up(&zone);
    }
}

fn an_idle_death_is_not_noticed(lab: &Lab) {
    let zone = zone(lab);
    for prepare in [be_ready as fn(&Zone<'_>), be_up] {
        prepare(&zone);
        let before = zone.status();
        zone.kill_daemon();
        for words in [&["list", "-v"][..], &["list", "-p"], &["list", "-v", "--json"]] {
            zone.zoneadm(words).ok().quiet();
        }
        let now = zone.status();
        assert_eq!((now.uniqid, now.pid, now.state), (before.uniqid, before.pid, before.state));
        assert_eq!(zone.daemon(), None, "a list starts nobody");
    }
}

//! The ends that a zone takes when nobody halts it, each with the daemon killed at every point on the way: a shutdown
//! of which nobody is there to insist, one that init does not hear, an init that ends and is started again, and a
//! keeper that dies and has no successor.

use super::crash::{be_up, leaves_nothing, zone};
use super::crash_alone::call;
use crate::harness::world::World;
use crate::harness::{Command, Lab, Zone, cases, kill_and_wait, need_failpoints, until};
use std::fs;

cases![
    a_shutdown_that_nobody_insists_on: 300,
    a_shutdown_that_init_does_not_hear: 180,
    an_init_that_is_started_again: 180,
    a_keeper_without_a_successor: 120,
    a_reboot_whose_daemons_die_twice,
];

fn is_shut_down(zone: &Zone<'_>, before: Option<&String>, at: &str) {
    let last =
        zone.status().last_exit.unwrap_or_else(|| panic!("its end must be on record after a death at {at}"));
    assert_eq!(Some(&last.uniqid), before, "after a death at {at}");
    assert!(
        ["shutdown", "poweroff", "halted"].contains(&last.how.as_str()),
        "{} after a death at {at}",
        last.how
    );
}

fn a_shutdown_that_nobody_insists_on(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    for number in 1.. {
        let mut died = false;
        for next in ["halt", "shutdown", "boot"] {
            be_up(&zone);
            zone.zlogin(["true"]).ok();
            let before = zone.status();
            zone.die_at(&[number]);
            call(&zone, "Shutdown");
            // It may have been asked for all the same; a daemon is at rest when it is through.
            let deaths = until("the daemon has died, or is through", || {
                let deaths = zone.deaths();
                (!deaths.is_empty() || zone.nobody_is_daemon()).then_some(deaths)
            });
            zone.die_no_more();
            if number == 1 {
                need_failpoints(&deaths);
            }
            let at = deaths.join(", then ");
            let ran = zone.zoneadm([next]);
            eprintln!("{number}: {at}: {ran}");
            let was_through = next == "shutdown" && ran.err().contains("not running");
            assert!(ran.code() == Some(0) || was_through, "after a death at {at}\n{ran}");
            // A boot of a zone that is going down says that it is booted, as without any death.
            let now =
                zone.waits_for(&format!("the zone settles after a death at {at} and a {next}"), |now| {
                    let is_down = now.state == "installed" && now.operation.is_none();
                    is_down || next == "boot" && now.state == "running" && now.uniqid != before.uniqid
                });
            if now.state == "installed" {
                is_shut_down(&zone, before.uniqid.as_ref(), &at);
            }
            be_up(&zone);
            zone.zlogin(["true"]).ok();
            leaves_nothing(&zone, &world, &at);
            died |= !deaths.is_empty();
        }
        if !died {
            return;
        }
    }
}

fn a_shutdown_that_init_does_not_hear(lab: &Lab) {
    let zone = lab.tiny("web", "trap '' TERM INT HUP PWR USR1 USR2 RTMIN+4; while :; do sleep 1000; done");
    let world = World::look(&[]);
    for point in ["shutdown.noted", "shutdown.asked", "shutdown.late", "kill.sent", "shutdown.over"] {
        be_up(&zone);
        let before = zone.status();
        zone.dies(&[("zoneadmd", point, 1)]);
        let ran = zone.zoneadm(["shutdown", "-t", "1"]);
        let deaths = zone.die_no_more();
        need_failpoints(&deaths);
        assert_eq!(deaths, [format!("zoneadmd {point}")], "{ran}");
        eprintln!("{point}: {ran}");
        ran.ok();
        zone.becomes("installed");
        is_shut_down(&zone, before.uniqid.as_ref(), point);
        leaves_nothing(&zone, &world, point);
    }
}

fn an_init_that_is_started_again(lab: &Lab) {
    let _ = lab.points();
    let init = "if [ -e /mark ]; then exec sleep 2147483647; fi; echo > /mark; exit 3";
    let zone = lab.tiny("web", init);
    let world = World::look(&[]);
    for point in
        ["upcall.heard", "upcall.delayed", "upcall.decided", "halt.consumed", "step.snapshot", "step.exec"]
    {
        // The boot itself takes the same steps, so that it has to be over.
        fs::remove_file(zone.file("/mark"))
            .or_else(|e| match e.kind() {
                std::io::ErrorKind::NotFound => Ok(()),
                _ => Err(e),
            })
            .unwrap_or_else(|e| panic!("{e}"));
        let passage = if ["step.snapshot", "step.exec"].contains(&point) { 2 } else { 1 };
        zone.dies(&[("zoneadmd", point, passage)]);
        let ran = zone.zoneadm(["boot"]);
        // The second one stays up, whoever sees to that.
        let now = zone.waits_for(&format!("init is started again after a death at {point}"), |now| {
            now.state == "running"
                && now.operation.is_none()
                && now.last_exit.is_some()
                && !zone.deaths().is_empty()
        });
        let deaths = zone.die_no_more();
        eprintln!("{point}: {now:?} {ran}");
        assert_eq!(deaths, [format!("zoneadmd {point}")], "{ran}");
        let last = now.last_exit.clone().unwrap_or_else(|| panic!("{now:?}"));
        assert_ne!(Some(last.uniqid), now.uniqid, "{point}");
        zone.zlogin(["true"]).ok();
        leaves_nothing(&zone, &world, point);
        let _ = fs::remove_file(zone.path().join("lastexit.toml"));
    }
}

/// Without the program zsched on the disk, there is no successor for one that was killed: what it kept is cleared away.
fn a_keeper_without_a_successor(lab: &Lab) {
    let _ = lab.points();
    let zone = zone(lab);
    let world = World::look(&[]);
    let bin = lab.path("bin");
    fs::create_dir(&bin).unwrap_or_else(|e| panic!("{e}"));
    for name in ["zoneadm", "zoneadmd", "zsched", "zinit", "zlogin"] {
        lab.name_program(&lab.program(name), &bin.join(name));
    }
    let zoneadm = |verb: &str| {
        Command::new(bin.join("zoneadm")).args(["-z", "web", verb]).env("ZONES_ROOT", lab.root()).run()
    };
    // Nothing but its console is there to be served.
    let mut console =
        Command::new(bin.join("zlogin")).args(["-C", "web"]).env("ZONES_ROOT", lab.root()).start();
    let keeper = until("it has a zsched", || {
        World::processes().since(&world, &lab.root()).into_iter().find_map(|thing| {
            let (pid, _) = thing.strip_prefix("process ")?.split_once(" zsched (zsched web ")?;
            pid.parse().ok()
        })
    });
    // One that is still starting would say so, and end at once.
    until("the console serves", || {
        zone.daemon().and_then(|_| zone.status().consoles).is_some_and(|all| all.len() == 1).then_some(())
    });
    fs::rename(bin.join("zsched"), bin.join("away")).unwrap_or_else(|e| panic!("{e}"));
    zone.dies(&[("zoneadmd", "end.cleared", 1)]);
    kill_and_wait(keeper);
    until("the daemon has died", || (!zone.deaths().is_empty()).then_some(()));
    assert_eq!(zone.die_no_more(), ["zoneadmd end.cleared"]);
    zone.is("installed");
    console.kill();
    let _ = console.wait();
    fs::rename(bin.join("away"), bin.join("zsched")).unwrap_or_else(|e| panic!("{e}"));
    zoneadm("boot").ok();
    zone.is("running");
    leaves_nothing(&zone, &world, "end.cleared");
}

/// Nobody asks for anything: zsched alone sees to it that the zone comes back.
fn a_reboot_whose_daemons_die_twice(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    be_up(&zone);
    zone.zlogin(["true"]).ok();
    let before = zone.status();
    zone.dies(&[("zoneadmd", "done.create", 1), ("zoneadmd", "kill.stopping", 1)]);
    let _ = zone.zlogin(["reboot"]);
    zone.runs_again(&before);
    let deaths = zone.die_no_more();
    need_failpoints(&deaths);
    assert_eq!(deaths, ["zoneadmd done.create", "zoneadmd kill.stopping"]);
    leaves_nothing(&zone, &world, "two deaths in a reboot");
}

//! zsched is killed, alone or with the daemon, while something is being done with the zone.

use super::crash::{be_ready, be_up, leaves_nothing, nothing, zone};
use crate::harness::world::World;
use crate::harness::{Lab, Ran, Zone, cases, kill_and_wait, until};
use std::time::Duration;

cases![
    killed_while_it_boots: 400,
    killed_while_a_ready_zone_boots: 400,
    killed_while_it_halts: 400,
    killed_while_it_reboots: 400,
    killed_while_it_shuts_down: 400,
    killed_with_the_daemon_while_it_boots: 400,
    killed_with_the_daemon_while_it_halts: 400,
    killed_with_the_daemon_while_it_reboots: 400,
];

/// The blow, at another moment each time; nothing waits for it.
const MICROS: [u64; 12] = [0, 200, 400, 700, 1_000, 1_500, 2_200, 3_000, 4_500, 7_000, 12_000, 25_000];

/// The zone's zsched, found by the world's processes: no zone need be up for it.
fn keeper(zone: &Zone<'_>, world: &World) -> Option<i32> {
    let of_zone = format!(" zsched (zsched {} ", zone.name());
    World::processes().since(world, &zone.root()).into_iter().find_map(|thing| {
        let (pid, _) = thing.strip_prefix("process ")?.split_once(&of_zone)?;
        pid.parse().ok()
    })
}

/// Does `words` to the zone again and again, zsched (and the daemon, if `both`) killed a little later each time. Then the same
/// command, repeated, must bring the zone to `state`.
fn sweep(lab: &Lab, prepare: fn(&Zone<'_>), words: &[&str], both: bool, state: &str) {
    let zone = zone(lab);
    let world = World::look(&[]);
    for micros in MICROS {
        prepare(&zone);
        // The daemon and its zsched are there before the command, so that there is somebody to kill.
        if zone.daemon().is_none() {
            lab.command("zoneadmd", ["-z", zone.name()]).run().ok();
        }
        let victim = until("it has a zsched", || keeper(&zone, &world));
        let daemon = zone.daemon().filter(|_| both);
        let command = zone.zoneadm_command(words).within(120).start();
        std::thread::sleep(Duration::from_micros(micros));
        daemon.into_iter().chain([victim]).for_each(kill_if_there);
        let ran = command.wait();
        eprintln!("{micros} us: {ran}");
        judge(&zone, &ran, words, state);
        leaves_nothing(&zone, &world, &format!("zsched, {micros} us into {words:?}"));
    }
}

/// Kills it, unless it has left by itself.
fn kill_if_there(pid: i32) {
    if crate::harness::proc_status(pid, "Pid").is_some() && rustix::process::Pid::from_raw(pid).is_some() {
        let killed = std::panic::catch_unwind(|| kill_and_wait(pid));
        drop(killed);
    }
}

#[track_caller]
fn judge(zone: &Zone<'_>, ran: &Ran, words: &[&str], state: &str) {
    let now = zone.waits_for("the zone settles", |now| now.operation.is_none() && now.state != "down");
    if ran.code() == Some(0) {
        assert_eq!(now.state, state, "the command said that it was done\n{ran}");
    }
    if now.state != state {
        // A reboot or shutdown of a zone that has ended meanwhile has nothing to do.
        let again = if now.state == "installed" && state == "running" { &["boot"][..] } else { words };
        zone.zoneadm(again).ok();
    }
    zone.is(state);
    if state == "running" {
        zone.zlogin(["cat", "/proc/mounts"]).ok().stdout_has(" /data ");
    }
}

fn killed_while_it_boots(lab: &Lab) {
    sweep(lab, nothing, &["boot"], false, "running");
}

fn killed_while_a_ready_zone_boots(lab: &Lab) {
    sweep(lab, be_ready, &["boot"], false, "running");
}

fn killed_while_it_halts(lab: &Lab) {
    sweep(lab, be_up, &["halt"], false, "installed");
}

fn killed_while_it_reboots(lab: &Lab) {
    sweep(lab, be_up, &["reboot"], false, "running");
}

fn killed_while_it_shuts_down(lab: &Lab) {
    sweep(lab, be_up, &["shutdown"], false, "installed");
}

fn killed_with_the_daemon_while_it_boots(lab: &Lab) {
    sweep(lab, nothing, &["boot"], true, "running");
}

fn killed_with_the_daemon_while_it_halts(lab: &Lab) {
    sweep(lab, be_up, &["halt"], true, "installed");
}

fn killed_with_the_daemon_while_it_reboots(lab: &Lab) {
    sweep(lab, be_up, &["reboot"], true, "running");
}

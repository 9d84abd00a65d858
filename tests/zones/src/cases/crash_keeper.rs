//! The keeper: what it does when it alone is left. What the others do when it is gone is in `adopt`.

use super::crash::{be_up, leaves_nothing, zone};
use crate::harness::world::World;
use crate::harness::{Lab, Zone, cases, need_failpoints, proc_status, read, until, write};
use rustix::process::{Pid, Signal, kill_process};

cases![
    it_dies_between_what_it_shows_and_its_answer: 180,
    it_brings_a_daemon_for_a_reboot,
    it_brings_a_daemon_for_a_poweroff,
    it_brings_one_daemon_after_another: 300,
    it_brings_a_daemon_whose_program_was_away: 180,
    it_brings_a_daemon_that_is_killed_in_a_loop: 180,
    a_cut_index_keeps_no_zone_from_being_halted: 120,
    a_garbled_index_keeps_no_zone_from_being_halted: 120,
    a_lost_index_keeps_no_zone_from_being_halted: 120,
    spoilt_files_of_a_live_zone: 180,
];

/// What the sparse brand's init understands.
pub(super) fn tell_init(zone: &Zone<'_>, signal: Signal) {
    let pid = Pid::from_raw(zone.status().pid1()).unwrap_or_else(|| panic!("no PID 1"));
    kill_process(pid, signal).unwrap_or_else(|e| panic!("{e}"));
}

/// Runs a zone whose init listens to signals, and kills its daemon.
pub(super) fn up_and_alone(zone: &Zone<'_>) -> crate::harness::Status {
    be_up(zone);
    // A command that runs in it was let in by an init that is through with its own start.
    zone.zlogin(["true"]).ok();
    let before = zone.status();
    until("init listens", || {
        let caught = proc_status(before.pid1(), "SigBlk")?;
        u64::from_str_radix(&caught, 16).ok().filter(|mask| mask & (1 << 14) != 0)
    });
    zone.kill_daemon();
    before
}

/// What it has shown is believed of nobody else.
fn it_dies_between_what_it_shows_and_its_answer(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    for deed in ["boot", "halt"] {
        zone.zoneadm([if deed == "boot" { "ready" } else { "boot" }]).ok();
        let keeper = zone.keeper();
        zone.dies(&[("zsched", "status.shown", 1)]);
        let ran = zone.zoneadm_within(60, [deed]);
        let died = zone.die_no_more();
        need_failpoints(&died);
        assert_eq!(died, ["zsched status.shown"], "{ran}");
        zone.waits_for("it settles", |now| {
            now.operation.is_none() && now.zsched.as_ref().is_none_or(|now| now.pid != keeper)
        });
        let state = zone.status().state;
        lab.zoneadm(["list", "-cp"]).ok().stdout_has(&format!(":web:{state}:"));
        be_up(&zone);
        lab.zoneadm(["list", "-cp"]).ok().stdout_has(":web:running:");
        zone.halt();
        leaves_nothing(&zone, &world, deed);
    }
}

fn it_brings_a_daemon_for_a_reboot(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    let before = up_and_alone(&zone);
    let keeper = zone.keeper();
    tell_init(&zone, Signal::TERM);
    let after = zone.runs_again(&before);
    assert_eq!(after.last_exit.map(|exit| exit.how).as_deref(), Some("rebooted"));
    assert_eq!(zone.keeper(), keeper, "the keeper stays the same");
    assert!(zone.daemon().is_some(), "and has a daemon again");
    zone.waits_for("the reboot is through", |now| now.operation.is_none());
    assert_eq!(zone.unfinished(), None);
    leaves_nothing(&zone, &world, "the upcall");
}

fn it_brings_a_daemon_for_a_poweroff(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    let before = up_and_alone(&zone);
    tell_init(&zone, Signal::USR2);
    let after = zone.becomes("installed");
    let last = after.last_exit.unwrap_or_else(|| panic!("its end must be on record"));
    assert_eq!((Some(last.uniqid), last.how.as_str()), (before.uniqid, "poweroff"));
    leaves_nothing(&zone, &world, "the upcall");
}

fn it_brings_one_daemon_after_another(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    for (signal, state) in [(Signal::TERM, "running"), (Signal::USR2, "installed")] {
        for number in 1.. {
            let before = up_and_alone(&zone);
            zone.die_at(&[number]);
            tell_init(&zone, signal);
            // No command is given: the keeper alone sees to it that the zone gets where it wants to be.
            let after = zone.waits_for(&format!("the zone is {state} at last"), |now| {
                now.state == state && now.uniqid != before.uniqid && now.operation.is_none()
            });
            assert!(after.last_exit.is_some_and(|exit| Some(exit.uniqid) == before.uniqid));
            zone.dead_or_done();
            let deaths = zone.die_no_more();
            eprintln!("{number}: {deaths:?}");
            leaves_nothing(&zone, &world, &deaths.join(", then "));
            if deaths.is_empty() {
                break;
            }
        }
    }
}

fn it_brings_a_daemon_whose_program_was_away(lab: &Lab) {
    use std::os::unix::fs::PermissionsExt;
    let zone = zone(lab);
    let world = World::look(&[]);
    let copies = super::upgrade::Copies::new(lab, "bin");
    let (program, aside) = (copies.dir.join("zoneadmd"), copies.dir.join("away"));
    let mode = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&program, permissions).unwrap_or_else(|e| panic!("{e}"));
    };
    let moved = |from: &std::path::Path, to: &std::path::Path| {
        std::fs::rename(from, to).unwrap_or_else(|e| panic!("{e}"));
    };
    for (signal, state, how) in
        [(Signal::TERM, "running", "rebooted"), (Signal::USR2, "installed", "poweroff")]
    {
        for command in [false, true] {
            copies.run("zoneadm", &["-z", "web", "boot"]).ok();
            let before = up_and_alone(&zone);
            // Gone for one half, not executable for the other.
            if command {
                mode(0o600);
            } else {
                moved(&program, &aside);
            }
            tell_init(&zone, signal);
            zone.becomes("down");
            // zsched has tried by now, and tries again.
            assert_eq!(zone.daemon(), None);
            if command {
                mode(0o755);
            } else {
                moved(&aside, &program);
            }
            if command {
                // At once, whatever zsched's next attempt would be.
                copies.run("zoneadm", &["-z", "web", if state == "running" { "boot" } else { "halt" }]).ok();
            }
            let after = zone.waits_for(&format!("the zone is {state} at last"), |now| {
                now.state == state && now.uniqid != before.uniqid && now.operation.is_none()
            });
            let last = after.last_exit.unwrap_or_else(|| panic!("its end must be on record"));
            assert_eq!((Some(last.uniqid), last.how.as_str()), (before.uniqid, how));
            leaves_nothing(&zone, &world, "a program that was away");
        }
    }
}

fn it_brings_a_daemon_that_is_killed_in_a_loop(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    for (signal, state) in [(Signal::TERM, "running"), (Signal::USR2, "installed")] {
        let before = up_and_alone(&zone);
        tell_init(&zone, signal);
        // As soon as one serves it is killed; a busy killer, but not one who prevents that it gets a little further each time.
        let mut kills = 0;
        while kills < 8 && !(zone.status().uniqid != before.uniqid && zone.status().state == state) {
            if let Some(daemon) = zone.daemon() {
                let killed = std::panic::catch_unwind(|| crate::harness::kill_and_wait(daemon));
                kills += u32::from(killed.is_ok());
            }
        }
        let after = zone.waits_for(&format!("the zone is {state} at last"), |now| {
            now.state == state && now.uniqid != before.uniqid && now.operation.is_none()
        });
        // Of an incarnation that did not come to run before the next blow, at times.
        let how = after.last_exit.map(|exit| exit.how);
        let wished = if state == "running" { "rebooted" } else { "poweroff" };
        assert_eq!(how.as_deref(), Some(wished), "after {kills} kills");
        leaves_nothing(&zone, &world, &format!("{kills} kills"));
    }
}

/// Whether a process is no more, or nobody has reaped it yet.
pub(super) fn gone(pid: i32) -> bool {
    proc_status(pid, "State").is_none_or(|state| state.starts_with('Z'))
}

/// Spoils the index under a zone that runs and whose daemon was killed.
fn without_index(lab: &Lab, spoil: impl Fn(&str) -> Option<Vec<u8>>) {
    let zone = zone(lab);
    let before = up_and_alone(&zone);
    let index = lab.etc().join("index");
    let whole = read(&index);
    match spoil(&whole) {
        Some(bytes) => write(&index, bytes),
        None => std::fs::remove_file(&index).unwrap_or_else(|e| panic!("{e}")),
    }
    for verb in ["boot", "reboot", "ready", "shutdown"] {
        let ran = zone.zoneadm([verb]);
        ran.refuses().stderr_has("No such zone configured");
        assert!(!gone(before.pid1()), "{verb} has hurt the zone\n{ran}");
    }
    zone.zoneadm(["halt"]).ok();
    assert!(gone(before.pid1()));
    write(&index, &whole);
    zone.is("installed");
    zone.boot();
    zone.halt();
}

fn a_cut_index_keeps_no_zone_from_being_halted(lab: &Lab) {
    without_index(lab, |whole| Some(whole.as_bytes()[..3].to_vec()));
}

fn a_garbled_index_keeps_no_zone_from_being_halted(lab: &Lab) {
    without_index(lab, |_| Some(b"\xff\xfe\0\n:::\n".to_vec()));
}

fn a_lost_index_keeps_no_zone_from_being_halted(lab: &Lab) {
    without_index(lab, |_| None);
}

fn spoilt_files_of_a_live_zone(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    for name in ["snapshot.toml", "journal"] {
        for spoilt in [&b""[..], b"\xff\xfe\0\n", b"begin warp \nintent nothing\n[[[\n", b"version = 99\n"] {
            let before = up_and_alone(&zone);
            write(&zone.run_dir().join(name), spoilt);
            zone.is("running");
            zone.zoneadm(["boot"]).ok().stderr_has("already booted");
            assert_eq!(zone.status().pid, before.pid, "the zone has not suffered");
            let login = zone.zlogin(["true"]);
            assert!(
                login.code() == Some(0) || login.err().contains(name),
                "it works or names the file\n{login}"
            );
            leaves_nothing(&zone, &world, &format!("spoiling {name}"));
        }
    }
}

//! A zone whose processes live, whatever was lost of what is known about them: it is never called installed, nothing of it is
//! removed, and it can be halted.

use super::adopt::kill_both;
use super::crash::{be_up, zone};
use crate::harness::{Command, Lab, cases, kill_and_wait, proc_status, until};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::Path;

cases![
    processes_that_nobody_knows_are_no_installed_zone: 120,
    a_send_that_fails_is_no_death_of_zsched: 600,
    what_is_asked_before_a_death_was_noticed_is_decided_by_it: 120,
];

fn processes_that_nobody_knows_are_no_installed_zone(lab: &Lab) {
    let zone = zone(lab);
    be_up(&zone);
    let first = zone.status().pid1();
    kill_both(&zone);
    for file in ["incarnation", "snapshot.toml", "journal", "zsched"] {
        let _ = fs::remove_file(zone.run_dir().join(file));
    }
    let now = zone.status();
    assert_eq!((now.state.as_str(), now.pid), ("shutting_down", None));
    zone.zoneadm(["list", "-v"]).ok().stdout_has("shutting_down");
    zone.zoneadm(["uninstall", "-F"]).refuses().stderr_has("invalid for shutting_down zones");
    assert!(zone.root().join("etc").exists() && Path::new(&format!("/proc/{first}")).exists());
    for verb in ["boot", "ready"] {
        let ran = zone.zoneadm([verb]);
        assert!(ran.code() == Some(0) || ran.err().contains("shutting_down"), "{ran}");
        if ran.code() == Some(0) {
            // Made anew, and nothing of the old one is beside it.
            assert!(!Path::new(&format!("/proc/{first}")).exists());
        }
    }
    zone.halt_whatever();
    until("the first process has gone", || (!Path::new(&format!("/proc/{first}")).exists()).then_some(()));
}

fn what_is_asked_before_a_death_was_noticed_is_decided_by_it(lab: &Lab) {
    let zone = zone(lab);
    // The daemon finds the call and the death at once, and takes either first.
    for _ in 0..10 {
        zone.zoneadm(["ready"]).ok();
        let (first, keeper) = (zone.status().pid1(), zone.keeper());
        let daemon = zone.daemon().expect("a daemon");
        let signal = |signal| {
            let pid = Pid::from_raw(daemon).expect("a process id");
            kill_process(pid, signal).unwrap_or_else(|e| panic!("kill({daemon}): {e}"));
        };
        signal(Signal::STOP);
        until("it is stopped", || proc_status(daemon, "State").filter(|state| state.starts_with('T')));
        let asked = lab.command("zoneadm", ["-z", zone.name(), "ready"]).start();
        kill_and_wait(keeper);
        signal(Signal::CONT);
        asked.wait().ok();
        zone.is("ready");
        assert_ne!(zone.status().pid1(), first, "a zone that is ready goes with its zsched");
        zone.halt();
    }
}

fn a_send_that_fails_is_no_death_of_zsched(lab: &Lab) {
    if Command::new("strace").args(["-V"]).run_if().is_none() {
        crate::harness::skip("there is no strace");
    }
    let zone = zone(lab);
    let (zoneadm, done) = (lab.program("zoneadm").display().to_string(), lab.path("done"));
    let script = format!("{zoneadm} -z web boot; echo $? > {}", done.display());
    for errno in ["EPIPE", "EINTR", "ENOBUFS"] {
        for nth in 1..=6 {
            let _ = fs::remove_file(&done);
            let inject = format!("inject=sendmsg:error={errno}:when={nth}");
            let strace =
                Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=sendmsg", "-e"]);
            let strace =
                strace.args([&inject]).args(["/bin/sh", "-c", &script]).env("ZONES_ROOT", lab.root());
            // It stays for as long as what it traces: the daemon and zsched.
            let mut strace = strace.within(120).start();
            until("the boot has ended", || done.exists().then_some(()));
            let now = zone.waits_for("nothing is done any more", |now| now.operation.is_none());
            let alive = cgroup_is_populated(lab);
            assert!(
                now.state != "installed" || !alive,
                "{errno} {nth}: installed, and its processes live: {now:?}"
            );
            zone.halt_whatever();
            assert!(!cgroup_is_populated(lab), "{errno} {nth}");
            zone.daemon_leaves();
            until("strace has gone", || strace.ended().then_some(()));
            zone.zoneadm(["boot"]).ok();
            zone.halt_whatever();
            zone.daemon_leaves();
        }
    }
}

/// Whether processes live in the cgroup of the zone `web`.
fn cgroup_is_populated(lab: &Lab) -> bool {
    let procs = Command::new("/bin/sh")
        .args(["-c", "cat /proc/[0-9]*/cgroup 2>/dev/null | grep -c \"$1\"", "sh"])
        .args([format!("/{}/web/zone", installation(lab))])
        .run();
    procs.out().trim() != "0"
}

/// The name of the cgroup of all zones of this root, found by what is there: the first that names a zone of ours.
fn installation(lab: &Lab) -> String {
    // FNV-1a of the root's path, as docs/decisions.md has it.
    let hash =
        lab.root().as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("zones-{hash:016x}")
}

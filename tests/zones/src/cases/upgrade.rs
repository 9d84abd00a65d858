//! Other programs are put in the place of those that a zone was booted with.

use super::crash::{be_up, leaves_nothing, zone};
use crate::harness::world::World;
use crate::harness::{Command, Lab, Ran, Zone, cases, kill_and_wait, read, started_at, until, write};
use std::path::{Path, PathBuf};

cases![
    the_programs_are_replaced_under_a_running_zone: 180,
    every_daemon_is_renewed_at_once: 180,
    a_renewed_daemon_finds_what_the_old_one_left: 120,
    a_daemon_that_is_asked_to_end_ends_between_two_operations: 120,
    no_zsched_can_be_started_for_a_while: 120,
    a_console_kept_in_another_form: 120,
    a_full_run_directory: 180,
    a_login_has_what_init_has_whatever_the_programs_are,
    a_zone_of_older_programs_is_entered_rebooted_and_halted,
];

/// The memory in which a zsched keeps what the console said.
fn kept_by(keeper: i32) -> PathBuf {
    let fds = std::fs::read_dir(format!("/proc/{keeper}/fd")).unwrap_or_else(|e| panic!("{e}"));
    let is_it = |path: &PathBuf| {
        std::fs::read_link(path).is_ok_and(|target| target.to_string_lossy().contains("memfd:zone-console"))
    };
    let found = fds.flatten().map(|entry| entry.path()).find(is_it);
    found.unwrap_or_else(|| panic!("zsched, process {keeper}, keeps nothing"))
}

fn a_console_kept_in_another_form(lab: &Lab) {
    // It says nothing: with its next words zsched would put right what is spoilt here.
    let zone = lab.tiny("web", "exec sleep 2147483647");
    let world = World::look(&[]);
    be_up(&zone);
    let (before, keeper) = (zone.status(), zone.keeper());
    zone.kill_daemon();
    let kept = std::fs::OpenOptions::new().write(true).open(kept_by(keeper));
    let other = vec![b'?'; 4096];
    kept.and_then(|mut kept| std::io::Write::write_all(&mut kept, &other)).unwrap_or_else(|e| panic!("{e}"));
    let remedy = format!("kill -KILL {keeper}");
    zone.zoneadm(["halt"]).refuses().stderr_has("zone was booted with").stderr_has(&remedy);
    zone.zlogin(["true"]).ok();
    assert_eq!(zone.status().pid, before.pid, "the zone has not suffered");
    kill_and_wait(keeper);
    zone.zoneadm(["boot"]).ok().stderr_has("already booted");
    assert_eq!((zone.status().pid, zone.status().uniqid), (before.pid, before.uniqid));
    leaves_nothing(&zone, &world, "a console kept in another form");
}

const PROGRAMS: [&str; 6] = ["zoneadm", "zoneadmd", "zsched", "zlogin", "zonecfg", "zinit"];

/// A folder with copies of the programs.
pub(super) struct Copies<'lab> {
    lab: &'lab Lab,
    pub(super) dir: PathBuf,
}

impl<'lab> Copies<'lab> {
    pub(super) fn new(lab: &'lab Lab, name: &str) -> Self {
        let dir = lab.path(name);
        std::fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{e}"));
        let copies = Self { lab, dir };
        PROGRAMS.iter().for_each(|program| copies.put(program));
        copies
    }

    /// Puts a fresh copy in its place, as a package manager does: by a rename.
    pub(super) fn put(&self, program: &str) {
        let new = self.dir.join(format!(".{program}.new"));
        // By a program of its own, so that no child of another thread holds it open for writing when it is executed.
        let from = self.lab.program(program);
        Command::new("install").args(["-m", "755"]).args([from, new.clone()]).run().ok();
        std::fs::rename(&new, self.dir.join(program)).unwrap_or_else(|e| panic!("{e}"));
    }

    pub(super) fn run(&self, program: &str, args: &[&str]) -> Ran {
        Command::new(self.dir.join(program)).args(args).env("ZONES_ROOT", self.lab.root()).run()
    }
}

fn program_of(pid: i32) -> PathBuf {
    std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_else(|e| panic!("/proc/{pid}/exe: {e}"))
}

/// Whether a process executes what is at that path now.
fn is_current(pid: i32, path: &Path) -> bool {
    program_of(pid) == path
}

fn the_programs_are_replaced_under_a_running_zone(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    let copies = Copies::new(lab, "bin");
    copies.run("zoneadm", &["-z", "web", "boot"]).ok();
    let (before, old, keeper) = (zone.status(), zone.daemon().unwrap_or_default(), zone.keeper());
    let start = started_at(before.pid1());
    assert!(is_current(old, &copies.dir.join("zoneadmd")) && is_current(keeper, &copies.dir.join("zsched")));
    PROGRAMS.iter().for_each(|program| copies.put(program));
    assert!(!is_current(old, &copies.dir.join("zoneadmd")), "it goes on with what was replaced");
    // All commands work meanwhile, new programs with the old daemon and the old zsched.
    copies.run("zlogin", &["web", "true"]).ok();
    copies.run("zoneadm", &["-z", "web", "boot"]).ok().stderr_has("already booted");
    let ran = copies.run("zoneadm", &["-z", "web", "renew-daemon"]);
    let new = zone.daemon().unwrap_or_default();
    ran.ok()
        .stdout_has(&format!("process {new}, has taken the place of"))
        .stdout_has(&format!("process {old}"));
    assert!(ran.err().is_empty(), "there is nothing to recover\n{ran}");
    assert!(is_current(new, &copies.dir.join("zoneadmd")));
    let now = zone.status();
    assert_eq!(
        (now.pid, now.uniqid.clone(), started_at(now.pid1())),
        (before.pid, before.uniqid.clone(), start)
    );
    assert_eq!(zone.keeper(), keeper, "zsched stays");
    // The zone asks for a reboot under the old zsched and the new daemon, and under the old zsched alone.
    for daemon in [true, false] {
        let before = zone.status();
        if !daemon {
            zone.kill_daemon();
        }
        let _ = copies.run("zlogin", &["web", "reboot"]);
        zone.runs_again(&before);
        zone.waits_for("the reboot is through", |now| now.operation.is_none());
        assert!(is_current(zone.daemon().unwrap_or_default(), &copies.dir.join("zoneadmd")));
    }
    assert_eq!(zone.keeper(), keeper);
    // When the old zsched dies a new one takes over, and a halt and boot brings a new one, too.
    kill_and_wait(keeper);
    let status = super::adopt::adopted(&zone, keeper);
    assert!(is_current(status.zsched.map_or(0, |keeper| keeper.pid), &copies.dir.join("zsched")));
    leaves_nothing(&zone, &world, "an upgrade");
}

fn every_daemon_is_renewed_at_once(lab: &Lab) {
    let zones: Vec<_> = ["a", "b", "c"].map(|name| lab.sparse(name)).into();
    let idle = lab.sparse("idle");
    zones.iter().for_each(be_up);
    let mut console = zones[0].console(&[]);
    zones[1].kill_daemon();
    let before: Vec<_> = zones.iter().map(Zone::status).collect();
    let old: Vec<_> = zones.iter().map(Zone::daemon).collect();
    let ran = lab.zoneadm(["renew-daemon", "--json"]);
    let json = ran.ok().json();
    let rows = json.as_array().cloned().unwrap_or_default();
    assert_eq!(rows.len(), 3, "one that has none and is not up needs none\n{ran}");
    for ((row, zone), old) in rows.iter().zip(&zones).zip(&old) {
        assert_eq!(row["zone"], zone.name());
        assert_eq!(row["old"]["pid"].as_i64(), old.map(i64::from));
        assert_eq!(row["new"]["pid"].as_i64(), zone.daemon().map(i64::from));
        assert_ne!(zone.daemon(), *old);
        assert!(row["new"]["version"].as_str().is_some_and(|version| version.contains('.')));
    }
    for (zone, before) in zones.iter().zip(&before) {
        let now = zone.status();
        assert_eq!((now.pid, now.uniqid, now.state), (before.pid, before.uniqid.clone(), "running".into()));
    }
    assert_eq!(idle.daemon(), None);
    // The client of the console is back where it was.
    console.shows("Zone daemon restarted, console reconnected");
    console.types("\r~.");
    let _ = console.ends();
}

fn a_renewed_daemon_finds_what_the_old_one_left(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    zone.zoneadm(["ready"]).ok();
    zone.zoneadm(["renew-daemon"]).ok();
    zone.is("ready");
    zone.boot();
    zone.zoneadm(["renew-daemon"]).ok();
    zone.zoneadm(["shutdown"]).ok();
    zone.is("installed");
    // What is not up has nothing to renew, and is not touched by it.
    zone.daemon_leaves();
    zone.zoneadm(["renew-daemon"]).ok().quiet();
    assert_eq!(zone.daemon(), None);
    leaves_nothing(&zone, &world, "renewing");
}

fn a_daemon_that_is_asked_to_end_ends_between_two_operations(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    for _ in 0..6 {
        be_up(&zone);
        // Asked in the middle of a reboot: that is seen through, by the old one or, not yet begun, by the new one.
        let before = zone.status();
        let reboot = zone.zoneadm_command(["reboot"]).start();
        let renewed = zone.zoneadm(["renew-daemon"]);
        renewed.ok();
        reboot.wait().ok();
        zone.runs_again(&before);
        until("it serves", || zone.daemon());
        zone.zlogin(["true"]).ok();
        leaves_nothing(&zone, &world, "renewing in a reboot");
    }
}

fn no_zsched_can_be_started_for_a_while(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    let copies = Copies::new(lab, "bin");
    copies.run("zoneadm", &["-z", "web", "boot"]).ok();
    let (before, keeper) = (zone.status(), zone.keeper());
    let (program, aside) = (copies.dir.join("zsched"), copies.dir.join("away"));
    std::fs::rename(&program, &aside).unwrap_or_else(|e| panic!("{e}"));
    kill_and_wait(keeper);
    until("it is said", || {
        let log = lab.zoneadm(["console", "web", "--log"]).out();
        log.contains("could not be replaced yet; the zone runs on").then_some(())
    });
    // Nobody keeps it, and it runs.
    let alone = zone.status();
    assert_eq!(
        (alone.state.as_str(), alone.pid, alone.uniqid),
        ("running", before.pid, before.uniqid.clone())
    );
    zone.zlogin(["true"]).ok();
    std::fs::rename(&aside, &program).unwrap_or_else(|e| panic!("{e}"));
    let now = super::adopt::adopted(&zone, keeper);
    assert_eq!((now.pid, now.uniqid), (before.pid, before.uniqid));
    leaves_nothing(&zone, &world, "a zsched that was away");
}

fn a_full_run_directory(lab: &Lab) {
    let zone = zone(lab);
    let run = lab.run();
    std::fs::create_dir_all(&run).unwrap_or_else(|e| panic!("{e}"));
    // The suite has a mount namespace of its own.
    let options = ["-t", "tmpfs", "-o", "size=256k,mode=700", "none"];
    Command::new("mount").args(options).args([&run]).run().ok();
    let fill = || {
        let _ = std::fs::write(run.join("filler"), vec![0; 1 << 20]);
    };
    let empty = || std::fs::remove_file(run.join("filler")).unwrap_or_else(|e| panic!("{e}"));
    for daemon in [true, false] {
        for how in ["poweroff", "halted"] {
            zone.boot();
            zone.zlogin(["true"]).ok();
            let before = zone.status();
            fill();
            if !daemon {
                zone.kill_daemon();
            }
            if how == "poweroff" {
                let _ = zone.zlogin(["poweroff"]);
            } else {
                zone.zoneadm(["halt"]).ok();
            }
            let now = zone.becomes("installed");
            let last = now.last_exit.unwrap_or_else(|| panic!("its end must be on record"));
            assert_eq!((Some(last.uniqid), last.how.as_str()), (before.uniqid, how));
            fill();
            zone.zoneadm(["boot"]).refuses().stderr_has("No space left on device");
            zone.is("installed");
            empty();
        }
    }
    zone.boot();
    zone.halt();
    zone.daemon_leaves();
    Command::new("umount").args(["-l"]).args([&run]).run().ok();
}

/// What `/proc` says in the zone of the bounding set and the filters of a process.
fn confinement(zone: &Zone<'_>, process: &str) -> String {
    let ran = zone.sh(&format!("grep -E '^(CapBnd|Seccomp|Seccomp_filters):' /proc/{process}/status"));
    ran.ok();
    ran.out()
}

/// A program of another version has other tables: the zone's are in its snapshot, as they were when it was made ready.
fn a_login_has_what_init_has_whatever_the_programs_are(lab: &Lab) {
    const NET_RAW: u64 = 1 << 13;
    let zone = lab.sparse("web");
    zone.boot();
    assert_eq!(confinement(&zone, "self"), confinement(&zone, "1"));
    // Another version's: what its init has is not what ours would give it.
    let path = zone.run_dir().join("snapshot.toml");
    let text = read(&path);
    let line =
        text.lines().find(|line| line.starts_with("capabilities = ")).unwrap_or_else(|| panic!("{text}"));
    let kept = line.trim_start_matches("capabilities = ").trim_matches('"');
    let bits = u64::from_str_radix(kept, 16).unwrap_or_else(|e| panic!("{line}: {e}"));
    assert!(confinement(&zone, "1").contains(&format!("CapBnd:\t{bits:016x}")), "{bits:x}");
    let less = format!("capabilities = \"{:x}\"", bits & !NET_RAW);
    write(&path, text.replace(line, &less));
    let login = confinement(&zone, "self");
    assert!(login.contains(&format!("CapBnd:\t{:016x}", bits & !NET_RAW)), "{login}");
    // The next incarnation is made by these programs.
    zone.zoneadm(["reboot"]).ok();
    assert_eq!(confinement(&zone, "self"), confinement(&zone, "1"));
    assert!(read(&path).contains(line));
}

/// What a program wrote before it kept what the zone's processes may do.
fn a_zone_of_older_programs_is_entered_rebooted_and_halted(lab: &Lab) {
    let zone = lab.sparse("web");
    let path = zone.run_dir().join("snapshot.toml");
    let as_version_1 = || {
        let text = read(&path);
        let (head, tail) = text.split_once("[confinement]").unwrap_or_else(|| panic!("{text}"));
        let tail = tail.split_once("\n[").unwrap_or_else(|| panic!("{text}")).1;
        let old = format!("{head}[{tail}");
        write(&path, old.replacen("version = 2\n", "version = 1\n", 1));
    };
    zone.boot();
    as_version_1();
    zone.zlogin(["true"]).ok();
    assert_eq!(confinement(&zone, "self"), confinement(&zone, "1"));
    zone.kill_daemon();
    zone.zoneadm(["reboot"]).ok();
    assert!(read(&path).starts_with("version = 2\n"));
    as_version_1();
    zone.kill_daemon();
    zone.zoneadm(["halt"]).ok();
    zone.is("installed");
    // One to come is named, and the zone can be halted all the same.
    zone.boot();
    write(&path, read(&path).replacen("version = 2\n", "version = 3\n", 1));
    let ran = zone.zlogin(["true"]);
    ran.refuses().stderr_has(
        "is of version 3, this program reads 1 to 2: use the programs that the zone was booted with",
    );
    zone.halt();
    zone.is("installed");
}

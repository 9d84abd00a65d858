//! The files of lxcfs in a zone's `/proc`: there where lxcfs runs, there again when it was restarted, and in nobody's way when it is dead
//! or hangs. That they show a zone's limits takes controllers of version 2 (tests/host/lxcfs.sh).

use crate::harness::{Command, Lab, Running, Zone, cases, skip, until};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;

cases![
    a_zone_has_them_where_lxcfs_runs,
    they_come_and_go_while_the_zone_runs,
    a_restart_of_lxcfs_is_seen_through,
    a_dead_lxcfs_is_told_and_is_in_nobodys_way,
    one_that_hangs_is_told_and_is_in_nobodys_way,
    a_zone_with_containers_has_none,
    what_the_zone_makes_of_its_proc_holds_nobody_up,
];

const AT: &str = "/var/lib/lxcfs";

/// An lxcfs of the test's own, at its place in the test's own mount namespace.
struct Lxcfs {
    running: Option<Running>,
    pid: i32,
}

impl Lxcfs {
    fn start(lab: &Lab) -> Self {
        if !Path::new("/usr/bin/lxcfs").exists() || !Path::new(AT).is_dir() {
            skip("this machine has no lxcfs");
        }
        let file = lab.private("lxcfs.pid");
        let running =
            Command::new("/usr/bin/lxcfs").args(["-p".as_ref(), file.as_os_str(), AT.as_ref()]).within(300);
        let running = running.start();
        let pid = running.pid().cast_signed();
        until("lxcfs answers", || Path::new(AT).join("proc/uptime").exists().then_some(()));
        Self { running: Some(running), pid }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid).unwrap_or(Pid::INIT);
        kill_process(pid, signal).unwrap_or_else(|error| panic!("lxcfs: {error}"));
    }

    /// Kills it, which leaves a mount that answers nobody.
    fn die(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.running.take().map(Running::wait);
    }

    fn unmount() {
        let _ = unmount(AT, UnmountFlags::DETACH);
    }
}

impl Drop for Lxcfs {
    fn drop(&mut self) {
        if self.running.is_some() {
            let _ = Pid::from_raw(self.pid).map(|pid| kill_process(pid, Signal::KILL));
            let _ = self.running.take().map(Running::wait);
        }
        Self::unmount();
    }
}

/// How many files of lxcfs the zone has.
fn files(zone: &Zone<'_>) -> usize {
    let ran = zone.sh("grep -c ' fuse.lxcfs ' /proc/self/mounts || true");
    ran.ok().out().trim().parse().unwrap_or_else(|error| panic!("{error}"))
}

/// For how long a machine, or a zone by what it sees, has been up, in seconds.
fn uptime(text: &str) -> f64 {
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{text:?}"))
}

const ALL: usize = 8;

fn a_zone_has_them_where_lxcfs_runs(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    assert_eq!(files(&zone), 0);
    zone.halt();
    zone.zonecfg("set lxcfs=true").ok();
    for verb in ["verify", "boot"] {
        zone.zoneadm([verb])
            .refuses()
            .stderr_has("lxcfs=true needs lxcfs")
            .stderr_has("install the package lxcfs");
    }
    zone.is("installed");
    zone.zonecfg("clear lxcfs").ok();
    let _lxcfs = Lxcfs::start(lab);
    zone.boot();
    assert_eq!(files(&zone), ALL);
    let host = || std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let inside = zone.sh("cat /proc/uptime");
    assert!(uptime(&inside.ok().out()) < uptime(&host()), "it began with the zone");
    // Whoever is root in the zone can take the curtain away, and gets no further by it.
    for attempt in ["true", "mount -o remount,bind,rw /proc/meminfo"] {
        zone.sh(&format!("{attempt}; (echo 1 > /proc/meminfo) 2>/dev/null && echo written")).stdout_is("");
    }
    zone.sh("umount /proc/uptime").ok();
    let behind = zone.sh("cat /proc/uptime");
    assert!(uptime(&behind.ok().out()) > uptime(&inside.out()));
    assert_eq!(files(&zone), ALL - 1);
    zone.zoneadm(["apply"]).ok();
    assert_eq!(files(&zone), ALL);
    zone.zoneadm(["reboot"]).ok();
    assert_eq!(files(&zone), ALL);
    zone.halt();
    zone.zonecfg("set uptime=zone").ok();
    zone.boot();
    assert_eq!(files(&zone), ALL - 1, "the kernel shows its uptime better");
}

fn they_come_and_go_while_the_zone_runs(lab: &Lab) {
    let _lxcfs = Lxcfs::start(lab);
    let zone = lab.sparse("web");
    zone.boot();
    zone.zonecfg("set lxcfs=false").ok();
    zone.zoneadm(["apply", "-n"]).ok().stdout_has("Modifying lxcfs=false");
    zone.zoneadm(["apply"]).ok();
    assert_eq!(files(&zone), 0);
    zone.zonecfg("clear lxcfs").ok();
    zone.zoneadm(["apply"]).ok();
    assert_eq!(files(&zone), ALL);
    zone.zoneadm(["set", "lxcfs=false"]).ok();
    assert_eq!(files(&zone), 0);
    zone.zoneadm(["apply"]).ok();
    assert_eq!(files(&zone), ALL);
}

fn a_restart_of_lxcfs_is_seen_through(lab: &Lab) {
    let mut lxcfs = Lxcfs::start(lab);
    let zone = lab.sparse("web");
    zone.boot();
    lxcfs.die();
    zone.sh("cat /proc/meminfo").refuses().stderr_has("not connected");
    // As the unit of lxcfs does when it has ended.
    Lxcfs::unmount();
    until("the kernel's own are there again", || (files(&zone) == 0).then_some(()));
    zone.sh("cat /proc/meminfo").ok().stdout_has("MemTotal");
    let mut lxcfs = Lxcfs::start(lab);
    until("the zone has those of the new one", || (files(&zone) == ALL).then_some(()));
    zone.sh("cat /proc/meminfo").ok().stdout_has("MemTotal");
    let said = |text| zone.zoneadm(["console", "--log"]).ok().out().contains(text);
    until("both are told", || (said("lxcfs is gone") && said("lxcfs is there")).then_some(()));
    // The same while there is no daemon: the next one sees to it.
    zone.kill_daemon();
    lxcfs.die();
    Lxcfs::unmount();
    let _lxcfs = Lxcfs::start(lab);
    zone.zoneadm(["boot"]).stderr_has("already booted");
    until("the zone has those of the third one", || {
        (files(&zone) == ALL && zone.sh("cat /proc/meminfo").code() == Some(0)).then_some(())
    });
}

fn a_dead_lxcfs_is_told_and_is_in_nobodys_way(lab: &Lab) {
    let mut lxcfs = Lxcfs::start(lab);
    let zone = lab.sparse("web");
    lxcfs.die();
    zone.zoneadm(["verify"]).ok().stderr_has("lxcfs does not answer").stderr_has("systemctl restart lxcfs");
    zone.zoneadm(["boot"]).ok().stderr_has("lxcfs does not answer");
    assert_eq!(files(&zone), 0);
    zone.halt();
    zone.zonecfg("set lxcfs=true").ok();
    for verb in ["verify", "boot"] {
        zone.zoneadm([verb])
            .refuses()
            .stderr_has("lxcfs does not answer")
            .stderr_has("clear the property lxcfs");
    }
    zone.is("installed");
}

fn one_that_hangs_is_told_and_is_in_nobodys_way(lab: &Lab) {
    let lxcfs = Lxcfs::start(lab);
    let zone = lab.sparse("web");
    lxcfs.signal(Signal::STOP);
    zone.zoneadm(["boot"]).ok().stderr_has("lxcfs does not answer");
    assert_eq!(files(&zone), 0);
    zone.zoneadm(["apply"]).ok().stderr_has("lxcfs does not answer");
    lxcfs.signal(Signal::CONT);
    zone.zoneadm(["apply"]).ok();
    assert_eq!(files(&zone), ALL);
    // A process that reads there while it hangs waits, and is named by who has to wait for it.
    lxcfs.signal(Signal::STOP);
    zone.zoneadm(["apply"]).ok();
    zone.halt();
    lxcfs.signal(Signal::CONT);
}

fn a_zone_with_containers_has_none(lab: &Lab) {
    let _lxcfs = Lxcfs::start(lab);
    let zone = lab.sparse_with("web", "set nesting=true");
    zone.zonecfg("set lxcfs=true").refuses().stderr_has("lxcfs excludes nesting");
    zone.boot();
    assert_eq!(files(&zone), 0);
    zone.sh("unshare --user --map-root-user --pid --fork --mount-proc ls /proc/1 >/dev/null").ok();
    zone.halt();
    zone.zonecfg("set nesting=false").ok();
    zone.boot();
    assert_eq!(files(&zone), ALL);
}

fn what_the_zone_makes_of_its_proc_holds_nobody_up(lab: &Lab) {
    if !Path::new("/dev/fuse").exists() {
        skip("this machine has no /dev/fuse");
    }
    let _lxcfs = Lxcfs::start(lab);
    let zone = lab.sparse_with("web", "add device; set match=/dev/fuse; end");
    zone.boot();
    // The daemon looks at them once by itself, before it does this, and would give the one back that is taken away.
    zone.zoneadm(["apply"]).ok();
    zone.sh("umount /proc/meminfo").ok();
    let mount = "exec 3<>/dev/fuse; mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 none /proc; \
                 echo there; exec sleep 1000";
    let silent = zone.zlogin_command(["sh", "-c", mount]).within(300).start();
    until("it is there", || {
        let table =
            std::fs::read_to_string(format!("/proc/{}/mountinfo", zone.status().pid.unwrap_or_default()));
        table.unwrap_or_default().contains(" - fuse ").then_some(())
    });
    zone.zoneadm(["apply"]).ok().stderr_has("cannot open the zone's /proc");
    zone.halt();
    drop(silent);
}

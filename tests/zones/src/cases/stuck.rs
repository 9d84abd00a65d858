//! A guest's process that cannot be killed: it writes to a file system of the host's that is frozen, and waits in the kernel.

use crate::harness::dead::Disk;
use crate::harness::{Command, Lab, Zone, cases, proc_status, until, write};
use std::ffi::OsStr;
use std::fs;

cases![
    halt_says_who_holds_it_and_ends_by_itself,
    force_waits_for_nobody_and_says_what_is_left,
    a_second_halt_joins_and_a_forced_one_takes_over,
    all_else_answers_meanwhile,
    another_daemon_carries_on,
    an_interrupted_halt_says_what_goes_on,
    a_reboot_goes_on_when_it_can,
    a_shutdown_command_that_hangs,
    a_zonepath_that_stands_still,
];

/// Has halts wait `seconds` instead of half a minute.
pub(super) fn patience(lab: &Lab, seconds: u32) {
    write(&lab.run().join("patience"), seconds.to_string());
}

/// A zone with a process that waits in the kernel, and its number on the host.
fn zone_on<'lab>(lab: &'lab Lab, disk: &mut Disk) -> (Zone<'lab>, i32) {
    let tree = lab.tiny_tree("web.tree", "trap : TERM; while :; do sleep 1000 & wait; done");
    let fs = format!("add fs; set type=lofs; set dir=/data; set special={}; end", disk.point().display());
    let zone = lab.configured("web", &format!("set brand=linux; {fs}"));
    zone.zoneadm([OsStr::new("install"), OsStr::new("-d"), tree.as_os_str()]).ok();
    patience(lab, 2);
    zone.boot();
    zone.sh("(while :; do echo x >> /data/file; done) > /dev/null 2>&1 &").ok();
    disk.freeze();
    let pid = until("a process of the zone waits in the kernel", || waiting(&zone));
    (zone, pid)
}

/// A process of the zone in state D.
fn waiting(zone: &Zone<'_>) -> Option<i32> {
    let first = zone.status().pid1();
    let below = fs::read_link(format!("/proc/{first}/ns/pid")).ok()?;
    let pids = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.find(|pid| {
        fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|its| its == below)
            && proc_status(*pid, "State").is_some_and(|state| state.starts_with('D'))
    })
}

fn halt_says_who_holds_it_and_ends_by_itself(lab: &Lab) {
    let mut disk = Disk::make(lab, "disk", 16);
    let (zone, pid) = zone_on(lab, &mut disk);
    patience(lab, 5);
    let ran = zone.zoneadm(["halt"]);
    ran.refuses()
        .stderr_has("halt waits: process")
        .stderr_has("step 'kill'")
        .stderr_has(&format!("process {pid} ("));
    ran.stderr_has("cannot be killed: it waits in the kernel (state D)");
    zone.is("shutting_down");
    // Never two of it, and nobody is told that it is as they want it.
    let told = "zone is already booted, but it is shutting_down: it can be booted again when its last process has ended; \
                \"zoneadm -z web halt\" tells what it waits for.";
    zone.zoneadm(["boot"]).refuses().stderr_has(told);
    zone.is("shutting_down");
    zone.zoneadm(["uninstall", "-F"]).refuses();
    assert!(proc_status(pid, "State").is_some_and(|state| state.starts_with('D')));
    disk.thaw();
    zone.becomes("installed");
    let exit = zone.status().last_exit;
    assert_eq!(exit.map(|exit| exit.how), Some("halted".to_owned()));
    zone.boot();
    zone.halt();
}

fn force_waits_for_nobody_and_says_what_is_left(lab: &Lab) {
    let mut disk = Disk::make(lab, "disk", 16);
    let (zone, pid) = zone_on(lab, &mut disk);
    patience(lab, 30);
    let ran = zone.zoneadm(["halt", "-F"]);
    ran.refuses()
        .stderr_has(&format!("process {pid} ("))
        .stderr_has("cannot be booted, until its last process");
    zone.is("shutting_down");
    let _ = zone.zoneadm(["boot"]);
    zone.is("shutting_down");
    disk.thaw();
    zone.becomes("installed");
}

fn a_second_halt_joins_and_a_forced_one_takes_over(lab: &Lab) {
    let mut disk = Disk::make(lab, "disk", 16);
    let (zone, pid) = zone_on(lab, &mut disk);
    patience(lab, 20);
    let first = zone.zoneadm_command(["halt"]).start();
    until("the halt waits", || zone.door_status()["waiting"].is_string().then_some(()));
    let second = zone.zoneadm_command(["halt"]).start();
    let forced = zone.zoneadm(["halt", "--force"]);
    forced.refuses().stderr_has(&format!("process {pid} ("));
    for halt in [first, second] {
        halt.wait().refuses().stderr_has(&format!("process {pid} ("));
    }
    disk.thaw();
    zone.becomes("installed");
}

fn all_else_answers_meanwhile(lab: &Lab) {
    let mut disk = Disk::make(lab, "disk", 16);
    let (zone, pid) = zone_on(lab, &mut disk);
    patience(lab, 20);
    let mut console = zone.console(&[]);
    let halt = zone.zoneadm_command(["halt"]).start();
    let status = until("the halt waits", || Some(zone.door_status()).filter(|s| s["waiting"].is_string()));
    assert_eq!((status["operation"].as_str(), status["step"].as_str()), (Some("halt"), Some("kill")));
    assert!(status["waiting"].as_str().is_some_and(|text| text.contains(&format!("process {pid} ("))));
    assert_eq!(status["state"].as_str(), Some("shutting_down"));
    lab.zoneadm(["list", "-c"]).ok().stdout_has("web");
    // A second console is refused at once, by name of the first: somebody is there.
    let _ = zone.console_command(&["-r"]).within(20).stdin("").run();
    disk.thaw();
    halt.wait().ok();
    console.shows("Zone halted");
    zone.is("installed");
    console.types("\r~.");
    let _ = console.ends();
}

fn another_daemon_carries_on(lab: &Lab) {
    let mut disk = Disk::make(lab, "disk", 16);
    let (zone, pid) = zone_on(lab, &mut disk);
    zone.zoneadm(["halt"]).refuses();
    zone.kill_daemon();
    zone.is("shutting_down");
    zone.zoneadm(["halt"]).refuses().stderr_has(&format!("process {pid} ("));
    disk.thaw();
    zone.becomes("installed");
}

fn an_interrupted_halt_says_what_goes_on(lab: &Lab) {
    let mut disk = Disk::make(lab, "disk", 16);
    let (zone, pid) = zone_on(lab, &mut disk);
    patience(lab, 20);
    let halt = zone.zoneadm_command(["halt"]).start();
    until("the halt waits", || zone.door_status()["waiting"].is_string().then_some(()));
    // Once it has told what it waits for, it also hears signals.
    let client = i32::try_from(halt.pid()).unwrap_or(0);
    until("zoneadm listens", || {
        let blocked = proc_status(client, "SigBlk")?;
        (u64::from_str_radix(&blocked, 16).ok()? & 2 != 0).then_some(())
    });
    Command::new("kill").args(["-INT", &client.to_string()]).run().ok();
    halt.wait().refuses().stderr_has("goes on with the halt").stderr_has(&format!("process {pid} ("));
    zone.is("shutting_down");
    disk.thaw();
    zone.becomes("installed");
}

fn a_reboot_goes_on_when_it_can(lab: &Lab) {
    let mut disk = Disk::make(lab, "disk", 16);
    let (zone, pid) = zone_on(lab, &mut disk);
    let before = zone.status();
    zone.zoneadm(["reboot"]).refuses().stderr_has(&format!("process {pid} ("));
    disk.thaw();
    zone.runs_again(&before);
    zone.halt();
}

fn a_shutdown_command_that_hangs(lab: &Lab) {
    let zone = lab.tiny("web", "trap : TERM; while :; do sleep 1000 & wait; done");
    // By its name an init that is asked by a command, and one that never ends.
    let script =
        "#!/bin/sh\nif [ \"$1\" = 0 ]; then sleep 1000 & sleep 1000; fi\nwhile :; do sleep 1000; done\n";
    crate::harness::write_program(&zone.file("/sbin/runit-init"), script);
    zone.zoneadm(["boot", "--", "-i", "/sbin/runit-init"]).ok();
    let ran = zone.zoneadm(["shutdown", "-t", "2"]);
    ran.ok()
        .stderr_has("'/sbin/runit-init 0'")
        .stderr_has("was killed")
        .stderr_has("halted without its help");
    zone.is("installed");
}

fn a_zonepath_that_stands_still(lab: &Lab) {
    let mut disk = Disk::make(lab, "disk", 24);
    let place = disk.point().join("web");
    let zone = lab.configured("web", &format!("set brand=sparse; set zonepath={}", place.display()));
    zone.zoneadm(["install"]).ok();
    zone.zoneadm(["ready"]).ok();
    zone.zoneadm(["boot"]).ok();
    zone.zlogin(["true"]).ok();
    disk.freeze();
    patience(lab, 2);
    // Nobody in the zone writes; who would write down how it ended cannot.
    let ran = zone.zoneadm(["halt"]);
    ran.ok().stderr_has("lastexit.toml could not be written within").stderr_has("stands still");
    zone.is("installed");
    zone.daemon_leaves();
    // The one that hangs does not keep another from being started.
    zone.zoneadm(["halt"]).ok().stderr_has("zone is already halted");
    disk.thaw();
    zone.boot();
    zone.halt();
    assert_eq!(zone.status().last_exit.map(|exit| exit.how), Some("halted".to_owned()));
    zone.remove();
}

//! A file system whose server takes every request and answers none, in the zone and around it.

use super::stuck::patience;
use crate::harness::dead::Fuse;
use crate::harness::{Lab, Zone, cases, until};

cases![
    a_boot_says_what_does_not_answer,
    a_halt_ends_a_boot_that_waits,
    another_zone_boots_beside_it,
    a_halt_with_processes_in_it,
    verify_does_not_hang,
    who_goes_in_and_waits_is_given_up: 120,
];

fn zone_on<'lab>(lab: &'lab Lab, name: &str, fuse: &Fuse) -> Zone<'lab> {
    let tree = lab.tiny_tree(&format!("{name}.tree"), "trap : TERM; while :; do sleep 1000 & wait; done");
    let fs = format!("add fs; set type=lofs; set dir=/data; set special={}; end", fuse.point().display());
    let zone = lab.configured(name, &format!("set brand=linux; {fs}"));
    zone.zoneadm([std::ffi::OsStr::new("install"), "-d".as_ref(), tree.as_os_str()]).ok();
    zone
}

fn a_boot_says_what_does_not_answer(lab: &Lab) {
    let mut fuse = Fuse::make(lab, "fuse");
    let zone = zone_on(lab, "web", &fuse);
    fuse.fall_silent();
    patience(lab, 1);
    let ran = zone.zoneadm(["boot"]);
    ran.refuses().stderr_has("the file system of").stderr_has(&fuse.point().to_string_lossy());
    ran.stderr_has("does not answer (fuse)").stderr_has("umount -lf");
    zone.is("installed");
    fuse.end();
}

fn a_halt_ends_a_boot_that_waits(lab: &Lab) {
    let mut fuse = Fuse::make(lab, "fuse");
    let zone = zone_on(lab, "web", &fuse);
    fuse.fall_silent();
    let boot = zone.zoneadm_command(["boot"]).start();
    until("the boot waits", || (zone.door_status_if()?["step"] == "reach").then_some(()));
    zone.zoneadm(["halt"]).ok();
    boot.wait().refuses().stderr_has("called off by a halt");
    zone.is("installed");
    fuse.end();
}

fn another_zone_boots_beside_it(lab: &Lab) {
    let mut fuse = Fuse::make(lab, "fuse");
    let dead =
        lab.configured("dead", &format!("set brand=sparse; set zonepath={}/dead", fuse.point().display()));
    let zone = lab.sparse("web");
    fuse.fall_silent();
    zone.boot();
    zone.zlogin(["true"]).ok();
    lab.zoneadm(["list", "-cv"]).ok().stdout_has("dead");
    zone.halt();
    dead.zonecfg("delete -F").ok();
    fuse.end();
}

fn a_halt_with_processes_in_it(lab: &Lab) {
    let mut fuse = Fuse::make(lab, "fuse");
    let zone = zone_on(lab, "web", &fuse);
    patience(lab, 2);
    let booted = zone.zoneadm(["boot"]);
    booted.ok();
    zone.sh("ls -d /data").ok();
    fuse.fall_silent();
    zone.sh("ls /data > /dev/null 2>&1 &").ok();
    fuse.somebody_waits();
    let ran = zone.zoneadm(["halt"]);
    ran.refuses().stderr_has("(ls) cannot be killed: it waits in the kernel (state D)");
    zone.is("shutting_down");
    zone.zoneadm(["halt", "-F"]).refuses().stderr_has("(ls) cannot be killed");
    zone.is("shutting_down");
    lab.zoneadm(["list", "-v"]).ok().stdout_has("shutting_down");
    // The remedy that is told.
    fuse.end();
    zone.becomes("installed");
}

fn verify_does_not_hang(lab: &Lab) {
    let mut fuse = Fuse::make(lab, "fuse");
    let zone = zone_on(lab, "web", &fuse);
    fuse.fall_silent();
    patience(lab, 1);
    zone.zoneadm(["verify"]).refuses().stderr_has("does not answer");
    fuse.end();
    zone.zoneadm(["verify"]).ok();
}

fn who_goes_in_and_waits_is_given_up(lab: &Lab) {
    let mut fuse = Fuse::make(lab, "fuse");
    let zone = zone_on(lab, "web", &fuse);
    patience(lab, 2);
    zone.zoneadm(["boot"]).ok();
    fuse.fall_silent();
    // What looks for the directory waits in the kernel, and cannot be killed either.
    let around = ["--cwd", "/data/below", zone.name(), "true"];
    lab.command("zlogin", around).within(100).run().exits(1).stderr_has("was not executed within 30 seconds");
    fuse.end();
    zone.halt();
}

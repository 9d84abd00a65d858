//! `zoneadm detach` and `attach`: a zone goes to another place, with all that it has.

use crate::harness::{Command, Lab, cases, read, write};
use std::fs;

cases![a_detached_zone_is_attached_elsewhere, what_was_not_detached_is_attached_by_force_only];

fn a_detached_zone_is_attached_elsewhere(lab: &Lab) {
    let zone = lab.sparse_with("web", "set hostname=www");
    write(&zone.file("/etc/kept"), "yes\n");
    zone.zoneadm(["detach", "-n"]).ok().stdout_has("hostname = \"www\"");
    zone.is("installed");
    let old = zone.path();
    assert!(!old.join("detached.toml").exists(), "-n changes nothing");
    zone.boot();
    zone.zoneadm(["detach"]).refuses().stderr_has("detach operation is invalid for running zones.");
    zone.halt();
    let mut console = zone.console(&[]);
    zone.zoneadm(["detach"]).refuses().stderr_has("is at its console; have that left ('~.'), and try again.");
    console.types("\r~.");
    let (status, screen) = console.ends();
    assert_eq!(status.code(), Some(0), "{screen}");
    zone.zoneadm(["detach"]).ok().stderr_has("detached");
    zone.is("configured");
    assert_eq!(read(&old.join("detached.toml")), read(&lab.etc().join("web.toml")));
    zone.zoneadm(["install"]).refuses().stderr_has("Cannot install detached zone.");
    zone.zoneadm(["boot"]).refuses().stderr_has("must be installed before boot.");
    zone.zoneadm(["detach"]).refuses().stderr_has("must be installed before detach.");
    // It takes its configuration along, and no other zone can have its files.
    let new = old.with_file_name("elsewhere");
    fs::rename(&old, &new).unwrap_or_else(|e| panic!("{e}"));
    lab.zonecfg("web", "delete -F").ok();
    let moved = lab.zone("moved");
    lab.zonecfg("moved", &format!("create -a {}", new.display())).ok();
    moved.zonecfg("info hostname").ok().stdout_is("hostname: www\n");
    moved.zoneadm(["attach", "-n"]).ok().stderr_has("can be attached");
    moved.is("configured");
    moved.zoneadm(["attach"]).ok().stderr_has("attached");
    moved.zoneadm(["attach"]).refuses().stderr_has("is already installed.");
    assert!(!new.join("detached.toml").exists());
    moved.boot();
    moved.sh("cat /etc/kept").ok().stdout_is("yes\n");
    moved.halt();
}

fn what_was_not_detached_is_attached_by_force_only(lab: &Lab) {
    let web = lab.sparse("web");
    let none = lab.configured("none", "set brand=sparse");
    none.zoneadm(["attach"]).refuses().stderr_has("nothing to attach");
    let twin = lab.configured("twin", "set brand=sparse");
    Command::new("cp").args(["-a"]).args([web.path(), twin.path()]).run().ok();
    twin.zoneadm(["attach"]).refuses().stderr_has("no zone was detached there").stderr_has("attach -F");
    twin.is("configured");
    twin.zoneadm(["attach", "-F"]).ok();
    twin.is("installed");
    // Of another brand it is no zone of this one.
    twin.zoneadm(["detach"]).ok();
    twin.zonecfg("set brand=linux").ok();
    twin.zoneadm(["attach"]).refuses().stderr_has("is of brand sparse, this one of linux");
    twin.zonecfg("set brand=sparse").ok();
    twin.zoneadm(["attach"]).ok();
    // And of an uninstall nothing is left.
    write(&twin.path().join("detached.toml"), "left by whoever was killed\n");
    twin.zoneadm(["uninstall", "-F"]).ok();
    assert!(!twin.path().exists());
}

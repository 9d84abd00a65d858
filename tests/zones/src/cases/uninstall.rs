//! Uninstalling, and what it must not touch.

use crate::harness::{Command, Lab, cases, make_dir, read, write};
use std::os::unix::fs::symlink;

cases![
    wants_force_without_a_terminal,
    asks_on_a_terminal,
    what_is_not_the_zones_stays,
    links_are_not_followed,
    a_root_that_is_a_link_is_not_followed,
    mounts_below_are_named_and_kept,
    a_live_zone_is_not_uninstalled,
    the_daemon_goes_with_the_zone,
];

fn wants_force_without_a_terminal(lab: &Lab) {
    let zone = lab.sparse("web");
    let ran = zone.zoneadm(["uninstall"]);
    ran.refuses().stderr_has("Input not from terminal and -F not specified: uninstall not done.");
    zone.is("installed");
    zone.zoneadm(["uninstall", "-F"]).ok();
    zone.is("configured");
    assert!(!zone.path().exists(), "nothing of the zone's own stays");
}

fn asks_on_a_terminal(lab: &Lab) {
    let zone = lab.sparse("web");
    for (answer, state) in [("n\r", "installed"), ("\r", "installed"), ("y\r", "configured")] {
        let mut terminal = crate::harness::Terminal::start(zone.zoneadm_command(["uninstall"]), 24, 80);
        terminal.shows("Are you sure you want to uninstall zone web (y/[n])? ");
        terminal.types(answer);
        let _ = terminal.ends();
        zone.is(state);
    }
}

fn what_is_not_the_zones_stays(lab: &Lab) {
    let zone = lab.sparse("web");
    write(&zone.path().join("notes"), "mine\n");
    let ran = zone.zoneadm(["uninstall", "-F"]);
    ran.ok().stderr_has("Unable to completely remove").stderr_has(&zone.path().to_string_lossy());
    assert_eq!(read(&zone.path().join("notes")), "mine\n");
    assert!(!zone.file("/").exists());
    zone.is("configured");
    std::fs::remove_file(zone.path().join("notes")).unwrap_or_else(|e| panic!("{e}"));
    std::fs::remove_dir(zone.path()).unwrap_or_else(|e| panic!("{e}"));
}

fn links_are_not_followed(lab: &Lab) {
    let zone = lab.sparse("web");
    make_dir(&lab.path("outside"), 0o755);
    write(&lab.path("outside/precious"), "precious\n");
    symlink(lab.path("outside"), zone.file("/root/way")).unwrap_or_else(|e| panic!("{e}"));
    symlink(lab.path("outside/precious"), zone.file("/root/file")).unwrap_or_else(|e| panic!("{e}"));
    zone.zoneadm(["uninstall", "-F"]).ok();
    assert_eq!(read(&lab.path("outside/precious")), "precious\n");
}

fn a_root_that_is_a_link_is_not_followed(lab: &Lab) {
    let zone = lab.sparse("web");
    let moved = lab.path("moved");
    std::fs::rename(zone.file("/"), &moved).unwrap_or_else(|e| panic!("{e}"));
    symlink(&moved, zone.path().join("root")).unwrap_or_else(|e| panic!("{e}"));
    zone.zoneadm(["boot"]).refuses().stderr_has("root");
    let _ = zone.zoneadm(["uninstall", "-F"]);
    assert!(moved.join("etc/hostname").exists(), "what a link in the place of the root leads to is not ours");
    let _ = std::fs::remove_file(zone.path().join("root"));
    if zone.status().state != "configured" {
        zone.zoneadm(["uninstall", "-F"]).ok();
    }
}

fn mounts_below_are_named_and_kept(lab: &Lab) {
    let zone = lab.sparse("web");
    let place = zone.file("/mnt");
    Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).args([&place]).run().ok();
    write(&place.join("precious"), "precious\n");
    let ran = zone.zoneadm(["uninstall", "-F"]);
    ran.refuses().stderr_has("These file-systems are mounted on subdirectories of");
    ran.stderr_has(&place.to_string_lossy());
    assert_eq!(read(&place.join("precious")), "precious\n");
    zone.is("installed");
    Command::new("umount").args([&place]).run().ok();
    zone.zoneadm(["uninstall", "-F"]).ok();
}

fn a_live_zone_is_not_uninstalled(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let pid1 = zone.status().pid1();
    zone.zoneadm(["uninstall", "-F"])
        .refuses()
        .stderr_has("uninstall operation is invalid for running zones.");
    zone.zonecfg("delete -F").refuses();
    assert_eq!(zone.status().pid1(), pid1);
    zone.zlogin(["true"]).ok();
}

fn the_daemon_goes_with_the_zone(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    assert!(zone.daemon().is_some());
    zone.halt();
    zone.zoneadm(["uninstall", "-F"]).ok();
    zone.daemon_leaves();
}

//! Uninstalling, and what it must not touch.

use crate::harness::{Command, Lab, Terminal, cases, make_dir, read, skip, write};
use std::ffi::OsStr;
use std::os::unix::fs::symlink;

cases![
    wants_force_without_a_terminal,
    asks_on_a_terminal,
    an_interruption_is_a_no,
    what_chattr_has_fixed_goes_with_force,
    what_is_not_the_zones_stays,
    links_are_not_followed,
    a_root_that_is_a_link_is_not_followed,
    mounts_below_are_named_and_kept,
    a_live_zone_is_not_uninstalled,
    the_daemon_goes_with_the_zone,
    nothing_is_forgotten_of_a_zone_whose_files_are_elsewhere,
    what_was_there_before_an_install_stays,
    a_zone_that_comes_up_is_not_marked,
    what_is_up_is_halted_whatever_the_index_says,
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
    // The last but one is the end of input.
    for (answer, state, code) in
        [("n\r", "installed", 1), ("\r", "installed", 1), ("\x04", "installed", 1), ("y\r", "configured", 0)]
    {
        let mut terminal = Terminal::start(zone.zoneadm_command(["uninstall"]), 24, 80);
        terminal.shows("Are you sure you want to uninstall zone web (y/[n])? ");
        terminal.types(answer);
        let (status, shown) = terminal.ends();
        assert_eq!(status.code(), Some(code), "{answer:?}: {shown}");
        assert_eq!(shown.contains("uninstall not done"), code == 1, "{answer:?}: {shown}");
        zone.is(state);
    }
}

fn an_interruption_is_a_no(lab: &Lab) {
    let zone = lab.sparse("web");
    let mut terminal = Terminal::start(zone.zoneadm_command(["uninstall"]), 24, 80);
    terminal.shows("(y/[n])? ");
    // Once.
    terminal.types("\x03");
    let (status, shown) = terminal.ends();
    assert_eq!(status.code(), Some(1), "{shown}");
    assert!(shown.contains("uninstall not done"), "{shown}");
    zone.is("installed");
}

fn what_chattr_has_fixed_goes_with_force(lab: &Lab) {
    let zone = lab.sparse("web");
    let chattr = |flag: &str, path: &std::path::Path| {
        Command::new("chattr").args([OsStr::new(flag), path.as_os_str()]).run().code() == Some(0)
    };
    let outside = lab.path("outside");
    write(&outside, "mine\n");
    symlink(&outside, zone.file("/root/link")).unwrap_or_else(|e| panic!("{e}"));
    for (flag, name) in [("+i", "/etc/hostname"), ("+a", "/etc/hosts"), ("+i", "/root")] {
        if !chattr(flag, &zone.file(name)) {
            skip("the file system has no immutable files");
        }
    }
    assert!(chattr("+i", &outside));
    let mut terminal = Terminal::start(zone.zoneadm_command(["uninstall"]), 24, 200);
    terminal.shows("3 files are immutable or append-only");
    terminal.shows("uninstall -F");
    let (status, shown) = terminal.ends();
    assert_eq!(status.code(), Some(1), "{shown}");
    zone.is("installed");
    zone.zoneadm(["uninstall", "-F"]).ok().stdout_has("3 files made immutable or append-only");
    zone.is("configured");
    assert!(!zone.path().exists());
    assert!(std::fs::remove_file(&outside).is_err(), "what a link leads to is as it was");
    assert!(chattr("-i", &outside));
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

/// As below a disk that is not mounted.
fn nothing_is_forgotten_of_a_zone_whose_files_are_elsewhere(lab: &Lab) {
    let zone = lab.sparse("web");
    let away = zone.path().with_extension("away");
    std::fs::rename(zone.path(), &away).unwrap_or_else(|error| panic!("{error}"));
    make_dir(&zone.path(), 0o755);
    zone.zoneadm(["uninstall", "-F"]).refuses().stderr_has("it is open to others");
    zone.is("installed");
    std::fs::rename(&away, zone.path()).unwrap_or_else(|error| panic!("{error}"));
    zone.boot();
    zone.halt();
}

/// As when an install was killed before it had made the directory its own.
fn what_was_there_before_an_install_stays(lab: &Lab) {
    let zone = lab.configured("web", "set brand=sparse");
    make_dir(&zone.path(), 0o755);
    write(&zone.path().join("notes"), "mine\n");
    zone.zoneadm(["mark", "incomplete"]).ok();
    zone.zoneadm(["uninstall", "-F"]).ok().stdout_has("There is nothing to remove in");
    zone.is("configured");
    assert_eq!(read(&zone.path().join("notes")), "mine\n");
    // What looks like a zone's is not left behind in silence.
    make_dir(&zone.path().join("root"), 0o755);
    zone.zoneadm(["mark", "incomplete"]).ok();
    zone.zoneadm(["uninstall", "-F"]).refuses().stderr_has("it is open to others");
    zone.is("incomplete");
    std::fs::remove_dir(zone.path().join("root")).unwrap_or_else(|error| panic!("{error}"));
    zone.zoneadm(["uninstall", "-F"]).ok();
    zone.is("configured");
    std::fs::remove_dir_all(zone.path()).unwrap_or_else(|error| panic!("{error}"));
}

fn a_zone_that_comes_up_is_not_marked(lab: &Lab) {
    let zone = lab.sparse("web");
    let ran = zone.stopped_at("step.snapshot", zone.zoneadm_command(["boot"]), || {
        zone.zoneadm(["mark", "incomplete"]).refuses().stderr_has("its zoneadmd does not leave");
        zone.is("installed");
    });
    ran.ok();
    zone.is("running");
    zone.zoneadm(["mark", "incomplete"]).refuses().stderr_has("mark operation is invalid for running zones.");
    zone.halt();
    zone.zoneadm(["mark", "incomplete"]).ok();
    zone.is("incomplete");
}

fn what_is_up_is_halted_whatever_the_index_says(lab: &Lab) {
    let zone = lab.sparse("web");
    let index = lab.etc().join("index");
    zone.boot();
    write(&index, read(&index).replace(":installed:", ":incomplete:"));
    zone.is("running");
    zone.zoneadm(["halt"]).ok();
    zone.is("incomplete");
    zone.zoneadm(["halt"]).refuses().stderr_has("must be installed before halt.");
    zone.zoneadm(["uninstall", "-F"]).ok();
}

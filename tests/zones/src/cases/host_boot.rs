//! A host that was booted again, on which the run directory is a disk: everything in it is still there and means nothing.

use crate::harness::{Lab, Zone, cases, kill_and_wait, need_failpoints, read, until, write};
use std::fs;
use std::path::PathBuf;

cases![
    what_an_earlier_boot_left_is_forgotten,
    a_reboot_of_an_earlier_boot_is_not_carried_on,
    a_daemon_that_dies_before_it_has_forgotten_leaves_it_to_the_next,
    a_zone_that_went_down_with_the_host_ended_in_an_unknown_way,
    what_lives_is_of_this_boot_whatever_the_file_says,
    uninstall_leaves_no_file,
];

/// As a boot before this one would have called itself.
const EARLIER: &str = "01234567-89ab-4def-8123-456789abcdef\n";

/// All files of a zone's run directory but the locks, with what is in them; sockets are empty files here.
fn kept(zone: &Zone<'_>) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(zone.run_dir()).into_iter().flatten().flatten().map(|entry| entry.path());
    let files =
        files.filter(|path| !["lock", "oplock", "zsched.lock"].iter().any(|name| path.ends_with(name)));
    files.map(|path| (path.clone(), fs::read(&path).unwrap_or_default())).collect()
}

/// Puts a zone's run directory back as it was when the host went down.
fn host_went_down(zone: &Zone<'_>, files: &[(PathBuf, Vec<u8>)]) {
    zone.daemon_leaves();
    until("zsched's socket is gone", || (!zone.run_dir().join("zsched").exists()).then_some(()));
    for (path, bytes) in files {
        write(path, bytes);
    }
    write(&zone.run_dir().join("lock"), EARLIER);
}

fn what_an_earlier_boot_left_is_forgotten(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let files = kept(&zone);
    assert!(files.iter().any(|(path, _)| path.ends_with("snapshot.toml")), "{files:?}");
    zone.halt();
    host_went_down(&zone, &files);
    zone.is("installed");
    zone.zoneadm(["halt"]).ok().stderr_has("zone is already halted");
    until("the old files are gone", || (!zone.run_dir().join("snapshot.toml").exists()).then_some(()));
    assert_ne!(read(&zone.run_dir().join("lock")), EARLIER);
    host_went_down(&zone, &files);
    zone.boot();
    zone.zlogin(["true"]).ok();
    zone.halt();
}

/// Has the host go down while the zone, which is up, reboots; gives what its journal has of that.
fn went_down_in_a_reboot(zone: &Zone<'_>) -> String {
    let mut files = kept(zone);
    let journal = format!("begin reboot {} rebooted 0 true \n", zone.status().incarnation());
    zone.halt();
    files.retain(|(path, _)| !path.ends_with("journal"));
    files.push((zone.run_dir().join("journal"), journal.clone().into_bytes()));
    host_went_down(zone, &files);
    journal
}

fn a_reboot_of_an_earlier_boot_is_not_carried_on(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let journal = went_down_in_a_reboot(&zone);
    zone.zoneadm(["halt"]).ok().stderr_has("zone is already halted");
    zone.is("installed");
    assert!(!zone.run_dir().join("journal").exists());
    // In this boot it is.
    write(&zone.run_dir().join("journal"), journal);
    zone.zoneadm(["boot"]).ok().stderr_has("zone is already booted");
    zone.is("running");
    zone.halt();
}

fn a_daemon_that_dies_before_it_has_forgotten_leaves_it_to_the_next(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    went_down_in_a_reboot(&zone);
    zone.dies(&[("zoneadmd", "start.exclusive", 1)]);
    zone.zoneadm(["halt"]).ok().stderr_has("zone is already halted");
    need_failpoints(&zone.die_no_more());
    zone.is("installed");
    assert!(!zone.run_dir().join("journal").exists() && !zone.run_dir().join("snapshot.toml").exists());
    assert_ne!(read(&zone.run_dir().join("lock")), EARLIER);
}

/// The incarnation that ended last, and how.
fn last(zone: &Zone<'_>) -> Option<(String, String)> {
    zone.status().last_exit.map(|exit| (exit.uniqid, exit.how))
}

fn a_zone_that_went_down_with_the_host_ended_in_an_unknown_way(lab: &Lab) {
    let zone = lab.sparse("web");
    let (exit, boot) = (zone.path().join("lastexit.toml"), zone.path().join("lastboot"));
    zone.boot();
    let first = zone.status().incarnation();
    zone.halt();
    let (halted, present) = (read(&exit), read(&boot));
    zone.boot();
    let second = zone.status().incarnation();
    let files = kept(&zone);
    assert_eq!(last(&zone), Some((first.clone(), "halted".to_owned())), "it lives");
    let marked = read(&boot);
    let of_host = |mark: &str| mark.split_once(' ').map(|(_, boot)| boot.to_owned());
    assert!(of_host(&marked).is_some() && of_host(&marked) == of_host(&present), "{marked}");
    zone.halt();
    host_went_down(&zone, &files);
    write(&exit, &halted);
    write(&boot, marked.replace(&of_host(&marked).unwrap_or_default(), EARLIER));
    let unknown = Some((second, "unknown".to_owned()));
    assert_eq!(last(&zone), unknown);
    // With a daemon, and a zone that lives, it is the same.
    zone.boot();
    assert_eq!(last(&zone), unknown);
    assert_eq!(zone.door_status()["last_exit"]["how"], "unknown");
    let third = zone.status().incarnation();
    zone.halt();
    assert_eq!(last(&zone), Some((third, "halted".to_owned())));
    // What a loss of power has cut off, and what earlier programs never wrote, changes nothing.
    write(&exit, &halted);
    write(&boot, "");
    assert_eq!(last(&zone), Some((first.clone(), "halted".to_owned())));
    fs::remove_file(&boot).unwrap_or_else(|e| panic!("{}: {e}", boot.display()));
    assert_eq!(last(&zone), Some((first, "halted".to_owned())));
    zone.boot();
    zone.halt();
    zone.zoneadm(["uninstall", "-F"]).ok();
    assert!(!zone.path().exists());
}

fn what_lives_is_of_this_boot_whatever_the_file_says(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let before = zone.status();
    if let Some(daemon) = zone.daemon() {
        kill_and_wait(daemon);
    }
    write(&zone.run_dir().join("lock"), EARLIER);
    zone.zoneadm(["boot"]).ok().stderr_has("zone is already booted");
    assert_eq!((zone.status().pid, zone.status().uniqid), (before.pid, before.uniqid));
    assert_ne!(read(&zone.run_dir().join("lock")), EARLIER);
    zone.halt();
}

fn uninstall_leaves_no_file(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    zone.halt();
    zone.zoneadm(["uninstall", "-F"]).ok();
    assert!(!zone.run_dir().exists(), "{:?}", kept(&zone));
    zone.zoneadm(["install"]).ok();
    zone.boot();
    zone.halt();
}

//! `zoneadm move` and `clone`: a zone goes to another place, or there is another one like it.

use crate::harness::inject::{Injection, Injector};
use crate::harness::{Command, Lab, Terminal, Zone, cases, make_dir, read, set_mode, write};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

cases![
    a_zone_is_renamed_to_another_place,
    a_zone_is_copied_to_another_file_system,
    what_is_no_place_for_a_zone_is_refused,
    nobody_boots_it_meanwhile,
    a_move_that_is_not_on_the_disk_is_taken_back: 240,
    a_clone_is_a_machine_of_its_own,
    clones_of_one_zone_wait_for_each_other: 240,
    several_zones_are_cloned_from_one: 240,
    what_cannot_be_cloned_is_refused,
];

fn moved(zone: &Zone<'_>, to: &Path) -> crate::harness::Ran {
    zone.zoneadm(["move".as_ref(), to.as_os_str()])
}

fn a_zone_is_renamed_to_another_place(lab: &Lab) {
    let zone = lab.sparse("web");
    let (old, new) = (zone.path(), lab.root().join("srv/zones/web"));
    write(&zone.file("/etc/kept"), "yes\n");
    write(&old.join("notes"), "the administrator's\n");
    let file = lab.etc().join("web.toml");
    write(&file, format!("# by hand\n{}", read(&file)));
    let ids = read(&lab.etc().join("idmap"));
    let uuid = zone.status().uuid;
    zone.boot();
    moved(&zone, &new).refuses().stderr_has("move operation is invalid for running zones.");
    zone.halt();
    moved(&zone, &old).ok().stderr_has("already.");
    moved(&zone, &new).ok().stderr_has(&format!("moved to {}.", new.display()));
    assert!(!old.exists(), "the old one is gone");
    assert!(read(&file).starts_with("# by hand\n"), "{}", read(&file));
    zone.zonecfg("info zonepath").ok().stdout_is(&format!("zonepath: {}\n", new.display()));
    assert_eq!(read(&new.join("notes")), "the administrator's\n");
    assert_eq!(fs::metadata(&new).map(|stat| stat.mode() & 0o7777).ok(), Some(0o700));
    assert_eq!(read(&lab.etc().join("idmap")), ids);
    assert_eq!(zone.status().uuid, uuid);
    zone.boot();
    zone.sh("cat /etc/kept").ok().stdout_is("yes\n");
    zone.halt();
    zone.zoneadm(["uninstall", "-F"]).ok();
    moved(&zone, &old).refuses().stderr_has("must be installed before move.");
}

fn a_zone_is_copied_to_another_file_system(lab: &Lab) {
    let zone = lab.sparse("web");
    let other = lab.path("other");
    make_dir(&other, 0o755);
    let _memory = lab.memory_at(&other);
    let (old, new) = (zone.path(), other.join("web"));
    write(&old.join("notes"), "the administrator's\n");
    write(&zone.file("/etc/kept"), "yes\n");
    let kept = zone.file("/etc/kept");
    fs::hard_link(&kept, zone.file("/var/kept")).unwrap_or_else(|e| panic!("{e}"));
    std::os::unix::fs::chown(&kept, Some(40_000), Some(7)).unwrap_or_else(|e| panic!("{e}"));
    Command::new("mknod")
        .args([zone.file("/etc/null").to_str().unwrap_or_default(), "c", "1", "3"])
        .run()
        .ok();
    moved(&zone, &new).ok().stderr_has("Moving across file systems").stderr_has("Cleaning up zonepath");
    assert!(!old.exists() && !lab.etc().join("web.moving").exists());
    let stat = |path: &str| fs::symlink_metadata(new.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    let kept = stat("root/etc/kept");
    assert_eq!((kept.uid(), kept.gid(), kept.nlink()), (40_000, 7, 2));
    assert_eq!(kept.ino(), stat("root/var/kept").ino());
    assert_eq!(stat("root/etc/null").rdev(), fs::metadata("/dev/null").map_or(0, |stat| stat.rdev()));
    assert_eq!(read(&new.join("notes")), "the administrator's\n");
    zone.boot();
    zone.sh("cat /etc/kept").ok().stdout_is("yes\n");
    zone.halt();
    // Full: it stays where it is, and can go on there.
    let small = lab.path("small");
    make_dir(&small, 0o755);
    Command::new("mount").args(["-t", "tmpfs", "-o", "mode=755,size=64k", "tmpfs"]).args([&small]).run().ok();
    let ran = moved(&zone, &small.join("web"));
    ran.refuses().stderr_has("no space left").stderr_has("it was not moved, and stays in");
    assert_eq!(fs::read_dir(&small).map(Iterator::count).ok(), Some(0), "{ran}");
    zone.boot();
    zone.halt();
    Command::new("umount").args([&small]).run().ok();
    moved(&zone, &old).ok();
    fs::remove_file(old.join("notes")).unwrap_or_else(|e| panic!("it was copied back: {e}"));
}

fn what_is_no_place_for_a_zone_is_refused(lab: &Lab) {
    let zone = lab.sparse("web");
    let db = lab.configured("db", "set brand=sparse");
    let place = |name: &str| lab.root().join(name);
    let refused = |to: &Path, text: &str| {
        let ran = moved(&zone, to);
        ran.refuses().stderr_has(text);
        assert!(zone.path().join("root").is_dir() && !lab.etc().join("web.moving").exists(), "{ran}");
    };
    refused(Path::new("srv/web"), "allowed: an absolute path");
    refused(&zone.path().join("deeper"), "overlap.");
    refused(&db.path().join("web"), "overlap.");
    make_dir(&place("used"), 0o700);
    write(&place("used/file"), "");
    refused(&place("used"), "is not empty");
    make_dir(&place("open"), 0o755);
    set_mode(&place("open"), 0o777);
    refused(&place("open/web"), "must not be");
    symlink(place("used"), place("link")).unwrap_or_else(|e| panic!("{e}"));
    refused(&place("link"), "is not a canonical path");
    zone.zoneadm(["move"]).exits(2);
    lab.zoneadm(["-z", "web,db", "move", "/x"]).exits(2).stderr_has("one zone at a time");
    // What an install makes right of an empty directory is made right here, too.
    make_dir(&place("empty"), 0o755);
    moved(&zone, &place("empty")).ok().stderr_has("changing permissions to 0700.");
    zone.boot();
    zone.halt();
}

fn nobody_boots_it_meanwhile(lab: &Lab) {
    let zone = lab.sparse("web");
    let new = lab.root().join("srv/web");
    let command = lab.command("zoneadm", ["-z", "web", "move"]).args([&new]);
    let ran = zone.program_stopped_at("zoneadm", "move.there", command, || {
        zone.zoneadm(["boot"]).refuses().stderr_has("\"zoneadm move\" (process ");
        zone.zoneadm(["uninstall", "-F"]).refuses().stderr_has("has an operation in progress.");
    });
    ran.ok();
    zone.boot();
    zone.halt();
    let twin = lab.configured("twin", "set brand=sparse");
    let command = lab.command("zoneadm", ["-z", "twin", "clone", "web"]);
    let ran = twin.program_stopped_at("zoneadm", "fill.begun", command, || {
        zone.zoneadm(["boot"]).refuses().stderr_has("is at work on its files; wait until that has ended");
        twin.zoneadm(["boot"]).refuses().stderr_has("\"zoneadm clone\" (process ");
    });
    ran.ok();
    zone.boot();
    zone.halt();
}

/// Whichever of what is put on the disk cannot be: the zone is whole at one of the two places, and that is where all look for it.
fn a_move_that_is_not_on_the_disk_is_taken_back(lab: &Lab) {
    let zone = lab.sparse("web");
    let (old, new) = (zone.path(), lab.root().join("srv/web"));
    write(&zone.file("/etc/kept"), "yes\n");
    let injector = Injector::new(lab, "zoneadm");
    let words = ["-z", "web", "move", new.to_str().unwrap_or_default()];
    let mut failed = 1;
    let mut nth = 0;
    while failed > 0 {
        nth += 1;
        injector.inject(&Injection { call: "fsync", error: "EIO", nth, always: false });
        let ran = injector.command("zoneadm", &words).within(60).run();
        failed = injector.release();
        eprintln!("the {nth}th: {ran}");
        assert!(failed > 0 || ran.code() == Some(0), "{ran}");
        zone.zoneadm(["verify"]).ok();
        let listed = zone.zoneadm(["list", "-p"]).out();
        let place = listed.split(':').nth(3).map(Path::new).unwrap_or_else(|| panic!("{listed}"));
        let other = if place == old { &new } else { &old };
        assert_eq!(read(&place.join("root/etc/kept")), "yes\n", "{ran}");
        assert!(!other.exists(), "{} is left: {ran}", other.display());
        moved(&zone, &old).ok();
        assert!(!lab.etc().join("web.moving").exists(), "{ran}");
    }
    assert!(nth > 2, "nothing was put on the disk");
    zone.boot();
    zone.halt();
}

fn a_clone_is_a_machine_of_its_own(lab: &Lab) {
    let data = lab.private("data");
    make_dir(&data, 0o755);
    let add = format!("add fs; set dir=/mnt; set special={}; set type=lofs; end", data.display());
    let zone = lab.sparse_with("web", &add);
    let id = "0123456789abcdef0123456789abcdef\n";
    for (file, text) in [
        ("/etc/machine-id", id),
        ("/etc/shadow", "root:$6$of-the-source:1::::::\n"),
        ("/etc/ssh/ssh_host_rsa_key", "secret"),
        ("/etc/kept", "yes\n"),
    ] {
        make_dir(zone.file(file).parent().unwrap_or(Path::new("/")), 0o755);
        write(&zone.file(file), text);
    }
    write(&zone.path().join("notes"), "the administrator's\n");
    let twin = lab.zone("twin");
    lab.zonecfg("twin", "create -t web").ok();
    let ran = twin.zoneadm(["clone", "-m", "copy", "web"]);
    ran.ok().stderr_has(&format!("WARNING: fs '{}' is configured in both zones.", data.display()));
    ran.stderr_has("its host name is twin")
        .stderr_has("its machine id was emptied")
        .stderr_has("ssh host key");
    assert_eq!(read(&twin.file("/etc/hostname")), "twin\n");
    assert_eq!(read(&twin.file("/etc/machine-id")), "");
    assert!(read(&twin.file("/etc/shadow")).contains("of-the-source"), "the passwords stay");
    assert!(!twin.file("/etc/ssh/ssh_host_rsa_key").exists() && !twin.path().join("notes").exists());
    assert_eq!(read(&zone.file("/etc/machine-id")), id, "the source is what it was");
    fs::remove_file(zone.path().join("notes")).unwrap_or_else(|e| panic!("{e}"));
    zone.boot();
    twin.boot();
    twin.sh("cat /etc/kept; hostname").ok().stdout_is("yes\ntwin\n");
    twin.halt();
    zone.halt();
}

fn clones_of_one_zone_wait_for_each_other(lab: &Lab) {
    let zone = lab.sparse("web");
    let [one, other] = ["one", "other"].map(|name| lab.configured(name, "set brand=sparse"));
    let clone = |name: &str| lab.command("zoneadm", ["-z", name, "clone", "web"]);
    let mut second = None;
    let ran = one.program_stopped_at("zoneadm", "fill.begun", clone("one"), || {
        let mut terminal = Terminal::start(clone("other"), 24, 80);
        terminal.shows("zone 'other': waiting for \"zoneadm clone\" (process ");
        terminal.shows("which is copying zone web.");
        other.is("configured");
        second = Some(terminal);
    });
    ran.ok();
    let (status, screen) = second.unwrap_or_else(|| panic!("it was begun")).ends();
    assert!(status.success(), "{screen}");
    [&one, &other].iter().for_each(|zone| zone.is("installed"));
    // Who waits and is interrupted has changed nothing.
    [&one, &other].iter().for_each(|zone| {
        zone.zoneadm(["uninstall", "-F"]).ok();
    });
    let mut second = None;
    let ran = one.program_stopped_at("zoneadm", "fill.begun", clone("one"), || {
        let mut terminal = Terminal::start(clone("other"), 24, 80);
        terminal.shows("waiting for");
        terminal.types("\u{3}");
        assert!(!terminal.ends().0.success());
        other.is("configured");
        second = Some(());
    });
    ran.ok();
    assert!(second.is_some());
    zone.boot();
    other.zoneadm(["clone", "web"]).refuses().stderr_has("clone operation is invalid for running zones.");
    zone.halt();
    other.zoneadm(["clone", "web"]).ok();
}

fn several_zones_are_cloned_from_one(lab: &Lab) {
    lab.sparse("web");
    let twins = ["twin1", "twin2", "twin3"].map(|name| lab.configured(name, "set brand=sparse"));
    let ran = lab.zoneadm(["-z", "twin*", "clone", "web"]);
    ran.ok().stderr_has("zoneadm: clone: 3 of 3 zones done\n");
    for twin in twins {
        twin.boot();
        twin.halt();
    }
}

fn what_cannot_be_cloned_is_refused(lab: &Lab) {
    let zone = lab.sparse("web");
    let twin = lab.configured("twin", "set brand=sparse");
    twin.zoneadm(["clone", "-s", "yesterday", "web"]).exits(2).stderr_has("there are no snapshots");
    twin.zoneadm(["clone", "-m", "zfs", "web"]).exits(2);
    twin.zoneadm(["clone"]).exits(2);
    twin.zoneadm(["clone", "wbe"]).refuses().stderr_has("did you mean \"web\"?");
    twin.zoneadm(["clone", "twin"]).refuses().stderr_has("is not cloned from itself.");
    zone.zoneadm(["clone", "twin"]).refuses().stderr_has("is already installed.");
    let third = lab.configured("third", "set brand=linux");
    third.zoneadm(["clone", "twin"]).refuses().stderr_has("zone 'twin': must be installed before clone.");
    third.zoneadm(["clone", "web"]).refuses().stderr_has("is of brand sparse, this one of linux");
    third.is("configured");
    zone.boot();
    let ran = twin.zoneadm(["clone", "web"]);
    ran.refuses().stderr_has("zone 'web': clone operation is invalid for running zones.");
    twin.is("configured");
    zone.halt();
    twin.zoneadm(["clone", "web"]).ok();
}

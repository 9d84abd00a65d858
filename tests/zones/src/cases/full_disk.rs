//! Disks that are full: below the run directory, below the configuration, below the zones. Every command says which file it could
//! not write and what to do; nothing that was good is lost, a running zone runs on, and it can always be halted.

use crate::harness::dead::Disk;
use crate::harness::{Command, Lab, Ran, cases, make_dir, read};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

cases![the_run_directory, the_configuration, the_zonepath];

/// A small file system in memory, until this is dropped.
struct Memory(PathBuf);

impl Memory {
    #[track_caller]
    fn at(place: &Path) -> Self {
        make_dir(place, 0o700);
        let options = ["-t", "tmpfs", "-o", "size=512k,mode=700", "tmpfs"];
        Command::new("mount").args(options).args([place]).run().ok();
        Self(place.to_owned())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l"]).args([&self.0]).run();
    }
}

/// Fills a file system to its last byte.
fn fill(place: &Path) -> PathBuf {
    let path = place.join("ballast");
    let mut file = fs::File::create(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    for size in [65536, 512, 1] {
        let block = vec![b'x'; size];
        while file.write_all(&block).is_ok() {}
    }
    let _ = file.sync_all();
    path
}

fn empty(ballast: &Path) {
    fs::remove_file(ballast).unwrap_or_else(|e| panic!("{}: {e}", ballast.display()));
}

/// Refused, with the file and the remedy.
#[track_caller]
fn says_full(ran: &Ran, place: &Path) {
    ran.refuses().stderr_has(&place.to_string_lossy()).stderr_has("free some space there");
}

fn the_run_directory(lab: &Lab) {
    let memory = Memory::at(&lab.run());
    let zone = lab.sparse("web");
    zone.boot();
    // Its page would have room for some lines more.
    let _ = fs::remove_file(zone.run_dir().join("journal"));
    let ballast = fill(&lab.run());
    lab.zoneadm(["list", "-cv"]).ok().stdout_has("running");
    zone.zlogin(["true"]).ok();
    says_full(&zone.zoneadm(["reboot"]), &lab.run());
    zone.is("running");
    // Also for a daemon that has just been started.
    zone.kill_daemon();
    let ran = zone.zoneadm(["halt"]);
    ran.ok().stderr_has("WARNING: could not keep the journal").stderr_has("free some space there");
    zone.is("installed");
    // That made room.
    empty(&ballast);
    let ballast = fill(&lab.run());
    says_full(&zone.zoneadm(["boot"]), &lab.run());
    zone.is("installed");
    empty(&ballast);
    zone.boot();
    zone.remove();
    drop(memory);
}

fn the_configuration(lab: &Lab) {
    let etc = lab.etc();
    let memory = Memory::at(&etc);
    let zone = lab.sparse("web");
    let other = lab.configured("db", "set brand=sparse");
    zone.boot();
    let kept = || ["index", "idmap", "web.toml", "db.toml"].map(|name| read(&etc.join(name)));
    let before = kept();
    let ballast = fill(&etc);
    says_full(&lab.zonecfg("new", "create; set brand=sparse"), &etc);
    says_full(&zone.zonecfg("set bootargs=-v"), &etc);
    says_full(&other.zoneadm(["install"]), &etc);
    assert_eq!(kept(), before);
    lab.zoneadm(["list", "-c"]).ok().quiet();
    zone.zlogin(["true"]).ok();
    zone.halt();
    zone.boot();
    zone.halt();
    says_full(&other.zonecfg("delete -F"), &etc);
    says_full(&zone.zoneadm(["uninstall", "-F"]), &etc);
    says_full(&zone.zoneadm(["mark", "incomplete"]), &etc);
    assert_eq!(kept(), before);
    zone.boot();
    zone.halt();
    empty(&ballast);
    let left: Vec<String> = fs::read_dir(&etc)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    other.zoneadm(["install"]).ok();
    zone.remove();
    other.remove();
    drop(memory);
}

fn the_zonepath(lab: &Lab) {
    let disk = Disk::make(lab, "disk", 24);
    let place = |name: &str| disk.point().join(name);
    let zone = lab.configured("web", &format!("set brand=sparse; set zonepath={}", place("web").display()));
    zone.zoneadm(["install"]).ok();
    zone.boot();
    let ballast = fill(disk.point());
    zone.zlogin(["true"]).ok();
    zone.zoneadm(["halt"])
        .ok()
        .stderr_has("WARNING: how the zone ended is not recorded")
        .stderr_has("lastexit.toml");
    zone.is("installed");
    let other = lab.configured("db", &format!("set brand=sparse; set zonepath={}", place("db").display()));
    other.zoneadm(["install"]).refuses().stderr_has(&disk.point().to_string_lossy());
    let state = other.status().state;
    empty(&ballast);
    if state == "incomplete" {
        other.zoneadm(["uninstall", "-F"]).ok();
    }
    other.zoneadm(["install"]).ok();
    zone.boot();
    zone.halt();
    assert_eq!(zone.status().last_exit.map(|exit| exit.how), Some("halted".to_owned()));
    zone.remove();
    other.remove();
}

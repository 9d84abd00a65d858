//! A daemon that is killed at every boundary between two steps of a zone that has a file system in an image.

use super::crash::{Judge, Prepare, be_up, is_down, is_up, is_up_anew, nothing, sweep_of};
use super::crash_apply::is_given;
use super::fs_disk::{ext4, image};
use crate::harness::{Lab, Ran, Status, Zone, cases};

cases![boot_with_an_image: 900, halt_with_an_image: 900, reboot_with_an_image: 900, apply_of_file_systems: 1200, apply_without_file_systems: 1200, apply_of_others: 1800];

fn sweep(lab: &Lab, prepare: Prepare, verb: &str, judge: Judge) {
    // Below the installation, so that a loop device that is left is told.
    let image = image(&lab.root().join("disk.img"));
    sweep_of(&lab.sparse_with("web", &ext4("/data", &image, "")), prepare, &[verb], 0, judge);
}

fn boot_with_an_image(lab: &Lab) {
    sweep(lab, nothing, "boot", |zone, before, ran| {
        is_up(zone, before, ran);
        zone.sh("touch /data/lost+found/x").ok();
    });
}

fn halt_with_an_image(lab: &Lab) {
    sweep(lab, be_up, "halt", is_down);
}

fn reboot_with_an_image(lab: &Lab) {
    sweep(lab, be_up, "reboot", is_up_anew);
}

/// A zone that is up and is to have an image and memory below it.
fn lack_file_systems(zone: &Zone<'_>) {
    be_up(zone);
    let image = zone.root().join("disk.img");
    let more = "add fs; set dir=/data/sub; set special=swap; set type=tmpfs; end";
    zone.zonecfg(&(ext4("/data", &image, "") + more)).ok();
}

fn has_file_systems(zone: &Zone<'_>, before: &Status, ran: &Ran) {
    is_given(zone, before, ran);
    zone.sh("stat -f -c %T /data /data/sub; grep -c ' /data' /proc/mounts")
        .ok()
        .stdout_is("ext2/ext3\ntmpfs\n2\n");
    zone.sh("touch /data/lost+found/x").ok();
    zone.zonecfg("remove -F fs").ok();
}

/// A zone that is up with both and is to have neither.
fn have_file_systems_too_many(zone: &Zone<'_>) {
    // There is none the first time.
    drop(zone.zonecfg("remove -F fs"));
    lack_file_systems(zone);
    zone.zoneadm(["apply"]).ok();
    zone.zoneadm(["reboot"]).ok();
    zone.zonecfg("remove -F fs").ok();
}

fn has_no_file_systems(zone: &Zone<'_>, before: &Status, ran: &Ran) {
    is_given(zone, before, ran);
    zone.sh("! grep ' /data' /proc/mounts").ok();
}

fn apply_of_file_systems(lab: &Lab) {
    let _ = image(&lab.root().join("disk.img"));
    sweep_of(&lab.sparse("web"), lack_file_systems, &["apply"], 0, has_file_systems);
}

fn apply_without_file_systems(lab: &Lab) {
    let _ = image(&lab.root().join("disk.img"));
    sweep_of(&lab.sparse("web"), have_file_systems_too_many, &["apply"], 0, has_no_file_systems);
}

/// A zone that is up with an image that is to be read-only, and has something below that is not changed.
fn have_other_file_systems(zone: &Zone<'_>) {
    // There is none the first time.
    drop(zone.zonecfg("remove -F fs"));
    lack_file_systems(zone);
    zone.zoneadm(["apply"]).ok();
    zone.zonecfg("select fs dir=/data; add options ro; end").ok();
}

fn has_the_others(zone: &Zone<'_>, before: &Status, ran: &Ran) {
    is_given(zone, before, ran);
    zone.sh("grep -c ' /data' /proc/mounts; ! touch /data/x 2>/dev/null && touch /data/sub/x")
        .ok()
        .stdout_is("2\n");
}

fn apply_of_others(lab: &Lab) {
    let _ = image(&lab.root().join("disk.img"));
    let zone = lab.sparse("web");
    for second in [0, 2] {
        sweep_of(&zone, have_other_file_systems, &["apply"], second, has_the_others);
    }
}

//! A daemon that is killed at every boundary between two steps of a zone that has a file system in an image.

use super::crash::{Judge, Prepare, be_up, is_down, is_up, is_up_anew, nothing, sweep_of};
use super::fs_disk::{ext4, image};
use crate::harness::{Lab, cases};

cases![boot_with_an_image: 900, halt_with_an_image: 900, reboot_with_an_image: 900];

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

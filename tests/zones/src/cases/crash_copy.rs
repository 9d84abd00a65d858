//! A `zoneadm cp` that is killed at every point, and its process in the zone: nobody sees half of a file, the same command once more goes on with what is
//! there, and believes of that only what is on the disk.

use super::crash::{be_up, leaves_nothing, zone};
use crate::harness::world::World;
use crate::harness::{Command, Lab, Place, Zone, cases, need_failpoints, places, until, write};
use std::fs;
use std::path::{Path, PathBuf};

cases![
    into_a_zone: 120,
    out_of_a_zone: 120,
    a_file_that_was_not_on_the_disk_is_copied_again: 60,
];

/// More than one message of bytes.
const SIZE: u32 = 60_000;

fn cp(lab: &Lab, from: &Path, to: &str) -> Command {
    lab.command("zoneadm", ["cp", "-r"]).args([from.to_str().expect("a path in UTF-8"), to])
}

fn cp_out(lab: &Lab, to: &Path) -> Command {
    cp(lab, Path::new("web:/root/tree"), to.to_str().expect("a path in UTF-8"))
}

/// A directory of the host's for what comes out.
fn got(lab: &Lab) -> PathBuf {
    let got = lab.path("got");
    fs::create_dir(&got).expect("mkdir");
    got
}

/// A tree with a file of two messages and a small one.
fn tree(top: &Path) -> PathBuf {
    let tree = top.join("tree");
    fs::create_dir_all(tree.join("sub")).expect("mkdir");
    fs::write(tree.join("big"), (0..SIZE).flat_map(u32::to_le_bytes).collect::<Vec<u8>>()).expect("write");
    write(&tree.join("sub/small"), "small\n");
    tree
}

/// The files of a tree below `top` that have their names, each of which must be whole.
#[track_caller]
fn whole(from: &Path, to: &Path, at: &str) -> Vec<&'static str> {
    let there = |name: &&str| to.join(name).exists();
    let names: Vec<_> = ["big", "sub/small"].into_iter().filter(there).collect();
    for name in &names {
        let (is, must) = (fs::read(to.join(name)), fs::read(from.join(name)));
        assert!(is.expect("read") == must.expect("read"), "half of {name} is seen after a death at {at}");
    }
    names
}

/// No part is left, and all is there.
#[track_caller]
fn is_there(from: &Path, to: &Path, at: &str) {
    Command::new("diff").args(["-r"]).args([from, to]).run().ok().stdout_is("");
    assert_eq!(whole(from, to, at).len(), 2, "{at}");
}

#[track_caller]
fn nobody_copies(zone: &Zone<'_>, at: &str) {
    until(&format!("the process in the zone has gone after a death at {at}"), || {
        (!zone.sh("cat /proc/[0-9]*/comm 2>/dev/null").out().contains("zoneadm")).then_some(())
    });
}

/// Kills `command` at each of its points, and gives it again; then the same of its process in the zone, which does there what
/// `opposite`, a copy of the same files the other way, does here.
fn sweep(
    zone: &Zone<'_>,
    from: &Path,
    to: &Path,
    command: &dyn Fn() -> Command,
    opposite: &dyn Fn() -> Command,
) {
    let world = World::look(&[]);
    let passed = zone.passed_by("zoneadm", || {
        command().run().ok();
    });
    need_failpoints(&passed);
    let is_of_copy = |place: &Place| place.point.starts_with("copy.");
    let mut points = 0;
    for Place { point, passage } in places(&passed).into_iter().filter(is_of_copy) {
        let at = format!("{point} {passage}");
        fs::remove_dir_all(to).expect("remove what was copied");
        zone.dies(&[("zoneadm", &point, passage)]);
        let ran = command().run();
        assert_eq!(zone.die_no_more(), [format!("zoneadm {point}")], "{ran}");
        assert_eq!(ran.code(), None, "it was killed at {at}\n{ran}");
        nobody_copies(zone, &at);
        whole(from, to, &at);
        command().run().ok();
        is_there(from, to, &at);
        points += 1;
    }
    assert!(points >= 3, "{passed:?}");
    let passed = zone.passed_by("zoneadm", || {
        opposite().run().ok();
    });
    for Place { point, passage } in places(&passed).into_iter().filter(is_of_copy) {
        let at = format!("{point} {passage} in the zone");
        fs::remove_dir_all(to).expect("remove what was copied");
        zone.dies(&[("copier", &point, passage)]);
        let ran = command().run();
        assert_eq!(zone.die_no_more(), [format!("copier {point}")], "{ran}");
        ran.refuses().stderr_has(
            "the copy was broken off: the process on the other side has ended before all was copied",
        );
        assert_eq!(ran.err().lines().count(), 1, "{at}\n{ran}");
        nobody_copies(zone, &at);
        whole(from, to, &at);
        command().run().ok();
        is_there(from, to, &at);
        points += 1;
    }
    assert!(points >= 5, "{passed:?}");
    leaves_nothing(zone, &world, "the copies");
}

fn into_a_zone(lab: &Lab) {
    let zone = zone(lab);
    be_up(&zone);
    let (from, got) = (tree(&lab.path("here")), got(lab));
    sweep(&zone, &from, &zone.file("/root/tree"), &|| cp(lab, &from, "web:/root"), &|| cp_out(lab, &got));
}

fn out_of_a_zone(lab: &Lab) {
    let zone = zone(lab);
    be_up(&zone);
    let (from, got) = (tree(&zone.file("/root")), got(lab));
    let to = got.join("tree");
    sweep(&zone, &from, &to, &|| cp_out(lab, &got), &|| cp(lab, &to, "web:/root/again"));
}

/// A file gets its time when its bytes are on the disk: one without is none that the next copy leaves alone.
fn a_file_that_was_not_on_the_disk_is_copied_again(lab: &Lab) {
    let zone = zone(lab);
    be_up(&zone);
    let (from, got) = (tree(&zone.file("/root")), got(lab));
    let to = got.join("tree");
    let copy = || cp_out(lab, &got);
    zone.dies(&[("zoneadm", "copy.named", 2)]);
    let ran = copy().run();
    need_failpoints(&zone.die_no_more());
    assert_eq!(whole(&from, &to, "copy.named").len(), 2, "both have their names\n{ran}");
    nobody_copies(&zone, "copy.named");
    // As a power loss may leave it: the size is that of the file, and the bytes are not.
    fs::write(to.join("sub/small"), [0; 6]).expect("write");
    copy().run().ok();
    is_there(&from, &to, "copy.named");
}

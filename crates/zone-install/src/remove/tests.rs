use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::atomic::Ordering;

use super::*;
use crate::testing::{Ground, chmod, in_own_mounts, is_root, mount_tmpfs, options, silent};

fn planned(ground: &Ground) -> Plan {
    plan(&ground.zonepath, &options(), &mut silent).unwrap()
}

fn removed(ground: &Ground) -> Removed {
    execute(&planned(ground), &options(), &mut silent).unwrap()
}

fn fill(ground: &Ground) {
    fs::create_dir_all(ground.root.join("a/b/c")).unwrap();
    fs::write(ground.root.join("a/b/file"), vec![1; 10_000]).unwrap();
    fs::write(ground.zonepath.join("lastexit.toml"), "").unwrap();
    fs::create_dir(ground.zonepath.join("logs")).unwrap();
    fs::write(ground.zonepath.join("logs/console"), "").unwrap();
}

#[test]
fn a_zone_is_removed_and_its_directory_too() {
    let ground = Ground::new();
    fill(&ground);
    let plan = planned(&ground);
    let names: Vec<_> = plan.standard.iter().map(|standard| standard.name.as_str()).collect();
    assert_eq!(names, ["lastexit.toml", "logs", "root"]);
    assert_eq!(plan.entries(), 1 + 2 + 5);
    assert!(plan.bytes() >= 10_000);
    let done = execute(&plan, &options(), &mut silent).unwrap();
    assert_eq!(done, Removed { entries: 8, left: None });
    assert!(!ground.zonepath.exists());
    // Once more is no error: there is nothing left to do.
    assert!(planned(&ground).is_missing());
    assert_eq!(removed(&ground), Removed { entries: 0, left: None });
}

#[test]
fn what_is_not_ours_stays_with_a_warning() {
    let ground = Ground::new();
    fill(&ground);
    fs::write(ground.zonepath.join("notes"), "mine").unwrap();
    assert_eq!(planned(&ground).extra, ["notes"]);
    let left = removed(&ground).left.unwrap();
    assert_eq!(
        left.to_string(),
        format!(
            "WARNING: Unable to completely remove {}\nbecause it contains additional user data.  Only the standard \
             directory entries have been removed.",
            ground.zonepath.display()
        )
    );
    assert_eq!(fs::read_to_string(ground.zonepath.join("notes")).unwrap(), "mine");
    assert!(!ground.root.exists());
}

#[test]
fn links_are_removed_and_never_followed() {
    let ground = Ground::new();
    fs::create_dir(ground.path("victim")).unwrap();
    fs::write(ground.path("victim/file"), "mine").unwrap();
    fs::create_dir(&ground.root).unwrap();
    symlink(ground.path("victim"), ground.root.join("link")).unwrap();
    symlink(ground.path("victim"), ground.zonepath.join("logs")).unwrap();
    assert_eq!(removed(&ground).left, None);
    assert_eq!(fs::read_to_string(ground.path("victim/file")).unwrap(), "mine");
}

#[test]
fn depth_and_modes_are_no_obstacle() {
    let ground = Ground::new();
    fs::create_dir(&ground.root).unwrap();
    // Deeper than PATH_MAX allows to name and than there are descriptors or stack for.
    let mut at = rustix::fs::open(&ground.root, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    for _ in 0..6000 {
        rustix::fs::mkdirat(&at, "deep", Mode::RWXU).unwrap();
        at = rustix::fs::openat(&at, "deep", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    }
    fs::create_dir_all(ground.root.join("shut/inside")).unwrap();
    fs::write(ground.root.join("shut/inside/file"), "").unwrap();
    chmod(&ground.root.join("shut/inside"), 0);
    chmod(&ground.root.join("shut"), 0);
    for number in 0..3000 {
        fs::write(ground.root.join(format!("many-{number}")), "").unwrap();
    }
    assert_eq!(removed(&ground).left, None);
    assert!(!ground.zonepath.exists());
}

#[test]
fn an_interrupted_removal_can_be_finished() {
    let ground = Ground::new();
    fill(&ground);
    let options = options();
    let plan = plan(&ground.zonepath, &options, &mut silent).unwrap();
    options.cancel.store(true, Ordering::Relaxed);
    let error = execute(&plan, &options, &mut silent).unwrap_err();
    assert_eq!(error.to_string(), "the uninstall was interrupted; run uninstall -F again to finish it");
    fs::remove_dir_all(ground.root.join("a/b")).unwrap();
    assert_eq!(removed(&ground).left, None);
    assert!(!ground.zonepath.exists());
}

#[test]
fn a_wrong_path_empties_nothing() {
    let ground = Ground::new();
    fill(&ground);
    symlink(&ground.zonepath, ground.path("link")).unwrap();
    let refused = |path: &Path| plan(path, &options(), &mut silent).unwrap_err().to_string();
    assert!(refused(&ground.path("link")).contains("cannot be removed"));
    assert!(refused(&ground.path("link/root")).contains("symbolic link"));
    assert!(refused(Path::new("/")).contains("directory of its own"));
    assert!(refused(Path::new("zone")).contains("absolute path"));
    assert!(refused(&ground.zonepath.join("lastexit.toml")).contains("not a directory"));
    chmod(&ground.zonepath, 0o755);
    assert!(refused(&ground.zonepath).contains("open to others"));
}

#[test]
fn a_mount_below_stops_it_before_anything_is_touched() {
    if !in_own_mounts("remove::tests::a_mount_below_stops_it_before_anything_is_touched") {
        return;
    }
    let ground = Ground::new();
    fill(&ground);
    let point = ground.root.join("a/b");
    mount_tmpfs(&point, "size=1m");
    fs::write(point.join("kept"), "x").unwrap();
    let plan = planned(&ground);
    assert_eq!(plan.mounts, std::slice::from_ref(&point));
    let error = execute(&plan, &options(), &mut silent).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "These file-systems are mounted on subdirectories of {}:\n  {}",
            ground.zonepath.display(),
            point.display()
        )
    );
    assert!(point.join("kept").exists() && ground.zonepath.join("logs").exists());
    // Should one appear while we are at it, the walk itself stops there.
    let (options, mut report) = (options(), silent);
    let mut delete = Delete { meter: Meter::new(Phase::Removing, &options, &mut report), entries: 0 };
    let directory = plan.directory.as_ref().unwrap();
    let error = walk(directory, &ground.zonepath, c"root", &mut delete).unwrap_err();
    assert!(matches!(error, Error::MountsBelow { .. }), "{error}");
    assert!(point.join("kept").exists());
}

#[test]
fn a_zonepath_that_is_a_mount_point_is_emptied() {
    if !in_own_mounts("remove::tests::a_zonepath_that_is_a_mount_point_is_emptied") {
        return;
    }
    let ground = Ground::new();
    mount_tmpfs(&ground.zonepath, "mode=0700");
    fill(&ground);
    let left = removed(&ground).left.unwrap();
    assert_eq!(left, Left::MountPoint(ground.zonepath.clone()));
    assert_eq!(fs::read_dir(&ground.zonepath).unwrap().count(), 0);
}

#[test]
fn an_immutable_file_is_named() {
    if !is_root() {
        return;
    }
    for name in ["root/a/b/file", "root/a/b"] {
        let ground = Ground::new();
        fill(&ground);
        let path = ground.zonepath.join(name);
        let chattr =
            |flag| Command::new("chattr").arg(flag).arg(&path).stderr(std::process::Stdio::null()).status();
        if !chattr("+i").is_ok_and(|status| status.success()) {
            return; // not every file system has the flag
        }
        let result = execute(&planned(&ground), &options(), &mut silent);
        assert!(chattr("-i").unwrap().success());
        let error = result.unwrap_err();
        let expected = format!("{} is immutable or append-only", path.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert_eq!(removed(&ground).left, None);
    }
}

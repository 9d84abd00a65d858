use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::atomic::Ordering;

use super::*;
use crate::testing::{Ground, chmod, in_own_mounts, mount_tmpfs, options, silent};

fn planned(ground: &Ground) -> Plan {
    plan(&ground.zonepath, true, &options(), &mut silent).unwrap()
}

fn removed(ground: &Ground) -> Removed {
    execute(&planned(ground), Fixed::Refuse, &options(), &mut silent).unwrap()
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
    let done = execute(&plan, Fixed::Refuse, &options(), &mut silent).unwrap();
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
    let plan = plan(&ground.zonepath, true, &options, &mut silent).unwrap();
    options.cancel.store(true, Ordering::Relaxed);
    let error = execute(&plan, Fixed::Refuse, &options, &mut silent).unwrap_err();
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
    let refused = |path: &Path| plan(path, false, &options(), &mut silent).unwrap_err().to_string();
    assert!(refused(&ground.path("link")).contains("cannot be removed"));
    assert!(refused(&ground.path("link/root")).contains("symbolic link"));
    assert!(refused(Path::new("/")).contains("directory of its own"));
    assert!(refused(Path::new("zone")).contains("absolute path"));
    assert!(refused(&ground.zonepath.join("lastexit.toml")).contains("not a directory"));
    chmod(&ground.zonepath, 0o755);
    assert!(refused(&ground.zonepath).contains("open to others"));
}

#[test]
fn a_directory_that_no_zone_was_installed_in_is_left_alone() {
    let ground = Ground::new();
    chmod(&ground.zonepath, 0o755);
    fs::write(ground.zonepath.join("notes"), "mine").unwrap();
    let plan = planned(&ground);
    assert!(plan.is_missing() && plan.standard.is_empty());
    assert_eq!(removed(&ground), Removed { entries: 0, left: None });
    assert_eq!(fs::read_to_string(ground.zonepath.join("notes")).unwrap(), "mine");
    assert!(
        all(&ground.zonepath, &options(), &mut silent).is_err(),
        "a copy is in a directory of root's alone"
    );
    for name in STANDARD {
        fs::write(ground.zonepath.join(name.to_str().unwrap()), "").unwrap();
        assert!(super::plan(&ground.zonepath, true, &options(), &mut silent).is_err(), "{name:?}");
        fs::remove_file(ground.zonepath.join(name.to_str().unwrap())).unwrap();
    }
}

#[test]
fn a_read_only_file_system_is_said_to_be_one_with_the_remedy() {
    struct ReadOnly;
    impl Visit for ReadOnly {
        const DOING: &'static str = "remove";
        const SKIPS_MOUNTS: bool = false;
        fn before(&mut self, _path: &dyn Fn() -> PathBuf) -> Result<(), Error> {
            Ok(())
        }
        fn file(&mut self, _: &OwnedFd, _: &CStr, _: &dyn Fn() -> PathBuf) -> Result<(), Errno> {
            Err(Errno::ROFS)
        }
        fn directory(&mut self, _: &OwnedFd, _: &CStr, _: &dyn Fn() -> PathBuf) -> Result<(), Errno> {
            Ok(())
        }
    }
    let ground = Ground::new();
    fill(&ground);
    let plan = planned(&ground);
    let directory = plan.directory.as_ref().unwrap();
    let error = walk(directory, &ground.zonepath, c"root", &mut ReadOnly).unwrap_err();
    // What is one subvolume has one device; here all of it has.
    let (file, top) = (ground.root.join("a/b/file"), ground.root.display());
    assert_eq!(
        error.to_string(),
        format!(
            "cannot remove {}: {top} is read-only; if it is a subvolume of btrfs, run: btrfs property set {top} ro false",
            file.display()
        )
    );
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
    let error = execute(&plan, Fixed::Refuse, &options(), &mut silent).unwrap_err();
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
    let mut delete = Delete {
        meter: Meter::new(Phase::Removing, &options, &mut report),
        fixed: Fixed::Refuse,
        entries: 0,
    };
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

fn chattr(flag: &str, path: &Path) -> bool {
    Command::new("chattr")
        .arg(flag)
        .arg(path)
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[test]
fn what_chattr_has_fixed_is_named_all_at_once_and_cleared_when_asked() {
    zone_testing::needs_root!();
    let ground = Ground::new();
    fill(&ground);
    for name in ["c1", "c2"] {
        fs::write(ground.root.join("a/b/c").join(name), "").unwrap();
    }
    let fixed = [
        ("+i", "root/a/b/file"),
        ("+a", "root/a/b/c/c1"),
        ("+i", "root/a/b/c"),
        ("+a", "root/a"),
        ("+i", ""),
    ];
    for (flag, name) in fixed {
        if !chattr(flag, &ground.zonepath.join(name)) {
            return; // not every file system has the flag
        }
    }
    let plan = planned(&ground);
    assert_eq!(plan.fixed, 5);
    let error = execute(&plan, Fixed::Refuse, &options(), &mut silent).unwrap_err().to_string();
    assert!(error.starts_with("5 files are immutable or append-only"), "{error}");
    for (_, name) in fixed {
        assert!(error.contains(&*ground.zonepath.join(name).to_string_lossy()), "{error}");
    }
    assert!(ground.zonepath.join("lastexit.toml").exists(), "nothing was removed");
    let done = execute(&plan, Fixed::Clear, &options(), &mut silent).unwrap();
    assert_eq!(done.left, None);
    assert!(!ground.zonepath.exists());
}

#[test]
fn nothing_but_what_is_removed_is_cleared() {
    zone_testing::needs_root!();
    let ground = Ground::new();
    fill(&ground);
    fs::write(ground.path("outside"), "").unwrap();
    fs::write(ground.zonepath.join("notes"), "").unwrap();
    // The same file under another name: the flag is the file's, and the name below the root is in the way.
    symlink(ground.path("outside"), ground.root.join("link")).unwrap();
    if !chattr("+i", &ground.path("outside")) || !chattr("+i", &ground.zonepath.join("notes")) {
        return; // not every file system has the flag
    }
    let done = execute(&planned(&ground), Fixed::Clear, &options(), &mut silent).unwrap();
    assert!(matches!(done.left, Some(Left::UserData { .. })));
    for path in [ground.path("outside"), ground.zonepath.join("notes")] {
        assert!(fs::remove_file(&path).is_err(), "{} is not the zone's", path.display());
        assert!(chattr("-i", &path));
    }
}

#[test]
fn the_root_alone_is_taken_back() {
    let ground = Ground::new();
    fill(&ground);
    assert_eq!(root(&ground.zonepath, &options(), &mut silent).unwrap(), 5);
    assert!(!ground.root.exists() && ground.zonepath.join("lastexit.toml").exists());
}

use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileExt, FileTypeExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;

use super::*;
use crate::progress::Progress;
use crate::testing::{Ground, chmod, in_own_mounts, is_root, mode, mount_tmpfs, options, silent};

fn copy(ground: &Ground) -> Result<Summary, Error> {
    from_directory(&ground.path("source"), &ground.zonepath, &options(), &mut silent)
}

fn source(ground: &Ground) -> PathBuf {
    let source = ground.path("source");
    fs::create_dir(&source).unwrap();
    source
}

#[test]
fn a_tree_is_copied_as_it_is() {
    let ground = Ground::new();
    let from = source(&ground);
    fs::create_dir_all(from.join("a/b/c")).unwrap();
    fs::write(from.join("a/b/c/file"), "contents").unwrap();
    fs::write(from.join("a/su"), "setuid").unwrap();
    fs::hard_link(from.join("a/su"), from.join("a/b/su2")).unwrap();
    symlink("../../../../etc/passwd", from.join("a/link")).unwrap();
    fs::hard_link(from.join("a/link"), from.join("a/link2")).unwrap();
    rustix::fs::mknodat(CWD, from.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o622), 0).unwrap();
    let _socket = UnixListener::bind(from.join("socket")).unwrap();
    let mut holes = File::create(from.join("holes")).unwrap();
    holes.write_all(b"start").unwrap();
    holes.write_all_at(b"end", 20 << 20).unwrap();
    holes.set_len(30 << 20).unwrap();
    chmod(&from.join("a/su"), 0o4711);
    chmod(&from.join("pipe"), 0o622);
    chmod(&from.join("a"), 0o3750);
    rustix::fs::setxattr(from.join("a"), "user.note", b"x\0y", rustix::fs::XattrFlags::empty()).unwrap();
    if is_root() {
        chown(from.join("a/b"), Some(1234), Some(5678)).unwrap();
        std::os::unix::fs::lchown(from.join("a/link"), Some(99), Some(98)).unwrap();
    }

    let mut phases = Vec::new();
    let mut last = (0, None);
    let mut report = |progress: Progress<'_>| {
        if phases.last() != Some(&progress.phase) {
            phases.push(progress.phase);
        }
        if progress.phase == Phase::Copying {
            last = (progress.entries, progress.total_entries);
        }
    };
    let summary = from_directory(&from, &ground.zonepath, &options(), &mut report).unwrap();
    assert_eq!(phases, [Phase::Measuring, Phase::Copying, Phase::Syncing]);
    assert_eq!(Some(last.0), last.1);
    assert_eq!((summary.hard_links, summary.sockets_skipped), (2, 1));
    let root = &ground.root;
    assert_eq!(fs::read_to_string(root.join("a/b/c/file")).unwrap(), "contents");
    assert!(fs::metadata(root.join("pipe")).unwrap().file_type().is_fifo());
    assert_eq!(fs::read(root.join("holes")).unwrap(), fs::read(from.join("holes")).unwrap());
    assert!(fs::metadata(root.join("holes")).unwrap().blocks() < 2048, "holes stay holes");
    let same = |a: &str, b: &str| {
        fs::symlink_metadata(root.join(a)).unwrap().ino() == fs::symlink_metadata(root.join(b)).unwrap().ino()
    };
    assert!(same("a/su", "a/b/su2") && same("a/link", "a/link2"));
    let mut value = [0; 8];
    assert_eq!(rustix::fs::getxattr(root.join("a"), "user.note", &mut value).unwrap(), 3);
    for name in ["a", "a/b", "a/b/c", "a/b/c/file", "a/su", "a/link", "pipe", "holes"] {
        let (old, new) = (from.join(name), root.join(name));
        assert_eq!(mode(&new), mode(&old), "{name}");
        let (old, new) = (fs::symlink_metadata(&old).unwrap(), fs::symlink_metadata(&new).unwrap());
        assert_eq!((new.uid(), new.gid()), (old.uid(), old.gid()), "{name}");
        assert_eq!((new.mtime(), new.mtime_nsec()), (old.mtime(), old.mtime_nsec()), "{name}");
    }
    assert_eq!(fs::read_link(root.join("a/link")).unwrap(), Path::new("../../../../etc/passwd"));
}

#[test]
fn devices_are_counted_and_capabilities_kept() {
    zone_testing::needs_root!();
    let ground = Ground::new();
    let from = source(&ground);
    let null = rustix::fs::makedev(1, 3);
    rustix::fs::mknodat(CWD, from.join("null"), FileType::CharacterDevice, Mode::RUSR, null).unwrap();
    // cap_net_raw+ep, revision 2 (linux/capability.h).
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    fs::write(from.join("ping"), "x").unwrap();
    chmod(&from.join("ping"), 0o755);
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(from.join("ping"), "security.capability", &capability, flags).unwrap();
    let summary = copy(&ground).unwrap();
    assert_eq!(summary.devices_skipped, 1);
    assert!(!ground.root.join("null").exists());
    let mut value = [0; 64];
    let length = rustix::fs::getxattr(ground.root.join("ping"), "security.capability", &mut value).unwrap();
    assert_eq!(value[..length], capability);
}

#[test]
fn a_source_around_or_in_the_zonepath_is_refused() {
    let ground = Ground::new();
    let inside = ground.zonepath.join("x");
    fs::create_dir(&inside).unwrap();
    for source in [ground.directory.path(), &inside, Path::new("/")] {
        let error = from_directory(source, &ground.zonepath, &options(), &mut silent).unwrap_err();
        assert!(matches!(error, Error::SourceOverlaps { .. }), "{error}");
    }
    let error = from_directory(&ground.path("none"), &ground.zonepath, &options(), &mut silent).unwrap_err();
    assert!(error.to_string().starts_with("cannot open the source"), "{error}");
}

#[test]
fn other_mounts_are_left_out_and_named() {
    if !in_own_mounts("install::directory::tests::other_mounts_are_left_out_and_named") {
        return;
    }
    let ground = Ground::new();
    let from = source(&ground);
    fs::create_dir_all(from.join("data/deep")).unwrap();
    fs::create_dir_all(from.join("same")).unwrap();
    fs::write(from.join("file"), "").unwrap();
    mount_tmpfs(&from.join("data"), "size=1m");
    fs::write(from.join("data/secret"), "x").unwrap();
    for name in ["same", "file"] {
        // A bind mount of the same file system has the same device number, but is a mount all the same.
        let path = from.join(name);
        assert!(Command::new("mount").arg("--bind").args([&path, &path]).status().unwrap().success());
    }
    let mut summary = copy(&ground).unwrap();
    summary.mounts_skipped.sort();
    assert_eq!(summary.mounts_skipped, [Path::new("data"), Path::new("file"), Path::new("same")]);
    assert_eq!(fs::read_dir(ground.root.join("data")).unwrap().count(), 0);
    assert!(ground.root.join("same").is_dir() && !ground.root.join("file").exists());
}

#[test]
fn a_full_disk_and_an_interruption_are_told() {
    if !in_own_mounts("install::directory::tests::a_full_disk_and_an_interruption_are_told") {
        return;
    }
    let ground = Ground::new();
    let from = source(&ground);
    fs::write(from.join("big"), vec![1; 6 << 20]).unwrap();
    mount_tmpfs(&ground.zonepath, "size=2m,mode=0700");
    let error = copy(&ground).unwrap_err();
    assert!(error.to_string().contains("while writing big; free some space"), "{error}");

    let ground = Ground::new();
    fs::write(source(&ground).join("small"), "x").unwrap();
    let options = options();
    options.cancel.store(true, std::sync::atomic::Ordering::Relaxed);
    let error = from_directory(&ground.path("source"), &ground.zonepath, &options, &mut silent).unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }));
}

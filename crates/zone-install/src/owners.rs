//! The owners of a root in a zone: there the kernel id-maps no mount of a file system of the host's, so what the zone in the zone has
//! is given, on the disk, to the ids that it has.

use std::collections::HashSet;
use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, Uid, chmodat, chownat, openat, statat, syncfs,
};
use rustix::io::Errno;

use crate::error::Error;
use crate::progress::{Options, Phase};
use crate::tree::{Visit, walk};

/// What a change of owner takes away.
const SET_ID: u32 = 0o6000;

/// Gives the root in a zonepath and all in it to the ids from `base` on, as many as `count`; who is none of them becomes the last
/// one. What only the host's ids mean, file capabilities, goes with that. All is on the disk then.
///
/// # Errors
/// [`Error::Io`] naming what could not be given away; [`Error::Interrupted`].
pub fn shift(zonepath: &Path, base: u32, count: u32, options: &Options) -> Result<(), Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let top =
        openat(CWD, zonepath, flags, Mode::empty()).map_err(|errno| Error::io("open", zonepath, errno))?;
    walk(
        &top,
        zonepath,
        c"root",
        &mut Shift { base, last: count.saturating_sub(1), options, seen: HashSet::new() },
    )?;
    syncfs(&top).map_err(|errno| Error::io("sync the file system of", zonepath, errno))
}

struct Shift<'o> {
    base: u32,
    last: u32,
    options: &'o Options,
    /// Files that have more names than one, by device and number: they are given away by the first.
    seen: HashSet<(u64, u64)>,
}

impl Shift<'_> {
    fn give(&self, parent: &OwnedFd, name: &CStr, stat: &Stat) -> Result<(), Errno> {
        let shifted = |id: u32| self.base + id.min(self.last);
        let (user, group) = (Uid::from_raw(shifted(stat.st_uid)), Gid::from_raw(shifted(stat.st_gid)));
        chownat(parent, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
        if stat.st_mode & SET_ID != 0 && FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            chmodat(parent, name, Mode::from_raw_mode(stat.st_mode & 0o7777), AtFlags::empty())?;
        }
        Ok(())
    }
}

impl Visit for Shift<'_> {
    const DOING: &'static str = "give to the zone's ids";
    const SKIPS_MOUNTS: bool = false;

    fn before(&mut self, _path: &dyn Fn() -> PathBuf) -> Result<(), Error> {
        self.options.check(Phase::Copying)
    }

    fn file(&mut self, parent: &OwnedFd, name: &CStr, _path: &dyn Fn() -> PathBuf) -> Result<(), Errno> {
        let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return Err(Errno::ISDIR);
        }
        if stat.st_nlink > 1 && !self.seen.insert((stat.st_dev, stat.st_ino)) {
            return Ok(());
        }
        self.give(parent, name, &stat)
    }

    fn directory(&mut self, parent: &OwnedFd, name: &CStr, _path: &dyn Fn() -> PathBuf) -> Result<(), Errno> {
        let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        self.give(parent, name, &stat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    #[test]
    fn all_of_a_root_is_given_away() {
        zone_testing::needs_root!();
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/su"), "x").unwrap();
        std::fs::write(dir.path().join("outside"), "x").unwrap();
        symlink("../../outside", root.join("a/link")).unwrap();
        std::os::unix::fs::chown(root.join("a/su"), Some(7), Some(70_000)).unwrap();
        chmodat(CWD, root.join("a/su"), Mode::from_raw_mode(0o4755), AtFlags::empty()).unwrap();
        std::fs::hard_link(root.join("a/su"), root.join("a/b/su too")).unwrap();
        shift(dir.path(), 8192, 8192, &Options::default()).unwrap();
        let owner = |path: &str| {
            let meta = dir.path().join(path).symlink_metadata().unwrap();
            (meta.uid(), meta.gid(), meta.mode() & 0o7000)
        };
        assert_eq!(owner("root/a/su"), (8199, 16_383, 0o4000));
        for path in ["root", "root/a", "root/a/b", "root/a/link"] {
            assert_eq!((owner(path).0, owner(path).1), (8192, 8192), "{path}");
        }
        assert_eq!(owner("root/a/b/su too"), (8199, 16_383, 0o4000), "by one of its names, and not twice");
        assert_eq!(owner("outside").0, 0);
    }

    #[test]
    fn a_root_is_given_away_however_deep_it_is() {
        zone_testing::needs_root!();
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let mut at = openat(CWD, &root, OFlags::RDONLY, Mode::empty()).unwrap();
        // Deeper than a process has descriptors, and than a path is long.
        for _ in 0..3000 {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = openat(&at, "d", OFlags::RDONLY, Mode::empty()).unwrap();
        }
        shift(dir.path(), 8192, 8192, &Options::default()).unwrap();
        assert_eq!(rustix::fs::fstat(&at).unwrap().st_uid, 8192);
        chmodat(CWD, dir.path(), Mode::RWXU, AtFlags::empty()).unwrap();
        crate::remove::root(dir.path(), &Options::default(), &mut |_| ()).unwrap();
    }

    #[test]
    fn it_can_be_interrupted() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("root")).unwrap();
        let options = Options::default();
        options.cancel.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(matches!(shift(dir.path(), 8192, 8192, &options), Err(Error::Interrupted { .. })));
    }
}

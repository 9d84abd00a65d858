//! The owners of a root in a zone: there the kernel id-maps no mount of a file system of the host's, so what the zone in the zone has
//! is given, on the disk, to the ids that it has.

use std::collections::HashSet;
use std::ffi::{CStr, OsStr};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, Uid, XattrFlags, chmodat, chownat, lgetxattr, lsetxattr,
    openat, statat, syncfs,
};
use rustix::io::Errno;

use crate::error::Error;
use crate::install::acl;
use crate::progress::{Options, Phase};
use crate::tree::{Visit, walk};

/// What a change of owner takes away.
const SET_ID: u32 = 0o6000;

/// Gives the root in a zonepath and all in it to the ids from `base` on, as many as `count`, in the order that their owners have from
/// `first` on; who is none of them becomes the last one. What only the host's ids mean, file capabilities, goes with that. All is on the disk then.
///
/// # Errors
/// [`Error::Io`] naming what could not be given away; [`Error::Interrupted`].
pub fn shift(zonepath: &Path, first: u32, base: u32, count: u32, options: &Options) -> Result<(), Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let top =
        openat(CWD, zonepath, flags, Mode::empty()).map_err(|errno| Error::io("open", zonepath, errno))?;
    walk(
        &top,
        zonepath,
        c"root",
        &mut Shift {
            first,
            base,
            last: count.saturating_sub(1),
            options,
            seen: HashSet::new(),
            list: Vec::new(),
        },
    )?;
    syncfs(&top).map_err(|errno| Error::io("sync the file system of", zonepath, errno))
}

struct Shift<'o> {
    first: u32,
    base: u32,
    last: u32,
    options: &'o Options,
    /// Files that have more names than one, by device and number: they are given away by the first.
    seen: HashSet<(u64, u64)>,
    /// Room for a list of what a file allows.
    list: Vec<u8>,
}

impl Shift<'_> {
    fn shifted(&self, id: u32) -> u32 {
        self.base + id.checked_sub(self.first).unwrap_or(self.last).min(self.last)
    }

    fn give(&mut self, parent: &OwnedFd, name: &CStr, stat: &Stat) -> Result<(), Errno> {
        let (user, group) =
            (Uid::from_raw(self.shifted(stat.st_uid)), Gid::from_raw(self.shifted(stat.st_gid)));
        chownat(parent, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Symlink {
            return Ok(());
        }
        self.give_list(parent, name, acl::ACCESS)?;
        if kind == FileType::Directory {
            self.give_list(parent, name, acl::DEFAULT)?;
        }
        if stat.st_mode & SET_ID != 0 {
            chmodat(parent, name, Mode::from_raw_mode(stat.st_mode & 0o7777), AtFlags::empty())?;
        }
        Ok(())
    }
}

impl Shift<'_> {
    /// Gives who is in a list of what a file allows their ids.
    fn give_list(&mut self, parent: &OwnedFd, name: &CStr, attribute: &[u8]) -> Result<(), Errno> {
        // There are no calls that take the name in a directory; the last step of this way follows no link.
        let path = Path::new("/proc/self/fd")
            .join(parent.as_raw_fd().to_string())
            .join(OsStr::from_bytes(name.to_bytes()));
        let mut list = std::mem::take(&mut self.list);
        list.resize(acl::LONGEST, 0);
        let found = lgetxattr(&path, attribute, list.as_mut_slice());
        let given = match found {
            Ok(length) if acl::shift(&mut list[..length], |id| self.shifted(id)) => {
                lsetxattr(&path, attribute, &list[..length], XattrFlags::empty())
            }
            Ok(_) | Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
            Err(errno) => Err(errno),
        };
        self.list = list;
        given
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
        shift(dir.path(), 0, 8192, 8192, &Options::default()).unwrap();
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
        // A copy of it that becomes another's.
        shift(dir.path(), 8192, 16_384, 8192, &Options::default()).unwrap();
        assert_eq!(owner("root/a/su"), (16_391, 24_575, 0o4000));
    }

    #[test]
    fn lists_of_who_may_are_given_away() {
        zone_testing::needs_root!();
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("a")).unwrap();
        std::fs::write(root.join("a/file"), "x").unwrap();
        symlink("../../outside", root.join("a/link")).unwrap();
        std::fs::write(dir.path().join("outside"), "x").unwrap();
        // user::rwx, user:7:rwx, group::r-x, group:70000:r-x, mask::rwx, other::---
        let list = |ids: [u32; 2]| {
            let nobody = u32::MAX;
            let entries = [
                (1u16, 7u16, nobody),
                (2, 7, ids[0]),
                (4, 5, nobody),
                (8, 5, ids[1]),
                (16, 7, nobody),
                (32, 0, nobody),
            ];
            let mut bytes = 2u32.to_le_bytes().to_vec();
            for (tag, may, id) in entries {
                bytes.extend(tag.to_le_bytes());
                bytes.extend(may.to_le_bytes());
                bytes.extend(id.to_le_bytes());
            }
            bytes
        };
        let given = [
            ("root/a", acl::ACCESS),
            ("root/a", acl::DEFAULT),
            ("root/a/file", acl::ACCESS),
            ("outside", acl::ACCESS),
        ];
        for (path, attribute) in given {
            match rustix::fs::setxattr(
                dir.path().join(path),
                attribute,
                &list([7, 70_000]),
                XattrFlags::empty(),
            ) {
                // A file system without them has nothing to give away.
                Err(Errno::OPNOTSUPP) => return,
                set => set.unwrap(),
            }
        }
        chmodat(CWD, root.join("a/file"), Mode::from_raw_mode(0o6770), AtFlags::empty()).unwrap();
        shift(dir.path(), 0, 8192, 8192, &Options::default()).unwrap();
        let found = |path: &str, attribute: &[u8]| {
            let mut value = vec![0; 1000];
            let length = lgetxattr(dir.path().join(path), attribute, value.as_mut_slice()).unwrap();
            value.truncate(length);
            value
        };
        for (path, attribute) in &given[..3] {
            assert_eq!(found(path, attribute), list([8199, 16_383]), "{path}");
        }
        assert_eq!(found("outside", acl::ACCESS), list([7, 70_000]), "not through the link");
        assert_eq!(dir.path().join("root/a/file").metadata().unwrap().mode() & 0o7777, 0o6770);
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
        shift(dir.path(), 0, 8192, 8192, &Options::default()).unwrap();
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
        assert!(matches!(shift(dir.path(), 0, 8192, 8192, &options), Err(Error::Interrupted { .. })));
    }
}

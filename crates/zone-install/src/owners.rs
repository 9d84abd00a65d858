//! The owners of a root in a zone: there the kernel id-maps no mount of a file system of the host's, so what the zone in the zone has
//! is given, on the disk, to the ids that it has.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Uid, chmodat, chownat, openat, statat};
use rustix::io::Errno;

use crate::error::Error;

const DIR: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// What a change of owner takes away.
const SET_ID: u32 = 0o6000;

/// Gives a root and all in it to the ids from `base` on, as many as `count`; who is none of them becomes the last one. What only the
/// host's ids mean, file capabilities, goes with that.
///
/// # Errors
/// [`Error::Io`] naming the root.
pub fn shift(root: &Path, base: u32, count: u32) -> Result<(), Error> {
    let failed = |errno| Error::io("give to the zone's ids", root, errno);
    let top = openat(CWD, root, OFlags::RDONLY | DIR, Mode::empty()).map_err(failed)?;
    let shifted = |id: u32| base + id.min(count - 1);
    below(&top, &shifted).map_err(failed)?;
    chownat(&top, "", Some(Uid::from_raw(base)), Some(Gid::from_raw(base)), AtFlags::EMPTY_PATH)
        .map_err(failed)
}

fn below(dir: &OwnedFd, shifted: &dyn Fn(u32) -> u32) -> Result<(), Errno> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            below(&openat(dir, name, OFlags::RDONLY | DIR, Mode::empty())?, shifted)?;
        }
        let (user, group) = (Uid::from_raw(shifted(stat.st_uid)), Gid::from_raw(shifted(stat.st_gid)));
        chownat(dir, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
        if stat.st_mode & SET_ID != 0 && FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            chmodat(dir, name, Mode::from_raw_mode(stat.st_mode & 0o7777), AtFlags::empty())?;
        }
    }
    Ok(())
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
        shift(&root, 8192, 8192).unwrap();
        let owner = |path: &str| {
            let meta = dir.path().join(path).symlink_metadata().unwrap();
            (meta.uid(), meta.gid(), meta.mode() & 0o7000)
        };
        assert_eq!(owner("root/a/su"), (8199, 16_383, 0o4000));
        for path in ["root", "root/a", "root/a/b", "root/a/link"] {
            assert_eq!((owner(path).0, owner(path).1), (8192, 8192), "{path}");
        }
        assert_eq!(owner("outside").0, 0);
    }
}

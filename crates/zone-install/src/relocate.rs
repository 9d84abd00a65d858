//! Taking a zonepath to another place: by a rename, or as a copy with all that there is of it.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::error::Error;
use crate::install::{self, Left, Summary};
use crate::progress::{Options, Reporter};

/// Renames a zonepath to one that is empty. False when it has to be copied: the other one is on another file system, or is the top of
/// one. [`sync`] puts it on the disk.
///
/// # Errors
/// [`Error::Io`]; it then has the name that it had.
pub fn rename(from: &Path, to: &Path) -> Result<bool, Error> {
    let ((old, name), (new, new_name)) = (parent(from)?, parent(to)?);
    match rustix::fs::renameat(&old, name, &new, new_name) {
        Ok(()) => Ok(true),
        Err(Errno::XDEV | Errno::BUSY | Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(errno) => Err(Error::io("rename", from, errno)),
    }
}

/// Puts on the disk that a zonepath has another name now. Apart from [`rename`]: where this fails the name is nevertheless the new one.
///
/// # Errors
/// [`Error::Io`].
pub fn sync(from: &Path, to: &Path) -> Result<(), Error> {
    for path in [to, from] {
        let (directory, _) = parent(path)?;
        rustix::fs::fsync(directory).map_err(|errno| Error::io("sync the directory of", path, errno))?;
    }
    Ok(())
}

/// Copies all of a zonepath to another one, which is empty.
///
/// # Errors
/// Those of an install from a directory; [`Error::NotKept`] when the file system there has no place for something, or something is mounted
/// in the zonepath.
pub fn copy(from: &Path, to: &Path, options: &Options, report: &mut Reporter<'_>) -> Result<Summary, Error> {
    let summary = install::all_of(from, to, options, report)?;
    if let Some(mount) = summary.mounts_skipped.first() {
        let mounts = vec![from.join(mount)];
        return Err(Error::MountsBelow { zonepath: from.to_owned(), mounts });
    }
    let Left { unsupported, flags, .. } = summary.left;
    if unsupported + flags > 0 {
        return Err(Error::NotKept { zonepath: to.to_owned(), xattrs: unsupported, flags });
    }
    Ok(summary)
}

/// The directory that a zonepath is in, no link followed, and its name there.
fn parent(zonepath: &Path) -> Result<(OwnedFd, &OsStr), Error> {
    let failed = |errno: Errno| Error::io("open the directory of", zonepath, errno);
    let (Some(parent), Some(name)) = (zonepath.parent(), zonepath.file_name()) else {
        return Err(failed(Errno::INVAL));
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok((zone_sys::path::unlinked(CWD, parent, flags, Mode::empty()).map_err(failed)?, name))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};

    use rustix::fs::{FileType, IFlags, XattrFlags};

    use super::*;
    use crate::remove;

    fn zonepath(path: &Path) {
        fs::create_dir_all(path.join("root/etc")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    }

    #[test]
    fn all_of_a_zonepath_goes_along() {
        zone_testing::needs_root!();
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        zonepath(&from);
        fs::create_dir(&to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o700)).unwrap();
        let file = from.join("root/etc/file");
        fs::write(&file, "text").unwrap();
        std::os::unix::fs::chown(&file, Some(1_234_567), Some(7)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o4711)).unwrap();
        fs::hard_link(&file, from.join("root/second")).unwrap();
        fs::write(from.join("notes"), "the administrator's").unwrap();
        fs::write(from.join("lastexit.toml"), "").unwrap();
        symlink("/etc/passwd", from.join("root/link")).unwrap();
        let label = rustix::fs::setxattr(&file, "trusted.zones", b"1", XattrFlags::empty()).is_ok();
        fs::File::create(from.join("root/sparse")).unwrap().set_len(64 << 20).unwrap();
        let top = fs::File::open(from.join("root")).unwrap();
        for (name, kind, device) in [
            ("null", FileType::CharacterDevice, rustix::fs::makedev(1, 3)),
            ("socket", FileType::Socket, 0),
            ("pipe", FileType::Fifo, 0),
        ] {
            rustix::fs::mknodat(&top, name, kind, Mode::from_raw_mode(0o640), device).unwrap();
        }
        let fixed = fs::File::open(&file).unwrap();
        let is_fixed = rustix::fs::ioctl_setflags(&fixed, IFlags::IMMUTABLE).is_ok();
        copy(&from, &to, &Options::default(), &mut |_| ()).unwrap();
        let stat = fs::metadata(to.join("root/etc/file")).unwrap();
        let before = fs::metadata(&file).unwrap();
        assert_eq!(
            (stat.uid(), stat.gid(), stat.mode(), stat.mtime()),
            (1_234_567, 7, before.mode(), before.mtime())
        );
        assert_eq!(stat.ino(), fs::metadata(to.join("root/second")).unwrap().ino());
        assert_eq!(fs::read_to_string(to.join("notes")).unwrap(), "the administrator's");
        assert_eq!(fs::read_link(to.join("root/link")).unwrap(), Path::new("/etc/passwd"));
        assert!(fs::metadata(to.join("root/sparse")).unwrap().blocks() < 100);
        assert_eq!(fs::metadata(to.join("root/null")).unwrap().rdev(), rustix::fs::makedev(1, 3));
        assert!(fs::metadata(to.join("root/socket")).unwrap().file_type().is_socket());
        assert_eq!(fs::metadata(&to).unwrap().mode() & 0o7777, 0o700);
        if label {
            let mut value = [0; 8];
            assert_eq!(rustix::fs::getxattr(to.join("root/etc/file"), "trusted.zones", &mut value), Ok(1));
        }
        if is_fixed {
            let copied = fs::File::open(to.join("root/etc/file")).unwrap();
            assert!(rustix::fs::ioctl_getflags(&copied).unwrap().contains(IFlags::IMMUTABLE));
        }
        for path in [&from, &to] {
            assert_eq!(remove::all(path, &Options::default(), &mut |_| ()).unwrap().left, None);
            assert!(!path.exists());
        }
    }

    #[test]
    fn a_rename_takes_the_place_of_what_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        zonepath(&from);
        zonepath(&to);
        assert!(!rename(&from, &to).unwrap(), "nothing is replaced that has something in it");
        fs::remove_dir_all(to.join("root")).unwrap();
        assert!(rename(&from, &to).unwrap());
        sync(&from, &to).unwrap();
        assert!(to.join("root/etc").is_dir() && !from.exists());
        symlink(dir.path(), dir.path().join("link")).unwrap();
        assert!(rename(&to, &dir.path().join("link/there")).is_err());
    }
}

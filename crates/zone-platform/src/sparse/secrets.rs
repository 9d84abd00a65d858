//! What of the host's programs only the host's root may read.
//!
//! A zone that has them reads all of it as its own root. There is nothing of the kind in what distributions ship, and to walk through
//! /usr takes longer than to boot, so it is `verify` that looks, for what an administrator has put there.
//!
//! Each file has to be asked for its mode: nothing that the kernel tells of a directory or of a file system changes with the mode of a
//! file in it, so whoever kept a record of what was looked at would miss a `chmod`. What cannot be a secret, by the type
//! that the directory has of it, is not asked for.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, FileType, OFlags, RawDir, Statx, StatxFlags, statx};
use rustix::io::Errno;
use zone_sys::path::beneath;

use crate::Failed;

/// Read permission for everybody.
const OTHERS_READ: u16 = 0o004;
/// What everybody needs of a directory to come to what is in it.
const OTHERS_ENTER: u16 = 0o005;
/// The bits of a program that runs as its owner or group; what it may do is no secret.
const SET_ID: u16 = 0o6000;

/// Finds files and directories of root's below `top` that others may not read, on its own mount and not below
/// `except`, in the order of their paths, which begin with `name`; of a directory that is one, nothing below is looked at.
///
/// # Errors
/// When a directory cannot be read; what vanishes meanwhile is not there.
pub(super) fn below(top: impl AsFd, name: &Path, except: &Path) -> Result<Vec<PathBuf>, Failed> {
    let (mut found, mut left) = (Vec::new(), vec![name.to_owned()]);
    let mut buffer = Vec::with_capacity(64 << 10);
    while let Some(path) = left.pop() {
        let failed = |errno| Failed::to("read", path.display())(errno);
        // On its mount alone, for that is what the zone gets; directories of one mount may have several devices (btrfs).
        let within = path.strip_prefix(name).ok().filter(|within| *within != Path::new(""));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let dir = match beneath(&top, within.unwrap_or(Path::new(".")), flags) {
            Ok(dir) => dir,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => continue,
            Err(errno) => return Err(failed(errno)),
        };
        let at = |name: &[u8]| path.join(OsStr::from_bytes(name));
        if within.is_some() && ask(dir.as_fd(), c"", AtFlags::EMPTY_PATH).is_ok_and(|file| is_secret(&file)) {
            found.push(path);
            continue;
        }
        let mut entries = RawDir::new(&dir, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(Errno::NOENT) => break,
                Err(errno) => return Err(failed(errno)),
            };
            let name = entry.file_name();
            let kind = match entry.file_type() {
                FileType::RegularFile | FileType::Unknown => {
                    let Ok(file) = ask(dir.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
                    let kind = FileType::from_raw_mode(file.stx_mode.into());
                    if kind == FileType::RegularFile && is_secret(&file) {
                        found.push(at(name.to_bytes()));
                    }
                    kind
                }
                kind => kind,
            };
            let further = kind == FileType::Directory && name != c"." && name != c"..";
            left.extend(further.then(|| at(name.to_bytes())).filter(|path| path != except));
        }
    }
    found.sort();
    Ok(found)
}

/// Asks for nothing but what the answer hangs on.
fn ask(dir: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> Result<Statx, Errno> {
    statx(dir, name, flags, StatxFlags::TYPE | StatxFlags::MODE | StatxFlags::UID)
}

fn is_secret(file: &Statx) -> bool {
    let mode = file.stx_mode;
    let closed = match FileType::from_raw_mode(mode.into()) {
        FileType::Directory => mode & OTHERS_ENTER != OTHERS_ENTER,
        FileType::RegularFile => mode & (OTHERS_READ | SET_ID) == 0,
        _ => false,
    };
    closed && file.stx_uid == 0
}

/// Says what was found, if anything was.
pub(super) fn warning(found: &[PathBuf]) -> Option<String> {
    let names: Vec<_> = found.iter().take(3).map(|path| path.display().to_string()).collect();
    let more = found.len() - names.len();
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    (!found.is_empty()).then(|| {
        format!(
            "the zone's root can read what only root may read on the host: {}{more} (keep it elsewhere, or below /usr/local, \
             where the zone reads what every user may)",
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mounts::workshop;
    use crate::testing::mode;
    use rustix::fs::{CWD, Mode, openat};
    use rustix::mount::mount_bind;
    use std::fs;

    fn found(dir: &Path) -> Vec<PathBuf> {
        let top = openat(CWD, dir, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        below(top, dir, &dir.join("local")).unwrap()
    }

    #[test]
    fn what_only_root_may_read_is_found() {
        zone_testing::needs_root!();
        let lab = tempfile::tempdir().unwrap();
        let dir = lab.path();
        for sub in ["a", "a/closed", "a/listed", "local"] {
            fs::create_dir(dir.join(sub)).unwrap();
        }
        let files = [
            ("a/key", 0o600),
            ("a/group", 0o640),
            ("a/open", 0o644),
            ("a/su", 0o4750),
            ("a/closed/in", 0o600),
            ("a/listed/in", 0o644),
            ("local/x", 0o600),
        ];
        for (name, bits) in files {
            fs::write(dir.join(name), "").unwrap();
            mode(&dir.join(name), bits);
        }
        mode(&dir.join("a/closed"), 0o700);
        mode(&dir.join("a/listed"), 0o744);
        std::os::unix::fs::chown(dir.join("a/open"), Some(7), None).unwrap();
        std::os::unix::fs::symlink("/etc/shadow", dir.join("a/link")).unwrap();
        rustix::fs::mkfifoat(CWD, dir.join("a/fifo"), Mode::RUSR).unwrap();
        assert_eq!(found(dir), ["a/closed", "a/group", "a/key", "a/listed"].map(|name| dir.join(name)));
        // A mode that is changed changes nothing that the directory is known by.
        mode(&dir.join("a/open"), 0o600);
        std::os::unix::fs::chown(dir.join("a/open"), Some(0), None).unwrap();
        assert!(found(dir).contains(&dir.join("a/open")));
    }

    #[test]
    fn what_is_mounted_below_is_not_the_zones() {
        zone_testing::needs_root!();
        let lab = tempfile::tempdir().unwrap();
        let dir = lab.path();
        for sub in ["a", "mounted"] {
            fs::create_dir(dir.join(sub)).unwrap();
        }
        fs::write(dir.join("a/key"), "").unwrap();
        mode(&dir.join("a/key"), 0o600);
        let seen = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                workshop().unwrap();
                mount_bind(dir.join("a"), dir.join("mounted")).unwrap();
                assert!(dir.join("mounted/key").exists());
                found(dir)
            });
            thread.join().unwrap()
        });
        assert_eq!(seen, [dir.join("a/key")]);
    }

    #[test]
    fn the_first_three_are_named_and_the_others_counted() {
        let paths = ["/usr/a", "/usr/b", "/usr/c", "/usr/d", "/usr/e"].map(PathBuf::from);
        assert_eq!(warning(&[]), None);
        let said = warning(&paths).unwrap();
        assert!(said.contains("on the host: /usr/a, /usr/b, /usr/c and 2 more (keep"), "{said}");
        assert!(warning(&paths[..1]).unwrap().contains("on the host: /usr/a (keep"));
    }
}

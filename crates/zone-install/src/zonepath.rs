//! May this directory be a zonepath? And making it one.
//!
//! The rules are the Solaris ones (zones(7), zoneadm(8) `verify`): an absolute, canonical path to a local
//! directory, owned by root and of mode 0700, below directories that nobody but root can change, and not
//! inside, or around, another zone's.
//!
//! Two rules are read a little differently here:
//!
//! * A parent that others can write to is refused *unless it is sticky*: in a sticky directory of root's
//!   (`/tmp`, `/var/tmp`) only root can rename or remove the entry of root's that comes next on the path, and
//!   that the next one is root's is checked. So the path cannot be changed under us, which is all the rule is
//!   for.
//! * `nodev` is no obstacle: a zone's device nodes live on a file system of its own, never under the
//!   zonepath. `nosuid` and `noexec` are: the zone's root mount would inherit them.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, StatVfsMountFlags};
use rustix::io::Errno;

use zone_config::hostpath::{FileId, HostPath, HostPathError};

use crate::remove::STANDARD;

mod error;
mod make;

pub use error::{Repair, Warning, ZonepathError};
pub use make::{Prepared, prepare};

/// `statfs(2)` magic numbers.
const NETWORK: [u64; 3] = [0x6969, 0xff53_4d42, 0xfe53_4d42]; // NFS, CIFS, SMB2
const TEMPORARY: [u64; 2] = [0x0102_1994, 0x8584_58f6]; // tmpfs, ramfs

const NAME_ONLY: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Checks that `path` may be the zonepath of `zone`. `others` are the other zones and their zonepaths.
///
/// Nothing is changed. A path that does not exist is a [`Warning::Missing`], not an error.
///
/// # Errors
/// The first rule that is broken.
pub fn check(zone: &str, path: &Path, others: &[(&str, &Path)]) -> Result<Vec<Warning>, ZonepathError> {
    spelling(path)?;
    let walked = walk(path)?;
    let mut warnings = Vec::new();
    if !walked.missing().is_empty() {
        warnings.push(Warning::Missing(path.to_owned()));
    } else {
        own_mode(path, walked.fd())?;
    }
    if file_system(path, walked.fd())? {
        warnings.push(Warning::Temporary(path.to_owned()));
    }
    overlap(zone, path, &walked, others)?;
    Ok(warnings)
}

/// Checks that a zone may be *installed* at `path`: as [`check`], but what [`prepare`] makes right is not
/// wrong yet, and there must be nothing there that an uninstall would later take for the zone's.
///
/// A directory that has something in it is nobody's to change: it must have the owner and the mode of a
/// zonepath already. Nothing is changed here.
///
/// # Errors
/// The first rule that is broken.
pub fn check_vacant(
    zone: &str,
    path: &Path,
    others: &[(&str, &Path)],
) -> Result<Vec<Warning>, ZonepathError> {
    spelling(path)?;
    let walked = walk(path)?;
    overlap(zone, path, &walked, others)?;
    let mut warnings = Vec::new();
    if !walked.missing().is_empty() {
        warnings.push(Warning::Missing(path.to_owned()));
    } else {
        vacant(path, walked.fd())?;
    }
    if file_system(path, walked.fd())? {
        warnings.push(Warning::Temporary(path.to_owned()));
    }
    Ok(warnings)
}

/// Refuses a directory that is in use.
fn vacant(path: &Path, directory: BorrowedFd<'_>) -> Result<(), ZonepathError> {
    let names = names(directory).map_err(io("read", path))?;
    // Every file system of the ext family has it; it holds nothing of anybody's.
    if names.iter().any(|name| name.as_c_str() != c"lost+found")
        && let Err(ZonepathError::NotOwnedByRoot(_) | ZonepathError::Mode { .. }) = own_mode(path, directory)
    {
        let stat = rustix::fs::fstat(directory).map_err(io("look at", path))?;
        let (uid, mode) = (stat.st_uid, stat.st_mode & 0o7777);
        return Err(ZonepathError::InUse { path: path.to_owned(), uid, mode });
    }
    for name in STANDARD {
        if !names.iter().any(|there| there.as_c_str() == name) {
            continue;
        }
        let stat = rustix::fs::statat(directory, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
            .map_err(io("look at", path))?;
        let leftover = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let fd = rustix::fs::openat(directory, name, flags, Mode::empty());
                let names = fd.and_then(|fd| self::names(fd.as_fd())).map_err(io("read", path))?;
                !names.is_empty()
            }
            // The record of how a zone ended that was here before: the next end replaces it.
            FileType::RegularFile => name == c"root",
            _ => true,
        };
        if leftover {
            let name = std::ffi::OsStr::from_bytes(name.to_bytes());
            return Err(ZonepathError::Leftover(path.join(name)));
        }
    }
    Ok(())
}

/// Lists a directory that is held open in any way, without `.` and `..`.
fn names(directory: BorrowedFd<'_>) -> Result<Vec<CString>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(directory, c".", flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in Dir::new(fd)? {
        let entry = entry?;
        if ![c".", c".."].contains(&entry.file_name()) {
            names.push(CStr::to_owned(entry.file_name()));
        }
    }
    Ok(names)
}

/// Who must own it all. Somebody else than root can only be running unit tests.
fn owner() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(Errno) -> ZonepathError {
    let path = path.to_owned();
    move |errno| ZonepathError::Io { doing, path, source: errno.into() }
}

/// Absolute, and written the one way it can be written.
fn spelling(path: &Path) -> Result<(), ZonepathError> {
    if !path.is_absolute() {
        return Err(ZonepathError::NotAbsolute(path.to_owned()));
    }
    let plain = plain(path);
    if plain == Path::new("/") {
        return Err(ZonepathError::Global);
    }
    // Bytes, because comparing paths ignores `.`, `//` and a `/` at the end.
    if plain.as_os_str().as_bytes() != path.as_os_str().as_bytes() {
        let canonical = path.canonicalize().unwrap_or(plain);
        return Err(ZonepathError::NotCanonical { path: path.to_owned(), canonical });
    }
    Ok(())
}

/// The path with `.`, `..` and superfluous slashes taken out by text alone.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => {
                plain.pop();
            }
            _ => {}
        }
    }
    plain
}

/// Walks to the zonepath, or to the lowest directory above it that exists. A user's own may be found in a sticky
/// directory: [`check`] refuses it, and [`prepare`] makes it root's.
fn walk(path: &Path) -> Result<HostPath, ZonepathError> {
    let found = HostPath::open_to_take(path).map_err(|error| refused(path, error))?;
    match FileType::from_raw_mode(found.stat().st_mode) {
        FileType::Directory => Ok(found),
        _ => Err(ZonepathError::NotADirectory(found.path().to_owned())),
    }
}

/// The reference's words for what a walk refuses.
fn refused(path: &Path, error: HostPathError) -> ZonepathError {
    let canonical = |real: Option<PathBuf>| ZonepathError::NotCanonical {
        path: path.to_owned(),
        canonical: real.unwrap_or_else(|| plain(path)),
    };
    match error {
        HostPathError::NotCanonical(_) => canonical(None),
        HostPathError::Symlink { real, .. } => canonical(real),
        HostPathError::Owner { at, .. } => ZonepathError::NotOwnedByRoot(at),
        HostPathError::Writable { at, whose, .. } => ZonepathError::ParentWritable { path: at, whose },
        HostPathError::NotDirectory(at) => ZonepathError::NotADirectory(at),
        HostPathError::Access { path, source } => ZonepathError::Io { doing: "open", path, source },
    }
}

fn own_mode(path: &Path, fd: BorrowedFd<'_>) -> Result<(), ZonepathError> {
    let stat = rustix::fs::fstat(fd).map_err(io("look at", path))?;
    if stat.st_uid != owner() {
        return Err(ZonepathError::NotOwnedByRoot(path.to_owned()));
    }
    let mode = stat.st_mode & 0o7777;
    if mode != 0o700 {
        return Err(ZonepathError::Mode { path: path.to_owned(), mode });
    }
    Ok(())
}

/// True when the file system is a temporary one.
fn file_system(path: &Path, fd: BorrowedFd<'_>) -> Result<bool, ZonepathError> {
    let kind = rustix::fs::fstatfs(fd).map_err(io("ask for the file system of", path))?.f_type;
    // The field is a signed word on some machines; the magic numbers are 32 bits wide.
    let kind = u64::try_from(kind & 0xffff_ffff).unwrap_or_default();
    if NETWORK.contains(&kind) {
        return Err(ZonepathError::Network(path.to_owned()));
    }
    let flags = rustix::fs::fstatvfs(fd).map_err(io("ask for the mount of", path))?.f_flag;
    for (flag, option) in [
        (StatVfsMountFlags::RDONLY, "ro"),
        (StatVfsMountFlags::NOSUID, "nosuid"),
        (StatVfsMountFlags::NOEXEC, "noexec"),
    ] {
        if flags.contains(flag) {
            return Err(ZonepathError::MountOption { path: path.to_owned(), option });
        }
    }
    Ok(TEMPORARY.contains(&kind))
}

fn overlap(
    zone: &str,
    path: &Path,
    walked: &HostPath,
    others: &[(&str, &Path)],
) -> Result<(), ZonepathError> {
    let own = Some(walked.id()).filter(|_| walked.missing().is_empty());
    for (other, other_path) in others {
        // The other may have been configured through a link, or be another name of the same directory.
        let real = other_path.canonicalize().unwrap_or_else(|_| plain(other_path));
        let same = || {
            let fd = rustix::fs::openat(CWD, &real, NAME_ONLY, Mode::empty()).ok()?;
            Some(FileId::of(&rustix::fs::fstat(&fd).ok()?) == own?)
        };
        if path.starts_with(&real) || real.starts_with(path) || same().unwrap_or(false) {
            return Err(ZonepathError::Overlap {
                zone: zone.to_owned(),
                path: path.to_owned(),
                other: (*other).to_owned(),
                other_path: other_path.to_path_buf(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

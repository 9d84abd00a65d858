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

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, StatVfsMountFlags, Uid};
use rustix::io::Errno;

use crate::error::shown;

/// `statfs(2)` magic numbers.
const NETWORK: [u64; 3] = [0x6969, 0xff53_4d42, 0xfe53_4d42]; // NFS, CIFS, SMB2
const TEMPORARY: [u64; 2] = [0x0102_1994, 0x8584_58f6]; // tmpfs, ramfs

const WALK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Why a path may not be a zonepath. The texts are the reference's, with the remedy behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ZonepathError {
    /// It does not begin with `/`.
    #[error("{} is not an absolute path.", shown(.0))]
    NotAbsolute(PathBuf),
    /// It is `/`, which holds the global zone.
    #[error("/ is the global zone's and cannot be a zonepath.")]
    Global,
    /// It has `.`, `..`, `//` or a `/` at its end, or goes through a symbolic link.
    #[error("{} is not a canonical path; set zonepath to {}.", shown(path), shown(canonical))]
    NotCanonical {
        /// As given.
        path: PathBuf,
        /// What it stands for.
        canonical: PathBuf,
    },
    /// It, or a parent, is something else than a directory.
    #[error("{} is not a directory.", shown(.0))]
    NotADirectory(PathBuf),
    /// It, or a parent, belongs to somebody else.
    #[error("{path} is not owned by root; run chown 0:0 {path}.", path = shown(.0))]
    NotOwnedByRoot(PathBuf),
    /// The zonepath lets others in.
    #[error("{path} must be mode 0700 (it is {mode:04o}); run chmod 0700 {path}.", path = shown(path))]
    Mode {
        /// The zonepath.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Others can rename or replace what is below this parent.
    #[error("{path} must not be {whose} writable; run chmod go-w {path}.", path = shown(path))]
    ParentWritable {
        /// The parent.
        path: PathBuf,
        /// `group` or `world`.
        whose: &'static str,
    },
    /// It is on a network file system.
    #[error("Zonepath {} is on an NFS mounted file system; a local file system must be used.", shown(.0))]
    Network(PathBuf),
    /// The mount forbids what every zone needs.
    #[error(
        "{} is on a file system mounted {option}; remount it without that option, or choose another zonepath.",
        shown(path)
    )]
    MountOption {
        /// The zonepath.
        path: PathBuf,
        /// `nosuid`, `noexec` or `ro`.
        option: &'static str,
    },
    /// It is, contains or lies in another zone's zonepath.
    #[error("{zone} zonepath ({}) and {other} zonepath ({}) overlap.", shown(path), shown(other_path))]
    Overlap {
        /// This zone.
        zone: String,
        /// Its zonepath.
        path: PathBuf,
        /// The other zone.
        other: String,
        /// Its zonepath.
        other_path: PathBuf,
    },
    /// A system call failed.
    #[error("could not verify zonepath {}: cannot {doing}", shown(path))]
    Io {
        /// The operation.
        doing: &'static str,
        /// The path it was done to.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// Something worth telling that stops nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// There is nothing at the path yet; the directories above it were checked.
    #[error("WARNING: {} does not exist, so it could not be verified.", shown(.0))]
    Missing(PathBuf),
    /// It will be gone after the next boot of the machine.
    #[error("WARNING: {} is on a temporary file system.", shown(.0))]
    Temporary(PathBuf),
}

/// What [`prepare`] repaired, in the reference's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Repair {
    /// The owner was somebody else.
    #[error("{}: changing owner to root.", shown(.0))]
    Owner(PathBuf),
    /// The mode was another.
    #[error("{}: changing permissions to 0700.", shown(.0))]
    Permissions(PathBuf),
}

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
    if walked.missing {
        warnings.push(Warning::Missing(path.to_owned()));
    } else {
        own_mode(path, walked.last.as_fd())?;
    }
    if file_system(path, walked.last.as_fd())? {
        warnings.push(Warning::Temporary(path.to_owned()));
    }
    overlap(zone, path, &walked, others)?;
    Ok(warnings)
}

/// Makes `path` a zonepath: creates it with mode 0700 (and missing parents with 0755), or gives an existing
/// directory the owner and the mode it must have, and says so.
///
/// # Errors
/// The first rule of [`check`] that it cannot repair; overlap with other zones is not looked at.
pub fn prepare(path: &Path) -> Result<Vec<Repair>, ZonepathError> {
    spelling(path)?;
    create(path)?;
    let mut repairs = Vec::new();
    let directory = open_real(path)?;
    let stat = rustix::fs::fstat(&directory).map_err(io("look at", path))?;
    if stat.st_uid != owner() {
        rustix::fs::fchown(&directory, Some(Uid::ROOT), Some(Gid::ROOT))
            .map_err(io("change owner of", path))?;
        repairs.push(Repair::Owner(path.to_owned()));
    }
    if stat.st_mode & 0o7777 != 0o700 {
        rustix::fs::fchmod(&directory, Mode::RWXU).map_err(io("change permissions of", path))?;
        repairs.push(Repair::Permissions(path.to_owned()));
    }
    // Only now, and along the path once more: this refuses what was not ours to repair.
    let walked = walk(path)?;
    own_mode(path, walked.last.as_fd())?;
    file_system(path, walked.last.as_fd())?;
    Ok(repairs)
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

struct Walked {
    /// The zonepath, or the lowest directory above it that exists.
    last: OwnedFd,
    missing: bool,
}

/// Goes down from `/` one component at a time, by file descriptors, so that what is checked is what is used.
fn walk(path: &Path) -> Result<Walked, ZonepathError> {
    let mut last =
        rustix::fs::open("/", WALK | OFlags::DIRECTORY, Mode::empty()).map_err(io("open", path))?;
    let mut done = PathBuf::from("/");
    for component in path.components() {
        let Component::Normal(name) = component else { continue };
        parent_is_safe(&done, last.as_fd())?;
        let next = done.join(name);
        match rustix::fs::openat(&last, name, WALK, Mode::empty()) {
            Ok(fd) => {
                is_directory(path, &next, fd.as_fd())?;
                last = fd;
            }
            Err(Errno::NOENT) => return Ok(Walked { last, missing: true }),
            Err(errno) => return Err(io("open", &next)(errno)),
        }
        done = next;
    }
    Ok(Walked { last, missing: false })
}

fn is_directory(path: &Path, at: &Path, fd: BorrowedFd<'_>) -> Result<(), ZonepathError> {
    let stat = rustix::fs::fstat(fd).map_err(io("look at", at))?;
    match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
        rustix::fs::FileType::Directory => Ok(()),
        rustix::fs::FileType::Symlink => {
            let canonical = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            Err(ZonepathError::NotCanonical { path: path.to_owned(), canonical })
        }
        _ => Err(ZonepathError::NotADirectory(at.to_owned())),
    }
}

fn parent_is_safe(path: &Path, fd: BorrowedFd<'_>) -> Result<(), ZonepathError> {
    let stat = rustix::fs::fstat(fd).map_err(io("look at", path))?;
    if stat.st_uid != 0 && stat.st_uid != owner() {
        return Err(ZonepathError::NotOwnedByRoot(path.to_owned()));
    }
    let sticky = stat.st_mode & 0o1000 != 0;
    for (bit, whose) in [(0o020, "group"), (0o002, "world")] {
        if stat.st_mode & bit != 0 && !sticky {
            return Err(ZonepathError::ParentWritable { path: path.to_owned(), whose });
        }
    }
    Ok(())
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

fn overlap(zone: &str, path: &Path, walked: &Walked, others: &[(&str, &Path)]) -> Result<(), ZonepathError> {
    let own = identity(walked.last.as_fd()).filter(|_| !walked.missing);
    for (other, other_path) in others {
        // The other may have been configured through a link, or be another name of the same directory.
        let real = other_path.canonicalize().unwrap_or_else(|_| plain(other_path));
        let same = || {
            let fd = rustix::fs::openat(CWD, &real, WALK, Mode::empty()).ok()?;
            Some(identity(fd.as_fd())? == own?)
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

fn identity(fd: BorrowedFd<'_>) -> Option<(u64, u64)> {
    rustix::fs::fstat(fd).ok().map(|stat| (stat.st_dev, stat.st_ino))
}

/// Creates what is missing of the path.
fn create(path: &Path) -> Result<(), ZonepathError> {
    loop {
        let walked = walk(path)?;
        if !walked.missing {
            return Ok(());
        }
        let (parent, name, whole) = lowest_missing(path)?;
        let mode = if whole { Mode::RWXU } else { Mode::from_raw_mode(0o755) };
        match rustix::fs::mkdirat(&parent, name, mode) {
            Ok(()) => {
                // The umask may have taken bits away, which is only of interest for the parents.
                if !whole {
                    rustix::fs::chmodat(&parent, name, mode, AtFlags::empty()).map_err(io("create", path))?;
                }
            }
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(io("create", path)(errno)),
        }
    }
}

/// The lowest existing directory, the first missing name below it, and whether that is the zonepath itself.
fn lowest_missing(path: &Path) -> Result<(OwnedFd, &std::ffi::OsStr, bool), ZonepathError> {
    let mut last =
        rustix::fs::open("/", WALK | OFlags::DIRECTORY, Mode::empty()).map_err(io("open", path))?;
    let mut names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    while let Some(name) = names.next() {
        match rustix::fs::openat(&last, name, WALK | OFlags::DIRECTORY, Mode::empty()) {
            Ok(fd) => last = fd,
            Err(Errno::NOENT) => return Ok((last, name, names.next().is_none())),
            Err(errno) => return Err(io("open", path)(errno)),
        }
    }
    Err(ZonepathError::Global)
}

/// The zonepath itself, no link followed, open for changing.
fn open_real(path: &Path) -> Result<OwnedFd, ZonepathError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat2(CWD, path, flags, Mode::empty(), rustix::fs::ResolveFlags::NO_SYMLINKS)
        .map_err(io("open", path))
}

#[cfg(test)]
mod tests;

//! Taking a zone's files away: look first ([`plan`]), then do it ([`execute`]).
//!
//! Only what an install puts into a zonepath is removed: `root`, `dev`, `logs`, `lastexit.toml`, `lastboot`,
//! what a detach left, and the directory itself. Anything else is the administrator's, and stays with a warning. Nothing is remembered
//! between runs: after an interruption, planning and executing again removes what is left.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fmt;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, StatxFlags};
use rustix::io::Errno;

use crate::error::{Error, shown};
use crate::install::LOST_FOUND;
use crate::mounts;
use crate::progress::{Meter, Options, Phase, Reporter};
use crate::tree::{Visit, fixed_by, identity, is_fixed, loosen, walk};

/// What is ours in a zonepath, with what a daemon that was killed may have left half written; the root last, so that
/// an interrupted removal still looks like a zone.
pub(crate) const STANDARD: [&CStr; 8] = [
    c"dev",
    c"logs",
    c"lastboot",
    c".lastexit.toml.new",
    c"lastexit.toml",
    c".detached.toml.new",
    c"detached.toml",
    c"root",
];

/// How many files that cannot be removed as they are a plan names.
const MOST_NAMED: usize = 8;

/// What becomes of files that chattr(1) has made immutable or append-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fixed {
    /// They are made removable, and removed.
    Clear,
    /// As long as there are any, nothing is removed.
    Refuse,
}

/// What [`execute`] will remove.
#[derive(Debug)]
pub struct Plan {
    zonepath: PathBuf,
    directory: Option<OwnedFd>,
    /// The standard entries that are there.
    pub standard: Vec<Standard>,
    /// Names of everything else in the zonepath, which stays.
    pub extra: Vec<OsString>,
    /// File systems mounted below the zonepath. As long as there are any, [`execute`] refuses.
    pub mounts: Vec<PathBuf>,
    /// How many files are immutable or append-only.
    pub fixed: u64,
    /// Some of those.
    pub fixed_paths: Vec<PathBuf>,
}

/// A standard entry of a zonepath.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standard {
    /// Its name in the zonepath.
    pub name: String,
    /// Files, directories and links, itself included.
    pub entries: u64,
    /// Bytes on the disk that will be free; of files with several names only their share.
    pub bytes: u64,
}

/// What [`execute`] has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// How many entries were deleted.
    pub entries: u64,
    /// Why the zonepath itself is still there, if it is.
    pub left: Option<Left>,
}

/// Why a zonepath remains. `Display` is the warning to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// It has more in it than a zone.
    UserData {
        /// The zonepath that stays.
        zonepath: PathBuf,
        /// What is still in it.
        names: Vec<OsString>,
    },
    /// A file system is mounted on it, which is empty now.
    MountPoint(PathBuf),
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UserData { zonepath, .. } => write!(
                f,
                "WARNING: Unable to completely remove {}\nbecause it contains additional user data.  Only the \
                 standard directory entries have been removed.",
                shown(zonepath)
            ),
            Self::MountPoint(zonepath) => write!(
                f,
                "WARNING: {} is a mount point; it has been emptied, unmount and remove it yourself.",
                shown(zonepath)
            ),
        }
    }
}

impl Plan {
    /// Gives the zonepath that the plan is for.
    pub fn zonepath(&self) -> &Path {
        &self.zonepath
    }

    fn note_fixed(&mut self, path: PathBuf) {
        self.fixed += 1;
        if self.fixed_paths.len() < MOST_NAMED {
            self.fixed_paths.push(path);
        }
    }

    /// The error that `fixed` leads to, if any.
    ///
    /// # Errors
    /// [`Error::Immutable`] when there are such files and they are not to be cleared.
    pub fn refuse(&self, fixed: Fixed) -> Result<(), Error> {
        if fixed == Fixed::Clear || self.fixed == 0 {
            return Ok(());
        }
        let (zonepath, paths) = (self.zonepath.clone(), self.fixed_paths.clone());
        Err(Error::Immutable { zonepath, paths, count: self.fixed })
    }

    /// True when there is nothing at the zonepath, or a directory that no zone was installed in.
    pub fn is_missing(&self) -> bool {
        self.directory.is_none()
    }

    /// Entries to be removed, all together.
    pub fn entries(&self) -> u64 {
        self.standard.iter().map(|standard| standard.entries).sum()
    }

    /// Bytes to be freed, all together.
    pub fn bytes(&self) -> u64 {
        self.standard.iter().map(|standard| standard.bytes).sum()
    }
}

/// Looks at what is there. The directory is held open from now on: it is the one that [`execute`] empties.
///
/// The zonepath must be absolute, free of symbolic links, root's, and closed to others (mode 0700, which an
/// install sees to): a wrong path in a hand-edited configuration must not empty some other directory. Of a zone that is `incomplete`
/// one that is open to others and has nothing of a zone in it is what was there before an install that did not come so far: the plan is to
/// leave it alone. Of any other zone it is what is below a disk that is not mounted.
///
/// # Errors
/// [`Error::NotRemovable`], [`Error::Io`], or [`Error::Interrupted`].
pub fn plan(
    zonepath: &Path,
    incomplete: bool,
    options: &Options,
    report: &mut Reporter<'_>,
) -> Result<Plan, Error> {
    let mut plan = Plan {
        zonepath: zonepath.to_owned(),
        directory: None,
        standard: Vec::new(),
        extra: Vec::new(),
        mounts: Vec::new(),
        fixed: 0,
        fixed_paths: Vec::new(),
    };
    let Some(directory) = look_at_zonepath(zonepath)? else { return Ok(plan) };
    if is_open(&directory, zonepath)? {
        let is_ours = !incomplete || has_standard(&directory);
        return if is_ours { open_to_others(zonepath) } else { Ok(plan) };
    }
    plan.mounts = mounts::below(zonepath)?;
    let failed = |errno: Errno| Error::io("read", zonepath, errno);
    let mut meter = Meter::new(Phase::Measuring, options, report);
    if is_fixed(&directory, c"") {
        plan.note_fixed(zonepath.to_owned());
    }
    for entry in Dir::read_from(&directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if !STANDARD.contains(&name) {
            plan.extra.push(OsString::from_vec(name.to_bytes().to_vec()));
            continue;
        }
        let mut count = Count { meter: &mut meter, plan: &mut plan, entries: 0, bytes: 0 };
        walk(&directory, zonepath, name, &mut count)?;
        let Count { entries, bytes, .. } = count;
        plan.standard.push(Standard { name: name.to_string_lossy().into_owned(), entries, bytes });
    }
    plan.standard.sort_by(|a, b| a.name.cmp(&b.name));
    plan.extra.sort();
    plan.directory = Some(directory);
    Ok(plan)
}

/// Removes what was planned, and the zonepath if nothing else is in it.
///
/// No link is followed and no mount is entered; a tree may have any depth and any modes.
///
/// # Errors
/// [`Error::MountsBelow`] and [`Error::Immutable`] before anything was touched; [`Error::StaysFixed`],
/// [`Error::Interrupted`] or [`Error::Io`] naming the entry on the way. What was removed until then stays removed.
pub fn execute(
    plan: &Plan,
    fixed: Fixed,
    options: &Options,
    report: &mut Reporter<'_>,
) -> Result<Removed, Error> {
    let zonepath = &plan.zonepath;
    let Some(directory) = &plan.directory else { return Ok(Removed { entries: 0, left: None }) };
    let mounts = mounts::below(zonepath)?;
    if !mounts.is_empty() {
        return Err(Error::MountsBelow { zonepath: zonepath.clone(), mounts });
    }
    plan.refuse(fixed)?;
    if fixed == Fixed::Clear {
        loosen(directory, c"")
            .map_err(|errno| Error::StaysFixed { path: zonepath.clone(), source: errno.into() })?;
    }
    let mut meter = Meter::new(Phase::Removing, options, report);
    meter.phase(Phase::Removing, None, Some(plan.entries()));
    let mut delete = Delete { meter, fixed, entries: 0 };
    for name in STANDARD {
        walk(directory, zonepath, name, &mut delete)?;
    }
    zone_fail::pass!("remove.entries");
    let left = remove_zonepath(zonepath, directory)?;
    // What comes next says that the files are gone, and is put on the disk: so must this be, or a host that loses its power now
    // finds files again that belong to nobody.
    rustix::fs::syncfs(directory).map_err(|errno| Error::io("sync the file system of", zonepath, errno))?;
    Ok(Removed { entries: delete.entries, left })
}

/// Removes the root alone, for an install that has made it and comes to nothing: the zonepath, and what else is in
/// it, stays as it was. Says how many entries were removed.
///
/// # Errors
/// As [`plan`] and [`execute`].
pub fn root(zonepath: &Path, options: &Options, report: &mut Reporter<'_>) -> Result<u64, Error> {
    let Some(directory) = open_zonepath(zonepath)? else { return Ok(0) };
    let mut meter = Meter::new(Phase::Removing, options, report);
    meter.phase(Phase::Removing, None, None);
    let mut delete = Delete { meter, fixed: Fixed::Refuse, entries: 0 };
    walk(&directory, zonepath, c"root", &mut delete)?;
    rustix::fs::syncfs(&directory).map_err(|errno| Error::io("sync the file system of", zonepath, errno))?;
    Ok(delete.entries)
}

/// Removes a zonepath with all that is in it, whatever chattr(1) has made of it, when all of that is a copy of what is elsewhere, or was
/// copied elsewhere.
///
/// # Errors
/// As [`execute`].
pub fn all(zonepath: &Path, options: &Options, report: &mut Reporter<'_>) -> Result<Removed, Error> {
    let Some(directory) = open_zonepath(zonepath)? else { return Ok(Removed { entries: 0, left: None }) };
    let mounts = mounts::below(zonepath)?;
    if !mounts.is_empty() {
        return Err(Error::MountsBelow { zonepath: zonepath.to_owned(), mounts });
    }
    loosen(&directory, c"")
        .map_err(|errno| Error::StaysFixed { path: zonepath.to_owned(), source: errno.into() })?;
    let mut meter = Meter::new(Phase::Removing, options, report);
    meter.phase(Phase::Removing, None, None);
    let mut delete = Delete { meter, fixed: Fixed::Clear, entries: 0 };
    let failed = |errno: Errno| Error::io("read", zonepath, errno);
    for name in names(&directory).map_err(failed)? {
        if name.as_bytes() != LOST_FOUND.to_bytes() {
            let name = CString::new(name.into_vec()).map_err(|_| failed(Errno::INVAL))?;
            walk(&directory, zonepath, &name, &mut delete)?;
        }
    }
    zone_fail::pass!("remove.entries");
    let left = match remove_zonepath(zonepath, &directory)? {
        Some(Left::UserData { names, .. }) if names == [OsStr::from_bytes(LOST_FOUND.to_bytes())] => {
            Some(Left::MountPoint(zonepath.to_owned()))
        }
        left => left,
    };
    rustix::fs::syncfs(&directory).map_err(|errno| Error::io("sync the file system of", zonepath, errno))?;
    Ok(Removed { entries: delete.entries, left })
}

/// `None` when it is not there.
fn open_zonepath(zonepath: &Path) -> Result<Option<OwnedFd>, Error> {
    match look_at_zonepath(zonepath)? {
        Some(directory) if is_open(&directory, zonepath)? => open_to_others(zonepath),
        other => Ok(other),
    }
}

/// As [`open_zonepath`], whoever may enter it.
fn look_at_zonepath(zonepath: &Path) -> Result<Option<OwnedFd>, Error> {
    let refuse = |why| Err(Error::NotRemovable { zonepath: zonepath.to_owned(), why });
    if !zonepath.is_absolute() || zonepath.file_name().is_none() {
        return refuse("it is not the absolute path of a directory of its own; correct the zonepath");
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = match zone_sys::path::unlinked(CWD, zonepath, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => return refuse("its path goes through a symbolic link; correct the zonepath"),
        Err(Errno::NOTDIR) => return refuse("it is not a directory; correct the zonepath"),
        Err(errno) => return Err(Error::io("open", zonepath, errno)),
    };
    Ok(Some(fd))
}

/// Whether others than root may enter it, as they may no zonepath.
fn is_open(directory: &OwnedFd, zonepath: &Path) -> Result<bool, Error> {
    let stat = rustix::fs::fstat(directory).map_err(|errno| Error::io("look at", zonepath, errno))?;
    Ok(stat.st_uid != rustix::process::geteuid().as_raw() || stat.st_mode & 0o077 != 0)
}

fn open_to_others<T>(zonepath: &Path) -> Result<T, Error> {
    let why = "no zone was installed there, for it is open to others; if one was, run chown 0:0 and chmod 0700 on it";
    Err(Error::NotRemovable { zonepath: zonepath.to_owned(), why })
}

/// Whether it has something in it that an install makes. What cannot be looked at may be one.
fn has_standard(directory: &OwnedFd) -> bool {
    let look = |name: &CStr| rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
    STANDARD.into_iter().any(|name| look(name).map_or_else(|errno| errno != Errno::NOENT, |_| true))
}

fn remove_zonepath(zonepath: &Path, directory: &OwnedFd) -> Result<Option<Left>, Error> {
    let failed = |errno: Errno| Error::io("remove", zonepath, errno);
    let (Some(parent), Some(name)) = (zonepath.parent(), zonepath.file_name()) else { return Ok(None) };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = zone_sys::path::unlinked(CWD, parent, flags, Mode::empty()).map_err(failed)?;
    let stat = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
    if identity(directory).map_err(failed)? != (stat.st_dev, stat.st_ino) {
        return Err(failed(Errno::STALE));
    }
    match rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR) {
        Ok(()) => Ok(None),
        Err(Errno::NOTEMPTY | Errno::EXIST) => {
            let names = names(directory).map_err(failed)?;
            Ok(Some(Left::UserData { zonepath: zonepath.to_owned(), names }))
        }
        Err(Errno::BUSY) => match names(directory).map_err(failed)? {
            names if names.is_empty() => Ok(Some(Left::MountPoint(zonepath.to_owned()))),
            names => Ok(Some(Left::UserData { zonepath: zonepath.to_owned(), names })),
        },
        Err(errno) => Err(failed(errno)),
    }
}

fn names(directory: &OwnedFd) -> Result<Vec<OsString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name));
        }
    }
    names.sort();
    Ok(names)
}

struct Count<'m, 'r> {
    meter: &'m mut Meter<'r>,
    plan: &'m mut Plan,
    entries: u64,
    bytes: u64,
}

impl Visit for Count<'_, '_> {
    const DOING: &'static str = "look at";
    const SKIPS_MOUNTS: bool = true;

    fn before(&mut self, _path: &dyn Fn() -> PathBuf) -> Result<(), Error> {
        self.meter.entry(Path::new(""))
    }

    fn file(&mut self, parent: &OwnedFd, name: &CStr, path: &dyn Fn() -> PathBuf) -> Result<(), Errno> {
        let wanted = StatxFlags::TYPE | StatxFlags::NLINK | StatxFlags::BLOCKS;
        let stat = rustix::fs::statx(parent, name, AtFlags::SYMLINK_NOFOLLOW, wanted)?;
        if FileType::from_raw_mode(stat.stx_mode.into()) == FileType::Directory {
            return Err(Errno::ISDIR);
        }
        self.entries += 1;
        // Blocks are units of 512 bytes whatever the block size (statx(2)).
        self.bytes += stat.stx_blocks * 512 / u64::from(stat.stx_nlink).max(1);
        if fixed_by(&stat) {
            self.plan.note_fixed(path());
        }
        Ok(())
    }

    fn directory(&mut self, parent: &OwnedFd, name: &CStr, path: &dyn Fn() -> PathBuf) -> Result<(), Errno> {
        self.entries += 1;
        if is_fixed(parent, name) {
            self.plan.note_fixed(path());
        }
        Ok(())
    }
}

struct Delete<'r> {
    meter: Meter<'r>,
    fixed: Fixed,
    entries: u64,
}

impl Visit for Delete<'_> {
    const DOING: &'static str = "remove";
    const SKIPS_MOUNTS: bool = false;

    fn loosens(&self) -> bool {
        self.fixed == Fixed::Clear
    }

    fn before(&mut self, path: &dyn Fn() -> PathBuf) -> Result<(), Error> {
        // The path costs an allocation, so not every entry is shown.
        if self.entries.is_multiple_of(64) {
            return self.meter.reached(self.entries, &path());
        }
        self.meter.check()
    }

    fn file(&mut self, parent: &OwnedFd, name: &CStr, _path: &dyn Fn() -> PathBuf) -> Result<(), Errno> {
        zone_fail::fail!("remove.unlink")?;
        rustix::fs::unlinkat(parent, name, AtFlags::empty())?;
        self.entries += 1;
        zone_fail::pass!("remove.entry");
        Ok(())
    }

    fn directory(&mut self, parent: &OwnedFd, name: &CStr, _path: &dyn Fn() -> PathBuf) -> Result<(), Errno> {
        zone_fail::fail!("remove.unlink")?;
        rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?;
        self.entries += 1;
        zone_fail::pass!("remove.entry");
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! Going through a tree that may be hostile: any depth, any modes, links and mounts in it.
//!
//! One descriptor is open at a time, whatever the depth: down by name (`openat2(2)`: no link, no mount), up by
//! `..`, which is taken only when it leads to the directory we came from.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, IFlags, Mode, OFlags, RawDir, StatxAttributes, StatxFlags};
use rustix::io::Errno;

use crate::error::Error;

const DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// A file system may skip entries of a directory that is changed while it is read: it is read again, so often.
const PASSES: u32 = 16;

/// What is done with a tree.
pub(crate) trait Visit {
    /// Something that is no directory. `path` is for messages, and costs an allocation.
    fn file(&mut self, parent: &OwnedFd, name: &CStr, path: &dyn Fn() -> PathBuf) -> Result<(), Errno>;
    /// A directory whose entries have all been visited.
    fn directory(&mut self, parent: &OwnedFd, name: &CStr, path: &dyn Fn() -> PathBuf) -> Result<(), Errno>;
    /// Called before each entry, to report it or to stop.
    fn before(&mut self, path: &dyn Fn() -> PathBuf) -> Result<(), Error>;
    /// What [`Visit::file`] and [`Visit::directory`] do, as a verb for messages.
    const DOING: &'static str;
    /// Whether mounts are passed over; otherwise they are an error.
    const SKIPS_MOUNTS: bool;
    /// Whether what chattr(1) has made immutable or append-only is made removable when it is in the way.
    fn loosens(&self) -> bool {
        false
    }
}

struct Frame {
    name: CString,
    identity: (u64, u64),
    /// Directories in it that are still to be visited.
    below: Vec<CString>,
    passes: u32,
}

struct Walk<'v, V> {
    base: PathBuf,
    frames: Vec<Frame>,
    visit: &'v mut V,
}

/// Visits `name` in the directory `top` and all below it, entries before their directory. `base` is the
/// path of `top`, for messages. A name that is not there is no error.
pub(crate) fn walk<V: Visit>(top: &OwnedFd, base: &Path, name: &CStr, visit: &mut V) -> Result<(), Error> {
    let mut walk = Walk { base: base.to_owned(), frames: Vec::new(), visit };
    match rustix::fs::statat(top, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(walk.fault("look at", Some(name), errno)),
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => walk.tree(top, name),
        Ok(_) => walk.file(top, name).map(drop),
    }
}

impl<V: Visit> Walk<'_, V> {
    fn tree(&mut self, top: &OwnedFd, name: &CStr) -> Result<(), Error> {
        let Some(mut current) = self.enter(top, name)? else { return Ok(()) };
        while let Some(frame) = self.frames.last_mut() {
            if let Some(below) = frame.below.pop() {
                if let Some(next) = self.enter(&current, &below)? {
                    current = next;
                }
                continue;
            }
            current = self.leave(top, current)?;
        }
        Ok(())
    }

    /// Goes into a directory and visits all but the directories in it. `None` for a mount that is skipped.
    fn enter(&mut self, parent: &OwnedFd, name: &CStr) -> Result<Option<OwnedFd>, Error> {
        let fd = match open(parent, name) {
            Ok(fd) => fd,
            Err(Errno::XDEV) if V::SKIPS_MOUNTS => return Ok(None),
            Err(errno) => return Err(self.fault("open", Some(name), errno)),
        };
        let identity = identity(&fd).map_err(|errno| self.fault("look at", Some(name), errno))?;
        self.frames.push(Frame { name: name.to_owned(), identity, below: Vec::new(), passes: 0 });
        self.read(&fd)?;
        Ok(Some(fd))
    }

    fn read(&mut self, fd: &OwnedFd) -> Result<(), Error> {
        let mut buffer = Vec::with_capacity(32 << 10);
        let mut names = RawDir::new(fd, buffer.spare_capacity_mut());
        let mut below = Vec::new();
        while let Some(entry) = names.next() {
            let entry = entry.map_err(|errno| self.fault("read", None, errno))?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            if entry.file_type() == FileType::Directory || self.file(fd, name)? {
                below.push(name.to_owned());
            }
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.below = below;
        }
        Ok(())
    }

    /// Visits something that is said to be no directory; true when it is one (not every file system says).
    fn file(&mut self, parent: &OwnedFd, name: &CStr) -> Result<bool, Error> {
        let path = || full(&self.base, &self.frames, Some(name));
        self.visit.before(&path)?;
        let mut result = self.visit.file(parent, name, &path);
        if result == Err(Errno::PERM) && self.visit.loosens() {
            for at in [name, c""] {
                loosen(parent, at).map_err(|errno| self.stays(name, errno))?;
            }
            let path = || full(&self.base, &self.frames, Some(name));
            result = self.visit.file(parent, name, &path);
        }
        match result {
            Ok(()) | Err(Errno::NOENT) => Ok(false),
            Err(Errno::ISDIR) => Ok(true),
            Err(errno) => Err(self.fault(V::DOING, Some(name), errno)),
        }
    }

    fn stays(&self, name: &CStr, errno: Errno) -> Error {
        Error::StaysFixed { path: self.path(Some(name)), source: errno.into() }
    }

    /// Leaves the directory at hand, visits it, and returns the one above.
    fn leave(&mut self, top: &OwnedFd, current: OwnedFd) -> Result<OwnedFd, Error> {
        let path = || full(&self.base, &self.frames, None);
        self.visit.before(&path)?;
        let above = match self.frames.len().checked_sub(2).and_then(|index| self.frames.get(index)) {
            None => rustix::io::fcntl_dupfd_cloexec(top, 0),
            Some(above) => up(&current, above.identity),
        }
        .map_err(|errno| self.fault("go up from", None, errno))?;
        let Some(frame) = self.frames.last() else { return Ok(above) };
        let name = frame.name.clone();
        let path = || full(&self.base, &self.frames, None);
        let mut result = self.visit.directory(&above, &name, &path);
        if result == Err(Errno::PERM) && self.visit.loosens() {
            loosen(&current, c"")
                .and_then(|()| loosen(&above, c""))
                .map_err(|errno| Error::StaysFixed { path: self.path(None), source: errno.into() })?;
            let path = || full(&self.base, &self.frames, None);
            result = self.visit.directory(&above, &name, &path);
        }
        match (result, self.frames.last_mut()) {
            (Err(Errno::NOTEMPTY | Errno::EXIST), Some(frame)) if frame.passes < PASSES => {
                frame.passes += 1;
                let again = open(&above, &name).map_err(|errno| self.fault("open", None, errno))?;
                self.read(&again)?;
                return Ok(again);
            }
            (Ok(()) | Err(Errno::NOENT), _) => {}
            (Err(errno), _) => return Err(self.fault(V::DOING, None, errno)),
        }
        self.frames.pop();
        Ok(above)
    }

    /// The directory at hand, or an entry of it.
    fn path(&self, name: Option<&CStr>) -> PathBuf {
        full(&self.base, &self.frames, name)
    }

    fn fault(&self, doing: &'static str, name: Option<&CStr>, errno: Errno) -> Error {
        match errno {
            Errno::XDEV => Error::MountsBelow { zonepath: self.base.clone(), mounts: vec![self.path(name)] },
            Errno::ROFS => Error::ReadOnly { doing, path: self.path(name), top: self.top() },
            errno => Error::io(doing, self.path(name), errno),
        }
    }

    /// The topmost directory on the way that is on one device with the one at hand: a subvolume of btrfs is no mount, and has a device of
    /// its own.
    fn top(&self) -> PathBuf {
        let device = self.frames.last().map(|frame| frame.identity.0);
        let other = self.frames.iter().rposition(|frame| Some(frame.identity.0) != device);
        let first = other.map_or(0, |at| at + 1);
        full(&self.base, self.frames.get(..=first).unwrap_or_default(), None)
    }
}

fn full(base: &Path, frames: &[Frame], name: Option<&CStr>) -> PathBuf {
    let mut path = base.to_owned();
    for part in frames.iter().map(|frame| frame.name.as_c_str()).chain(name) {
        path.push(OsStr::from_bytes(part.to_bytes()));
    }
    path
}

fn open(parent: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let open = || zone_sys::path::beneath(parent, name, DIR);
    let fd = match open() {
        Err(Errno::ACCESS) => {
            unlock(parent, name)?;
            open()?
        }
        other => other?,
    };
    // Root needs no permission; unit tests may be run by somebody else.
    if !rustix::process::geteuid().is_root() {
        let _ = rustix::fs::fchmod(&fd, Mode::RWXU);
    }
    Ok(fd)
}

/// Gives a directory that its owner may not open mode 0700.
fn unlock(parent: &OwnedFd, name: &CStr) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = zone_sys::path::beneath(parent, name, flags)?;
    let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
    rustix::fs::chmodat(CWD, link.as_str(), Mode::RWXU, AtFlags::empty())
}

/// The directory above, if it is the one we came from.
fn up(current: &OwnedFd, expected: (u64, u64)) -> Result<OwnedFd, Errno> {
    let fd = rustix::fs::openat(current, c"..", DIR, Mode::empty())?;
    // Somebody moved the directory while we were in it: what is above now is none of our business.
    if identity(&fd)? != expected {
        return Err(Errno::STALE);
    }
    Ok(fd)
}

pub(crate) fn identity(fd: &OwnedFd) -> Result<(u64, u64), Errno> {
    rustix::fs::fstat(fd).map(|stat| (stat.st_dev, stat.st_ino))
}

/// True when chattr(1) forbids any change. The empty name stands for the directory itself.
pub(crate) fn is_fixed(parent: impl AsFd, name: &CStr) -> bool {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
    rustix::fs::statx(parent, name, flags, StatxFlags::TYPE).is_ok_and(|stat| fixed_by(&stat))
}

/// True when chattr(1) forbids any change of what was looked at.
pub(crate) fn fixed_by(stat: &rustix::fs::Statx) -> bool {
    stat.stx_attributes.intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND)
}

/// Takes away what chattr(1) has forbidden, by a descriptor of what is in the directory. The empty name stands for
/// the directory itself, which is open for reading.
pub(crate) fn loosen(parent: &OwnedFd, name: &CStr) -> Result<(), Errno> {
    if !is_fixed(parent, name) {
        return Ok(());
    }
    let clear = |fd: &OwnedFd| {
        let flags = rustix::fs::ioctl_getflags(fd)?;
        rustix::fs::ioctl_setflags(fd, flags.difference(IFlags::IMMUTABLE | IFlags::APPEND))
    };
    if name.is_empty() {
        return clear(parent);
    }
    // Only files and directories have such flags (ioctl_iflags(2)); opening anything else could wait for ever.
    let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile | FileType::Directory => {}
        _ => return Err(Errno::PERM),
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    clear(&zone_sys::path::beneath(parent, name, flags)?)
}

//! The only way to the files of a zone.
//!
//! Whoever is root in a zone owns every file below its root, and may have put a symlink anywhere while the
//! zone ran. No path of a zone is therefore ever handed to the kernel from the host's root: each is looked up
//! below a descriptor, with `openat2(2)` (Linux 5.6) forbidden to follow symlinks or to leave the directory,
//! and what is then made or mounted is made at the descriptor that was checked.
//!
//! The platform's mounts are not attached yet when paths are checked, so a [`ZoneRoot`] is a set of *places*: the root,
//! and what will be mounted over parts of it. Symlinks are followed by this code, in the zone's view: an absolute one
//! starts at the zone's root, and one that leads through `/usr` of a sparse zone finds the host's.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Gid, Mode, OFlags, Stat, Uid, fchmod, fchown, fstat, mkdirat, openat};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

mod path;
mod resolve;

pub use path::{Canonical, PathError, Refusal};
pub use resolve::Resolved;

use crate::Failed;

/// The tree of a zone as it will be when everything is mounted.
#[derive(Debug)]
pub struct ZoneRoot {
    /// The root first.
    places: Vec<Place>,
    /// Where the root is on the host; only for messages.
    shown: PathBuf,
}

/// A mount of the zone, attached or not.
#[derive(Debug)]
struct Place {
    at: Vec<String>,
    dir: OwnedFd,
    making: Making,
}

/// What may be made in a place, and who then owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Making {
    /// As the host's root makes it: the descriptor is *not* the id-mapped one, so that 0 on disk is 0 in the zone.
    Plain,
    /// By chown to this id of the host: for a file system made for the zone.
    Owned(u32),
    /// Nothing: it is read-only.
    Nothing,
}

/// What a mount point must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// Anything but a directory or a symlink.
    File,
}

impl ZoneRoot {
    /// A tree of one place. `shown` is the root's path on the host, for messages.
    #[must_use]
    pub fn new(root: OwnedFd, making: Making, shown: &Path) -> Self {
        Self { places: vec![Place { at: Vec::new(), dir: root, making }], shown: shown.to_owned() }
    }

    /// Gives the descriptor of the root, which names are looked up beneath.
    #[must_use]
    pub fn root(&self) -> BorrowedFd<'_> {
        // There is always the root: nothing ever takes a place away.
        self.places[0].dir.as_fd()
    }

    /// Where the root is on the host; only for messages.
    #[must_use]
    pub fn shown(&self) -> &Path {
        &self.shown
    }

    /// What is at `at` from now on is what is in `dir`: a mount is going to be there.
    ///
    /// # Errors
    /// When the descriptor cannot be duplicated.
    pub fn cover(&mut self, at: &Canonical, dir: BorrowedFd<'_>, making: Making) -> Result<(), Failed> {
        let dir = dir.try_clone_to_owned().map_err(Failed::to("duplicate the descriptor of", at))?;
        self.places.push(Place { at: at.components().to_vec(), dir, making });
        Ok(())
    }

    /// Makes sure that something can be mounted at `path`: every component is a directory and none a symlink. What
    /// is missing is made, directories with mode 0755, owned by the zone's root.
    ///
    /// # Errors
    /// [`PathError`] with the component that is not right.
    pub fn mountpoint(&self, path: &Canonical, kind: Kind) -> Result<(), PathError> {
        let components = path.components();
        for end in 1..=components.len() {
            let part = &components[..end];
            let wanted = if end == components.len() { kind } else { Kind::Directory };
            let found = self.look(part).and_then(|found| match found {
                Some(fd) => Ok(fd),
                None => self.make(part, wanted),
            });
            found.and_then(|fd| self.check(part, fd.as_fd(), wanted)).map_err(|source| {
                PathError::MountPoint { path: format!("{}{path}", self.shown.display()), source }
            })?;
        }
        Ok(())
    }

    fn check(&self, part: &[String], fd: BorrowedFd<'_>, wanted: Kind) -> Result<(), Refusal> {
        let found = FileType::from_raw_mode(self.stat(part, fd)?.st_mode);
        match (found, wanted) {
            (FileType::Symlink, _) => Err(Refusal::Symlink(self.show(part))),
            (FileType::Directory, Kind::Directory) => Ok(()),
            (_, Kind::Directory) => Err(Refusal::NotDirectory(self.show(part))),
            (FileType::Directory, Kind::File) => Err(Refusal::Directory(self.show(part))),
            (_, Kind::File) => Ok(()),
        }
    }

    /// Opens what is at these components, of which none may be a symlink but the last; `None` if nothing is there.
    fn look(&self, components: &[String]) -> Result<Option<OwnedFd>, Refusal> {
        self.look_with(components, OFlags::PATH | OFlags::NOFOLLOW)
    }

    fn look_with(&self, components: &[String], flags: OFlags) -> Result<Option<OwnedFd>, Refusal> {
        let place = self.place_of(components);
        let rest = &components[place.at.len()..];
        let opened = if rest.is_empty() && flags.contains(OFlags::PATH) {
            fcntl_dupfd_cloexec(&place.dir, 3)
        } else if rest.is_empty() {
            // A place may be a file. It is reached by our own descriptor, which is no symlink of the zone's.
            let own = format!("/proc/self/fd/{}", place.dir.as_raw_fd());
            openat(CWD, own, flags.difference(OFlags::NOFOLLOW) | OFlags::CLOEXEC, Mode::empty())
        } else {
            zone_sys::path::in_root_unlinked(&place.dir, rest.join("/"), flags)
        };
        match opened {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NAMETOOLONG) => Err(Refusal::TooLong(self.show(components))),
            Err(Errno::NOTDIR) => Err(Refusal::NotDirectory(self.show(&components[..components.len() - 1]))),
            Err(Errno::LOOP) => Err(Refusal::Symlink(self.show(components))),
            Err(errno) => Err(self.failed("open", components)(errno)),
        }
    }

    /// The place that these components are in: the one that was put deepest, and last of those at the same depth.
    fn place_of(&self, components: &[String]) -> &Place {
        let covers = |place: &&Place| components.starts_with(&place.at);
        // max_by_key gives the last of equals. The root covers everything, so there is one.
        self.places.iter().filter(covers).max_by_key(|place| place.at.len()).unwrap_or(&self.places[0])
    }

    fn make(&self, part: &[String], kind: Kind) -> Result<OwnedFd, Refusal> {
        let (name, parent) = part.split_last().ok_or_else(|| Refusal::NotCanonical("/".to_owned()))?;
        let making = self.place_of(parent).making;
        if making == Making::Nothing {
            return Err(Refusal::ReadOnly(self.show(part)));
        }
        let Some(dir) = self.look(parent)? else { return Err(Refusal::Missing(self.show(parent))) };
        let fd = match kind {
            Kind::Directory => mkdirat(&dir, name, Mode::from_raw_mode(0o755)).and_then(|()| {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY;
                zone_sys::path::unlinked(&dir, name, flags, Mode::empty())
            }),
            Kind::File => {
                let flags =
                    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let mode = Mode::from_raw_mode(0o644);
                zone_sys::path::unlinked(&dir, name, flags, mode)
            }
        };
        let fd = fd.map_err(self.failed("make", part))?;
        // The mode at creation is cut by the umask of whoever runs us.
        let mode = Mode::from_raw_mode(if kind == Kind::Directory { 0o755 } else { 0o644 });
        fchmod(&fd, mode).map_err(self.failed("set the mode of", part))?;
        if let Making::Owned(id) = making {
            give(fd.as_fd(), id).map_err(self.failed("give the zone", part))?;
        }
        Ok(fd)
    }

    fn stat(&self, part: &[String], fd: BorrowedFd<'_>) -> Result<Stat, Refusal> {
        fstat(fd).map_err(self.failed("look at", part))
    }

    fn failed(&self, operation: &'static str, part: &[String]) -> impl FnOnce(Errno) -> Refusal {
        let subject = self.show(part);
        move |source| Refusal::Failed(Failed { operation, subject, source: source.into() })
    }

    fn show(&self, part: &[String]) -> String {
        let mut shown = self.shown.display().to_string();
        for component in part {
            shown.push('/');
            shown.push_str(component);
        }
        shown
    }
}

/// Gives a file to one id, as user and group.
pub(crate) fn give(fd: BorrowedFd<'_>, id: u32) -> Result<(), Errno> {
    fchown(fd, Some(Uid::from_raw(id)), Some(Gid::from_raw(id)))
}

/// A path's bytes as text, for what is only compared or shown.
pub(crate) fn text(path: &Path) -> String {
    String::from_utf8_lossy(path.as_os_str().as_bytes()).into_owned()
}

#[cfg(test)]
mod tests;

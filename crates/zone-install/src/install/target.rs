//! The zone's root while it is being filled. Every entry is made by file descriptor, below the root's own.
//!
//! Parents of an entry are resolved *as if the root were `/`* (`openat2(2)`, `RESOLVE_IN_ROOT`): real trees
//! have links such as `lib -> usr/lib` or `/var/run -> /run`, and later entries go through them. A link can
//! therefore lead anywhere inside the root and nowhere outside, whatever it says. The last component is never
//! followed: what is in the way is removed and the entry is made anew (`O_EXCL`).

use std::collections::HashSet;
use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{AtFlags, CWD, FileType, IFlags, Mode, OFlags, XattrFlags};
use rustix::io::Errno;

mod attributes;
mod directories;
mod meta;

use self::attributes::Waiting;
pub(crate) use self::attributes::{keeps_xattr, stays_xattr};
use self::directories::Directories;
use self::meta::Ourselves;
pub(crate) use self::meta::{Meta, Owner, Xattrs, both};
use super::Summary;
use crate::error::{Error, Obstacle, is_full};

/// What the file systems of the ext family have at their top.
pub(crate) const LOST_FOUND: &CStr = c"lost+found";
const DIR: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// How much may be written before the free space is looked at again.
const LOOK_AFTER_BYTES: u64 = 32 << 20;
const LOOK_AFTER_ENTRIES: u64 = 4096;

/// What of the entries is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// What belongs to the files, and not to the machine that they come from.
    Files,
    /// All: it is the same machine, at another place.
    All,
}

/// An open zone root, or a zonepath when all of it is kept.
pub(crate) struct Target {
    root: OwnedFd,
    place: PathBuf,
    keeps: Keeps,
    /// What is made immutable or append-only when nothing of it is changed any more.
    fixed: Vec<(PathBuf, IFlags)>,
    /// The last parent used: neighbours come together.
    parent: Option<(PathBuf, Rc<OwnedFd>)>,
    directories: Directories,
    /// Whether nobody vouches for what comes, as for an archive: behind a tree that is copied stands a disk of this host.
    unvouched: bool,
    /// Access control lists that wait for the names in them.
    waiting: Waiting,
    unwatched: (u64, u64),
    /// Who we are, and whether what we make here is ours by itself.
    ourselves: Ourselves,
    pub(crate) summary: Summary,
}

impl Target {
    /// Makes `ZONEPATH/root`, which must be missing or empty.
    pub(crate) fn create(zonepath: &Path) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = zone_sys::path::unlinked(CWD, zonepath, flags, Mode::empty())
            .map_err(|errno| Error::io("open the zonepath", zonepath, errno))?;
        let place = zonepath.join("root");
        match rustix::fs::mkdirat(&fd, "root", Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Error::io("create", place, errno)),
        }
        Self::open(&place)
    }

    /// Bounds what directories may have remembered of them.
    pub(crate) fn unvouched(mut self) -> Self {
        self.unvouched = true;
        self
    }

    /// Takes an empty directory as the root.
    pub(crate) fn open(place: &Path) -> Result<Self, Error> {
        Self::open_for(place, Keeps::Files)
    }

    /// As [`Target::open`]. A zonepath may be the top of a file system, with what that has there.
    pub(crate) fn open_for(place: &Path, keeps: Keeps) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let failed = |errno: Errno| Error::io("open", place, errno);
        let root = zone_sys::path::unlinked(CWD, place, flags, Mode::empty()).map_err(failed)?;
        for entry in rustix::fs::Dir::read_from(&root).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if name != c"." && name != c".." && (keeps == Keeps::Files || name != LOST_FOUND) {
                return Err(Error::RootNotEmpty(place.to_owned()));
            }
        }
        let ourselves = Ourselves::in_directory(&root).map_err(failed)?;
        zone_fail::pass!("fill.begun");
        Ok(Self {
            root,
            place: place.to_owned(),
            keeps,
            fixed: Vec::new(),
            parent: None,
            directories: Directories::default(),
            unvouched: false,
            waiting: Waiting::default(),
            unwatched: (0, 0),
            ourselves,
            summary: Summary::default(),
        })
    }

    /// An error of an entry: a full disk is told apart.
    pub(crate) fn fault(
        &self,
        doing: &'static str,
        entry: &Path,
        source: impl Into<std::io::Error>,
    ) -> Error {
        let source = source.into();
        if is_full(&source) {
            return Error::NoSpace { place: self.place.clone(), entry: entry.to_owned() };
        }
        Error::io(doing, self.place.join(entry), source)
    }

    /// Counts an entry or bytes, and stops before the part of the disk that is kept for root is eaten: an
    /// archive that unpacks to more than the disk holds must not take the machine's other services with it.
    pub(crate) fn grew(&mut self, entries: u64, bytes: u64, at: &Path) -> Result<(), Error> {
        if entries > 0 {
            zone_fail::pass!("fill.entry");
        }
        self.summary.entries += entries;
        self.summary.bytes += bytes;
        self.unwatched.0 += entries;
        self.unwatched.1 += bytes;
        if self.unwatched.0 < LOOK_AFTER_ENTRIES && self.unwatched.1 < LOOK_AFTER_BYTES {
            return Ok(());
        }
        self.unwatched = (0, 0);
        let stat = rustix::fs::fstatvfs(&self.root).map_err(|errno| self.fault("measure", at, errno))?;
        // File systems without a size (or without a notion of inodes) report zero of both.
        if (stat.f_blocks > 0 && stat.f_bavail == 0) || (stat.f_files > 0 && stat.f_favail == 0) {
            return Err(Error::NoSpace { place: self.place.clone(), entry: at.to_owned() });
        }
        Ok(())
    }

    /// The directory `entry` belongs in, made when missing, and the entry's own name in it.
    fn locate<'e>(&mut self, entry: &'e Path) -> Result<(Rc<OwnedFd>, &'e OsStr), Error> {
        let name = entry.file_name().ok_or_else(|| self.fault("create", entry, Errno::INVAL))?;
        let parent = entry.parent().unwrap_or_else(|| Path::new(""));
        if let Some((path, fd)) = &self.parent
            && path == parent
        {
            return Ok((Rc::clone(fd), name));
        }
        let fd = Rc::new(self.enter(parent)?);
        self.parent = Some((parent.to_owned(), Rc::clone(&fd)));
        Ok((fd, name))
    }

    /// Opens a directory of the root, making what is missing with mode 0755.
    fn enter(&self, directory: &Path) -> Result<OwnedFd, Error> {
        let fault = |at: &Path, errno| match errno {
            Errno::LOOP => self.blocked(at, Obstacle::Loop),
            Errno::NOTDIR => self.blocked(at, Obstacle::NotADirectory),
            errno => self.fault("enter", at, errno),
        };
        if let Ok(fd) = self.resolve(directory) {
            return Ok(fd);
        }
        let mut at =
            rustix::io::fcntl_dupfd_cloexec(&self.root, 0).map_err(|errno| fault(directory, errno))?;
        let mut done = PathBuf::new();
        for name in directory {
            done.push(name);
            at = match self.resolve(&done) {
                Ok(fd) => fd,
                Err(Errno::NOENT) => {
                    match rustix::fs::mkdirat(&at, name, Mode::from_raw_mode(0o755)) {
                        Ok(()) => {}
                        // Something is there, and yet leads nowhere.
                        Err(Errno::EXIST) => {
                            let text = rustix::fs::readlinkat(&at, name, Vec::new())
                                .map_err(|errno| fault(&done, errno))?;
                            let text = PathBuf::from(OsString::from_vec(text.into_bytes()));
                            return Err(self.blocked(&done, Obstacle::Dangling(text)));
                        }
                        Err(errno) => return Err(fault(&done, errno)),
                    }
                    self.resolve(&done).map_err(|errno| fault(&done, errno))?
                }
                Err(errno) => return Err(fault(&done, errno)),
            };
        }
        Ok(at)
    }

    fn blocked(&self, at: &Path, obstacle: Obstacle) -> Error {
        Error::Blocked { path: self.place.join(at), obstacle }
    }

    fn resolve(&self, directory: &Path) -> Result<OwnedFd, Errno> {
        let path = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        // EAGAIN: something was renamed while a `..` of a link was resolved; the manual says try again.
        for _ in 0..16 {
            match zone_sys::path::in_root(&self.root, path, DIR) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other,
            }
        }
        Err(Errno::AGAIN)
    }

    /// Runs `make`; when something is in the way, removes it and runs it again.
    fn place<T>(
        &mut self,
        doing: &'static str,
        entry: &Path,
        make: impl Fn(&OwnedFd, &OsStr) -> Result<T, Errno>,
    ) -> Result<T, Error> {
        let (parent, name) = self.locate(entry)?;
        match make(&parent, name) {
            Err(Errno::EXIST) => {}
            other => return other.map_err(|errno| self.fault(doing, entry, errno)),
        }
        self.clear(&parent, name, entry)?;
        make(&parent, name).map_err(|errno| self.fault(doing, entry, errno))
    }

    /// Removes what an earlier entry of this name has made: the last one counts, as with tar(1). A directory only
    /// gives way when it is empty.
    fn clear(&mut self, parent: &OwnedFd, name: &OsStr, entry: &Path) -> Result<(), Error> {
        // It may be the last parent, or a link on the way to it.
        self.parent = None;
        self.waiting.forget(parent, name);
        self.directories.forget(entry);
        let removed = match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) => rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR),
            other => other,
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Err(Error::NotReplaced(self.place.join(entry))),
            Err(errno) => Err(self.fault("replace the earlier entry", entry, errno)),
        }
    }

    /// Sees that nothing is there under this name: the entry that counts is left out.
    pub(crate) fn remove(&mut self, entry: &Path) -> Result<(), Error> {
        let parent = entry.parent().unwrap_or_else(|| Path::new(""));
        // Nothing is made for what is left out.
        if self.resolve(parent).is_err() {
            return Ok(());
        }
        let (parent, name) = self.locate(entry)?;
        match rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => self.clear(&parent, name, entry),
            Err(_) => Ok(()),
        }
    }

    /// Makes a directory, or takes the one that is there, which gets this owner and mode. The empty path is the root
    /// itself.
    pub(crate) fn directory(&mut self, entry: &Path, meta: Meta) -> Result<(), Error> {
        if !entry.as_os_str().is_empty() {
            let (parent, name) = self.locate(entry)?;
            let made =
                zone_fail::fail!("fill.make").and_then(|()| rustix::fs::mkdirat(&parent, name, Mode::RWXU));
            match made {
                Ok(()) => {}
                Err(Errno::EXIST) => match self.kind(&parent, name, entry)? {
                    FileType::Directory => {}
                    _ => self.place("create directory", entry, |parent, name| {
                        rustix::fs::mkdirat(parent, name, Mode::RWXU)
                    })?,
                },
                Err(errno) => return Err(self.fault("create directory", entry, errno)),
            }
            self.directories.promise(entry, meta);
            if self.unvouched && self.directories.are_too_many() {
                return Err(Error::TooMany { place: self.place.clone(), entry: entry.to_owned() });
            }
        }
        self.grew(1, 0, entry)
    }

    fn kind(&self, parent: &OwnedFd, name: &OsStr, entry: &Path) -> Result<FileType, Error> {
        let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| self.fault("look at", entry, errno))?;
        Ok(FileType::from_raw_mode(stat.st_mode))
    }

    /// Makes an empty file, for nobody else to see until [`Target::finish_file`].
    pub(crate) fn create_file(&mut self, entry: &Path) -> Result<File, Error> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = self.place("create file", entry, |parent, name| {
            zone_fail::fail!("fill.make")?;
            rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR)
        })?;
        Ok(File::from(fd))
    }

    /// Gives a file its owner, mode, attributes and times. In this order: a change of owner clears the setuid
    /// bit and the capabilities, and every change moves the time.
    pub(crate) fn finish_file(&mut self, file: &File, entry: &Path, meta: &Meta) -> Result<(), Error> {
        let fault = |errno| self.fault("set the owner, mode or time of", entry, errno);
        if let Some(Owner { uid, gid }) = self.ourselves.owner_to_set(meta) {
            rustix::fs::fchown(file, Some(uid), Some(gid)).map_err(fault)?;
        }
        rustix::fs::fchmod(file, Mode::from_raw_mode(meta.mode)).map_err(fault)?;
        let lost = self.attributes(entry, meta, |name, value| {
            rustix::fs::fsetxattr(file, name, value, XattrFlags::empty())
        })?;
        if let Some(times) = &meta.times {
            let fault = |errno| self.fault("set the time of", entry, errno);
            rustix::fs::futimens(file, times).map_err(fault)?;
        }
        self.summary.left.unsupported += lost;
        self.wait_for_names(file.as_fd(), entry, meta)?;
        self.count_owner(meta);
        self.grew(1, 0, entry)
    }

    /// Makes a symbolic link. Its text may say what it likes; it is only ever followed inside the zone.
    pub(crate) fn symlink(&mut self, entry: &Path, text: &Path, meta: &Meta) -> Result<(), Error> {
        self.place("create link", entry, |parent, name| rustix::fs::symlinkat(text, parent, name))?;
        let (parent, name) = self.locate(entry)?;
        let fault = |errno| self.fault("set the owner or time of", entry, errno);
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        if let Some(Owner { uid, gid }) = self.ourselves.owner_to_set(meta) {
            rustix::fs::chownat(&*parent, name, Some(uid), Some(gid), flags).map_err(fault)?;
        }
        if let Some(times) = &meta.times {
            rustix::fs::utimensat(&*parent, name, times, flags).map_err(fault)?;
        }
        self.count_owner(meta);
        self.grew(1, 0, entry)
    }

    /// Makes a named pipe.
    pub(crate) fn fifo(&mut self, entry: &Path, meta: &Meta) -> Result<(), Error> {
        self.node(entry, FileType::Fifo, 0, meta)
    }

    /// Makes a pipe, a socket or a device.
    pub(crate) fn node(
        &mut self,
        entry: &Path,
        kind: FileType,
        device: u64,
        meta: &Meta,
    ) -> Result<(), Error> {
        self.place("create node", entry, |parent, name| {
            rustix::fs::mknodat(parent, name, kind, Mode::RUSR | Mode::WUSR, device)
        })?;
        let (parent, name) = self.locate(entry)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&*parent, name, flags, Mode::empty())
            .map_err(|errno| self.fault("open", entry, errno))?;
        self.by_path_fd(&fd, entry, meta)?;
        self.grew(1, 0, entry)
    }

    /// Makes another name of an earlier entry. False when there is no such entry.
    pub(crate) fn hard_link(&mut self, entry: &Path, earlier: &Path) -> Result<bool, Error> {
        let Some(old_name) = earlier.file_name() else { return Ok(false) };
        let old_parent = match self.resolve(earlier.parent().unwrap_or_else(|| Path::new(""))) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(false),
            Err(errno) => return Err(self.fault("enter", earlier, errno)),
        };
        let old = match rustix::fs::statat(&old_parent, old_name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(false),
            Err(errno) => return Err(self.fault("look at", earlier, errno)),
        };
        let (parent, name) = self.locate(entry)?;
        // Another name of it, or the same one by another way: nothing is to be replaced.
        if rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|there| (there.st_dev, there.st_ino) == (old.st_dev, old.st_ino))
        {
            return Ok(true);
        }
        self.place("create hard link", entry, |parent, name| {
            rustix::fs::linkat(&old_parent, old_name, parent, name, AtFlags::empty())
        })?;
        self.summary.hard_links += 1;
        self.grew(1, 0, entry)?;
        Ok(true)
    }

    /// Sets what directories were promised, deepest last made first, makes the root `root:root` 0755 whatever
    /// the source's was, and puts everything on the disk.
    pub(crate) fn finish(mut self) -> Result<Summary, Error> {
        zone_fail::pass!("fill.entries");
        let flags = DIR | OFlags::NOFOLLOW;
        let mut done = HashSet::new();
        for (entry, meta) in std::mem::take(&mut self.directories).last_first() {
            let (parent, name) = self.locate(&entry)?;
            // A later entry may have taken the directory's place; it has its own.
            let Ok(fd) = rustix::fs::openat(&*parent, name, flags, Mode::empty()) else { continue };
            let stat = rustix::fs::fstat(&fd).map_err(|errno| self.fault("look at", &entry, errno))?;
            // Of several entries for one directory the last one counts, which comes first here.
            if done.insert((stat.st_dev, stat.st_ino)) {
                self.by_path_fd(&fd, &entry, &meta)?;
            }
        }
        self.set_named_lists()?;
        let top = Path::new("");
        if self.keeps == Keeps::Files {
            let Owner { uid, gid } = self.ourselves.owner();
            rustix::fs::fchmod(&self.root, Mode::from_raw_mode(0o755))
                .and_then(|()| rustix::fs::fchown(&self.root, Some(uid), Some(gid)))
                .map_err(|errno| self.fault("set the owner or mode of", top, errno))?;
        }
        self.set_flags()?;
        zone_fail::pass!("fill.done");
        rustix::fs::syncfs(&self.root).map_err(|errno| self.fault("sync the file system of", top, errno))?;
        Ok(self.summary)
    }

    /// Owner, mode, attributes and times through an `O_PATH` descriptor, which only a `/proc` path can do for
    /// all of them. The descriptor's own link is exact: nothing can be put in its place.
    fn by_path_fd(&mut self, fd: &OwnedFd, entry: &Path, meta: &Meta) -> Result<(), Error> {
        let link = magic(fd);
        let fault = |errno| self.fault("set the owner, mode or time of", entry, errno);
        if let Some(Owner { uid, gid }) = self.ourselves.owner_to_set(meta) {
            rustix::fs::chownat(fd, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH).map_err(fault)?;
        }
        rustix::fs::chmodat(CWD, &link, Mode::from_raw_mode(meta.mode), AtFlags::empty()).map_err(fault)?;
        let lost = self.attributes(entry, meta, |name, value| {
            rustix::fs::setxattr(&link, name, value, XattrFlags::empty())
        })?;
        if let Some(times) = &meta.times {
            let fault = |errno| self.fault("set the time of", entry, errno);
            rustix::fs::utimensat(CWD, &link, times, AtFlags::empty()).map_err(fault)?;
        }
        self.summary.left.unsupported += lost;
        self.wait_for_names(fd.as_fd(), entry, meta)?;
        self.count_owner(meta);
        Ok(())
    }

    fn count_owner(&mut self, meta: &Meta) {
        if meta.owner.is_some_and(Owner::is_foreign) {
            self.summary.foreign_owners += 1;
        }
    }
}

/// The `/proc` name of an open descriptor, for the calls that take no `O_PATH` descriptor.
fn magic(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

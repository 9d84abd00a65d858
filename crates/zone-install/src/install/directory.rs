//! Copying a tree that is already on this machine.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, IFlags, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::Summary;
use super::contents::Copier;
use super::target::{Keeps, LOST_FOUND, Meta, Owner, Target, Xattrs, keeps_xattr, stays_xattr};
use crate::error::Error;
use crate::progress::{Meter, Options, Phase, Reporter};
use crate::tree::is_fixed;

/// A tree to be copied, held open; nothing has been made of it yet.
pub struct Directory(Source);

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Directory").field(&self.0.path).finish()
    }
}

impl Directory {
    /// Opens a directory that is to be copied to `zonepath`, which should be canonical (see
    /// [`crate::zonepath::check`]).
    ///
    /// # Errors
    /// [`Error::SourceOverlaps`], or [`Error::Io`] when it cannot be opened or is no directory.
    pub fn open(source: &Path, zonepath: &Path) -> Result<Self, Error> {
        let real = source.canonicalize().map_err(|error| Error::io("open the source", source, error))?;
        if zonepath.starts_with(&real) || real.starts_with(zonepath) {
            return Err(Error::SourceOverlaps {
                source_dir: source.to_owned(),
                zonepath: zonepath.to_owned(),
            });
        }
        Source::open(real, Keeps::Files).map(Self)
    }

    /// Its path without links.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Copies the tree to `ZONEPATH/root`.
    ///
    /// Owners, modes, times, hard links, symbolic links (their text), pipes, holes and those extended attributes
    /// that belong to the files (`user.*`, capabilities, access control lists) are kept; blocks are shared where the
    /// file system can. Devices, sockets and file flags (chattr(1)) are left out and counted. Other file systems
    /// mounted in the source are *not* entered: their mount points come out empty and are listed in
    /// [`Summary::mounts_skipped`].
    ///
    /// # Errors
    /// [`Error::RootNotEmpty`], [`Error::NoSpace`], [`Error::Interrupted`], or [`Error::Io`] naming the entry.
    pub fn copy(
        self,
        zonepath: &Path,
        options: &Options,
        report: &mut Reporter<'_>,
    ) -> Result<Summary, Error> {
        let mut source = self.0;
        let mut meter = Meter::new(Phase::Measuring, options, report);
        let (bytes, entries) = source.measure(&mut meter)?;
        let mut target = Target::create(zonepath)?;
        meter.phase(Phase::Copying, Some(bytes), Some(entries));
        source.copy(&mut target, &mut meter)?;
        meter.phase(Phase::Syncing, None, None);
        target.finish()
    }
}

/// Opens a tree and copies it.
///
/// # Errors
/// Those of [`Directory::open`] and [`Directory::copy`].
pub fn from_directory(
    source: &Path,
    zonepath: &Path,
    options: &Options,
    report: &mut Reporter<'_>,
) -> Result<Summary, Error> {
    Directory::open(source, zonepath)?.copy(zonepath, options, report)
}

/// Called with each entry; `None` stands for a mount point.
type Each<'e> = dyn FnMut(&Path, Option<Found>, &mut Meter<'_>) -> Result<(), Error> + 'e;

/// Copies a whole zonepath to another one, which is empty, with all that there is of each entry: owners, times, devices, sockets, file
/// flags and every extended attribute too. What the other file system has no place for is counted.
///
/// # Errors
/// As [`Directory::copy`].
pub(crate) fn all_of(
    from: &Path,
    to: &Path,
    options: &Options,
    report: &mut Reporter<'_>,
) -> Result<Summary, Error> {
    let mut source = Source::open(from.to_owned(), Keeps::All)?;
    let mut meter = Meter::new(Phase::Measuring, options, report);
    let (bytes, entries) = source.measure(&mut meter)?;
    let mut target = Target::open_for(to, Keeps::All)?;
    meter.phase(Phase::Copying, Some(bytes), Some(entries));
    source.copy(&mut target, &mut meter)?;
    meter.phase(Phase::Syncing, None, None);
    target.finish()
}

struct Source {
    root: OwnedFd,
    path: PathBuf,
    keeps: Keeps,
    /// First copy of each file that has several names, by device and inode.
    links: HashMap<(u64, u64), PathBuf>,
    copier: Copier,
}

/// An entry of the source, held open.
struct Found {
    fd: File,
    stat: std::fs::Metadata,
}

/// Bytes of contents, and entries, of a tree.
pub(super) fn measure(tree: &Path, meter: &mut Meter<'_>) -> Result<(u64, u64), Error> {
    Source::open(tree.to_owned(), Keeps::Files)?.measure(meter)
}

impl Source {
    fn open(path: PathBuf, keeps: Keeps) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, &path, flags, Mode::empty())
            .map_err(|errno| Error::io("open the source", &path, errno))?;
        Ok(Self { root, path, keeps, links: HashMap::new(), copier: Copier::default() })
    }

    fn fault(&self, doing: &'static str, entry: &Path, source: impl Into<io::Error>) -> Error {
        Error::io(doing, self.path.join(entry), source)
    }

    /// Bytes and entries that will be copied, as far as that can be told beforehand.
    fn measure(&self, meter: &mut Meter<'_>) -> Result<(u64, u64), Error> {
        let (mut total, mut entries) = (0, 0);
        let mut seen = std::collections::HashSet::new();
        self.walk(meter, &mut |_, found, _| {
            entries += 1;
            if let Some(found) = found
                && found.stat.is_file()
                && (found.stat.nlink() == 1 || seen.insert((found.stat.dev(), found.stat.ino())))
            {
                total += found.stat.size();
            }
            Ok(())
        })?;
        Ok((total, entries))
    }

    fn copy(&mut self, target: &mut Target, meter: &mut Meter<'_>) -> Result<(), Error> {
        let mut links = std::mem::take(&mut self.links);
        let mut copier = std::mem::take(&mut self.copier);
        self.walk(meter, &mut |entry, found, meter| match found {
            Some(found) => self.copy_one(entry, &found, target, &mut links, &mut copier, meter),
            None => self.mount_point(entry, target),
        })
    }

    /// An empty directory where another file system is mounted on the source; nothing where a file is.
    fn mount_point(&self, entry: &Path, target: &mut Target) -> Result<(), Error> {
        target.summary.mounts_skipped.push(entry.to_owned());
        let stat = rustix::fs::statat(&self.root, entry, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| self.fault("look at", entry, errno))?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            target.directory(entry, Meta::ours(0o755))?;
        }
        Ok(())
    }

    /// Calls `each` with every entry but the source itself, parents first.
    fn walk(&self, meter: &mut Meter<'_>, each: &mut Each<'_>) -> Result<(), Error> {
        let mut waiting = vec![PathBuf::new()];
        while let Some(directory) = waiting.pop() {
            for name in self.names(&directory)? {
                let entry = directory.join(name);
                if self.keeps == Keeps::All && entry.as_os_str().as_bytes() == LOST_FOUND.to_bytes() {
                    continue;
                }
                meter.entry(&entry)?;
                let Some(found) = self.entry(&entry)? else {
                    each(&entry, None, meter)?;
                    continue;
                };
                let is_dir = found.stat.is_dir();
                each(&entry, Some(found), meter)?;
                if is_dir {
                    waiting.push(entry);
                }
            }
        }
        Ok(())
    }

    fn names(&self, directory: &Path) -> Result<Vec<PathBuf>, Error> {
        let fault = |errno: Errno| self.fault("read directory", directory, errno);
        let path = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match zone_sys::path::beneath(&self.root, path, flags) {
            // Gone, or mounted over, since it was listed.
            Err(Errno::NOENT | Errno::XDEV) => return Ok(Vec::new()),
            other => other.map_err(fault)?,
        };
        let mut names = Vec::new();
        for entry in Dir::new(fd).map_err(fault)? {
            let name = entry.map_err(fault)?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(PathBuf::from(std::ffi::OsString::from_vec(name)));
            }
        }
        Ok(names)
    }

    /// `None` for a mount point.
    fn entry(&self, entry: &Path) -> Result<Option<Found>, Error> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match zone_sys::path::beneath(&self.root, entry, flags) {
            Ok(fd) => {
                let fd = File::from(fd);
                let stat = fd.metadata().map_err(|error| self.fault("look at", entry, error))?;
                Ok(Some(Found { fd, stat }))
            }
            Err(Errno::XDEV) => Ok(None),
            Err(errno) => Err(self.fault("open", entry, errno)),
        }
    }

    fn copy_one(
        &self,
        entry: &Path,
        found: &Found,
        target: &mut Target,
        links: &mut HashMap<(u64, u64), PathBuf>,
        copier: &mut Copier,
        meter: &mut Meter<'_>,
    ) -> Result<(), Error> {
        let stat = &found.stat;
        let kind = FileType::from_raw_mode(stat.mode());
        let all = self.keeps == Keeps::All;
        match kind {
            _ if all => {}
            FileType::Socket => {
                target.summary.sockets_skipped += 1;
                return Ok(());
            }
            FileType::CharacterDevice | FileType::BlockDevice => {
                target.summary.devices_skipped += 1;
                return Ok(());
            }
            _ => {}
        }
        if kind != FileType::Directory && stat.nlink() > 1 {
            let earlier = links.entry((stat.dev(), stat.ino())).or_insert_with(|| entry.to_owned());
            if earlier != entry && target.hard_link(entry, earlier)? {
                return Ok(());
            }
        }
        let meta = self.meta(entry, found, target)?;
        match kind {
            FileType::Directory => target.directory(entry, meta),
            FileType::Symlink => {
                let text = rustix::fs::readlinkat(&found.fd, "", Vec::new())
                    .map_err(|errno| self.fault("read link", entry, errno))?;
                target.symlink(entry, &PathBuf::from(std::ffi::OsString::from_vec(text.into_bytes())), &meta)
            }
            FileType::Fifo => target.fifo(entry, &meta),
            FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice => {
                target.node(entry, kind, stat.rdev(), &meta)
            }
            _ => {
                let from = self.reopen(entry, found)?;
                let to = target.create_file(entry)?;
                copier.copy(&from, &to, stat.size(), entry, target, meter)?;
                target.finish_file(&to, entry, &meta)
            }
        }
    }

    /// The file behind an `O_PATH` descriptor, for reading.
    fn reopen(&self, entry: &Path, found: &Found) -> Result<File, Error> {
        File::open(magic(found)).map_err(|error| self.fault("open", entry, error))
    }

    fn meta(&self, entry: &Path, found: &Found, target: &mut Target) -> Result<Meta, Error> {
        let stat = &found.stat;
        let xattrs = if stat.is_symlink() { Vec::new() } else { self.xattrs(entry, found, target)? };
        if is_fixed(&found.fd, c"") {
            match self.keeps {
                Keeps::Files => target.summary.left.flags += 1,
                Keeps::All => target.fix(entry, self.flags(entry, found)?),
            }
        }
        Ok(Meta {
            mode: stat.mode() & 0o7777,
            owner: Some(Owner::new(stat.uid(), stat.gid())),
            times: Some(Timestamps {
                last_access: Timespec { tv_sec: stat.atime(), tv_nsec: stat.atime_nsec() },
                last_modification: Timespec { tv_sec: stat.mtime(), tv_nsec: stat.mtime_nsec() },
            }),
            xattrs,
            acls: Vec::new(),
        })
    }

    /// Whether it is immutable or append-only; only files and directories can be.
    fn flags(&self, entry: &Path, found: &Found) -> Result<IFlags, Error> {
        let flags = rustix::fs::ioctl_getflags(self.reopen(entry, found)?)
            .map_err(|errno| self.fault("read the file flags of", entry, errno))?;
        Ok(flags & (IFlags::IMMUTABLE | IFlags::APPEND))
    }

    fn xattrs(&self, entry: &Path, found: &Found, target: &mut Target) -> Result<Xattrs, Error> {
        let link = magic(found);
        let fault = |errno: Errno| self.fault("read the extended attributes of", entry, errno);
        let mut names: Vec<u8> = Vec::new();
        match rustix::fs::listxattr_query(&link) {
            Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
            Ok(_) | Err(_) => {}
        }
        // The kernel's own limits on a list and on a value (XATTR_LIST_MAX, XATTR_SIZE_MAX).
        names.resize(65536, 0);
        let used = rustix::fs::listxattr(&link, &mut names).map_err(fault)?;
        let mut kept = Vec::new();
        for name in names[..used].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            match self.keeps {
                Keeps::Files if !keeps_xattr(name) => {
                    target.summary.left.xattrs += 1;
                    continue;
                }
                Keeps::All if !stays_xattr(name) => continue,
                _ => {}
            }
            let mut value = vec![0; 65536];
            match rustix::fs::getxattr(&link, name, &mut value) {
                Ok(length) => {
                    value.truncate(length);
                    kept.push((name.to_vec(), value));
                }
                Err(Errno::NODATA) => {}
                Err(errno) => return Err(fault(errno)),
            }
        }
        Ok(kept)
    }
}

/// The `/proc` name of an open descriptor, for the calls that take no `O_PATH` descriptor.
fn magic(found: &Found) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", found.fd.as_fd().as_raw_fd()))
}

#[cfg(test)]
mod tests;

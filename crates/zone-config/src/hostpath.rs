//! Paths of the host that a configuration names: found once, without a symlink, by descriptor.
//!
//! A configuration outlives what its paths name. Whoever can change a directory on the way to one can have it name
//! something else at the next boot, and the zone gets that with all the rights of its root. So a path is walked from
//! `/` one component at a time, each opened beneath the one before and looked at: every directory above the last
//! component must be root's and nobody else's to write, and none may be a symlink. What was looked at is what is used:
//! whoever mounts takes the descriptor and never the name.
//!
//! A sticky directory of root's (`/tmp`) may be writable: there only root can rename or remove what is root's, and that
//! the next component is root's is checked.
//!
//! This is the only walker: zonepaths are walked by it, and the root of an installation, where root's own symlinks are
//! followed.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat};
use rustix::io::Errno;

const NAME_ONLY: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const STICKY: u32 = 0o1000;
/// As many symlinks as the kernel follows in a path.
const MOST_LINKS: usize = 40;

/// Identifies a file of the host, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// Names the file that `stat` is of.
    pub fn of(stat: &Stat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }
}

/// A file or directory of the host, with every directory on the way to it.
#[derive(Debug)]
pub struct HostPath {
    fd: OwnedFd,
    path: PathBuf,
    stat: Stat,
    above: Vec<FileId>,
    /// Whether others than root may write to the directory that it is in, which is a sticky one.
    in_sticky: bool,
    kept_from_users: bool,
    missing: Vec<OsString>,
}

/// What a walk does at a symlink.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    Refused,
    /// Root's own are followed, as `..` is.
    Followed,
}

/// A path of the host that cannot be used, or must not be.
#[derive(Debug, thiserror::Error)]
pub enum HostPathError {
    /// The path is relative, or has `..` in it.
    #[error("{} is not a canonical path: write it absolute, without '..'", shown(.0))]
    NotCanonical(PathBuf),
    /// A component is a symlink, whose text may change.
    #[error("{} is a symlink: {}", shown(.link), without_link(.real))]
    Symlink {
        /// The component that is the symlink, with all above it.
        link: PathBuf,
        /// The whole path without symlinks, if it leads anywhere.
        real: Option<PathBuf>,
    },
    /// A directory on the way belongs to a user of the host.
    #[error(
        "{} is not owned by root, so its owner could put anything in the place of {}: every directory on the way must be root's",
        shown(.at), shown(.path)
    )]
    Owner {
        /// The directory on the way that has another owner.
        at: PathBuf,
        /// Who owns it, by user id.
        owner: u32,
        /// The whole path that was walked.
        path: PathBuf,
    },
    /// Users of the host can rename and replace what is in a directory on the way.
    #[error(
        "{} must not be {whose} writable, or anything could be put in the place of {}; run chmod go-w {}",
        shown(.at), shown(.path), shown(.at)
    )]
    Writable {
        /// The directory on the way that others may write to.
        at: PathBuf,
        /// `group` or `world`.
        whose: &'static str,
        /// The whole path that was walked.
        path: PathBuf,
    },
    /// A component above the last is not a directory.
    #[error("{} is not a directory", shown(.0))]
    NotDirectory(PathBuf),
    /// A component cannot be opened.
    #[error("could not access {}", shown(.path))]
    Access {
        /// The component that cannot be opened, with all above it.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
}

impl HostPathError {
    /// Whether the path leads nowhere, and all there is of it is as it must be.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Access { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// A path as text that can do a terminal no harm: a zone may have made a part of it.
pub fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

fn without_link(real: &Option<PathBuf>) -> String {
    real.as_ref().map_or_else(
        || "write the path without it".to_owned(),
        |real| format!("write the path without it, {}", shown(real)),
    )
}

impl HostPath {
    /// Walks an absolute path from `/`.
    ///
    /// # Errors
    /// [`HostPathError`]: the first component that is not as it must be.
    pub fn open(path: &Path) -> Result<Self, HostPathError> {
        let found = Self::open_existing_part(path)?;
        match found.missing.first() {
            Some(name) => Err(access(&found.path.join(name))(Errno::NOENT)),
            None => Ok(found),
        }
    }

    /// Walks an absolute path as far as it exists: what is given is the last directory that does.
    ///
    /// # Errors
    /// As [`Self::open`], but for one that is missing.
    pub fn open_existing_part(path: &Path) -> Result<Self, HostPathError> {
        let found = Self::walk(path, Links::Refused)?;
        // In a sticky directory an owner may rename and remove what is his.
        if found.in_sticky && !is_trusted(found.stat.st_uid) {
            return Err(owner(&found.path, &found.stat, path));
        }
        Ok(found)
    }

    /// Walks an absolute path as far as it exists. What is found may be a user's in a sticky directory: whoever makes
    /// it root's walks the path again before it is used.
    ///
    /// # Errors
    /// As [`Self::open_existing_part`], but for the owner of the last component.
    pub fn open_to_take(path: &Path) -> Result<Self, HostPathError> {
        Self::walk(path, Links::Refused)
    }

    /// Walks an absolute path as far as it exists, through `..` and root's own symlinks, each of which is looked at as the
    /// directories are. What is found may be anybody's; whom it is kept from was not followed.
    pub(crate) fn open_by_links(path: &Path) -> Result<Self, HostPathError> {
        Self::walk(path, Links::Followed)
    }

    fn top() -> Result<Self, HostPathError> {
        let path = Path::new("/");
        let fd = openat(CWD, path, NAME_ONLY | OFlags::DIRECTORY, Mode::empty()).map_err(access(path))?;
        let stat = fstat(&fd).map_err(access(path))?;
        Ok(Self {
            fd,
            path: path.to_owned(),
            kept_from_users: keeps_users_out(&stat),
            stat,
            above: Vec::new(),
            in_sticky: false,
            missing: Vec::new(),
        })
    }

    fn walk(path: &Path, links: Links) -> Result<Self, HostPathError> {
        if !path.is_absolute() || links == Links::Refused && path.components().any(is_parent) {
            return Err(HostPathError::NotCanonical(path.to_owned()));
        }
        let mut here = Self::top()?;
        // What is still to come; the next is the last.
        let mut rest = names(path);
        let mut followed = 0;
        while let Some(name) = rest.pop() {
            here.check_directory(path)?;
            let at = here.path.join(&name);
            let fd = match openat(&here.fd, &name, NAME_ONLY, Mode::empty()) {
                Ok(fd) => fd,
                Err(Errno::NOENT) => {
                    here.missing = [name].into_iter().chain(rest.into_iter().rev()).collect();
                    return Ok(here);
                }
                Err(errno) => return Err(access(&at)(errno)),
            };
            let stat = fstat(&fd).map_err(access(&at))?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
                if links == Links::Refused {
                    let real = std::fs::canonicalize(path).ok();
                    return Err(HostPathError::Symlink { link: at, real });
                }
                if !is_trusted(stat.st_uid) {
                    return Err(owner(&at, &stat, path));
                }
                followed += 1;
                let text = readlinkat(&fd, "", Vec::new()).map_err(access(&at))?;
                let target = PathBuf::from(OsString::from_vec(text.into_bytes()));
                match target.is_absolute() {
                    _ if followed > MOST_LINKS => return Err(access(&at)(Errno::LOOP)),
                    true => here = Self::top()?,
                    false => {}
                }
                rest.extend(names(&target));
            } else if name == ".." {
                // All above has been looked at on the way down.
                here.above.pop();
                here.path.pop();
                (here.fd, here.stat, here.in_sticky) = (fd, stat, false);
            } else {
                here.above.push(FileId::of(&here.stat));
                here.kept_from_users |= keeps_users_out(&stat);
                here.in_sticky = is_writable(here.stat.st_mode);
                (here.fd, here.stat, here.path) = (fd, stat, at);
            }
        }
        Ok(here)
    }

    /// Whether what is in this directory is only root's to rename and replace.
    fn check_directory(&self, path: &Path) -> Result<(), HostPathError> {
        if FileType::from_raw_mode(self.stat.st_mode) != FileType::Directory {
            return Err(HostPathError::NotDirectory(self.path.clone()));
        }
        if !is_trusted(self.stat.st_uid) {
            return Err(owner(&self.path, &self.stat, path));
        }
        let whose = match self.stat.st_mode {
            mode if mode & STICKY != 0 => return Ok(()),
            mode if mode & 0o020 != 0 => "group",
            mode if mode & 0o002 != 0 => "world",
            _ => return Ok(()),
        };
        Err(HostPathError::Writable { at: self.path.clone(), whose, path: path.to_owned() })
    }

    /// The names of the path below this directory that do not exist, the outermost first.
    pub fn missing(&self) -> &[OsString] {
        &self.missing
    }

    /// The descriptor, which only names the file (`O_PATH`).
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The descriptor, for whoever keeps it.
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// The path, spelt in the only way there is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file is, as of the walk.
    pub fn stat(&self) -> &Stat {
        &self.stat
    }

    /// Gives the identity of the file: device and inode.
    pub fn id(&self) -> FileId {
        FileId::of(&self.stat)
    }

    /// Whether the walk went through this directory, under whatever name, before it came to the file.
    pub fn is_below(&self, directory: FileId) -> bool {
        self.above.contains(&directory)
    }

    /// Whether a directory on the way, or the file itself if it is one, lets no user of the host through but root.
    pub fn is_kept_from_users(&self) -> bool {
        self.kept_from_users
    }
}

fn access(at: &Path) -> impl FnOnce(Errno) -> HostPathError {
    let path = at.to_owned();
    move |source| HostPathError::Access { path, source: source.into() }
}

fn owner(at: &Path, stat: &Stat, path: &Path) -> HostPathError {
    HostPathError::Owner { at: at.to_owned(), owner: stat.st_uid, path: path.to_owned() }
}

/// Root, or whoever runs this: a program that a user runs has no more rights than the user.
pub(crate) fn is_trusted(user: u32) -> bool {
    user == 0 || user == rustix::process::geteuid().as_raw()
}

fn is_parent(part: Component<'_>) -> bool {
    part == Component::ParentDir
}

/// The components of a path but for its root, the first one last.
fn names(path: &Path) -> Vec<OsString> {
    let normal = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    normal.map(|part| part.as_os_str().to_owned()).rev().collect()
}

pub(crate) fn is_writable(mode: u32) -> bool {
    mode & 0o022 != 0
}

/// Of root's, and without the right to pass for group and others. An access list shows in the group's bits, as its mask.
fn keeps_users_out(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
        && stat.st_uid == 0
        && stat.st_mode & 0o011 == 0
}

#[cfg(test)]
mod tests;

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

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fstat, openat};
use rustix::io::Errno;

const NAME_ONLY: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const STICKY: u32 = 0o1000;

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
    kept_from_users: bool,
    missing: bool,
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
        match Self::walk(path)? {
            found if found.missing => {
                let missing = path.strip_prefix(&found.path).ok().and_then(|rest| rest.iter().next());
                Err(HostPathError::Access {
                    path: missing.map_or_else(|| path.to_owned(), |name| found.path.join(name)),
                    source: Errno::NOENT.into(),
                })
            }
            found => Ok(found),
        }
    }

    /// Walks an absolute path as far as it exists: what is given is the last directory that does.
    ///
    /// # Errors
    /// As [`Self::open`], but for one that is missing.
    pub fn open_existing_part(path: &Path) -> Result<Self, HostPathError> {
        Self::walk(path)
    }

    fn walk(path: &Path) -> Result<Self, HostPathError> {
        let odd = |part| matches!(part, Component::ParentDir | Component::Prefix(_));
        if !path.is_absolute() || path.components().any(odd) {
            return Err(HostPathError::NotCanonical(path.to_owned()));
        }
        let access = |at: &Path| {
            let path = at.to_owned();
            move |source: Errno| HostPathError::Access { path, source: source.into() }
        };
        let top = Path::new("/");
        let fd = openat(CWD, top, NAME_ONLY | OFlags::DIRECTORY, Mode::empty()).map_err(access(top))?;
        let stat = fstat(&fd).map_err(access(top))?;
        let mut here = Self {
            fd,
            path: top.to_owned(),
            kept_from_users: keeps_users_out(&stat),
            stat,
            above: Vec::new(),
            missing: false,
        };
        for part in path.components() {
            let Component::Normal(name) = part else { continue };
            here.check_directory(path)?;
            let at = here.path.join(name);
            let fd = match openat(&here.fd, name, NAME_ONLY, Mode::empty()) {
                Ok(fd) => fd,
                Err(Errno::NOENT) => {
                    here.missing = true;
                    return Ok(here);
                }
                Err(errno) => return Err(access(&at)(errno)),
            };
            let stat = fstat(&fd).map_err(access(&at))?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
                let real = std::fs::canonicalize(path).ok();
                return Err(HostPathError::Symlink { link: at, real });
            }
            // In a sticky directory an owner may rename and remove what is his.
            if is_writable(here.stat.st_mode) && stat.st_uid != trusted() {
                return Err(HostPathError::Owner { at, path: path.to_owned() });
            }
            here.above.push(FileId::of(&here.stat));
            here.kept_from_users |= keeps_users_out(&stat);
            (here.fd, here.stat, here.path) = (fd, stat, at);
        }
        Ok(here)
    }

    /// Whether what is in this directory is only root's to rename and replace.
    fn check_directory(&self, path: &Path) -> Result<(), HostPathError> {
        if FileType::from_raw_mode(self.stat.st_mode) != FileType::Directory {
            return Err(HostPathError::NotDirectory(self.path.clone()));
        }
        if self.stat.st_uid != 0 && self.stat.st_uid != trusted() {
            return Err(HostPathError::Owner { at: self.path.clone(), path: path.to_owned() });
        }
        let whose = match self.stat.st_mode {
            mode if mode & STICKY != 0 => return Ok(()),
            mode if mode & 0o020 != 0 => "group",
            mode if mode & 0o002 != 0 => "world",
            _ => return Ok(()),
        };
        Err(HostPathError::Writable { at: self.path.clone(), whose, path: path.to_owned() })
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

/// Somebody else than root can only be running unit tests.
fn trusted() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn is_writable(mode: u32) -> bool {
    mode & 0o022 != 0
}

/// Of root's, and without the right to pass for group and others. An access list shows in the group's bits, as its mask.
fn keeps_users_out(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
        && stat.st_uid == 0
        && stat.st_mode & 0o011 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::sync::atomic::{AtomicBool, Ordering};

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    fn refused(path: &Path) -> String {
        HostPath::open(path).unwrap_err().to_string()
    }

    #[test]
    fn a_path_is_opened_with_all_that_is_above_it() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        let found = HostPath::open(&dir.path().join("a//./b/")).unwrap();
        assert_eq!(found.path(), deep);
        assert_eq!(found.stat().st_ino, fs::metadata(&deep).unwrap().ino());
        let above = HostPath::open(dir.path()).unwrap();
        assert!(found.is_below(above.id()) && !found.is_below(found.id()) && !above.is_below(found.id()));
        let part = HostPath::open_existing_part(&deep.join("c/d")).unwrap();
        assert_eq!(part.id(), found.id());
        let error = HostPath::open(&deep.join("c/d")).unwrap_err();
        assert!(error.is_missing());
        assert_eq!(error.to_string(), format!("could not access {}/c", deep.display()));
    }

    #[test]
    fn a_path_that_somebody_else_could_change_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("a/b"));
        fs::create_dir_all(&b).unwrap();
        for (bits, whose) in [(0o775, "group"), (0o757, "world")] {
            mode(&a, bits);
            let text = refused(&b);
            assert!(text.contains(&format!("must not be {whose} writable")), "{text}");
            assert!(text.ends_with(&format!("run chmod go-w {}", a.display())), "{text}");
        }
        // The last may be anybody's, and written by anybody.
        mode(&a, 0o755);
        mode(&b, 0o777);
        assert!(HostPath::open(&b).is_ok());
        mode(&a, 0o1777);
        assert!(HostPath::open(&b).is_ok(), "in a sticky directory root's own stays");
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&b, Some(1000), None).unwrap();
            assert!(refused(&b).starts_with(&format!("{} is not owned by root", b.display())));
            mode(&a, 0o755);
            assert!(HostPath::open(&b).is_ok());
            std::os::unix::fs::chown(&a, Some(1000), None).unwrap();
            assert!(refused(&b).starts_with(&format!("{} is not owned by root", a.display())));
        }
    }

    #[test]
    fn no_symlink_is_followed_and_the_real_path_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("real/x")).unwrap();
        symlink("real", dir.path().join("link")).unwrap();
        symlink("nowhere", dir.path().join("dead\u{1b}[2J")).unwrap();
        let text = refused(&dir.path().join("link/x"));
        assert!(
            text.ends_with(&format!(
                " is a symlink: write the path without it, {}/real/x",
                dir.path().display()
            )),
            "{text}"
        );
        let text = refused(&dir.path().join("dead\u{1b}[2J"));
        assert!(text.ends_with("/dead\\u{1b}[2J is a symlink: write the path without it"), "{text}");
        for odd in ["relative", "/tmp/../etc"] {
            assert!(refused(Path::new(odd)).contains("is not a canonical path"));
        }
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(refused(&dir.path().join("file/x")).ends_with("/file is not a directory"));
    }

    #[test]
    fn who_can_get_there_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let kept = |path: &Path| HostPath::open(path).unwrap().is_kept_from_users();
        if rustix::process::geteuid().is_root() {
            mode(dir.path(), 0o700);
            assert!(kept(&inner));
            for open in [0o701, 0o710] {
                mode(dir.path(), open);
                assert!(!kept(&inner), "{open:o}");
            }
            mode(&inner, 0o744);
            assert!(kept(&inner));
        }
    }

    /// A directory and a symlink take each other's place all the time: what is opened is the directory or nothing.
    #[test]
    fn a_race_for_the_last_component_is_lost_by_whoever_swaps() {
        let dir = tempfile::tempdir().unwrap();
        let (place, aside, link) = (dir.path().join("p"), dir.path().join("aside"), dir.path().join("link"));
        fs::create_dir(&place).unwrap();
        symlink("/etc", &link).unwrap();
        let genuine = fs::metadata(&place).unwrap().ino();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    fs::rename(&place, &aside).unwrap();
                    fs::rename(&link, &place).unwrap();
                    fs::rename(&place, &link).unwrap();
                    fs::rename(&aside, &place).unwrap();
                }
            });
            let mut seen = [0; 2];
            for _ in 0..5000 {
                match HostPath::open(&place) {
                    Ok(found) => {
                        assert_eq!(found.stat().st_ino, genuine);
                        seen[0] += 1;
                    }
                    Err(_) => seen[1] += 1,
                }
            }
            over.store(true, Ordering::Relaxed);
            assert!(seen[0] > 0, "{seen:?}");
        });
    }
}

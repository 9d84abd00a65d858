//! Following symlinks as a process in the zone would, without ever asking the kernel to.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, OFlags, Stat, readlinkat};

use super::{PathError, Refusal, ZoneRoot, text};

/// As many as the kernel follows (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// What a path leads to.
#[derive(Debug)]
pub struct Resolved {
    /// Names the file (`O_PATH`); it is no symlink.
    pub fd: OwnedFd,
    /// Where it is, as seen inside, without symlinks; `/` for the root.
    pub path: String,
    /// What it is.
    pub stat: Stat,
}

impl Resolved {
    /// The last component of its path; empty for the root.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

impl ZoneRoot {
    /// Finds what a process in the zone would find at `path`, taken from the root if it is relative.
    ///
    /// # Errors
    /// The component that is missing or not right.
    pub fn resolve(&self, path: &str) -> Result<Resolved, Refusal> {
        // What is still to be walked, the next component last.
        let mut left: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
        let mut here: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(component) = left.pop() {
            match component.as_str() {
                "" | "." => continue,
                // The root's parent is the root.
                ".." => {
                    here.pop();
                    continue;
                }
                _ => here.push(component),
            }
            let Some(fd) = self.look(&here)? else { return Err(Refusal::Missing(self.show(&here))) };
            let kind = FileType::from_raw_mode(self.stat(&here, fd.as_fd())?.st_mode);
            if kind == FileType::Symlink {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Refusal::Loop(self.show(&here)));
                }
                let target =
                    readlinkat(&fd, "", Vec::new()).map_err(self.failed("read the symlink", &here))?;
                let target = target.to_str().map_err(|_| Refusal::NotCanonical(self.show(&here)))?;
                here.pop();
                if target.starts_with('/') {
                    here.clear();
                }
                left.extend(target.rsplit('/').map(str::to_owned));
            } else if kind != FileType::Directory && left.iter().any(|part| !part.is_empty()) {
                return Err(Refusal::NotDirectory(self.show(&here)));
            }
        }
        let Some(fd) = self.look(&here)? else { return Err(Refusal::Missing(self.show(&here))) };
        let stat = self.stat(&here, fd.as_fd())?;
        Ok(Resolved { fd, path: format!("/{}", here.join("/")), stat })
    }

    /// Checks that `path` can be the zone's init, and says what it leads to.
    ///
    /// # Errors
    /// [`PathError::NoInit`], [`PathError::NotExecutable`].
    pub fn check_init(&self, path: &str) -> Result<Resolved, PathError> {
        let shown = || format!("{}{path}", text(self.shown()));
        let no_init = |source| PathError::NoInit { path: shown(), source };
        if !path.starts_with('/') {
            return Err(PathError::NoInit {
                path: path.to_owned(),
                source: Refusal::NotCanonical(path.to_owned()),
            });
        }
        let found = self.resolve(path).map_err(no_init)?;
        match FileType::from_raw_mode(found.stat.st_mode) {
            FileType::Directory => Err(no_init(Refusal::Directory(self.shown_inside(&found)))),
            // The kernel lets root execute what anyone may.
            FileType::RegularFile if found.stat.st_mode & 0o111 != 0 => Ok(found),
            _ => Err(PathError::NotExecutable(self.shown_inside(&found))),
        }
    }

    /// The first `limit` bytes of a file that [`Self::resolve`] found; nothing if it is not a regular file.
    ///
    /// # Errors
    /// When it cannot be opened or read.
    pub fn head(&self, found: &Resolved, limit: usize) -> Result<Vec<u8>, Refusal> {
        let components: Vec<String> =
            found.path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        if FileType::from_raw_mode(found.stat.st_mode) != FileType::RegularFile {
            return Ok(Vec::new());
        }
        // NONBLOCK: should a fifo have taken the file's place, nobody waits for its writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let Some(fd) = self.look_with(&components, flags)? else {
            return Err(Refusal::Missing(self.show(&components)));
        };
        let mut bytes = vec![0; limit];
        let read = rustix::io::read(&fd, &mut bytes).map_err(self.failed("read", &components))?;
        bytes.truncate(read);
        Ok(bytes)
    }

    fn shown_inside(&self, found: &Resolved) -> String {
        format!("{}{}", text(self.shown()), found.path)
    }
}

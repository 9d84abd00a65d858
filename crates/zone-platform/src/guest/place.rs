//! Files of a guest that are written on the host: in the `/etc` of its root, and in its `/run`.
//!
//! They are replaced, never written to, below a descriptor of the directory; a link on the way there is not followed. What is
//! there was made by the zone's root, who may be at it at the same time: it may be anything.

use std::fs::File;
use std::io::{Read, Write};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, fchmod, fstat, mkdirat, openat, readlinkat, renameat, unlinkat,
};
use rustix::io::Errno;
use zone_config::file::GUEST_MARKER;
use zone_sys::path::beneath;

use crate::zoneroot::give;

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A directory of a zone.
pub(super) struct Place {
    dir: OwnedFd,
    /// The user and group on the host that new files are given; that of the host's root if none is.
    owner: Option<u32>,
}

impl Place {
    /// Opens the `/etc` of a root; a zone without one has no use for what is written here.
    ///
    /// # Errors
    /// When it is there and cannot be opened, or is no directory.
    pub(super) fn etc(root: BorrowedFd<'_>) -> Result<Option<Self>, Errno> {
        match beneath(root, "etc", OFlags::PATH | DIRECTORY) {
            Ok(dir) => Ok(Some(Self { dir, owner: None })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Opens a directory below another one, and makes what is missing on the way. `owner` is who gets what is made.
    ///
    /// # Errors
    /// When something on the way is no directory; what the kernel refuses.
    pub(super) fn make_below(top: BorrowedFd<'_>, path: &str, owner: u32) -> Result<Self, Errno> {
        let mut dir = beneath(top, ".", OFlags::PATH | DIRECTORY)?;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            let made = match mkdirat(&dir, part, Mode::from_raw_mode(0o755)) {
                Ok(()) => true,
                Err(Errno::EXIST) => false,
                Err(errno) => return Err(errno),
            };
            dir = beneath(&dir, part, OFlags::RDONLY | DIRECTORY)?;
            if made {
                fchmod(&dir, Mode::from_raw_mode(0o755))?;
                give(dir.as_fd(), owner)?;
            }
        }
        Ok(Self { dir, owner: Some(owner) })
    }

    /// Opens a directory below another one; `None` if there is none.
    ///
    /// # Errors
    /// When something on the way is no directory; what the kernel refuses.
    pub(super) fn below(top: BorrowedFd<'_>, path: &str) -> Result<Option<Self>, Errno> {
        match beneath(top, path, OFlags::PATH | DIRECTORY) {
            Ok(dir) => Ok(Some(Self { dir, owner: None })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Reads where a symbolic link leads; `None` for anything else.
    pub(super) fn link(&self, name: &str) -> Option<String> {
        readlinkat(&self.dir, name, Vec::new()).ok()?.into_string().ok()
    }

    /// Removes a file that begins with [`GUEST_MARKER`]; whatever else has its name is the guest's own.
    ///
    /// # Errors
    /// When it cannot be looked at or removed.
    pub(super) fn remove(&self, name: &str) -> Result<(), Errno> {
        match self.there(name, GUEST_MARKER.as_bytes())? {
            There::Same | There::Ours => match unlinkat(&self.dir, name, AtFlags::empty()) {
                Err(Errno::NOENT) => Ok(()),
                done => done,
            },
            There::Guests => Ok(()),
        }
    }

    /// Makes a file have this text. Whatever is in its place is replaced, a link too.
    ///
    /// # Errors
    /// When it cannot be replaced.
    pub(super) fn make(&self, name: &str, text: &[u8]) -> Result<(), Errno> {
        if self.there(name, text).is_ok_and(|there| there == There::Same) {
            return Ok(());
        }
        self.replace(name, text)
    }

    /// Makes a file have this text if it is ours to write: if it is missing, empty (as managers of containers
    /// leave those that they mount something on), or a regular file that begins with the text's first line.
    /// Whatever else is there the guest has made its own. That goes for a link, too, be it one to nowhere:
    /// what it leads to is often made by a program of the guest's as it boots. The answer is whether the file
    /// has the text now.
    ///
    /// # Errors
    /// When it cannot be looked at or replaced.
    pub(super) fn keep(&self, name: &str, text: &str) -> Result<bool, Errno> {
        match self.there(name, text.as_bytes())? {
            There::Same => Ok(true),
            There::Ours => self.replace(name, text.as_bytes()).map(|()| true),
            There::Guests => Ok(false),
        }
    }

    fn there(&self, name: &str, text: &[u8]) -> Result<There, Errno> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = match openat(&self.dir, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(There::Ours),
            // A link, and a socket.
            Err(Errno::LOOP | Errno::NXIO) => return Ok(There::Guests),
            Err(errno) => return Err(errno),
        };
        if FileType::from_raw_mode(fstat(&fd)?.st_mode) != FileType::RegularFile {
            return Ok(There::Guests);
        }
        let mut there = Vec::new();
        File::from(fd).take(text.len() as u64 + 1).read_to_end(&mut there).map_err(|error| errno(&error))?;
        let marker = text.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
        Ok(match there {
            _ if there == text => There::Same,
            _ if there.is_empty() || there.starts_with(marker) => There::Ours,
            _ => There::Guests,
        })
    }

    fn replace(&self, name: &str, text: &[u8]) -> Result<(), Errno> {
        let new = format!(".{name}.new");
        // What a bring-up that was killed has left.
        let _ = unlinkat(&self.dir, &new, AtFlags::empty());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o644);
        let fd = openat(&self.dir, &new, flags, mode)?;
        let given = self.owner.map_or(Ok(()), |owner| give(fd.as_fd(), owner));
        let written = given
            .and_then(|()| fchmod(&fd, mode))
            .and_then(|()| File::from(fd).write_all(text).map_err(|error| errno(&error)))
            .and_then(|()| renameat(&self.dir, &new, &self.dir, name));
        if written.is_err() {
            let _ = unlinkat(&self.dir, &new, AtFlags::empty());
        }
        written
    }
}

/// What is in the place of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum There {
    /// The text.
    Same,
    /// What may be replaced by it.
    Ours,
    /// What is the guest's own.
    Guests,
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use rustix::fs::{CWD, mkfifoat};

    use super::*;

    const TEXT: &str = "# ours\nnameserver 192.0.2.1\n";

    fn open(root: &Path) -> Result<Option<Place>, Errno> {
        Place::etc(File::open(root).unwrap().as_fd())
    }

    fn with_etc() -> (tempfile::TempDir, Place) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("etc")).unwrap();
        let etc = open(dir.path()).unwrap().unwrap();
        (dir, etc)
    }

    #[test]
    fn what_is_ours_is_kept_as_we_say() {
        let (dir, etc) = with_etc();
        let path = dir.path().join("etc/resolv.conf");
        for before in ["", TEXT, "# ours\n", "# ours\nnameserver 192.0.2.9\nnameserver 192.0.2.10\n"] {
            fs::write(&path, before).unwrap();
            // What a bring-up that was killed has left.
            fs::write(dir.path().join("etc/.resolv.conf.new"), "half").unwrap();
            assert_eq!(etc.keep("resolv.conf", TEXT), Ok(true), "{before:?}");
            assert_eq!(fs::read_to_string(&path).unwrap(), TEXT);
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(etc.keep("resolv.conf", TEXT), Ok(true));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
        let names: Vec<_> = fs::read_dir(dir.path().join("etc")).unwrap().collect();
        assert!(names.len() <= 2, "{names:?}");
    }

    #[test]
    fn what_the_guest_made_its_own_is_left() {
        let (dir, etc) = with_etc();
        let path = dir.path().join("etc/resolv.conf");
        for own in ["nameserver 192.0.2.9\n", "\n", "# our", " # ours\n", "# ours, not\n"] {
            fs::write(&path, own).unwrap();
            assert_eq!(etc.keep("resolv.conf", TEXT), Ok(false), "{own:?}");
            assert_eq!(fs::read_to_string(&path).unwrap(), own);
        }
        fs::write(dir.path().join("target"), "").unwrap();
        for target in ["../run/systemd/resolve/stub-resolv.conf", "../target", "resolv.conf"] {
            fs::remove_file(&path).unwrap();
            symlink(target, &path).unwrap();
            assert_eq!(etc.keep("resolv.conf", TEXT), Ok(false), "{target}");
            assert_eq!(fs::read_link(&path).unwrap(), Path::new(target));
        }
        assert_eq!(fs::read_to_string(dir.path().join("target")).unwrap(), "");
        fs::remove_file(&path).unwrap();
        mkfifoat(CWD, &path, Mode::RUSR).unwrap();
        assert_eq!(etc.keep("resolv.conf", TEXT), Ok(false));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(etc.keep("resolv.conf", TEXT), Ok(false));
    }

    #[test]
    fn no_link_in_the_place_of_etc_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        assert!(open(dir.path()).unwrap().is_none());
        symlink("/etc", dir.path().join("etc")).unwrap();
        assert!(open(dir.path()).is_err());
    }

    #[test]
    fn a_file_that_must_be_takes_the_place_of_a_link() {
        let (dir, etc) = with_etc();
        fs::write(dir.path().join("target"), "old").unwrap();
        symlink("../target", dir.path().join("etc/hostname")).unwrap();
        etc.make("hostname", b"web\n").unwrap();
        etc.make("hostname", b"web\n").unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("etc/hostname")).unwrap(), "web\n");
        assert_eq!(fs::read_to_string(dir.path().join("target")).unwrap(), "old");
    }

    #[test]
    fn what_is_ours_below_run_goes_again_and_no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (run, outside) = (dir.path().join("run"), dir.path().join("outside"));
        fs::create_dir(&run).unwrap();
        fs::create_dir(&outside).unwrap();
        let top = File::open(&run).unwrap();
        let owner = rustix::process::getuid().as_raw();
        let text = format!("{GUEST_MARKER}[Match]\n");
        let place = Place::make_below(top.as_fd(), "systemd/network", owner).unwrap();
        assert_eq!(place.keep("a", &text), Ok(true));
        assert_eq!(fs::read_to_string(run.join("systemd/network/a")).unwrap(), text);
        fs::write(run.join("systemd/network/b"), "the guest's\n").unwrap();
        let place = Place::below(top.as_fd(), "systemd/network").unwrap().unwrap();
        for name in ["a", "b", "c"] {
            place.remove(name).unwrap();
        }
        assert!(!run.join("systemd/network/a").exists() && run.join("systemd/network/b").exists());
        assert!(Place::below(top.as_fd(), "none/at/all").unwrap().is_none());
        symlink("../outside", run.join("out")).unwrap();
        assert!(Place::make_below(top.as_fd(), "out/x", owner).is_err());
        assert!(Place::below(top.as_fd(), "out").is_err());
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }
}

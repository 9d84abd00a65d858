//! Making a directory a zonepath, and taking that back.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

use super::{Repair, ZonepathError, file_system, io, own_mode, owner, spelling, walk};

/// What [`prepare`] has made and changed.
#[derive(Debug)]
pub struct Prepared {
    /// What was made right of a directory that was there, to be told.
    pub repairs: Vec<Repair>,
    /// The zonepath as it was, if it was there.
    before: Option<(OwnedFd, Stat)>,
    /// Directories that were made, the outermost first: in which one, and the name.
    made: Vec<(OwnedFd, OsString)>,
    path: PathBuf,
}

/// Makes `path` a zonepath: creates it with mode 0700 (and missing parents with 0755), or gives an existing
/// directory the owner and the mode it must have, and says so. [`super::check_vacant`] comes before it: which
/// directory may be changed is decided there.
///
/// # Errors
/// The first rule of [`super::check`] that it cannot repair; overlap with other zones is not looked at. What was
/// changed until then is undone.
pub fn prepare(path: &Path) -> Result<Prepared, ZonepathError> {
    spelling(path)?;
    let mut prepared =
        Prepared { repairs: Vec::new(), before: None, made: Vec::new(), path: path.to_owned() };
    match prepared.make() {
        Ok(()) => Ok(prepared),
        Err(error) => {
            // The first error is the one to tell.
            let _ = prepared.undo();
            Err(error)
        }
    }
}

impl Prepared {
    fn make(&mut self) -> Result<(), ZonepathError> {
        let path = self.path.clone();
        self.create()?;
        let directory = open_real(&path)?;
        if self.made.is_empty() {
            self.repair(directory)?;
        }
        // Only now, and along the path once more: this refuses what was not ours to repair.
        let walked = walk(&path)?;
        own_mode(&path, walked.fd())?;
        file_system(&path, walked.fd()).map(drop)
    }

    fn repair(&mut self, directory: OwnedFd) -> Result<(), ZonepathError> {
        let path = self.path.clone();
        let stat = rustix::fs::fstat(&directory).map_err(io("look at", &path))?;
        let (directory, _) = self.before.insert((directory, stat));
        if stat.st_uid != owner() {
            rustix::fs::fchown(&*directory, Some(Uid::ROOT), Some(Gid::ROOT))
                .map_err(io("change owner of", &path))?;
            self.repairs.push(Repair::Owner(path.clone()));
        }
        if stat.st_mode & 0o7777 != 0o700 {
            rustix::fs::fchmod(&*directory, Mode::RWXU).map_err(io("change permissions of", &path))?;
            self.repairs.push(Repair::Permissions(path));
        }
        Ok(())
    }

    /// Creates what is missing of the path.
    fn create(&mut self) -> Result<(), ZonepathError> {
        let path = self.path.clone();
        loop {
            let walked = walk(&path)?;
            let [name, below @ ..] = walked.missing() else { return Ok(()) };
            let mode = if below.is_empty() { Mode::RWXU } else { Mode::from_raw_mode(0o755) };
            let (name, parent) = (name.clone(), walked.into_fd());
            match rustix::fs::mkdirat(&parent, &name, mode) {
                Ok(()) => {
                    // The umask may have taken bits away.
                    let chmod = rustix::fs::chmodat(&parent, &name, mode, AtFlags::empty());
                    self.made.push((parent, name));
                    chmod.map_err(io("create", &path))?;
                }
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(io("create", &path)(errno)),
            }
        }
    }

    /// Takes back what was made and changed. A directory that has something in it by now stays.
    ///
    /// # Errors
    /// When a directory cannot be removed, or its owner or mode not be given back.
    pub fn undo(self) -> Result<(), ZonepathError> {
        if let Some((directory, stat)) = self.before {
            if self.repairs.iter().any(|repair| matches!(repair, Repair::Owner(_))) {
                let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
                rustix::fs::fchown(&directory, Some(uid), Some(gid))
                    .map_err(io("give back the owner of", &self.path))?;
            }
            if !self.repairs.is_empty() {
                rustix::fs::fchmod(&directory, Mode::from_raw_mode(stat.st_mode & 0o7777))
                    .map_err(io("give back the permissions of", &self.path))?;
            }
        }
        for (parent, name) in self.made.iter().rev() {
            match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::BUSY) => break,
                Err(errno) => return Err(io("remove", &self.path)(errno)),
            }
        }
        Ok(())
    }
}

/// The zonepath itself, no link followed, open for changing.
fn open_real(path: &Path) -> Result<OwnedFd, ZonepathError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    zone_sys::path::unlinked(CWD, path, flags, Mode::empty()).map_err(io("open", path))
}

//! What a zone of a brand with `host-usr` has from the host: /usr, read-only, and our own small init.
//!
//! Set-user-ID programs keep their bit: through the id-mapped mount they belong to the zone's root, so `su` works and
//! gives nobody more than the zone has. It also means that the zone's root reads there what the host's root alone may read. Of
//! what distributions ship that is nothing secret. What an administrator put there is below /usr/local, or on a file system of its
//! own, so the first is mounted without owners, as every user of the host sees it, and the second is not mounted at all; of what
//! is elsewhere nevertheless `verify` warns.

mod secrets;

use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use zone_config::{Layout, idmap};
use zone_sys::mount::MountAttr;

use crate::check::{Check, Purpose};
use crate::mountinfo::{self, Mount};
use crate::mounts::{Below, CopyError, copy_best, copy_mapped, host_path};
use crate::zoneroot::{Canonical, Kind, Making};
use crate::{Build, Failed, PlatformError};

/// The directories that make up a system's programs. Where the host has merged them into /usr, all but the first are
/// symlinks, which the zone's root has of its own.
const HOST_DIRS: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// What belongs to nobody in the zone, so that its root reads what others may read and no more.
const NOBODYS: &str = "/usr/local";

/// How many mounts a zone with them has of the host, at most: those, what is nobody's, and our own init.
pub(crate) const MOUNTS: usize = HOST_DIRS.len() + 2;

/// Where our own init is in the zone; its other names are links beside it.
pub(crate) const INIT: &str = "/native/sbin/init";

/// Where our own init is on the host.
pub(crate) fn program() -> PathBuf {
    Layout::program("zinit")
}

/// Adds the host's directories and our init.
///
/// # Errors
/// When one of them cannot be copied or mounted.
pub(crate) fn bring_up(build: &mut Build<'_>) -> Result<(), PlatformError> {
    if !build.spec.host_programs {
        return Ok(());
    }
    let table = mountinfo::read()?;
    for (at, fd) in host_directories()? {
        let set = MountAttr::RDONLY | MountAttr::NODEV;
        // Without what is mounted below it: what the host keeps on a file system of its own was not offered. In a zone the kernel lets
        // nobody look at what is below a mount that it has locked.
        let below = Below { now: idmap::nested().is_some(), later: false };
        let (mount, shortfall) = copy_best(fd.as_fd(), build.userns.as_fd(), set, below)
            .map_err(Failed::to("copy the mount of", &at))?;
        if let Some(shortfall) = shortfall.filter(|_| idmap::nested().is_none()) {
            build.warn(shortfall.warning(&at.to_string()));
        }
        build.attach_over(mount, &at, Kind::Directory, fd.as_fd(), Making::Nothing)?;
        if let Some(left_out) = left_out(&table, Path::new(&at.to_string())) {
            build.warn(left_out);
        }
    }
    if let Some(fd) = directory(NOBODYS)? {
        let set = MountAttr::RDONLY | MountAttr::NODEV | MountAttr::NOSUID;
        let mount = copy_mapped(fd.as_fd(), None, set, Below::NOTHING)
            .map_err(CopyError::into_inner)
            .map_err(Failed::to("copy the mount of", NOBODYS))?;
        build.attach_over(mount, &Canonical::fixed(NOBODYS), Kind::Directory, fd.as_fd(), Making::Nothing)?;
    }
    let fd = open_program(&build.program)?;
    let set = MountAttr::RDONLY | MountAttr::NODEV | MountAttr::NOSUID;
    // Everybody may read and execute it, so nothing is lost where its owner cannot be mapped.
    let (mount, _) = copy_best(fd.as_fd(), build.userns.as_fd(), set, Below::NOTHING)
        .map_err(Failed::to("copy the mount of", build.program.display()))?;
    build.attach_over(mount, &Canonical::fixed(INIT), Kind::File, fd.as_fd(), Making::Nothing)
}

/// Says what is mounted below a directory of the host and is not in the zone.
fn left_out(table: &[Mount], dir: &Path) -> Option<String> {
    let mut points: Vec<_> = mountinfo::below(table, dir)
        .filter(|mount| mount.point != Path::new(NOBODYS))
        .map(|mount| mount.point.display().to_string())
        .collect();
    points.dedup();
    (!points.is_empty()).then(|| {
        format!(
            "what the host has mounted below {} is not in the zone: {} (add an fs resource for what it needs)",
            dir.display(),
            points.join(", ")
        )
    })
}

fn open_program(path: &Path) -> Result<OwnedFd, Failed> {
    let opened = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    opened.map_err(Failed::to("give the zone its init", path.display()))
}

/// Opens what a zone with the host's programs has of the host, with where it sees it.
///
/// # Errors
/// When something that exists cannot be opened.
pub(crate) fn host_places() -> Result<Vec<(Canonical, OwnedFd)>, Failed> {
    let mut places = host_directories()?;
    // A zone with the host's init needs none of ours.
    places.extend(open_program(&program()).ok().map(|fd| (Canonical::fixed(INIT), fd)));
    Ok(places)
}

/// Looks whether the host has what such a zone gets.
pub(crate) fn look(check: &mut Check<'_>) -> Result<(), PlatformError> {
    if !check.spec.host_programs {
        return Ok(());
    }
    let directories = host_directories()?;
    if check.purpose == (Purpose::Verify { installed: true, warns: true }) {
        let mut found = Vec::new();
        for (at, dir) in directories {
            found.extend(secrets::below(dir, Path::new(&at.to_string()), Path::new(NOBODYS))?);
        }
        if let Some(warning) = secrets::warning(&found) {
            check.warn(warning);
        }
    }
    Ok(())
}

/// The host directories that a zone with `host-usr` sees, opened, with where it sees them.
fn host_directories() -> Result<Vec<(Canonical, OwnedFd)>, Failed> {
    let found = HOST_DIRS.into_iter().map(|dir| Ok(directory(dir)?.map(|fd| (Canonical::fixed(dir), fd))));
    found.filter_map(Result::transpose).collect()
}

/// A directory of the host; `None` if it is missing or a symlink.
fn directory(path: &'static str) -> Result<Option<OwnedFd>, Failed> {
    match host_path(Path::new(path)) {
        Ok(fd) => {
            let stat = fstat(&fd).map_err(Failed::to("look at", path))?;
            Ok((FileType::from_raw_mode(stat.st_mode) == FileType::Directory).then_some(fd))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(Failed::to("open", path)(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_said() {
        let at = |point: &str| {
            let (fstype, options) = ("x".into(), "rw".into());
            Mount {
                id: 1,
                major: 0,
                minor: 0,
                root: "/".into(),
                point: point.into(),
                fstype,
                shared: false,
                source: String::new(),
                options,
            }
        };
        let mounts = ["/", "/usr", "/usr/local", "/usrlike"].map(at);
        assert_eq!(left_out(&mounts, Path::new("/usr")), None);
        let mounts = [&mounts[..], &["/usr/local/share", "/usr/src"].map(at)].concat();
        let said = left_out(&mounts, Path::new("/usr")).unwrap();
        assert!(said.contains(": /usr/local/share, /usr/src (add an fs resource"), "{said}");
    }
}

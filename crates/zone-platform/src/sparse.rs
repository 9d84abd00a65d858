//! What a zone of a brand with `host-usr` has from the host: /usr, read-only, and our own small init.
//!
//! Set-user-ID programs keep their bit: through the id-mapped mount they belong to the zone's root, so `su` works and
//! gives nobody more than the zone has.

use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use zone_config::Layout;
use zone_sys::mount::MountAttr;

use crate::mounts::{copy_best, host_path};
use crate::zoneroot::{Canonical, Kind, Making};
use crate::{Build, Failed, PlatformError, ZoneRoot};

/// The directories that make up a system's programs. Where the host has merged them into /usr, all but the first are
/// symlinks, which the zone's root has of its own.
const HOST_DIRS: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

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
    if !build.snapshot.brand.host_usr {
        return Ok(());
    }
    for (at, fd) in host_directories()? {
        let set = MountAttr::RDONLY.and(MountAttr::NODEV);
        let (mount, shortfall) = copy_best(fd.as_fd(), build.userns.as_fd(), set, true)
            .map_err(Failed::to("copy the mounts of", &at))?;
        if let Some(shortfall) = shortfall {
            build.warn(shortfall.warning(&at.to_string()));
        }
        build.attach_over(mount, &at, Kind::Directory, fd.as_fd(), Making::Nothing)?;
    }
    let fd = open_program(&build.program)?;
    let set = MountAttr::RDONLY.and(MountAttr::NODEV).and(MountAttr::NOSUID);
    // Everybody may read and execute it, so nothing is lost where its owner cannot be mapped.
    let (mount, _) = copy_best(fd.as_fd(), build.userns.as_fd(), set, false)
        .map_err(Failed::to("copy the mount of", build.program.display()))?;
    build.attach_over(mount, &Canonical::fixed(INIT), Kind::File, fd.as_fd(), Making::Nothing)
}

fn open_program(path: &Path) -> Result<OwnedFd, Failed> {
    let opened = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    opened.map_err(Failed::to("give the zone its init", path.display()))
}

/// Has the tree of a zone with `host-usr` show what it will have of the host, without any mount of it.
///
/// # Errors
/// When something that exists cannot be opened.
pub(crate) fn show_host(tree: &mut ZoneRoot) -> Result<(), Failed> {
    host_directories()?.iter().try_for_each(|(at, fd)| tree.cover(at, fd.as_fd(), Making::Nothing))?;
    match open_program(&program()) {
        Ok(fd) => tree.cover(&Canonical::fixed(INIT), fd.as_fd(), Making::Nothing),
        // A zone with the host's init needs none of ours.
        Err(_) => Ok(()),
    }
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

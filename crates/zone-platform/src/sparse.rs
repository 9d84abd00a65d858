//! What a zone of a brand with `host-usr` has from the host: /usr, read-only, and our own small init.
//!
//! Set-user-ID programs keep their bit: through the id-mapped mount they belong to the zone's root, so `su` works and
//! gives nobody more than the zone has.

use std::path::Path;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, chownat, fstat, openat, symlinkat};
use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::mount::MountAttrFlags;
use zone_config::Layout;
use zone_sys::mount::{MountAttr, set_attr};

use crate::kernelfs::memory;
use crate::mounts::{copy_best, host_path};
use crate::zoneroot::{Canonical, Kind, Making};
use crate::{Build, Failed, PlatformError, ZoneRoot};

/// The directories that make up a system's programs. Where the host has merged them into /usr, all but the first are
/// symlinks, which the zone's root has of its own.
const HOST_DIRS: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// Where our own programs are in the zone.
const NATIVE: &str = "/native/sbin";
const INIT: &str = "/native/sbin/init";

/// What the small init does when it is called by another name.
const NAMES: [&str; 4] = ["reboot", "halt", "poweroff", "shutdown"];

/// Adds the host's directories and our programs.
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
    native(build)
}

/// Has the tree of a zone with `host-usr` show the host's directories, without any mount of them.
///
/// # Errors
/// When one that exists cannot be opened.
pub(crate) fn show_host(tree: &mut ZoneRoot) -> Result<(), Failed> {
    host_directories()?.iter().try_for_each(|(at, fd)| tree.cover(at, fd.as_fd(), Making::Nothing))
}

/// The host directories that a zone with `host-usr` sees, opened, with where it sees them.
///
/// # Errors
/// When one that exists cannot be opened.
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
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(errno) => Err(Failed::to("open", path)(errno)),
    }
}

/// Our own programs, on a read-only file system of their own: what a zone does to its root cannot keep it from
/// being shut down.
fn native(build: &mut Build<'_>) -> Result<(), PlatformError> {
    let base = build.base();
    let nosuid = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let dir = memory(NATIVE, base, &[("mode", "755"), ("size", "64k"), ("nr_inodes", "64")], nosuid)?;
    fill(&dir, base).map_err(Failed::to("fill the zone's", NATIVE))?;
    let read_only = set_attr(dir.as_fd(), MountAttr::RDONLY, MountAttr::NONE, false);
    read_only.map_err(Failed::to("make read-only the zone's", NATIVE))?;
    build.attach(dir, &Canonical::fixed(NATIVE), Kind::Directory, Making::Nothing)?;

    let program = Layout::program("zinit");
    const GIVE: &str = "give the zone its init";
    let fd = openat(CWD, &program, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(Failed::to(GIVE, program.display()))?;
    let set = MountAttr::RDONLY.and(MountAttr::NODEV).and(MountAttr::NOSUID);
    // Everybody may read and execute it, so nothing is lost where its owner cannot be mapped.
    let (mount, _) = copy_best(fd.as_fd(), build.userns.as_fd(), set, false)
        .map_err(Failed::to(GIVE, program.display()))?;
    build.attach_over(mount, &Canonical::fixed(INIT), Kind::File, fd.as_fd(), Making::Nothing)
}

fn fill(dir: &OwnedFd, base: u32) -> Result<(), rustix::io::Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    openat(dir, "init", flags, Mode::from_raw_mode(0o555))?;
    for name in NAMES {
        symlinkat("init", dir, name)?;
    }
    for name in NAMES.into_iter().chain(["init"]) {
        let (user, group) = (Uid::from_raw(base), Gid::from_raw(base));
        chownat(dir, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

/// Whether our own init is there to be given to a zone.
pub(crate) fn program_is_there() -> bool {
    Layout::program("zinit").is_file()
}

//! Mounts that are not attached anywhere yet.
//!
//! Every mount of a zone is made by the daemon as a descriptor (`fsopen`, `open_tree`, Linux 5.2), so that
//! whatever is wrong is said here, in words, and the keeper has nothing left to do but to attach it.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};
use rustix::process::fchdir;
use zone_config::idmap;
use zone_sys::mount::{MountAttr, make_all_follow, make_all_private, set_attr, set_idmap};

use crate::Failed;

/// What the kernel said about a file system that it would not make: its own words, which `fsopen(2)` keeps for
/// whoever reads them, or the bare error.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
struct Refused {
    words: String,
    #[source]
    source: Option<Errno>,
}

/// Gives the calling thread a mount namespace of its own, in which nothing shows elsewhere, and an empty directory in memory there as
/// its working directory.
///
/// # Errors
/// What the kernel says.
pub(crate) fn workshop() -> Result<OwnedFd, Errno> {
    let errno = |error: zone_sys::Error| error.errno();
    zone_sys::mount::unshare_thread().map_err(errno)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    make_all_private(openat(CWD, "/", flags, Mode::empty())?.as_fd()).map_err(errno)?;
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let place = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    // Any directory will do, and this one every host has.
    attach(place.as_fd(), openat(CWD, "/proc", flags, Mode::empty())?.as_fd())?;
    fchdir(&place)?;
    Ok(place)
}

/// Attaches a detached mount at a place that is open.
///
/// # Errors
/// What `move_mount(2)` says.
pub(crate) fn attach(mount: BorrowedFd<'_>, place: BorrowedFd<'_>) -> Result<(), Errno> {
    let by_fd = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", place, "", by_fd)
}

/// A new file system, detached. `options` are those of mount(8), a bare word without a value.
///
/// # Errors
/// When the kernel refuses an option or the file system.
pub(crate) fn new_fs(
    what: &str,
    fstype: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Failed> {
    // The source shows in the zone's own mount table.
    new_fs_of(what, fstype, fstype, options, attributes)
}

/// A file system that is on a disk, or comes from `source` in another way, detached.
///
/// # Errors
/// As [`new_fs`].
pub(crate) fn new_fs_of(
    what: &str,
    fstype: &str,
    source: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Failed> {
    let fail = Failed::to("make the file system for", what);
    match configure(fstype, source, options, attributes) {
        Ok(mount) => Ok(mount),
        Err((context, errno)) => Err(fail(refusal(context, errno))),
    }
}

/// Makes a file system in a thread that has left the host's initial mount namespace: there some of them have privileges that no
/// zone may have.
///
/// # Errors
/// When there can be no such thread, or what `make` says.
pub(crate) fn aside<T: Send>(
    what: &str,
    make: impl FnOnce() -> Result<T, Failed> + Send,
) -> Result<T, Failed> {
    let fail = |error: std::io::Error| Failed::to("leave the host's mount namespace for", what)(error);
    std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().spawn_scoped(scope, || leave_host(what).and_then(|()| make()));
        let ended = thread.map_err(fail)?.join();
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Has the calling thread leave the host's initial mount namespace for good.
///
/// # Errors
/// When the kernel does not let it.
pub(crate) fn leave_host(what: &str) -> Result<(), Failed> {
    let fail = Failed::to("leave the host's mount namespace for", what);
    zone_sys::mount::unshare_thread().map_err(|e| fail(std::io::Error::from(e.errno())))
}

type Configured = Result<OwnedFd, (Option<OwnedFd>, Errno)>;

fn configure(fstype: &str, source: &str, options: &[(&str, &str)], attributes: MountAttrFlags) -> Configured {
    let context = fsopen(fstype, FsOpenFlags::FSOPEN_CLOEXEC).map_err(|errno| (None, errno))?;
    let set = |(key, value): &(&str, &str)| match *value {
        "" => fsconfig_set_flag(&context, *key),
        value => fsconfig_set_string(&context, *key, value),
    };
    let made = fsconfig_set_string(&context, "source", source)
        .and_then(|()| options.iter().try_for_each(set))
        .and_then(|()| fsconfig_create(&context))
        .and_then(|()| fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes));
    made.map_err(|errno| (Some(context), errno))
}

fn refusal(context: Option<OwnedFd>, errno: Errno) -> Refused {
    let mut buffer = [0; 512];
    let message = context.and_then(|fd| rustix::io::read(&fd, &mut buffer).ok()).map(|n| &buffer[..n]);
    // A message starts with its kind: "e ", "w " or "i ".
    match message.and_then(|message| message.strip_prefix(b"e ")) {
        Some(words) => {
            Refused { words: String::from_utf8_lossy(words).trim_end().to_owned(), source: Some(errno) }
        }
        None => Refused { words: errno.to_string(), source: None },
    }
}

/// What comes along of what is mounted below the place that is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Below {
    /// What is mounted there now.
    pub(crate) now: bool,
    /// What is mounted there later.
    pub(crate) later: bool,
}

impl Below {
    /// None of it.
    pub(crate) const NOTHING: Self = Self { now: false, later: false };
}

/// A copy of a mount that is attached somewhere, from the place that `fd` points to on, detached: what is
/// mounted in the copy shows nowhere else, and what is mounted below the other later in the copy if `below` says so.
///
/// # Errors
/// What `open_tree(2)` or `mount_setattr(2)` says.
pub(crate) fn copy(fd: BorrowedFd<'_>, below: Below) -> zone_sys::Result<OwnedFd> {
    let mut flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if below.now {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let mount = open_tree(fd, "", flags).map_err(|errno| zone_sys::Error::new("open_tree", errno))?;
    // A copy of a shared mount is shared: what the keeper attaches to it would appear on the host.
    if below.later {
        make_all_follow(mount.as_fd())?;
    } else {
        make_all_private(mount.as_fd())?;
    }
    Ok(mount)
}

/// A copy as [`copy`] makes it, with attributes and, through `userns`, with the owners of the zone.
///
/// # Errors
/// [`CopyError::Idmap`] where the file system cannot be id-mapped.
pub(crate) fn copy_mapped(
    fd: BorrowedFd<'_>,
    userns: Option<BorrowedFd<'_>>,
    set: MountAttr,
    below: Below,
) -> Result<OwnedFd, CopyError> {
    let (mount, recursive) = (copy(fd, below)?, below.now);
    if let Some(userns) = userns {
        set_idmap(mount.as_fd(), userns, recursive).map_err(|error| match error.errno() {
            // EPERM: the mount is id-mapped already, and cannot be twice.
            Errno::INVAL | Errno::PERM => CopyError::Idmap(error),
            _ => CopyError::Other(error),
        })?;
    }
    if !set.is_empty() {
        set_attr(mount.as_fd(), set, MountAttr::empty(), recursive)?;
    }
    Ok(mount)
}

/// Why a mount could not be copied.
#[derive(Debug)]
pub(crate) enum CopyError {
    /// The file system, or one mounted below it, cannot be id-mapped.
    Idmap(zone_sys::Error),
    /// Anything else.
    Other(zone_sys::Error),
}

impl From<zone_sys::Error> for CopyError {
    fn from(error: zone_sys::Error) -> Self {
        Self::Other(error)
    }
}

impl CopyError {
    /// The error below.
    pub(crate) fn into_inner(self) -> zone_sys::Error {
        let (Self::Idmap(error) | Self::Other(error)) = self;
        error
    }
}

/// What a copy lacks because a file system cannot be id-mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shortfall {
    /// Mounts below.
    Submounts,
    /// The owners.
    Owners,
}

impl Shortfall {
    /// For whoever sees less of `what` than was asked for; one sentence.
    pub(crate) fn warning(self, what: &str) -> String {
        match self {
            Self::Submounts => format!(
                "file systems mounted below {what} are not in the zone, for not all of them can be id-mapped"
            ),
            Self::Owners => format!(
                "the file system of {what} cannot be id-mapped, so its files belong to nobody in the zone"
            ),
        }
    }
}

/// As much of a copy as can be had: with owners and mounts below, else without those below, else without owners.
pub(crate) fn copy_best(
    fd: BorrowedFd<'_>,
    userns: BorrowedFd<'_>,
    set: MountAttr,
    below: Below,
) -> zone_sys::Result<(OwnedFd, Option<Shortfall>)> {
    if idmap::nested().is_some() {
        // Nothing of the host's file systems can be, in a zone, nor be had without what the kernel has locked on it.
        let mount = copy_mapped(fd, None, set, below).map_err(CopyError::into_inner)?;
        return Ok((mount, Some(Shortfall::Owners)));
    }
    match copy_mapped(fd, Some(userns), set, below) {
        Ok(mount) => return Ok((mount, None)),
        Err(CopyError::Other(error)) => return Err(error),
        Err(CopyError::Idmap(_)) => {}
    }
    if below.now {
        match copy_mapped(fd, Some(userns), set, Below { now: false, ..below }) {
            Ok(mount) => return Ok((mount, Some(Shortfall::Submounts))),
            Err(CopyError::Other(error)) => return Err(error),
            Err(CopyError::Idmap(_)) => {}
        }
    }
    let mount = copy_mapped(fd, None, set, below).map_err(CopyError::into_inner)?;
    Ok((mount, Some(Shortfall::Owners)))
}

/// A descriptor that only names a file or directory of the host; symlinks on the way are followed, at the end not.
pub(crate) fn host_path(path: &std::path::Path) -> Result<OwnedFd, Errno> {
    openat(CWD, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

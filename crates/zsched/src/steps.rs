//! What more than one of zsched's helpers does: the steps that they share.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen, move_mount,
};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use std::ffi::CStr;
use std::time::Duration;

/// How long any one step of a helper may take. All of them together take a few milliseconds; what
/// hangs longer hangs in a mount, and the operator must hear of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What no file system of the kernel's own needs in a zone.
pub(crate) const SAFE: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID
    .union(MountAttrFlags::MOUNT_ATTR_NODEV)
    .union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// Makes the two ends of a connection to a helper; on the first, zsched's, waiting has an end.
pub(crate) fn connection() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&ours, Timeout::Recv, Some(PATIENCE))?;
    Ok((ours, theirs))
}

/// Waits for a child that has ended or was killed.
pub(crate) fn reap(pidfd: BorrowedFd<'_>) {
    // Signals interrupt it, but not for ever.
    for _ in 0..1000 {
        if !matches!(waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED), Err(Errno::INTR)) {
            return;
        }
    }
}

/// Attaches a detached mount at a place that is open.
pub(crate) fn attach(mount: BorrowedFd<'_>, place: BorrowedFd<'_>) -> Result<(), Errno> {
    let by_fd = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, c"", place, c"", by_fd)
}

/// Opens a place in the zone, whose root `root` is open on. No link is followed: the zone's own root user
/// may have put one there when it last ran.
pub(crate) fn open_beneath(root: impl AsFd, path: &CStr) -> Result<OwnedFd, Errno> {
    zone_sys::path::in_root_unlinked(root, path, OFlags::PATH)
}

/// Opens a file of the kernel's for reading.
pub(crate) fn open_read(path: &CStr) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// Opens a file system for the namespaces of the calling process, to be mounted.
pub(crate) fn context(name: &CStr) -> Result<OwnedFd, Errno> {
    let context = fsopen(name, FsOpenFlags::FSOPEN_CLOEXEC)?;
    // Shown as the device in mount tables; without it they read "none".
    fsconfig_set_string(&context, c"source", name)?;
    Ok(context)
}

/// Mounts what [`context`] has opened, detached.
pub(crate) fn mount(context: BorrowedFd<'_>, attributes: MountAttrFlags) -> Result<OwnedFd, Errno> {
    fsconfig_create(context)?;
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// `/proc/PID` + `tail`, without allocating.
pub(crate) fn proc_path<'a>(buffer: &'a mut [u8; 48], pid: Pid, tail: &[u8]) -> Result<&'a CStr, Errno> {
    let digits = rustix::path::DecInt::new(pid.as_raw_nonzero().get());
    let mut at = 0;
    for part in [b"/proc/", digits.as_bytes(), tail] {
        buffer.get_mut(at..at + part.len()).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(part);
        at += part.len();
    }
    CStr::from_bytes_until_nul(&buffer[..]).map_err(|_| Errno::NAMETOOLONG)
}

//! `mount_setattr(2)` (Linux 5.12), which rustix lacks.

use crate::{Arg, Error, Result};
use linux_raw_sys::general as raw;
use rustix::fd::{AsRawFd, BorrowedFd};

bitflags::bitflags! {
    /// Attributes of one mount, as in `mount_setattr(2)`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct MountAttr: u64 {
        /// Nothing can be written through the mount.
        const RDONLY = raw::MOUNT_ATTR_RDONLY as u64;
        /// Set-user-ID bits and file capabilities are ignored.
        const NOSUID = raw::MOUNT_ATTR_NOSUID as u64;
        /// Device nodes cannot be opened.
        const NODEV = raw::MOUNT_ATTR_NODEV as u64;
        /// Programs cannot be executed.
        const NOEXEC = raw::MOUNT_ATTR_NOEXEC as u64;
    }
}

/// Sets and clears attributes of a mount given by an fd of it (`open_tree`, `fsmount`), of the
/// mounts below it too if `recursive`.
///
/// # Errors
/// What `mount_setattr(2)` says.
pub fn set_attr(mount: BorrowedFd<'_>, set: MountAttr, clear: MountAttr, recursive: bool) -> Result<()> {
    setattr(
        mount,
        raw::mount_attr { attr_set: set.bits(), attr_clr: clear.bits(), propagation: 0, userns_fd: 0 },
        recursive,
    )
}

/// Maps the owners of the files of a *detached* mount through a user namespace: what is owned by 0
/// on disk is owned by the namespace's 0 as seen through the mount.
///
/// # Errors
/// `EINVAL` where the file system cannot be id-mapped or already is, `EPERM` when not privileged
/// over the file system.
pub fn set_idmap(mount: BorrowedFd<'_>, userns: BorrowedFd<'_>, recursive: bool) -> Result<()> {
    let userns_fd = userns.as_raw_fd().unsigned_abs().into();
    let attr_set = u64::from(raw::MOUNT_ATTR_IDMAP);
    setattr(mount, raw::mount_attr { attr_set, attr_clr: 0, propagation: 0, userns_fd }, recursive)
}

/// Makes every mount of the caller's namespace private: nothing done in it shows elsewhere, nothing
/// done elsewhere shows in it.
///
/// # Errors
/// What `mount_setattr(2)` says.
pub fn make_all_private(root: BorrowedFd<'_>) -> Result<()> {
    propagate(root, libc::MS_PRIVATE)
}

/// Makes a mount and all below it follow what it is a copy of: what is mounted there shows in it, and nothing the other way.
///
/// # Errors
/// What `mount_setattr(2)` says.
pub fn make_all_follow(root: BorrowedFd<'_>) -> Result<()> {
    propagate(root, libc::MS_SLAVE)
}

/// Makes a mount and all below it shared, each in a peer group of its own if it was private: mount namespaces that are
/// copied from the caller's see what is mounted below it from then on, as they choose.
///
/// # Errors
/// What `mount_setattr(2)` says.
pub fn make_all_shared(root: BorrowedFd<'_>) -> Result<()> {
    propagate(root, libc::MS_SHARED)
}

fn propagate(root: BorrowedFd<'_>, propagation: libc::c_ulong) -> Result<()> {
    setattr(root, raw::mount_attr { attr_set: 0, attr_clr: 0, propagation, userns_fd: 0 }, true)
}

/// Gives the calling thread a mount namespace of its own, a copy of the one it is in. Other threads stay where they are.
///
/// # Errors
/// What `unshare(2)` says.
pub fn unshare_thread() -> Result<()> {
    // SAFETY: takes flags only and touches no memory. The thread gets a working directory and root of its own, which are
    // those it had; its descriptors stay shared with the other threads.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } == 0 {
        return Ok(());
    }
    Err(Error::last("unshare").arg(Arg::Word("CLONE_NEWNS")))
}

/// Gives the calling thread a working directory and a root of its own, which are those it had: only then can it enter another mount
/// namespace, for good.
///
/// # Errors
/// What `unshare(2)` says.
pub fn unshare_directories() -> Result<()> {
    // SAFETY: takes flags only and touches no memory; descriptors stay shared with the other threads.
    if unsafe { libc::unshare(libc::CLONE_FS) } == 0 {
        return Ok(());
    }
    Err(Error::last("unshare").arg(Arg::Word("CLONE_FS")))
}

fn setattr(mount: BorrowedFd<'_>, attr: raw::mount_attr, recursive: bool) -> Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the fd is borrowed for the call, the path is an empty C string, `attr` is a valid
    // mount_attr of the size given, and the kernel writes to none of them.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<raw::mount_attr>(),
        )
    };
    if ret == 0 {
        return Ok(());
    }
    Err(Error::last("mount_setattr").arg(Arg::Fd(mount.as_raw_fd())).arg(Arg::Flags(attr.attr_set)))
}

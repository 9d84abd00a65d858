//! Another console for a zone that lives: the one that it was booted with was hung up when nobody was left to hold it.

use crate::{Failed, PlatformError, dev};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid, fchown, fstat, openat, unlinkat};
use rustix::io::{Errno, retry_on_intr};
use rustix::mount::{MoveMountFlags, move_mount};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};
use std::ffi::CStr;
use zone_sys::clone::{Clone, Cloned, Namespaces, SingleThreaded, exit_now};

/// How long the kernel may take to find `/dev/console` in the zone, where the zone's root may have put a file system that does
/// not answer.
const PATIENCE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// Puts `pty`, the subsidiary side of a terminal, on the `/dev/console` of the zone whose first process is `first` and whose root user
/// is `base` on the host. No link is followed.
///
/// # Errors
/// When the zone has nothing there that a terminal could be mounted on, or does not let it be found in time.
pub fn replace(
    proof: SingleThreaded,
    first: BorrowedFd<'_>,
    pty: BorrowedFd<'_>,
    base: u32,
) -> Result<(), PlatformError> {
    const WHAT: &str = "another terminal on the zone's /dev/console";
    let failed = |errno| Failed::to("put", WHAT)(errno);
    let mount = dev::console(pty, base)?;
    // A process of its own: to enter a mount namespace is for good, and a path of the zone may lead to one that hangs.
    let spawned = Clone::new(Namespaces::empty()).spawn(proof).map_err(|error| failed(error.errno()))?;
    let child = match spawned {
        Cloned::Child => {
            let put = attach(first, &mount, base).err().map_or(0, Errno::raw_os_error);
            exit_now(put);
        }
        Cloned::Parent { pidfd, .. } => pidfd,
    };
    let wait = || poll(&mut [PollFd::new(&child, PollFlags::IN)], Some(&PATIENCE));
    let late = retry_on_intr(wait) != Ok(1);
    if late {
        let _ = pidfd_send_signal(&child, Signal::KILL);
    }
    let ended = retry_on_intr(|| waitid(WaitId::PidFd(child.as_fd()), WaitIdOptions::EXITED));
    match ended.map_err(failed)?.and_then(|ended| ended.exit_status()) {
        Some(0) => Ok(()),
        Some(number) => Err(failed(Errno::from_raw_os_error(number)).into()),
        None => Err(failed(Errno::TIMEDOUT).into()),
    }
}

fn attach(first: BorrowedFd<'_>, mount: &OwnedFd, base: u32) -> Result<(), Errno> {
    let ours = openat(CWD, c"/proc/self/ns/mnt", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    move_into_thread_name_spaces(first, ThreadNameSpaceType::MOUNT)?;
    match put(mount) {
        // A terminal that was hung up for good has lost its file, and over such a thing nothing can be mounted.
        Err(Errno::NOENT) => {}
        done => return done,
    }
    // The kernel locks the zone's mounts, so the dead one cannot be unmounted by anybody in there. But a file that is a mount
    // point in other namespaces only can be removed (rename(2), EBUSY), and what is mounted on it goes with it.
    let dev = find(c"/dev", OFlags::DIRECTORY)?;
    if fstat(&dev)?.st_uid != base {
        // Not what we made, nor anything that the zone's root could have removed as well.
        return Err(Errno::PERM);
    }
    move_into_thread_name_spaces(ours.as_fd(), ThreadNameSpaceType::MOUNT)?;
    unlinkat(&dev, c"console", AtFlags::empty())?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let console = openat(&dev, c"console", flags, Mode::from_raw_mode(0o600))?;
    fchown(&console, Some(Uid::from_raw(base)), Some(Gid::from_raw(base)))?;
    move_into_thread_name_spaces(first, ThreadNameSpaceType::MOUNT)?;
    put(mount)
}

/// Mounts it on the console of the namespace that this process is in.
fn put(mount: &OwnedFd) -> Result<(), Errno> {
    let place = find(c"/dev/console", OFlags::empty())?;
    let by_fd = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, c"", &place, c"", by_fd)
}

/// Opens a place in that namespace, and nothing by a link.
fn find(path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    zone_sys::path::in_root_unlinked(CWD, path, flags | OFlags::PATH)
}

//! Doing something in another network namespace.

use std::panic::resume_unwind;
use std::thread;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use zone_sys::clone::Namespaces;

/// Runs `work` in the network namespace that a descriptor is of, on a thread that ends with it: the caller's own thread
/// stays where it is.
///
/// # Errors
/// `EINVAL` if it is no network namespace, `EPERM` without the capabilities over it, `EAGAIN` without a thread.
pub fn within<T: Send>(netns: BorrowedFd<'_>, work: impl FnOnce() -> T + Send) -> Result<T, Errno> {
    beside(netns, work, || ()).1
}

/// Runs `work` as [`within`] does, and meanwhile something else on the caller's thread.
///
/// # Errors
/// Those of [`within`], beside what was done meanwhile.
pub fn beside<T: Send, M>(
    netns: BorrowedFd<'_>,
    work: impl FnOnce() -> T + Send,
    meanwhile: impl FnOnce() -> M,
) -> (M, Result<T, Errno>) {
    thread::scope(|scope| {
        let enter = move || {
            move_into_link_name_space(netns, Some(LinkNameSpaceType::Network))?;
            Ok(work())
        };
        let thread = thread::Builder::new().name("netns".to_owned()).spawn_scoped(scope, enter);
        let done = meanwhile();
        let thread = thread.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::AGAIN));
        (done, thread.and_then(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))))
    })
}

/// Makes a network namespace that belongs to the caller's user namespace, on a thread that ends with it.
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN, `ENOSPC` past the kernel's bound, `EAGAIN` without a thread.
pub fn make() -> Result<OwnedFd, Errno> {
    thread::scope(|scope| {
        let make = || {
            zone_sys::namespace::unshare(Namespaces::NET).map_err(|error| error.errno())?;
            current()
        };
        let thread = thread::Builder::new().name("netns".to_owned()).spawn_scoped(scope, make);
        let thread = thread.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::AGAIN))?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Opens the network namespace of the calling thread.
///
/// # Errors
/// Those of open(2): `/proc` is not mounted.
pub fn current() -> Result<OwnedFd, Errno> {
    openat(CWD, "/proc/thread-self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

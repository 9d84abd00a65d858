//! Namespaces of the calling process, and what a descriptor of one tells; namespaces(7), ioctl_ns(2).

use crate::clone::Namespaces;
use crate::{Arg, Error, Result};
use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// Gives the calling process namespaces of its own. For one thread: a process with several keeps its others out of them,
/// and may not make a user namespace at all.
///
/// # Errors
/// What `unshare(2)` says.
pub fn unshare(namespaces: Namespaces) -> Result<()> {
    let flags = namespaces.bits();
    let fail = |error: Error| error.arg(Arg::Flags(flags));
    let int = i32::try_from(flags).map_err(|_| fail(Error::new("unshare", rustix::io::Errno::INVAL)))?;
    // SAFETY: takes flags only and touches no memory; what is unshared are namespaces, not the descriptor table.
    if unsafe { libc::unshare(int) } == 0 { Ok(()) } else { Err(fail(Error::last("unshare"))) }
}

/// The user namespace that a namespace belongs to: whose capabilities hold over it.
///
/// # Errors
/// `EPERM` if that is not the caller's own or below it, `ENOTTY` for what is no namespace.
pub fn owner(namespace: impl AsFd) -> Result<OwnedFd> {
    // NS_GET_USERNS of linux/nsfs.h.
    const GET_USERNS: u32 = 0xb701;
    let fd = namespace.as_fd().as_raw_fd();
    // SAFETY: takes no argument and touches no memory; gives a new descriptor.
    let owner = unsafe { libc::ioctl(fd, GET_USERNS as _) };
    if owner < 0 {
        return Err(Error::last("ioctl").arg(Arg::Fd(fd)).arg(Arg::Word("NS_GET_USERNS")));
    }
    // SAFETY: the kernel has just made it, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(owner) })
}

//! Namespaces of the calling process, and what a descriptor of one tells; namespaces(7), ioctl_ns(2).

use crate::clone::Namespaces;
use crate::{Arg, Error, Result};

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

//! Descriptors and identity of the calling process.

use crate::{Arg, Error, Result};

/// Closes every descriptor from `first` up (`close_range(2)`, Linux 5.9).
///
/// The caller must hold no owner of such a descriptor that it means to use or drop afterwards; a
/// freshly cloned child or a daemon at its start holds none.
///
/// # Errors
/// What `close_range(2)` says.
pub fn close_from(first: u32) -> Result<()> {
    close_range(first, 0)
}

/// Marks every descriptor from `first` up close-on-exec (Linux 5.11): the last thing before an
/// exec, so that nothing leaks into a zone whatever was forgotten before.
///
/// # Errors
/// What `close_range(2)` says.
pub fn cloexec_from(first: u32) -> Result<()> {
    close_range(first, libc::CLOSE_RANGE_CLOEXEC)
}

fn close_range(first: u32, flags: u32) -> Result<()> {
    // SAFETY: plain numbers; descriptors are closed or flagged, no memory is touched. That nobody
    // uses a closed one afterwards is the caller's duty, as the functions above say; at worst a
    // later call on it fails with EBADF.
    let ret = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) };
    if ret == 0 {
        return Ok(());
    }
    Err(Error::last("close_range").arg(Arg::Num(first.into())).arg(Arg::Flags(flags.into())))
}

/// Sets whether other processes of the same user may look into this one (`PR_SET_DUMPABLE`).
///
/// # Errors
/// What `prctl(2)` says.
pub fn set_dumpable(dumpable: bool) -> Result<()> {
    // SAFETY: PR_SET_DUMPABLE takes one number and touches no memory.
    let ret = unsafe { libc::prctl(libc::PR_SET_DUMPABLE, libc::c_ulong::from(dumpable), 0, 0, 0) };
    if ret == 0 { Ok(()) } else { Err(Error::last("prctl").arg(Arg::Word("PR_SET_DUMPABLE"))) }
}

//! Descriptors and identity of the calling process.

use crate::clone::SingleThreaded;
use crate::{Arg, Error, Result};
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

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

/// Closes every descriptor from `first` up but those in `keep`. Does not allocate.
///
/// Meant for a freshly cloned child that will never go back to code that owns the others.
///
/// # Errors
/// What `close_range(2)` says.
pub fn close_all_but(first: u32, keep: &[BorrowedFd<'_>]) -> Result<()> {
    let mut first = first;
    let next =
        |first| keep.iter().map(|fd| fd.as_raw_fd().unsigned_abs()).filter(|kept| *kept >= first).min();
    while let Some(kept) = next(first) {
        if kept > first {
            close_between(first, kept - 1, 0)?;
        }
        first = kept + 1;
    }
    close_from(first)
}

fn close_range(first: u32, flags: u32) -> Result<()> {
    close_between(first, u32::MAX, flags)
}

fn close_between(first: u32, last: u32, flags: u32) -> Result<()> {
    // SAFETY: plain numbers; descriptors are closed or flagged, no memory is touched. That nobody
    // uses a closed one afterwards is the caller's duty, as the functions above say; at worst a
    // later call on it fails with EBADF.
    let ret = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if ret == 0 {
        return Ok(());
    }
    Err(Error::last("close_range").arg(Arg::Num(first.into())).arg(Arg::Flags(flags.into())))
}

/// Makes room for 256 descriptors while the process has one thread; the table that it begins with has 64. Where threads share a
/// table, whoever opens the first descriptor that does not fit waits for a grace period of the kernel's, 10 to 25 ms on an idle
/// machine, and so do all who open one meanwhile (`expand_files` in fs/file.c). Does nothing where the limit of open files is lower.
pub fn widen_descriptors(_proof: SingleThreaded) {
    let _ = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 255);
}

/// Gives the memory that the allocator keeps for later back to the kernel: for a process that has done something large
/// and will be idle. Does nothing where the C library has no such call.
pub fn trim_heap() {
    // SAFETY: takes a number, and touches nothing but free memory of the allocator's own, under its own locks.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Has all threads share one heap (`M_ARENA_MAX`, mallopt(3)): for a process whose threads come and go and have little to allocate, each of which would
/// make one of its own. Does nothing where the C library has no such call.
pub fn share_heap() {
    // SAFETY: takes two numbers, and changes what the allocator does from then on, under its own locks.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
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

/// Takes over a descriptor that this program was started with. `None` if it is not open.
///
/// Meant for `main`, once for each number, before anything else is opened.
#[must_use]
pub fn inherited(number: i32) -> Option<OwnedFd> {
    // SAFETY: fcntl with F_GETFD touches no memory and refuses a closed descriptor.
    let open = unsafe { libc::fcntl(number, libc::F_GETFD) } >= 0;
    // SAFETY: the descriptor is open and was made by whoever exec'd us, so no value in this process
    // owns it; that this is asked once per number is the caller's duty, as said above.
    open.then(|| unsafe { OwnedFd::from_raw_fd(number) })
}

/// The most descriptors that [`place_for_exec`] places.
pub const MAX_PLACED: usize = 16;

/// Puts `fds` at 3, 4, 5, … for the program that is exec'd next, and marks every one above
/// close-on-exec. Only for a cloned child that execs or ends right after: descriptors that were at
/// those numbers are closed, whoever owns them.
///
/// # Errors
/// What `fcntl(2)` or `dup2(2)` says.
pub fn place_for_exec(fds: &[BorrowedFd<'_>]) -> Result<()> {
    let count = i32::try_from(fds.len()).unwrap_or(i32::MAX);
    let mut aside = [-1; MAX_PLACED];
    if fds.len() > aside.len() {
        return Err(Error::new("dup2", Errno::INVAL).arg(Arg::Num(fds.len() as u64)));
    }
    // First all out of the way, so that no target number is still a source.
    for (slot, fd) in aside.iter_mut().zip(fds) {
        // SAFETY: F_DUPFD takes a number and makes a new descriptor, at that number or above.
        *slot = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3 + count) };
        if *slot < 0 {
            return Err(Error::last("fcntl").arg(Arg::Word("F_DUPFD")).arg(Arg::Fd(fd.as_raw_fd())));
        }
    }
    for (target, &source) in (3..3 + count).zip(&aside) {
        // SAFETY: dup2 of descriptors that this function made; what it closes is given up by the caller.
        if unsafe { libc::dup2(source, target) } < 0 {
            return Err(Error::last("dup2").arg(Arg::Fd(source)).arg(Arg::Fd(target)));
        }
    }
    cloexec_from(3 + count.unsigned_abs())
}

/// Gives this process a session keyring of its own, so that it does not possess the keys of
/// whoever started it. Source: keyctl_join_session_keyring(3).
///
/// # Errors
/// What `keyctl(2)` says; `ENOSYS` on a kernel without keyrings.
pub fn new_session_keyring() -> Result<()> {
    // SAFETY: KEYCTL_JOIN_SESSION_KEYRING with a null name makes an anonymous keyring.
    let ret = unsafe { libc::syscall(libc::SYS_keyctl, 1, std::ptr::null::<u8>()) };
    if ret >= 0 { Ok(()) } else { Err(Error::last("keyctl").arg(Arg::Word("JOIN_SESSION_KEYRING"))) }
}

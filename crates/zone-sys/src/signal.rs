//! Signal dispositions, masks, and signals as descriptors.

use crate::{Arg, Error, Result};
use rustix::fd::{FromRawFd, OwnedFd};
use std::mem::MaybeUninit;

/// A signal number as `signal(7)` has them.
pub type Number = i32;

pub use libc::{
    SIGCHLD, SIGHUP, SIGINT, SIGPIPE, SIGPWR, SIGQUIT, SIGTERM, SIGTTOU, SIGUSR1, SIGUSR2, SIGWINCH,
};

/// The real-time signal `SIGRTMIN+n` as programs see it: the C library keeps the first two for
/// itself, so this is 34 + n, which is what systemd in a zone listens for.
#[must_use]
pub fn realtime(n: i32) -> Number {
    34 + n
}

/// Gives every signal its default disposition and empties the mask: what a program expects to
/// find when it is started by nobody in particular.
pub fn reset_all() {
    // The kernel's struct sigaction: handler (SIG_DFL), flags, restorer, mask, all nothing. The C
    // library's own call would leave out 32 and 33, which a parent may have left ignored all the same.
    let default = [0_u64; 4];
    for number in 1..=64 {
        // SAFETY: rt_sigaction reads one struct sigaction, which is 32 bytes; no handler is
        // installed. SIGKILL and SIGSTOP refuse, which is right.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, number, default.as_ptr(), std::ptr::null_mut::<u64>(), 8)
        };
    }
    // SAFETY: an empty set is initialised by sigemptyset before it is read.
    unsafe {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, set.as_ptr(), std::ptr::null_mut());
    }
}

/// Ignores a signal.
pub fn ignore(number: Number) {
    // SAFETY: SIG_IGN installs no handler.
    unsafe { libc::signal(number, libc::SIG_IGN) };
}

/// Blocks every signal for this thread and those that it starts, but those by which the kernel reports a fault of the program
/// itself; `SIGKILL` and `SIGSTOP` cannot be blocked.
pub fn block_all() {
    const FAULTS: [Number; 7] =
        [libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV, libc::SIGSYS];
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is initialised by sigfillset before anything else; the calls only read it.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        for number in FAULTS {
            libc::sigdelset(set.as_mut_ptr(), number);
        }
        libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
    }
}

/// Blocks `numbers` for this thread and gives a descriptor from which they are read
/// (`signalfd(2)`; close-on-exec, non-blocking).
///
/// # Errors
/// What the calls say.
pub fn as_fd(numbers: &[Number]) -> Result<OwnedFd> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is initialised by sigemptyset before anything else; the calls only read it.
    let fd = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &number in numbers {
            libc::sigaddset(set.as_mut_ptr(), number);
        }
        libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
        libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    if fd < 0 {
        return Err(Error::last("signalfd").arg(Arg::Num(numbers.len() as u64)));
    }
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Lets `numbers` through again that [`as_fd`] has blocked for this thread. One that has come meanwhile and was not read takes effect.
pub fn unblock(numbers: &[Number]) {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is initialised by sigemptyset before anything else; the calls only read it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &number in numbers {
            libc::sigaddset(set.as_mut_ptr(), number);
        }
        libc::sigprocmask(libc::SIG_UNBLOCK, set.as_ptr(), std::ptr::null_mut());
    }
}

/// The next signal read from a descriptor of [`as_fd`], and the pid of its sender; `None` if there
/// is none now.
///
/// # Errors
/// What `read(2)` says.
pub fn read(fd: &OwnedFd) -> Result<Option<(Number, u32)>> {
    let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
    match rustix::io::read(fd, &mut info) {
        Ok(n) if n == info.len() => {
            let word = |at: usize| u32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
            // ssi_signo is the first word, ssi_pid the fourth (signalfd(2)).
            Ok(Some((word(0).cast_signed(), word(12))))
        }
        Ok(_) | Err(rustix::io::Errno::AGAIN) => Ok(None),
        Err(e) => Err(Error::new("read", e).arg(Arg::Word("signalfd"))),
    }
}

/// The number of `rt_sigtimedwait(2)`, in which an init may sit and wait for its signals without
/// having a handler or (as `/proc` shows it) holding them back.
pub const WAIT_SYSCALL: i64 = libc::SYS_rt_sigtimedwait;

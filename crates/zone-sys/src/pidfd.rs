//! What a pidfd knows of its process.

use crate::{Arg, Error, Result};
use rustix::fd::{AsFd, AsRawFd};
use rustix::io::Errno;

/// The process id behind a pidfd in the caller's PID namespace, from `/proc/self/fdinfo`
/// (Linux 5.4). `None` when the process has been reaped.
///
/// # Errors
/// What reading `/proc` gave, `EINVAL` if the descriptor is no pidfd.
pub fn pid(pidfd: impl AsFd) -> Result<Option<i32>> {
    let fd = pidfd.as_fd().as_raw_fd();
    let fail = |errno| Error::new("pidfd_pid", errno).arg(Arg::Fd(fd));
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}"))
        .map_err(|e| fail(Errno::from_io_error(&e).unwrap_or(Errno::IO)))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pid:"));
    let pid: i32 = line.and_then(|pid| pid.trim().parse().ok()).ok_or_else(|| fail(Errno::INVAL))?;
    Ok((pid > 0).then_some(pid))
}

/// Sends any signal, real-time ones too (rustix knows only those with a name); pidfd_send_signal(2).
///
/// # Errors
/// `ESRCH` if the process has ended; else what the call says.
pub fn send_signal(pidfd: impl AsFd, number: crate::signal::Number) -> Result<()> {
    let fd = pidfd.as_fd().as_raw_fd();
    // SAFETY: plain numbers and a null siginfo, which the call allows.
    let ret = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, fd, number, std::ptr::null::<libc::siginfo_t>(), 0)
    };
    if ret == 0 {
        return Ok(());
    }
    Err(Error::last("pidfd_send_signal").arg(Arg::Fd(fd)).arg(Arg::Num(number.unsigned_abs().into())))
}

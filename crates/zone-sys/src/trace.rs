//! Watching a process that is somebody else's child, by `ptrace(2)`: only its parent and its tracer are told
//! how it ends.
//!
//! The process is seized (Linux 3.4), which neither stops it nor shows in what it does. From then on it
//! stops whenever a signal is delivered to it, and each stop must be answered, with the signal. When
//! the tracer dies, the kernel lets go and the process runs on.

use crate::{Arg, Error, Result};
use rustix::process::Pid;
use std::mem::MaybeUninit;
use std::ptr;

/// What a traced process did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It stopped because this signal is about to be delivered: to be answered by [`resume`].
    Signal(i32),
    /// A signal has stopped the whole process, as it would without a tracer: to be answered by [`listen`].
    Stopped,
    /// It stopped for another reason, such as that it goes on after [`Event::Stopped`]: to be answered by
    /// [`resume`] without a signal.
    Trapped,
    /// It exited with this status, and has been waited for.
    Exited(i32),
    /// This signal ended it (for the first process of a PID namespace also `reboot(2)`, see
    /// pid_namespaces(7)), and it has been waited for.
    Killed(i32),
}

/// Where a signal comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// `si_code` of sigaction(2): above zero when the kernel made the signal, as for a fault.
    pub code: i32,
    /// The sender in the PID namespace of the receiver, 0 if it is not in there; only for a code that is not
    /// above zero.
    pub sender: i32,
}

/// Becomes the tracer of `pid` (`PTRACE_SEIZE` without options).
///
/// # Errors
/// `EPERM` if it has a tracer already or a security module forbids it, `ESRCH` if it is gone.
pub fn seize(pid: Pid) -> Result<()> {
    request(libc::PTRACE_SEIZE, "PTRACE_SEIZE", pid, 0)
}

/// Lets a stopped process go on and delivers `signal` to it; 0 is none.
///
/// # Errors
/// `ESRCH` if it is gone or was killed meanwhile.
pub fn resume(pid: Pid, signal: i32) -> Result<()> {
    request(libc::PTRACE_CONT, "PTRACE_CONT", pid, usize::try_from(signal).unwrap_or(0))
}

/// Lets a process that a signal has stopped stay stopped until another makes it go on.
///
/// # Errors
/// `ESRCH` if it is gone or was killed meanwhile.
pub fn listen(pid: Pid) -> Result<()> {
    request(libc::PTRACE_LISTEN, "PTRACE_LISTEN", pid, 0)
}

/// Where the signal comes from that a process has stopped for.
///
/// # Errors
/// `ESRCH` if it is gone or was killed meanwhile.
pub fn origin(pid: Pid) -> Result<Origin> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: PTRACE_GETSIGINFO writes one siginfo_t to where the last argument points.
    let ret = unsafe {
        libc::ptrace(
            libc::PTRACE_GETSIGINFO,
            pid.as_raw_nonzero().get(),
            ptr::null_mut::<u8>(),
            info.as_mut_ptr(),
        )
    };
    if ret < 0 {
        return Err(failed("PTRACE_GETSIGINFO", pid));
    }
    // SAFETY: all of it is initialised: zero before, and the kernel's afterwards; si_pid is a plain number
    // in a union of plain numbers.
    let (code, sender) = unsafe {
        let info = info.assume_init();
        (info.si_code, info.si_pid())
    };
    Ok(Origin { code, sender })
}

/// What the process did that has not been asked for yet; `None` if it did nothing.
///
/// # Errors
/// `ECHILD` if it is not (any more) traced by the caller nor its child.
pub fn next(pid: Pid) -> Result<Option<Event>> {
    let mut status = 0;
    // SAFETY: `status` is valid for writing.
    let ret =
        unsafe { libc::waitpid(pid.as_raw_nonzero().get(), &raw mut status, libc::WNOHANG | libc::__WALL) };
    if ret < 0 {
        return Err(Error::last("waitpid").arg(Arg::Num(pid.as_raw_nonzero().get().unsigned_abs().into())));
    }
    if ret == 0 {
        return Ok(None);
    }
    if libc::WIFEXITED(status) {
        return Ok(Some(Event::Exited(libc::WEXITSTATUS(status))));
    }
    if libc::WIFSIGNALED(status) {
        return Ok(Some(Event::Killed(libc::WTERMSIG(status))));
    }
    let signal = libc::WSTOPSIG(status);
    Ok(Some(match status >> 16 {
        0 => Event::Signal(signal),
        libc::PTRACE_EVENT_STOP if signal != libc::SIGTRAP => Event::Stopped,
        _ => Event::Trapped,
    }))
}

/// A request of ptrace(2), of the type that the C library gives it.
#[cfg(not(target_env = "musl"))]
type Request = libc::c_uint;
#[cfg(target_env = "musl")]
type Request = libc::c_int;

fn request(request: Request, name: &'static str, pid: Pid, data: usize) -> Result<()> {
    // SAFETY: these requests take numbers and touch no memory of ours.
    let ret = unsafe { libc::ptrace(request, pid.as_raw_nonzero().get(), ptr::null_mut::<u8>(), data) };
    if ret < 0 { Err(failed(name, pid)) } else { Ok(()) }
}

fn failed(name: &'static str, pid: Pid) -> Error {
    let number = pid.as_raw_nonzero().get().unsigned_abs();
    Error::last("ptrace").arg(Arg::Word(name)).arg(Arg::Num(number.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Signal, kill_process};
    use std::process::{Command, Stdio};

    /// Answers every stop until the end.
    fn see_through(pid: Pid) -> Event {
        loop {
            match next(pid).unwrap() {
                None => std::thread::yield_now(),
                Some(Event::Signal(signal)) => {
                    assert!(origin(pid).unwrap().code <= 0);
                    resume(pid, signal).unwrap();
                }
                Some(Event::Stopped) => listen(pid).unwrap(),
                Some(Event::Trapped) => resume(pid, 0).unwrap(),
                Some(end) => return end,
            }
        }
    }

    #[test]
    fn a_traced_process_gets_its_signals_and_its_end_is_told() {
        let script = "trap 'exit 7' TERM; echo; while :; do read -r line; done";
        for (signals, end) in [
            (&[Signal::TERM][..], Event::Exited(7)),
            (&[Signal::STOP, Signal::CONT, Signal::TERM], Event::Exited(7)),
            (&[Signal::WINCH, Signal::USR1], Event::Killed(Signal::USR1.as_raw())),
            (&[Signal::STOP, Signal::KILL], Event::Killed(Signal::KILL.as_raw())),
        ] {
            let mut command = Command::new("sh");
            command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let mut said = [0; 1];
            std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
            let pid = Pid::from_child(&child);
            seize(pid).unwrap();
            assert!(seize(pid).is_err(), "one tracer at a time");
            for signal in signals {
                kill_process(pid, *signal).unwrap();
                if *signal == Signal::STOP {
                    // The next signal must not overtake it.
                    while !matches!(next(pid).unwrap(), Some(Event::Signal(_))) {}
                    resume(pid, signal.as_raw()).unwrap();
                    while next(pid).unwrap() != Some(Event::Stopped) {}
                    listen(pid).unwrap();
                }
            }
            // A shell that waits for input only looks at its traps between two reads.
            drop(child.stdin.take());
            assert_eq!(see_through(pid), end, "{signals:?}");
            assert!(next(pid).is_err() && child.wait().is_err(), "and only once");
        }
    }
}

//! The tracer of a first process that is not zsched's child, because its own zsched died: only so is it
//! told how that process ends. All else goes on as if nobody traced it: every stop is answered, with the
//! signal. Three things that tracing changes in the kernel for the first process of a PID namespace are put right here.
//!
//! * A fault of its own (SIGSEGV) without a handler ends an untraced one. A traced one stays protected
//!   (`SIGNAL_UNKILLABLE`), and would run into the same fault for ever. So it is killed, and that fault is its end.
//! * SIGSTOP from inside the zone does nothing to an untraced one. A traced one would stop.
//! * A thread that executes a program becomes the first process, and has no tracer: it is seized anew. Nothing tells
//!   when it has come to that, only that the first thread has ended; so from then on it is looked for.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::{Pid, Signal, kill_process};
use rustix::time::Timespec;
use zone_sys::signal::SIGCHLD;
use zone_sys::trace::{self, Event};
use zsched::wire::End;

/// Signals that the kernel raises for faults: SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS (signal(7)).
const FAULTS: [i32; 6] = [4, 5, 7, 8, 11, 31];
/// How many stops are answered before others have their turn: a zone can send its init as many signals as it
/// likes.
const AT_A_TIME: usize = 32;

/// A tracer.
#[derive(Debug)]
pub(crate) struct Tracer {
    pid: Pid,
    /// Readable when there may be something to look at.
    signals: OwnedFd,
    /// The fault for which it was killed.
    fault: Option<i32>,
    /// For how many milliseconds to wait before looking again, unasked; 0 for as long as nothing happens.
    doubt_ms: i64,
}

/// What a look has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It lives.
    Lives,
    /// It ended like this.
    Ended(End),
    /// It is not traced (any more).
    Lost,
}

impl Tracer {
    /// `None` if it cannot be traced. Whether `pid` is still the process that was meant is the caller's to know: the
    /// end of one whose pidfd shows no end yet cannot be another's.
    pub(crate) fn seize(pid: Pid) -> Option<Self> {
        // Blocked before the first one can come; the mask is emptied in whatever zsched starts.
        let signals = zone_sys::signal::as_fd(&[SIGCHLD]).ok()?;
        trace::seize(pid).ok()?;
        Some(Self { pid, signals, fault: None, doubt_ms: 0 })
    }

    /// What is to be polled.
    pub(crate) fn signals(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }

    /// After how long to look again even if nothing happens.
    pub(crate) fn patience(&self) -> Option<Timespec> {
        let (tv_sec, tv_nsec) = (self.doubt_ms / 1000, self.doubt_ms % 1000 * 1_000_000);
        (self.doubt_ms > 0).then_some(Timespec { tv_sec, tv_nsec })
    }

    /// Answers what it stopped for.
    pub(crate) fn look(&mut self) -> Seen {
        // Before the stops: each of those that come later raises the signal anew.
        while matches!(zone_sys::signal::read(&self.signals), Ok(Some(_))) {}
        // Before the stops, too: a place that is taken after this is found taken by the wait, or looked for again.
        let headless = self.is_headless();
        for _ in 0..AT_A_TIME {
            // An answer that fails goes to a process that was killed meanwhile: its end is the next event.
            let _ = match trace::next(self.pid) {
                Ok(None) => {
                    self.doubt_ms = if headless { (self.doubt_ms * 2).clamp(1, 1000) } else { 0 };
                    return Seen::Lives;
                }
                Err(_) => return Seen::Lost,
                Ok(Some(Event::Exited(status))) => return Seen::Ended(End::Exited(status)),
                Ok(Some(Event::Killed(signal))) => {
                    let own = self.fault.filter(|_| signal == Signal::KILL.as_raw());
                    return Seen::Ended(End::Killed(own.unwrap_or(signal)));
                }
                Ok(Some(Event::Stopped)) => trace::listen(self.pid),
                Ok(Some(Event::Trapped)) => trace::resume(self.pid, 0),
                Ok(Some(Event::Signal(signal))) => self.deliver(signal),
            };
        }
        Seen::Lives
    }

    fn deliver(&mut self, signal: i32) -> zone_sys::Result<()> {
        let origin = trace::origin(self.pid)?;
        if signal == Signal::STOP.as_raw() && origin.code <= 0 && origin.sender != 0 {
            return trace::resume(self.pid, 0);
        }
        if FAULTS.contains(&signal) && origin.code > 0 && !self.handles(signal) {
            self.fault = Some(signal);
            // It is stopped, and ours to wait for: the number is still its own.
            let _ = kill_process(self.pid, Signal::KILL);
            return Ok(());
        }
        trace::resume(self.pid, signal)
    }

    /// Whether it has a handler; in doubt it has.
    fn handles(&self, signal: i32) -> bool {
        self.caught().is_none_or(|caught| caught & (1 << (signal - 1)) != 0)
    }

    /// The mask of signals with a handler.
    fn caught(&self) -> Option<u64> {
        const NAME: &[u8] = b"SigCgt:\t";
        let (text, n) = self.read(b"/status")?;
        let at = text[..n].windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
        let digits = std::str::from_utf8(text[..n].get(at..at + 16)?).ok()?;
        u64::from_str_radix(digits, 16).ok()
    }

    /// Whether its first thread has ended, and others live or are about to take its place; in doubt it has.
    fn is_headless(&self) -> bool {
        let stat = self.read(b"/stat").and_then(|(text, n)| zone_sys::proc::Stat::parse(&text[..n]));
        stat.is_none_or(|stat| stat.state == b'Z')
    }

    /// A file of the process in `/proc`: its first page.
    fn read(&self, name: &[u8]) -> Option<([u8; 4096], usize)> {
        let mut path = [0; 48];
        let path = crate::steps::proc_path(&mut path, self.pid, name).ok()?;
        let file = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let mut text = [0; 4096];
        let n = rustix::io::read(&file, &mut text).ok()?;
        Some((text, n))
    }
}

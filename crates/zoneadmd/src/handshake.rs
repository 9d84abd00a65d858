//! The fork handshake: whoever starts zoneadmd waits until door and console serve, is told in words
//! why they do not, and gets that as the exit status.

use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, WaitId, WaitIdOptions, waitid};
use std::io::Write;
use std::process::ExitCode;
use zone_sys::clone::{Clone, Cloned, Namespaces, SingleThreaded};
use zsched::daemon::CommandLine;

/// The daemon's end: text for the one who waits, then, once, the word that all is well.
#[derive(Debug)]
pub(crate) struct Waiting(Option<OwnedFd>);

/// The two sides of the fork.
pub(crate) enum Side {
    /// The parent, whose status tells how it went.
    Parent(ExitCode),
    /// The daemon.
    Daemon(Waiting),
}

/// What the daemon writes last when it serves.
const SERVING: u8 = 0;

/// Forks. The parent returns when the daemon serves or is gone.
///
/// # Errors
/// If there is no second process to be had.
pub(crate) fn fork(proof: SingleThreaded) -> Result<Side, zone_sys::Error> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| zone_sys::Error::new("pipe2", e))?;
    match Clone::new(Namespaces::empty()).spawn(proof)? {
        Cloned::Child => {
            drop(read);
            Ok(Side::Daemon(Waiting(Some(write))))
        }
        Cloned::Parent { pidfd, .. } => {
            drop(write);
            Ok(Side::Parent(wait(&read, &pidfd)))
        }
    }
}

fn wait(read: &OwnedFd, daemon: &OwnedFd) -> ExitCode {
    let mut told = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match rustix::io::read(read, &mut chunk) {
            Ok(n @ 1..) => told.extend_from_slice(&chunk[..n]),
            Err(Errno::INTR) => {}
            // Also when the daemon died without a word.
            Ok(_) | Err(_) => break,
        }
    }
    let serving = told.pop_if(|last| *last == SERVING).is_some();
    let _ = std::io::stderr().write_all(&told);
    if serving {
        return ExitCode::SUCCESS;
    }
    // It has closed its end, so it is on its way out; make sure.
    let _ = rustix::process::pidfd_send_signal(daemon, Signal::TERM);
    let wait = || waitid(WaitId::PidFd(daemon.as_fd()), WaitIdOptions::EXITED);
    let ended = rustix::io::retry_on_intr(wait).ok().flatten();
    match ended.and_then(|ended| ended.terminating_signal()) {
        Some(signal) if signal == Signal::KILL.as_raw() => ExitCode::from(CommandLine::DIED),
        Some(signal) if signal != Signal::TERM.as_raw() => {
            // Of a fault of its own, or of a limit: the next one would fare no better.
            let _ = writeln!(std::io::stderr(), "zoneadmd died of signal {signal} before it served");
            ExitCode::FAILURE
        }
        _ => ExitCode::FAILURE,
    }
}

impl Waiting {
    /// Says a line.
    pub(crate) fn say(&self, line: &str) {
        if let Some(pipe) = &self.0 {
            let _ = rustix::io::write(pipe, format!("{line}\n").as_bytes());
        }
    }

    /// Door and console serve.
    pub(crate) fn serving(&mut self) {
        if let Some(pipe) = self.0.take() {
            let _ = rustix::io::write(&pipe, &[SERVING]);
        }
    }

    /// Closes every other descriptor that came with the start.
    pub(crate) fn close_all_others(&self) -> Result<(), zone_sys::Error> {
        match &self.0 {
            Some(pipe) => zone_sys::process::close_all_but(3, &[pipe.as_fd()]),
            None => zone_sys::process::close_from(3),
        }
    }
}

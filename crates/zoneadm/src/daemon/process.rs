//! The process that becomes zoneadmd.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use zone_config::{Layout, ZoneName};

/// What it may say before it serves; more is cut.
const MOST_SAID: u64 = 64 * 1024;

/// The search path of a daemon: it must not depend on who happened to start it.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// The program could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    /// It could not be executed.
    #[error("cannot execute {}", .program.display())]
    Execute {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It could not be waited for.
    #[error("cannot {operation}")]
    Wait {
        /// What was tried.
        operation: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// It neither served nor gave up.
    #[error("it was not ready after {} seconds and was ended", after.as_secs())]
    Late {
        /// How long it was waited for.
        after: Duration,
    },
}

/// A daemon that starts: the process started here exits when the daemon proper, its child, serves.
pub(super) struct Daemon {
    pidfd: OwnedFd,
    said: File,
    begun: Instant,
}

/// How it ended.
pub(super) struct Ended {
    /// Its exit status; 128 and the signal if one ended it.
    pub(super) status: i32,
    /// Its standard error.
    pub(super) said: String,
}

fn wait_error<E: Into<io::Error>>(operation: &'static str) -> impl FnOnce(E) -> ProcessError {
    move |error| ProcessError::Wait { operation, source: error.into() }
}

impl Daemon {
    /// Starts `zoneadmd -z ZONE [-R ROOT]` with a clean environment.
    pub(super) fn spawn(layout: &Layout, zone: &ZoneName) -> Result<Self, ProcessError> {
        let program = Layout::program("zoneadmd");
        let begun = Instant::now();
        let mut command = Command::new(&program);
        command.arg("-z").arg(zone.as_str());
        if !layout.is_default() {
            command.arg("-R").arg(layout.root());
        }
        command.env_clear().env("PATH", PATH);
        for name in ["LC_ALL", "LC_MESSAGES", "LANG"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let execute = |source| ProcessError::Execute { program: program.clone(), source };
        let mut child = command.spawn().map_err(execute)?;
        let said = child.stderr.take().map(OwnedFd::from).map(File::from);
        let said = said.ok_or_else(|| execute(io::ErrorKind::BrokenPipe.into()))?;
        // The child is not reaped before our own wait, so that its number is still its own.
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| execute(io::ErrorKind::InvalidData.into()))?;
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())
            .map_err(wait_error("watch the starting zoneadmd"))?;
        Ok(Self { pidfd, said, begun })
    }

    /// Waits for its end and gathers what it says; ends it if it takes longer than `until`.
    pub(super) fn wait(mut self, until: Instant) -> Result<Ended, ProcessError> {
        rustix::io::ioctl_fionbio(&self.said, true).map_err(wait_error("read from the starting zoneadmd"))?;
        let mut said = Vec::new();
        let mut open = true;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.end());
            }
            let limit = Timespec::try_from(left).ok();
            let mut fds = vec![PollFd::new(&self.pidfd, PollFlags::IN)];
            if open {
                fds.push(PollFd::new(&self.said, PollFlags::IN));
            }
            match poll(&mut fds, limit.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(wait_error("wait for the starting zoneadmd")(errno)),
            }
            let exited = !fds[0].revents().is_empty();
            if open {
                open = drain(&mut self.said, &mut said)
                    .map_err(wait_error("read from the starting zoneadmd"))?;
            }
            if exited {
                let status = self.reap()?;
                return Ok(Ended { status, said: String::from_utf8_lossy(&said).into_owned() });
            }
        }
    }

    fn reap(&self) -> Result<i32, ProcessError> {
        let ended = rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED)
            .map_err(wait_error("wait for the starting zoneadmd"))?;
        let status = ended.map(|ended| {
            ended.exit_status().unwrap_or_else(|| 128 + ended.terminating_signal().unwrap_or_default())
        });
        Ok(status.unwrap_or_default())
    }

    fn end(&self) -> ProcessError {
        // It may have exited by itself just now; then there is nothing to end.
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        match self.reap() {
            Ok(_) => ProcessError::Late { after: self.begun.elapsed() },
            Err(error) => error,
        }
    }
}

/// Reads what is there; `false` at the end. What is over the limit is read and forgotten, so that the writer never
/// waits for us.
fn drain(from: &mut File, to: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(count) if (to.len() as u64) < MOST_SAID => to.extend_from_slice(&buffer[..count]),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        }
    }
}

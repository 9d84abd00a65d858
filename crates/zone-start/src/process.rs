//! The process that becomes zoneadmd.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, fcntl_setfl, open};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, WaitId, WaitIdOptions};
use zone_config::{Layout, ZoneName};
use zone_sys::clone::{Clone, Cloned, Namespaces, SingleThreaded, exit_now};
use zone_sys::{exec, signal};
use zsched::daemon::CommandLine;

/// What it may say before it serves; more is cut.
const MOST_SAID: u64 = 64 * 1024;

/// The program could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// A word of its command line is not UTF-8, or the command line is too long.
    #[error("cannot execute {} for the root {}, which is too long or not valid UTF-8", .program.display(), .root.display())]
    Unspeakable {
        /// The program that was to be executed.
        program: PathBuf,
        /// The root of the layout that it was to work in (`ZONES_ROOT`).
        root: PathBuf,
    },
    /// The system refused something.
    #[error("cannot {operation}")]
    System {
        /// What was tried.
        operation: &'static str,
        /// What the system said.
        source: Box<dyn Error + Send + Sync>,
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

fn system<E: Into<Box<dyn Error + Send + Sync>>>(operation: &'static str) -> impl FnOnce(E) -> ProcessError {
    move |error| ProcessError::System { operation, source: error.into() }
}

impl Daemon {
    /// Starts `zoneadmd -z ZONE [-R ROOT]` with a clean environment, in a cgroup for the zone's supervisors: that of
    /// whoever runs zoneadm may be a login session, and end with it.
    pub(super) fn spawn(layout: &Layout, zone: &ZoneName) -> Result<Self, ProcessError> {
        let program = Layout::program("zoneadmd");
        let block = block(&program, layout, zone).ok_or_else(|| ProcessError::Unspeakable {
            program: program.clone(),
            root: layout.root().into(),
        })?;
        let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .map_err(system("open /dev/null"))?;
        let (said, stderr) = pipe_with(PipeFlags::CLOEXEC).map_err(system("make a pipe"))?;
        fcntl_setfl(&said, OFlags::NONBLOCK).map_err(system("make a pipe"))?;
        // Where there is no such cgroup to be had, the daemon stays in ours; it says itself what that means for the zone.
        let cgroup = zone_platform::cgroup::supervisor(layout, zone).ok();
        let mut child = Clone::new(Namespaces::empty());
        if let Some(cgroup) = &cgroup {
            child = child.into_cgroup(cgroup.as_fd());
        }
        let begun = Instant::now();
        let proof = SingleThreaded::assert().map_err(system("start a process"))?;
        zone_fail::fail!("start.spawn")
            .map_err(|e| system("start a process")(zone_sys::Error::new("clone3", e)))?;
        match child.spawn(proof).map_err(system("start a process"))? {
            Cloned::Parent { pidfd, .. } => Ok(Self { pidfd, said: File::from(said), begun }),
            Cloned::Child => become_daemon(&program, &block, &null, &stderr),
        }
    }

    /// Waits for its end and gathers what it says; ends it if it takes longer than `until`.
    pub(super) fn wait(mut self, until: Instant) -> Result<Ended, ProcessError> {
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
                Err(errno) => return Err(system("wait for the starting zoneadmd")(errno)),
            }
            let exited = !fds[0].revents().is_empty();
            if open {
                open = drain(&mut self.said, &mut said).map_err(system("read from the starting zoneadmd"))?;
            }
            if exited {
                let status = self.reap()?;
                return Ok(Ended { status, said: String::from_utf8_lossy(&said).into_owned() });
            }
        }
    }

    fn reap(&self) -> Result<i32, ProcessError> {
        let wait = || rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
        let ended = rustix::io::retry_on_intr(wait).map_err(system("wait for the starting zoneadmd"))?;
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

/// What the child executes, in the language of whoever starts it.
fn block(program: &Path, layout: &Layout, zone: &ZoneName) -> Option<Vec<u8>> {
    let root = (!layout.is_default()).then(|| layout.root().to_owned());
    let locale = zone_locale::Locale::VARIABLES.into_iter();
    let locale = locale.filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)));
    CommandLine { zone: zone.to_string(), root }.block(program.to_str()?, locale)
}

/// The child's part: what it cannot do it says where the daemon's own complaints go.
fn become_daemon(program: &Path, block: &[u8], null: &OwnedFd, stderr: &OwnedFd) -> ! {
    use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
    let redirected = dup2_stdin(null).and_then(|()| dup2_stdout(null)).and_then(|()| dup2_stderr(stderr));
    if redirected.is_ok() {
        signal::reset_all();
        let error = exec::exec(block);
        let text = format!("cannot execute {}: {}\n", program.display(), error.errno());
        let _ = rustix::io::write(stderr, text.as_bytes());
    }
    exit_now(127)
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

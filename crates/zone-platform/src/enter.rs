//! The way into a live zone, for a command or a login.
//!
//! ```text
//! caller ── clone3(INTO_CGROUP) ──► middle ── clone3 ──► command
//!    host's namespaces              the zone's, but for PID      all of the zone's; execs
//! ```
//!
//! * The caller keeps its place on the host. It gets the near ends of what the command has as its
//!   input and output: of three pipes, or of a pty. They are made *inside*, by the middle process, as
//!   the zone's user: no descriptor of the host's, and never the administrator's own terminal, is
//!   there for the zone to take.
//! * The middle process is needed because `setns(2)` puts only children into a PID namespace. It
//!   looks up the user in the zone's own files with the rights of the zone's root and no more, passes
//!   on signals to the command's process group, and ends as the command ends.
//! * Both are born in the zone's cgroup: `cgroup.procs` is never written. Where that is a leaf of its own, the
//!   leaf is the host's root's, so that nobody in the zone can freeze who is born there.
//! * What the command may is what init may: the same bounding set, the same seccomp list, a session
//!   and a keyring of its own, nothing inheritable, no descriptor but its three.
//!
//! Until the exec neither process can be looked into from the zone (`PR_SET_DUMPABLE`), so the
//! program that it is made from is out of the zone's reach.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, socketpair};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use rustix::termios::{Termios, Winsize};
use zone_sys::clone::{Cloned, SingleThreaded};
use zone_sys::inherit::Inherited;
use zone_sys::unix::{self, Fds};

mod birthplace;
mod command;
mod middle;
mod report;
mod step;

use birthplace::Birthplace;
use report::Report;
pub use report::Stage;

/// How long the processes inside may take until the program is executed. What holds them up for longer is a file
/// system of the zone that does not answer, or a zone that has stopped them.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long who has failed inside may take to end, and how long once more when it has been killed.
const PARTING: Duration = Duration::from_secs(2);
/// How often it is looked whether they are frozen while nothing is heard of them.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };

/// Who is to enter what, and how.
pub struct Entry<'a> {
    /// The zone's first process, whose namespaces are entered.
    pub pidfd: BorrowedFd<'a>,
    /// The directory of the zone's cgroup.
    pub cgroup: BorrowedFd<'a>,
    /// The capabilities that may ever be had, one bit each ([`crate::privileges`]).
    pub bounding: u64,
    /// Whether the zone's clocks are its own.
    pub own_uptime: bool,
    /// The seccomp program ([`crate::seccomp::program`]).
    pub seccomp: &'a [u8],
    /// How many bytes each process can lock in memory, if not as many as on the host.
    pub memlock: Option<u64>,
    /// A terminal for the command; `None` for three pipes.
    pub terminal: Option<Terminal>,
    /// What to execute. It is asked inside the zone, as the zone's root, in a process of its own: it
    /// may read the zone's files as they are seen there. Its error is shown to the caller.
    pub plan: &'a dyn Fn() -> Result<Plan, String>,
    /// What to do in place of executing a program, with the pipes as its standard input, output and errors; gives the exit
    /// status. The process does it as the plan's user, with what a command may, in a copy of the caller that the zone
    /// cannot look into. It must not wait for anything of the caller's but these pipes.
    pub work: Option<&'a dyn Fn() -> i32>,
}

/// What a new terminal starts with: as a rule the settings of the caller's own.
#[derive(Debug, Clone, Default)]
pub struct Terminal {
    /// Its settings; the kernel's defaults if there are none to copy.
    pub settings: Option<Termios>,
    /// The size of its window.
    pub size: Option<Winsize>,
}

/// What to execute, as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// User id in the zone.
    pub uid: u32,
    /// Group id in the zone.
    pub gid: u32,
    /// Supplementary groups in the zone.
    pub groups: Vec<u32>,
    /// Where to start.
    pub directory: PathBuf,
    /// Whether it was asked for: then nothing is executed anywhere else. A home that cannot be entered is no reason to
    /// keep its user out, who starts in `/`.
    pub named: bool,
    /// The program: a path, or a name to be found in the `PATH` of `env`.
    pub program: OsString,
    /// What the program sees as its own name.
    pub name: OsString,
    /// Its arguments, passed on as they are.
    pub args: Vec<OsString>,
    /// Its whole environment; nothing of the caller's is added.
    pub env: Vec<(String, OsString)>,
}

/// The near ends of what the command has as its input and output.
#[derive(Debug)]
pub enum Ends {
    /// The manager side of a pty (non-blocking), and what the zone calls the other side: `pts/3`.
    Terminal {
        /// The manager side, the caller's to read and write.
        manager: OwnedFd,
        /// The name, without `/dev/`.
        name: String,
    },
    /// Three pipes (blocking).
    Pipes {
        /// To be written.
        stdin: OwnedFd,
        /// To be read.
        stdout: OwnedFd,
        /// To be read.
        stderr: OwnedFd,
    },
}

/// Why a zone could not be entered.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// The first process could not be made.
    #[error("could not start a process in the zone")]
    Start(#[source] zone_sys::Error),
    /// A step inside failed.
    #[error("could not {}", .stage.text())]
    Inside {
        /// The step that failed.
        stage: Stage,
        /// What the kernel answered.
        source: Errno,
    },
    /// Something of the caller's own session would have come along.
    #[error(transparent)]
    Inherited(#[from] Inherited),
    /// The cgroup that the processes inside are in is frozen.
    #[error(
        "the cgroup of its logins is frozen, by the zone or for it, and nobody can get in: write 0 to the \
         cgroup.freeze of the zone's cgroup, or end the zone's process that froze it"
    )]
    Frozen,
    /// The processes inside were not heard of any more.
    #[error("the program was not executed within {} seconds: the zone holds up who enters, or a file system of its does", PATIENCE.as_secs())]
    Late,
    /// The plan could not be made; the text says why.
    #[error("{0}")]
    Plan(String),
    /// The program could not be executed.
    #[error("could not execute '{}'", .program.display())]
    Execute {
        /// The program, as the plan had it.
        program: PathBuf,
        /// What the kernel answered.
        source: Errno,
    },
    /// The directory that was asked for could not be entered as the user.
    #[error("could not enter the directory '{}'", .directory.display())]
    Directory {
        /// The directory, as the plan had it.
        directory: PathBuf,
        /// What the kernel answered.
        source: Errno,
    },
    /// It ended on the way in: the zone is going down.
    #[error("the zone went down")]
    Gone,
}

/// A command that runs in a zone.
#[derive(Debug)]
pub struct Entered {
    middle: OwnedFd,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this exit status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

impl End {
    /// The exit status that says the same: 128 and the signal for one that was killed, as shells have it.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Exited(status) => status,
            Self::Killed(signal) => 128 + signal,
        }
    }
}

/// Enters the zone and executes what the plan says. Returns when the program has been executed, with
/// the near ends of its input and output.
///
/// # Errors
/// [`EnterError`]; nothing runs in the zone then.
pub fn enter(proof: SingleThreaded, entry: &Entry<'_>) -> Result<(Entered, Ends), EnterError> {
    let failed = |errno| EnterError::Inside { stage: Stage::Report, source: errno };
    let (near, far) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).map_err(failed)?;
    let (cloned, birthplace) = birthplace::spawn(proof, entry.cgroup)?;
    let middle = match cloned {
        Cloned::Child => middle::run(proof, entry, &far),
        Cloned::Parent { pidfd, .. } => pidfd,
    };
    drop(far);
    match listen(&near, &birthplace) {
        Ok(ends) => Ok((Entered { middle }, ends)),
        Err(error) => {
            // That nobody listens any more keeps a command that is thawed later from being executed.
            drop(near);
            let signal = match error {
                EnterError::Inside { stage: Stage::Report, .. } => Some(Signal::TERM),
                EnterError::Frozen | EnterError::Late => Some(Signal::KILL),
                // It has said what it had to say, reaps the command and exits.
                _ => None,
            };
            part(&middle, signal, PARTING);
            Err(error)
        }
    }
}

/// Sees to the end of the middle process, and reaps it. One that waits in the kernel for a file system of the zone's cannot
/// be killed either, and is not waited for: whoever takes the caller's orphans reaps it, and the command.
fn part(middle: &OwnedFd, signal: Option<Signal>, limit: Duration) {
    for signal in [signal, Some(Signal::KILL)] {
        if let Some(signal) = signal {
            let _ = pidfd_send_signal(middle, signal);
        }
        if ends_within(middle, limit) {
            let _ = waitid(WaitId::PidFd(middle.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
            return;
        }
    }
}

/// Waits for a process' end; `false` if that does not come.
fn ends_within(pidfd: &OwnedFd, limit: Duration) -> bool {
    let until = Instant::now() + limit;
    loop {
        let left = Timespec::try_from(until.saturating_duration_since(Instant::now())).unwrap_or_default();
        match poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&left)) {
            Ok(0) => return false,
            Err(Errno::INTR) => {}
            // What cannot be polled is not waited for.
            ended => return ended.is_ok(),
        }
    }
}

/// Hears what happens inside, until the program has been executed: both processes' ends of the
/// socket are closed then.
fn listen(near: &OwnedFd, birthplace: &Birthplace<'_>) -> Result<Ends, EnterError> {
    let mut ends = None;
    let mut buffer = [0; report::MAX];
    loop {
        wait(near, birthplace)?;
        let (count, fds) = unix::recv(near, &mut buffer, RecvFlags::empty())
            .map_err(|e| EnterError::Inside { stage: Stage::Report, source: e.errno() })?;
        if count == 0 {
            return ends.ok_or(EnterError::Gone);
        }
        match Report::decode(&buffer[..count]) {
            Some(Report::Terminal(name)) => ends = terminal(fds, name),
            Some(Report::Pipes) => ends = pipes(fds),
            Some(Report::Failed(stage, source)) => return Err(EnterError::Inside { stage, source }),
            Some(Report::Inherited(inherited)) => return Err(inherited.into()),
            Some(Report::NoPlan(text)) => return Err(EnterError::Plan(text)),
            Some(Report::NotExecuted(source, program)) => {
                return Err(EnterError::Execute { program: program.into(), source });
            }
            Some(Report::NoDirectory(source, directory)) => {
                return Err(EnterError::Directory { directory: directory.into(), source });
            }
            None => return Err(EnterError::Inside { stage: Stage::Report, source: Errno::PROTO }),
        }
    }
}

/// Waits until there is something to be heard.
fn wait(near: &OwnedFd, birthplace: &Birthplace<'_>) -> Result<(), EnterError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match poll(&mut [PollFd::new(near, PollFlags::IN)], Some(&LOOK)) {
            Ok(0) if birthplace.is_frozen() => return Err(EnterError::Frozen),
            Ok(0) if Instant::now() >= until => return Err(EnterError::Late),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(source) => return Err(EnterError::Inside { stage: Stage::Report, source }),
        }
    }
}

fn terminal(mut fds: Fds, name: String) -> Option<Ends> {
    Some(Ends::Terminal { manager: fds.take(0)?, name })
}

fn pipes(mut fds: Fds) -> Option<Ends> {
    Some(Ends::Pipes { stdin: fds.take(0)?, stdout: fds.take(1)?, stderr: fds.take(2)? })
}

impl Entered {
    /// Becomes readable when the command has ended.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.middle.as_fd()
    }

    /// Sends a signal to the command's process group. A command that has ended is no error.
    pub fn signal(&self, signal: Signal) {
        // The middle process passes it on: it alone is sure whom the number of the group means.
        let _ = pidfd_send_signal(&self.middle, signal);
    }

    /// Waits for the command's end.
    ///
    /// # Errors
    /// What `waitid(2)` says.
    pub fn wait(&self) -> Result<End, Errno> {
        loop {
            match waitid(WaitId::PidFd(self.middle.as_fd()), WaitIdOptions::EXITED) {
                Ok(Some(status)) => {
                    return Ok(match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => End::Exited(code),
                        (None, signal) => End::Killed(signal.unwrap_or_default()),
                    });
                }
                Ok(None) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    #[test]
    #[allow(clippy::zombie_processes)] // reaped by their pidfds
    fn who_does_not_end_in_time_is_killed_and_reaped() {
        let child = |script| {
            let child = std::process::Command::new("sh").args(["-c", script]).spawn().unwrap();
            pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap()
        };
        let is_left = |pidfd: &OwnedFd| {
            waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG).is_ok()
        };
        let short = Duration::from_millis(1);
        let stopped = child("kill -STOP $$");
        let stops = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
        waitid(WaitId::PidFd(stopped.as_fd()), stops).unwrap();
        assert!(!ends_within(&stopped, short));
        part(&stopped, Some(Signal::TERM), PARTING);
        assert!(!is_left(&stopped), "it was killed and reaped");
        let ended = child("exit 0");
        part(&ended, None, PARTING);
        assert!(!is_left(&ended));
    }
}

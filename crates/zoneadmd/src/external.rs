//! Running a program that may hang: within a time limit, and ended with all that it started.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

/// The most of its complaint that is kept.
const MOST_SAID: usize = 4096;

/// How it ended, and what it said to its standard error if that is a pipe.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stderr: Vec<u8>,
}

/// Why there is no output.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExternalError {
    #[error("it could not be started")]
    Start(#[source] io::Error),
    #[error("it did not end within {0} seconds and was killed")]
    Late(u64),
}

/// Runs `command` in a process group of its own, which is killed as a whole when `limit` is over.
pub(crate) fn run(mut command: Command, limit: Duration) -> Result<Output, ExternalError> {
    let begun = Instant::now();
    let mut child = command.process_group(0).spawn().map_err(ExternalError::Start)?;
    let pid = Pid::from_child(&child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|e| ExternalError::Start(e.into()));
    let mut pipe = child.stderr.take();
    let mut stderr = Vec::new();
    let ended = pidfd.and_then(|pidfd| {
        loop {
            let left = limit.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(ExternalError::Late(limit.as_secs()));
            }
            let slice = Timespec::try_from(left).ok();
            let mut fds = vec![PollFd::new(&pidfd, PollFlags::IN)];
            fds.extend(pipe.as_ref().map(|pipe| PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)));
            if poll(&mut fds, slice.as_ref()).is_err() {
                continue;
            }
            let exited = !fds[0].revents().is_empty();
            // What it said before it ended is there by now; what others say later nobody waits for.
            if fds.get(1).is_some_and(|fd| !fd.revents().is_empty()) && !drain(&mut pipe, &mut stderr) {
                pipe = None;
            }
            if exited {
                return Ok(());
            }
        }
    });
    if ended.is_err() {
        // While its leader is not waited for, the number is nobody else's.
        let _ = kill_process_group(pid, Signal::KILL);
    }
    match ended {
        Ok(()) => {
            let status = child.wait().map_err(ExternalError::Start)?;
            Ok(Output { status, stderr })
        }
        Err(error) => {
            // It goes when the kernel lets it, and somebody has to take note: where there is no thread for that, init
            // does when this daemon ends.
            let _ = std::thread::Builder::new().spawn(move || child.wait());
            Err(error)
        }
    }
}

/// Reads what there is; false at the end.
fn drain(pipe: &mut Option<std::process::ChildStderr>, into: &mut Vec<u8>) -> bool {
    let mut chunk = [0; MOST_SAID];
    match pipe.as_mut().map(|pipe| pipe.read(&mut chunk)) {
        Some(Ok(n @ 1..)) => {
            let room = MOST_SAID.saturating_sub(into.len());
            into.extend_from_slice(&chunk[..n.min(room)]);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Stdio;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdin(Stdio::null()).stderr(Stdio::piped());
        command
    }

    #[test]
    fn what_ends_is_heard() {
        let output = run(shell("echo no >&2; exit 3"), Duration::from_secs(60)).unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(3), &b"no\n"[..]));
    }

    #[test]
    fn what_hangs_is_ended_with_what_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        let script = format!("mkfifo {0}; sleep 1000 > {0} & cat {0}", fifo.display());
        let error = run(shell(&script), Duration::from_millis(300)).unwrap_err();
        assert!(error.to_string().contains("and was killed"));
        // Nobody has it open for writing any more, so there is an end to be read.
        let reader = std::fs::OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
        drop(reader);
    }
}

//! Starting a program from a process with threads.

use crate::clone::{Clone, Cloned, Namespaces, exit_now};
use crate::{Result, exec, inherit, process};
use rustix::fd::{BorrowedFd, OwnedFd};

/// Starts the program of an exec block (see [`exec::block`]) in a session of its own, with `fds` at 3, 4, 5, …
/// (at most [`process::MAX_PLACED`]) and nothing inherited of the caller's ([`inherit::reset`], with
/// `oom_score_adj`). Gives its pidfd.
///
/// What cannot be put back stays: the caller has put back its own at its start, or refused to run.
///
/// Between the clone and the exec nothing allocates or takes a lock, so this may be called by any thread.
///
/// # Errors
/// If there is no second process to be had. A program that cannot be executed shows in that it ends with
/// status 127.
pub fn spawn(block: &[u8], fds: &[BorrowedFd<'_>], oom_score_adj: i16) -> Result<OwnedFd> {
    match Clone::new(Namespaces::empty()).spawn_with_threads()? {
        Cloned::Parent { pidfd, .. } => Ok(pidfd),
        Cloned::Child => {
            let _ = inherit::reset(inherit::Role::Host { oom_score_adj });
            let _ = rustix::process::setsid();
            if process::place_for_exec(fds).is_ok() {
                let _ = exec::exec(block);
            }
            exit_now(127)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsFd;
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    use std::io::Read;

    #[test]
    fn a_program_gets_its_descriptors() {
        let (mut ours, theirs) = std::io::pipe().unwrap();
        let args = ["sh", "-c", "echo here >&3"].map(String::from);
        let block = exec::block("/bin/sh", &args, &[]).unwrap();
        let pidfd = spawn(&block, &[theirs.as_fd()], 0).unwrap();
        drop(theirs);
        let mut said = String::new();
        ours.read_to_string(&mut said).unwrap();
        assert_eq!(said, "here\n");
        let end = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).unwrap().unwrap();
        assert_eq!(end.exit_status(), Some(0));
    }
}

//! The zone that is kept: its first process, and how its end is learned.

use crate::create::First;
use crate::tracer::{Seen, Tracer};
use crate::{nanoseconds, seconds};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use rustix::time::Timespec;
use zone_sys::unix::Fds;
use zsched::wire::{Adopt, Adopted, End, Failure, KEPT, Phase, Stage, Status, Witness};

/// A zone.
#[derive(Debug)]
pub(crate) struct Zone {
    pub(crate) status: Status,
    /// Where the first process waits, if it does.
    pub(crate) gate: Option<OwnedFd>,
    /// The first process; none for a zone that was down when it was taken over.
    pidfd: Option<OwnedFd>,
    cgroup: OwnedFd,
    /// Only held: terminals of the zone that nobody reads would hang up without a manager, and a daemon reads its sockets.
    kept: Kept,
    /// For one that is not our child.
    tracer: Option<Tracer>,
}

/// Descriptors that a request has asked to be held with the incarnation.
pub(crate) type Kept = [Option<OwnedFd>; KEPT];

impl Zone {
    /// One that was just made.
    pub(crate) fn made(first: First, cgroup: OwnedFd, kept: Kept, restarts: u32, last_uniqid: u64) -> Self {
        let status = Status {
            phase: Phase::Ready,
            uniqid: nanoseconds().max(last_uniqid + 1),
            pid: first.pid,
            since: seconds(),
            restarts,
            ..Status::default()
        };
        let (gate, pidfd) = (Some(first.gate), Some(first.pidfd));
        Self { status, gate, pidfd, cgroup, kept, tracer: None }
    }

    /// One whose zsched died.
    pub(crate) fn adopted(request: &Adopt, fds: &mut Fds) -> Result<Self, Failure> {
        let bad = |errno| Failure::new(Stage::Request, errno);
        let (cgroup, pidfd) = (fds.take(0).ok_or(bad(Errno::BADF))?, fds.take(1));
        let lives = matches!(request.phase, Phase::Running | Phase::Stopping);
        if lives == pidfd.is_none() || !(lives || request.phase == Phase::Down) || request.uniqid == 0 {
            return Err(bad(Errno::INVAL));
        }
        let Adopt { phase, uniqid, pid, since, end, ended, restarts, lost, .. } = *request;
        let adopted = Some(Adopted { at: seconds().max(1), witness: Witness::Nobody, lost });
        let status = Status { phase, uniqid, pid, since, end, ended, restarts, adopted, ..Status::default() };
        let before = if pidfd.is_some() { 2 } else { 1 };
        let mut kept = Kept::default();
        for (index, slot) in kept.iter_mut().enumerate().take(usize::from(request.kept)) {
            *slot = fds.take(before + index);
        }
        let mut zone = Self { status, gate: None, pidfd, cgroup, kept, tracer: None };
        zone.trace();
        Ok(zone)
    }

    /// Becomes the tracer of a first process that is not our child, if that can be had now. It may have one
    /// already (a debugger in the zone, which goes away), or security forbids it.
    pub(crate) fn trace(&mut self) {
        let (Some(adopted), None, true) = (
            &mut self.status.adopted,
            &self.tracer,
            matches!(self.status.phase, Phase::Running | Phase::Stopping),
        ) else {
            return;
        };
        self.tracer = Pid::from_raw(self.status.pid).and_then(Tracer::seize);
        adopted.witness = if self.tracer.is_some() { Witness::Tracer } else { Witness::Nobody };
    }

    /// What tells that something happened to the first process: its pidfd, and what a tracer needs.
    pub(crate) fn watched(&self) -> (Option<BorrowedFd<'_>>, Option<BorrowedFd<'_>>) {
        let lives = self.status.phase != Phase::Down;
        let pidfd = self.pidfd.as_ref().filter(|_| lives).map(AsFd::as_fd);
        (pidfd, self.tracer.as_ref().filter(|_| lives).map(Tracer::signals))
    }

    /// After how long to look at it even if nothing happens.
    pub(crate) fn patience(&self) -> Option<Timespec> {
        self.tracer.as_ref().and_then(Tracer::patience)
    }

    /// Its pidfd and its cgroup, for whoever enters or stops it.
    pub(crate) fn fds(&self) -> Option<[BorrowedFd<'_>; 2]> {
        Some([self.pidfd.as_ref()?.as_fd(), self.cgroup.as_fd()])
    }

    /// Gives copies of what is held with it.
    pub(crate) fn kept(&self) -> Result<Vec<OwnedFd>, Failure> {
        let copies = self.kept.iter().flatten().map(OwnedFd::try_clone);
        let failed = |error: std::io::Error| {
            Failure::new(Stage::Request, Errno::from_io_error(&error).unwrap_or(Errno::MFILE))
        };
        copies.map(|copy| copy.map_err(failed)).collect()
    }

    /// Looks what happened to the first process. True if it has ended.
    pub(crate) fn look(&mut self) -> bool {
        let Some(pidfd) = &self.pidfd else { return false };
        let end = if self.status.adopted.is_none() {
            let Ok(Some(ended)) =
                waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
            else {
                return false;
            };
            Some(match (ended.exit_status(), ended.terminating_signal()) {
                (Some(status), _) => End::Exited(status),
                (None, signal) => End::Killed(signal.unwrap_or(0)),
            })
        } else {
            // Asked before the tracer: what ends after this is seen the next time.
            let gone = poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&Timespec::default())) == Ok(1);
            match self.tracer.as_mut().map_or(Seen::Lost, Tracer::look) {
                Seen::Ended(end) => Some(end),
                // Another process of a debugger's kind, or another thread that became the first process by an exec
                // (ptrace(2), "execve(2) under ptrace").
                Seen::Lost if gone => None,
                Seen::Lost => {
                    self.tracer = None;
                    self.trace();
                    return false;
                }
                Seen::Lives => return false,
            }
        };
        self.status.phase = Phase::Down;
        self.status.ended = seconds();
        self.status.end = end;
        self.tracer = None;
        true
    }
}

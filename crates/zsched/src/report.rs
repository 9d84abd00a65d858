//! What the helpers tell zsched while a zone is being made: one small packet each, over the socket
//! pair that later is the gate at which the first process waits.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use zone_sys::unix::{self, Fds};
use zsched::wire::{Failure, REPLY, Reply, Status};

/// A packet from a helper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    /// The builder made the first process: its pid; the pidfd comes along.
    First(i32),
    /// The first process opened proc and sysfs for its own namespaces, which only zsched may mount:
    /// the two file system contexts come along.
    Contexts,
    /// The first process is set up and waits.
    Waiting,
    /// The user namespace is there, its ids not mapped yet, and comes along.
    UserNamespace,
    /// The network and IPC namespaces are made and come along.
    Network,
    /// It went wrong.
    Failed(Failure),
}

impl Report {
    /// Sends it with `fds`.
    pub(crate) fn send(self, gate: impl AsFd, fds: &[BorrowedFd<'_>]) -> zone_sys::Result<()> {
        // The packet is a reply as on the outer socket, so that there is one format only.
        let reply = match self {
            Report::Failed(failure) => Reply::Failed(failure),
            Report::First(pid) => Reply::Done(Status { pid, uniqid: 1, ..Status::default() }),
            Report::Contexts => Reply::Done(Status { uniqid: 2, ..Status::default() }),
            Report::Waiting => Reply::Done(Status { uniqid: 3, ..Status::default() }),
            Report::Network => Reply::Done(Status { uniqid: 4, ..Status::default() }),
            Report::UserNamespace => Reply::Done(Status { uniqid: 5, ..Status::default() }),
        };
        unix::send(gate, &reply.encode(), fds).map(|_| ())
    }

    /// Receives one; `None` when all helpers are gone.
    pub(crate) fn recv(gate: &OwnedFd) -> Result<Option<(Self, Fds)>, Errno> {
        let mut packet = [0; REPLY];
        let (n, fds) = unix::recv(gate, &mut packet, RecvFlags::empty()).map_err(|e| e.errno())?;
        if n == 0 {
            return Ok(None);
        }
        let report = match Reply::decode(&packet[..n]) {
            Some(Reply::Failed(failure)) => Report::Failed(failure),
            Some(Reply::Done(Status { uniqid: 1, pid, .. })) => Report::First(pid),
            Some(Reply::Done(Status { uniqid: 2, .. })) => Report::Contexts,
            Some(Reply::Done(Status { uniqid: 3, .. })) => Report::Waiting,
            Some(Reply::Done(Status { uniqid: 4, .. })) => Report::Network,
            Some(Reply::Done(Status { uniqid: 5, .. })) => Report::UserNamespace,
            _ => return Err(Errno::PROTO),
        };
        Ok(Some((report, fds)))
    }
}

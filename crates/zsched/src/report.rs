//! What the helpers tell zsched while a zone is being made: one small packet each, over the socket
//! pair that later is the gate at which the first process waits. Both ends are one program, so that the packets need no
//! number of a protocol.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use zone_sys::unix::{self, Fds};
use zsched::wire::Failure;

/// A packet from a helper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    /// The builder made the first process: its pid; the pidfd comes along.
    First(i32),
    /// The first process opened file systems for its own namespaces, which only zsched may mount: the file system contexts
    /// of proc and, unless the builder has mounted that, sysfs come along; the answer has the mounts.
    Contexts,
    /// The first process is set up and waits.
    Waiting,
    /// The user namespace is made, its ids not mapped yet, and comes along.
    UserNamespace,
    /// The namespaces that were asked for are made and come along, in the order of their kinds.
    Namespaces,
    /// It went wrong.
    Failed(Failure),
}

/// The bytes of a packet: what it is, and up to three numbers.
const SIZE: usize = 16;

impl Report {
    fn encode(self) -> [u8; SIZE] {
        let (tag, body) = match self {
            Report::First(pid) => (1, [pid.cast_unsigned(), 0, 0]),
            Report::Contexts => (2, [0; 3]),
            Report::Waiting => (3, [0; 3]),
            Report::UserNamespace => (4, [0; 3]),
            Report::Namespaces => (5, [0; 3]),
            Report::Failed(failure) => (6, failure.numbers()),
        };
        let mut packet = [0; SIZE];
        for (bytes, number) in packet.chunks_exact_mut(4).zip([tag].into_iter().chain(body)) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        packet
    }

    fn decode(packet: &[u8; SIZE]) -> Option<Self> {
        let number =
            |at: usize| u32::from_le_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]);
        Some(match number(0) {
            1 => Report::First(number(4).cast_signed()),
            2 => Report::Contexts,
            3 => Report::Waiting,
            4 => Report::UserNamespace,
            5 => Report::Namespaces,
            6 => Report::Failed(Failure::of_numbers([number(4), number(8), number(12)])?),
            _ => return None,
        })
    }

    /// Sends it with `fds`.
    pub(crate) fn send(self, gate: impl AsFd, fds: &[BorrowedFd<'_>]) -> zone_sys::Result<()> {
        unix::send(gate, &self.encode(), fds).map(|_| ())
    }

    /// Receives one; `None` when all helpers are gone.
    pub(crate) fn recv(gate: &OwnedFd) -> Result<Option<(Self, Fds)>, Errno> {
        let mut packet = [0; SIZE];
        let (n, fds) = unix::recv(gate, &mut packet, RecvFlags::empty()).map_err(|e| e.errno())?;
        match n {
            0 => Ok(None),
            SIZE => Ok(Some((Self::decode(&packet).ok_or(Errno::PROTO)?, fds))),
            _ => Err(Errno::PROTO),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zsched::wire::Stage;

    #[test]
    fn reports_survive_the_wire() {
        let failed = Report::Failed(Failure::nth(Stage::Attach, 7, Errno::INVAL));
        let others = [Report::Contexts, Report::Waiting, Report::UserNamespace, Report::Namespaces];
        for report in others.into_iter().chain([Report::First(i32::MAX), failed]) {
            assert_eq!(Report::decode(&report.encode()), Some(report));
        }
        let mut unknown = failed.encode();
        unknown[12..].copy_from_slice(&0_u32.to_le_bytes());
        assert_eq!(Report::decode(&unknown), None, "no error has the number 0");
        assert_eq!(Report::decode(&[9; SIZE]), None);
    }
}

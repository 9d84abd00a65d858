//! The descriptors that zsched gives, and takes.

use crate::wire::{Origin, Origins};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};

/// Holds the console's descriptors, each the caller's own copy.
#[derive(Debug)]
pub struct ConsoleFds {
    /// The pty's manager side.
    pub manager: OwnedFd,
    /// The pty's subsidiary side.
    pub subsidiary: OwnedFd,
    /// The memfd of the kept output.
    pub ring: OwnedFd,
}

/// What one needs to enter or stop a live zone.
#[derive(Debug)]
pub struct ZoneFds {
    /// The first process, as a pidfd.
    pub pidfd: OwnedFd,
    /// The zone's cgroup directory.
    pub cgroup: OwnedFd,
}

/// Namespaces that were asked for.
#[derive(Debug, Default)]
pub struct NamespaceFds {
    /// Of the network; its loopback interface is up.
    pub net: Option<OwnedFd>,
    /// Of IPC: message queues, semaphores and shared memory.
    pub ipc: Option<OwnedFd>,
    /// Of the clocks, without offsets.
    pub time: Option<OwnedFd>,
    /// Of the host name.
    pub uts: Option<OwnedFd>,
}

impl NamespaceFds {
    /// Where the namespaces of a zone come from that is made with these and else has the usual ones.
    #[must_use]
    pub fn origins(&self) -> Origins {
        let mut origins = Origins::default();
        for (fd, origin) in [
            (&self.net, &mut origins.net),
            (&self.ipc, &mut origins.ipc),
            (&self.time, &mut origins.time),
            (&self.uts, &mut origins.uts),
        ] {
            if fd.is_some() {
                *origin = Origin::Given;
            }
        }
        origins
    }

    /// The descriptors in the order in which [`Create`](crate::wire::Create) takes them.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [&self.net, &self.ipc, &self.time, &self.uts].into_iter().flatten().map(AsFd::as_fd)
    }
}

//! Everything that the daemon keeps for the case that zsched dies: what it takes to start another and hand it the running zone.

use crate::kept::Kept;
use crate::sync::lock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use zsched::client::{Client, ConsoleFds, ZoneFds};
use zsched::wire::{Phase, SOCKETS, Status};

/// What the daemon keeps for the case that zsched dies.
#[derive(Debug)]
pub struct KeeperBackup {
    /// The console, beside its subsidiary side, which the zone has.
    pub(crate) manager: Mutex<OwnedFd>,
    /// The kept output.
    pub ring: OwnedFd,
    /// The listening sockets of console and door.
    pub(crate) sockets: [OwnedFd; SOCKETS],
    /// The zone.
    pub(crate) held: Mutex<Option<Held>>,
    /// What zsched holds with the zone, and of which incarnation that is.
    pub(crate) kept: Mutex<Option<(u64, Kept)>>,
    /// zsched, if this daemon has started it.
    pub(crate) child: Mutex<Option<OwnedFd>>,
    /// The connection on which the events of a new zsched come, until somebody listens to it.
    pub(crate) fresh: Mutex<Option<Client>>,
    /// zsched is told to end: there is to be no other.
    retired: AtomicBool,
    /// What is to be said of it.
    pub(crate) reported: Mutex<Vec<String>>,
}

/// A zone.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) status: Status,
    pub(crate) fds: ZoneFds,
}

impl KeeperBackup {
    /// Keeps copies of the console and of the listening sockets of console and door, and zsched if this daemon has started it.
    ///
    /// # Errors
    /// When there are no descriptors for them.
    pub fn new(
        console: &ConsoleFds,
        [to_console, to_door]: [&OwnedFd; SOCKETS],
        child: Option<OwnedFd>,
    ) -> std::io::Result<Self> {
        Ok(Self {
            manager: Mutex::new(console.manager.try_clone()?),
            ring: console.ring.try_clone()?,
            sockets: [to_console.try_clone()?, to_door.try_clone()?],
            held: Mutex::default(),
            kept: Mutex::default(),
            child: Mutex::new(child),
            fresh: Mutex::default(),
            retired: AtomicBool::new(false),
            reported: Mutex::default(),
        })
    }

    /// Whether zsched was told to end.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Whether somebody waits at console or door to be accepted.
    #[must_use]
    pub fn is_waited_for(&self) -> bool {
        let mut fds = self.sockets.each_ref().map(|socket| PollFd::new(socket, PollFlags::IN));
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// From now on nobody replaces zsched.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// The console has another pty.
    pub fn set_manager(&self, manager: OwnedFd) {
        *lock(&self.manager) = manager;
    }

    /// The connection to a zsched that was started meanwhile.
    pub fn take_events(&self) -> Option<Client> {
        lock(&self.fresh).take()
    }

    /// What is to be said about deaths since this was last asked.
    pub fn take_messages(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.reported))
    }

    /// Forgets the zone. What is held of it holds on to its memory.
    pub(crate) fn forget(&self) {
        *lock(&self.held) = None;
        *lock(&self.kept) = None;
    }

    /// Whether a zone is held, dead or alive.
    pub fn holds_a_zone(&self) -> bool {
        lock(&self.held).is_some()
    }

    /// Whether a zone is held whose first process lives.
    pub(crate) fn holds_one_that_lives(&self) -> bool {
        let held = lock(&self.held);
        held.as_ref().is_some_and(|held| held.status.lives() && !has_ended(&held.fds.pidfd))
    }

    /// The zone as it was last heard of, if its first process has ended since.
    pub fn died_unseen(&self) -> Option<Status> {
        let held = lock(&self.held);
        let held = held.as_ref().filter(|held| held.status.lives() && has_ended(&held.fds.pidfd))?;
        Some(Status { phase: Phase::Down, ended: crate::clock::now(), ..held.status })
    }
}

/// Whether the process of `pidfd` has ended.
pub(crate) fn has_ended(pidfd: &OwnedFd) -> bool {
    poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&Timespec::default())) == Ok(1)
}

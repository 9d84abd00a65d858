//! The table of connections: few, bounded, root's only.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::net::{SocketFlags, accept_with};

/// The most connections at a time: the daemon's two, and a few logins and listings that each last
/// a millisecond.
pub(crate) const MAX: usize = 24;

/// How long to wait after a connection could not be accepted.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// The connections.
#[derive(Debug)]
pub(crate) struct Clients {
    slots: [Option<OwnedFd>; MAX],
    attached: Option<usize>,
}

impl Clients {
    /// A table whose first connection is the daemon that started us, attached already.
    pub(crate) fn new(daemon: OwnedFd) -> Self {
        let mut slots = [const { None }; MAX];
        slots[0] = Some(daemon);
        Self { slots, attached: Some(0) }
    }

    /// Accepts a connection if its peer is the host's root and there is room. Descriptors beyond
    /// the table are closed at once, so nobody can exhaust ours.
    pub(crate) fn accept(&mut self, listener: &OwnedFd) {
        let Ok(socket) = accept_with(listener, SocketFlags::CLOEXEC) else {
            // Whoever waits there is not lost, but is not to be looked at all the time while nothing can be done.
            std::thread::sleep(PAUSE);
            return;
        };
        let trusted = zone_sys::unix::peer(&socket).is_ok_and(|peer| peer.uid == 0);
        if trusted && let Some(free) = self.slots.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(socket);
        }
    }

    pub(crate) fn get(&self, slot: usize) -> Option<&OwnedFd> {
        self.slots.get(slot)?.as_ref()
    }

    pub(crate) fn close(&mut self, slot: usize) {
        self.slots[slot] = None;
        if self.attached == Some(slot) {
            self.attached = None;
        }
    }

    /// The daemon is now the one at `slot`.
    pub(crate) fn attach(&mut self, slot: usize) {
        self.attached = Some(slot);
    }

    /// Whether a daemon is there.
    pub(crate) fn daemon(&self) -> Option<&OwnedFd> {
        self.get(self.attached?)
    }

    /// The connections with their slots.
    pub(crate) fn all(&self) -> impl Iterator<Item = (usize, BorrowedFd<'_>)> {
        self.slots.iter().enumerate().filter_map(|(slot, socket)| Some((slot, socket.as_ref()?.as_fd())))
    }
}

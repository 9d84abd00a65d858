//! The table of connections: few, bounded, root's only.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use rustix::time::Timespec;
use std::time::{Duration, Instant};
use zone_sys::reserve::Reserve;
use zone_sys::unix;
use zsched::wire::{Failure, REPLY, Reply, Stage};

/// The most connections at a time: the daemon's two, and logins and listings that each last
/// a millisecond.
pub(crate) const MAX: usize = 64;

/// How long nobody is looked for after one could neither be accepted nor turned away; each further time in a row twice
/// as long.
const PAUSE: Duration = Duration::from_millis(20);
/// The longest of these.
const LONGEST: Duration = Duration::from_secs(1);

/// The connections.
#[derive(Debug)]
pub(crate) struct Clients {
    slots: [Option<OwnedFd>; MAX],
    attached: Option<usize>,
    reserve: Reserve,
    /// Whoever waits is not looked at until then: it would be looked at all the time.
    rest: Option<Instant>,
    pause: Duration,
}

impl Clients {
    /// A table whose first connection is the daemon that started us, attached already.
    pub(crate) fn new(daemon: OwnedFd) -> Self {
        let mut slots = [const { None }; MAX];
        slots[0] = Some(daemon);
        Self { slots, attached: Some(0), reserve: Reserve::new(), rest: None, pause: PAUSE }
    }

    /// Accepts a connection if its peer is the host's root. Where there is no room for it, here or in the table of
    /// descriptors, it is told so and closed at once: nobody can exhaust ours, and nobody waits for nothing.
    pub(crate) fn accept(&mut self, listener: &OwnedFd) {
        let accepted =
            zone_fail::fail!("keeper.accept").and_then(|()| accept_with(listener, SocketFlags::CLOEXEC));
        let socket = match accepted {
            Ok(socket) => socket,
            Err(Errno::INTR) => return,
            Err(errno) => return self.turn_away(listener, errno),
        };
        self.pause = PAUSE;
        if !unix::peer(&socket).is_ok_and(|peer| peer.uid == 0) {
            return;
        }
        if let Some(free) = self.slots.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(socket);
        } else {
            let _ = unix::send(&socket, &refusal(Errno::USERS), &[]);
        }
    }

    fn turn_away(&mut self, listener: &OwnedFd, errno: Errno) {
        if self.reserve.turn_away(listener, &refusal(errno)).is_ok() {
            self.pause = PAUSE;
            return;
        }
        self.rest = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(LONGEST);
    }

    /// Whether to look for new connections, and if not, how long.
    pub(crate) fn rest(&mut self) -> Option<Timespec> {
        let left = self.rest?.checked_duration_since(Instant::now()).filter(|left| !left.is_zero());
        if left.is_none() {
            self.rest = None;
        }
        left.and_then(|left| Timespec::try_from(left).ok())
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

    /// Whether the one at `slot` is the daemon.
    pub(crate) fn is_daemon(&self, slot: usize) -> bool {
        self.attached == Some(slot)
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

/// What one is told that there is no room for.
fn refusal(errno: Errno) -> [u8; REPLY] {
    Reply::Failed(Failure::new(Stage::Accept, errno)).encode()
}

//! What zsched waits for, in as little memory as can be: it is what it does nearly all of its life.

use super::Keeper;
use crate::clients::MAX;
use crate::zone::Zone;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;
use zsched::wire::SOCKETS;

/// How long to wait after a failure of the kernel's that passes by itself.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// What is polled besides the connections, whose numbers are those of their slots.
pub(super) const LISTENER: usize = MAX;
pub(super) const MANAGER: usize = MAX + 1;
pub(super) const FIRST: usize = MAX + 2;
pub(super) const STARTING: usize = MAX + 3;
pub(super) const SIGNALS: usize = MAX + 4;
pub(super) const CALLERS: usize = MAX + 5;
const TABLE: usize = CALLERS + SOCKETS;

/// What came of waiting.
pub(super) struct Happened {
    /// What is there, by the slot of a connection or one of the constants above.
    pub(super) ready: [PollFlags; TABLE],
    /// Whether the first process is to be looked at all the same.
    pub(super) doubt: bool,
}

impl Keeper {
    /// Waits until something happens, or is to be looked at. Starts a daemon where one is wanted.
    #[inline(never)]
    pub(super) fn wait(&mut self) -> Happened {
        self.show();
        let [unread, late] = self.restraint.look(self.unlogged());
        let wanted = self.wants_daemon();
        if wanted {
            self.upcall.start_if_due(self.proof);
        }
        // Nobody is connected, and nobody may come for years.
        let alone = self.clients.all().next().is_none();
        if alone {
            self.message.give_back();
        }
        let doubt = self.zone.as_ref().and_then(Zone::patience);
        let rest = self.clients.rest();
        let wait = if wanted { self.upcall.wait() } else { doubt };
        let wait = wait.into_iter().chain(rest).chain(unread).chain(late).min();
        let mut happened = Happened { ready: [PollFlags::empty(); TABLE], doubt: doubt.is_some() };
        let mut slots = [0; TABLE];
        let mut table: [PollFd<'_>; TABLE] =
            std::array::from_fn(|_| PollFd::new(&self.listener, PollFlags::empty()));
        let mut used = 0;
        let passed_over = [rest.map(|_| LISTENER), unread.map(|_| MANAGER)];
        let watched = self.watched().filter(|(slot, _)| !passed_over.contains(&Some(*slot)));
        for (slot, fd) in watched {
            (table[used], slots[used]) = (PollFd::from_borrowed_fd(fd, PollFlags::IN), slot);
            used += 1;
        }
        if alone {
            zone_sys::stack::give_back(self.proof);
        }
        match poll(&mut table[..used], wait.as_ref()) {
            Ok(_) => {
                table[..used]
                    .iter()
                    .zip(slots)
                    .for_each(|(entry, slot)| happened.ready[slot] = entry.revents());
            }
            Err(Errno::INTR) => happened.doubt = false,
            // A shortage of memory: it passes, or nothing helps, but not by trying without a pause.
            Err(_) => {
                std::thread::sleep(PAUSE);
                happened.doubt = false;
            }
        }
        happened
    }

    /// What to poll, each at most once, with what it is: the slot of a connection or one of the constants above.
    fn watched(&self) -> impl Iterator<Item = (usize, BorrowedFd<'_>)> {
        let console =
            (self.readable && self.clients.daemon().is_none()).then(|| self.console.manager.as_fd());
        let (first, signals) = self.zone.as_ref().map_or((None, None), Zone::watched);
        let callers = self.sockets.watched().into_iter().enumerate();
        let callers = callers
            .filter_map(|(index, socket)| Some((CALLERS + index, socket?)))
            .filter(|_| self.clients.daemon().is_none());
        let others = [
            (LISTENER, Some(self.listener.as_fd())),
            (MANAGER, console),
            (FIRST, first),
            (SIGNALS, signals),
            (STARTING, self.upcall.starting()),
        ];
        let others = others.into_iter().filter_map(|(what, fd)| Some((what, fd?)));
        self.clients.all().chain(others).chain(callers)
    }
}

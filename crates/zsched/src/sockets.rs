//! The listening sockets of the zone's console and door. zsched holds them, so that one can connect as long as the zone lives, and
//! looks at them while no daemon is there: whoever waits has one started, which finds him where he waits.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use zsched::wire::SOCKETS;

/// The sockets.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    held: Option<[OwnedFd; SOCKETS]>,
    /// Somebody waits. He is not looked at any more: it would be seen all the time.
    waits: bool,
}

impl Sockets {
    /// Holds these from now on.
    pub(crate) fn hold(&mut self, sockets: [OwnedFd; SOCKETS]) {
        *self = Self { held: Some(sockets), waits: false };
    }

    /// Those that are held, all of them or none.
    pub(crate) fn all(&self) -> &[OwnedFd] {
        self.held.as_ref().map_or(&[], |held| held)
    }

    /// What tells that somebody has come, as long as that is not known.
    pub(crate) fn watched(&self) -> [Option<BorrowedFd<'_>>; SOCKETS] {
        let all = if self.waits { &[] } else { self.all() };
        std::array::from_fn(|index| all.get(index).map(AsFd::as_fd))
    }

    /// Somebody has come.
    pub(crate) fn came(&mut self) {
        self.waits = true;
        zone_fail::pass!("callers.came");
    }

    /// Whether somebody is known to wait.
    pub(crate) fn has_callers(&self) -> bool {
        self.waits
    }

    /// A daemon has come, or gone: who waits then is to be seen anew.
    pub(crate) fn look_anew(&mut self) {
        self.waits = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_not_looked_at_again_until_a_daemon_has_come_or_gone() {
        let mut sockets = Sockets::default();
        sockets.came();
        assert!(sockets.all().is_empty() && sockets.watched().iter().all(Option::is_none));
        let (one, other) = rustix::pipe::pipe().unwrap();
        sockets.hold([one, other]);
        assert!(!sockets.has_callers() && sockets.watched().iter().all(Option::is_some));
        sockets.came();
        assert!(sockets.has_callers() && sockets.watched().iter().all(Option::is_none));
        sockets.look_anew();
        assert!(!sockets.has_callers() && sockets.watched().iter().all(Option::is_some));
    }
}

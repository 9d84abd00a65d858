//! What zsched holds with an incarnation and a daemon has a use for. The daemon has copies, which another zsched would be handed.

use crate::sync::lock;
use crate::zone::Zone;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::FileType;
use zone_sys::Chain;
use zsched::wire::Phase;

/// Descriptors of one incarnation, each known by what it is of: no other that zsched holds with it is of these kinds.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// The socket at which the zone's init says that it is ready.
    notify: Option<OwnedFd>,
    /// The zone's `/run`, which is there until this is closed: what was left in it for a reboot is read when nobody of the zone lives.
    run: Option<OwnedFd>,
}

impl Kept {
    fn of(held: Vec<OwnedFd>) -> Self {
        let mut kept = Self::default();
        for fd in held {
            match rustix::fs::fstat(&fd).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
                Ok(FileType::Socket) => kept.notify = Some(fd),
                Ok(FileType::Directory) => kept.run = Some(fd),
                _ => {}
            }
        }
        kept
    }

    /// Gives what another zsched is handed of a zone in `phase`: who has ended tells nobody that it is ready.
    pub(crate) fn handed_on(&self, phase: Phase) -> impl Iterator<Item = BorrowedFd<'_>> {
        let notify = self.notify.as_ref().filter(|_| phase != Phase::Down);
        notify.into_iter().chain(&self.run).map(AsFd::as_fd)
    }
}

impl Zone {
    /// Gives a copy of the socket at which the init of this incarnation says that it is ready, if it has one.
    #[must_use]
    pub fn notify_socket(&self, uniqid: u64) -> Option<OwnedFd> {
        self.kept(uniqid, |kept| kept.notify.as_ref())
    }

    /// Gives a copy of the descriptor of this incarnation's `/run`, if there is one.
    #[must_use]
    pub fn run_directory(&self, uniqid: u64) -> Option<OwnedFd> {
        self.kept(uniqid, |kept| kept.run.as_ref())
    }

    fn kept(&self, uniqid: u64, which: impl Fn(&Kept) -> Option<&OwnedFd>) -> Option<OwnedFd> {
        let copy = |kept: &Kept| which(kept).and_then(|fd| fd.try_clone().ok());
        if let Some((_, kept)) = lock(&self.backup.kept).as_ref().filter(|(of, _)| *of == uniqid) {
            return copy(kept);
        }
        // Asked before the lock is taken: whoever replaces zsched takes the two in the other order.
        let held = match self.keeper().kept() {
            Ok(held) => held,
            Err(error) => {
                tracing::info!("{}", Chain(&error));
                return None;
            }
        };
        let kept = Kept::of(held);
        let copy = copy(&kept);
        *lock(&self.backup.kept) = Some((uniqid, kept));
        copy
    }
}

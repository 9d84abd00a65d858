//! One look after another at the lives of the zone, for whatever the daemon does as long as one of them lasts.

use crate::daemon::Daemon;
use std::rc::Rc;
use zsched::wire::{Phase, Status};

/// Which part of an incarnation's life is looked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum While {
    /// From ready to the end of its first process.
    Lives,
    /// As long as its init runs.
    Runs,
}

impl While {
    fn holds(self, status: &Status) -> bool {
        match self {
            Self::Lives => status.lives(),
            Self::Runs => status.phase == Phase::Running,
        }
    }
}

/// Has `keep_one` look after each incarnation, as long as the daemon lives. It never ends by itself: it is dropped when that
/// part of the incarnation's life is over.
pub(crate) async fn keep(daemon: Rc<Daemon>, part: While, keep_one: impl AsyncFn(&Rc<Daemon>, &Status)) {
    let mut changes = daemon.changes();
    loop {
        let status = *changes.borrow_and_update();
        if !part.holds(&status) {
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        }
        let another = |now: &Status| now.uniqid != status.uniqid || !part.holds(now);
        tokio::select! {
            () = keep_one(&daemon, &status) => {}
            over = changes.wait_for(another) => if over.is_err() { return },
        }
    }
}

//! Counts the operations in flight, so that the daemon can end between two and not within one.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

/// The count.
#[derive(Debug, Default)]
pub(super) struct Calls {
    count: Cell<usize>,
    changed: Notify,
}

/// One operation in flight: from its request until its reply is written, or until it has ended if its caller is
/// gone by then.
#[derive(Debug)]
pub(super) struct InFlight(Rc<Calls>);

impl Calls {
    pub(super) fn begin(self: &Rc<Self>) -> InFlight {
        self.count.set(self.count.get() + 1);
        InFlight(Rc::clone(self))
    }

    pub(super) fn in_flight(&self) -> usize {
        self.count.get()
    }

    pub(super) async fn idle(&self) {
        // On one thread nothing can change between the test and the wait.
        while self.count.get() > 0 {
            self.changed.notified().await;
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get() - 1);
        if self.0.count.get() == 0 {
            self.0.changed.notify_waiters();
        }
    }
}

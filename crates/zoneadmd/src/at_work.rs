//! Showing whether the daemon is at work, to who only looks: by the kind of the lock that it has while it serves.
//!
//! A list of a thousand zones has to name the operations that are in progress, and would wake each daemon to hear that it does nothing.
//! So a daemon that does nothing holds its lock as one that others could share. The kernel shows that, and forgets it with the daemon.

use crate::exclusive::Exclusive;
use std::cell::Cell;
use std::rc::{Rc, Weak};

/// What the daemon is at.
#[derive(Debug, Default)]
pub(crate) struct AtWork {
    /// Gone when the daemon gives up its lock, which nothing here keeps.
    exclusive: Weak<Exclusive>,
    operation: Cell<bool>,
    shutdown: Cell<bool>,
}

impl AtWork {
    /// A daemon that is seen to be at work until it [shows](Self::show) that it is not.
    pub(crate) fn new(exclusive: &Rc<Exclusive>) -> Self {
        Self { exclusive: Rc::downgrade(exclusive), ..Self::default() }
    }

    /// Notes whether an operation runs.
    pub(crate) fn operates(&self, operates: bool) {
        self.operation.set(operates);
        self.show();
    }

    /// Notes whether a shutdown waits for init.
    pub(crate) fn shuts_down(&self, shuts_down: bool) {
        self.shutdown.set(shuts_down);
        self.show();
    }

    /// Shows how it is.
    pub(crate) fn show(&self) {
        if let Some(exclusive) = self.exclusive.upgrade() {
            exclusive.works(self.operation.get() || self.shutdown.get());
        }
    }
}

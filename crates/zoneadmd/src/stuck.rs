//! An incarnation whose processes would not die: its end is dealt with when it comes.

use std::cell::Cell;
use tokio::sync::Notify;

/// Which incarnation is stuck, if one is.
#[derive(Debug, Default)]
pub(crate) struct Stuck {
    uniqid: Cell<Option<u64>>,
    changed: Notify,
}

impl Stuck {
    /// This one is.
    pub(crate) fn set(&self, uniqid: u64) {
        self.uniqid.set(Some(uniqid));
        self.changed.notify_one();
    }

    /// Whether one is.
    pub(crate) fn is_set(&self) -> bool {
        self.uniqid.get().is_some()
    }

    /// Whether this one is: then its end is for `pending`.
    pub(crate) fn is(&self, uniqid: u64) -> bool {
        self.uniqid.get() == Some(uniqid)
    }

    pub(crate) fn take(&self) -> Option<u64> {
        self.uniqid.take()
    }

    pub(crate) async fn notified(&self) {
        self.changed.notified().await;
    }
}

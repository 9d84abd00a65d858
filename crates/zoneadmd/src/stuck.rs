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

    /// Whether the `present` one is. Another one has gone, and is forgotten.
    pub(crate) fn is_still(&self, present: u64) -> bool {
        let is_it = self.is(present);
        if !is_it {
            self.uniqid.take();
        }
        is_it
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incarnation_that_has_gone_is_not_stuck_any_more() {
        let stuck = Stuck::default();
        assert!(!stuck.is_still(7));
        stuck.set(7);
        assert!(stuck.is_still(7) && stuck.is(7));
        assert!(!stuck.is(8), "which forgets nothing");
        assert!(!stuck.is_still(8) && !stuck.is(7));
        assert_eq!(stuck.take(), None);
    }
}

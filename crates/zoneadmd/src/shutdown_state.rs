//! The orderly shutdown under way: which incarnation is to end, and what follows its end.

use crate::at_work::AtWork;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Notify;
use zone_engine::Current;
use zone_engine::bootargs::BootArguments;

/// What follows a shutdown.
#[derive(Debug, Clone, Default)]
pub(crate) enum Then {
    /// The zone stays down.
    #[default]
    Nothing,
    /// The zone is booted with these arguments.
    Boot(BootArguments),
}

#[derive(Debug)]
struct Shutdown {
    uniqid: u64,
    then: Then,
    current: Arc<Current>,
}

/// Holds the shutdown under way, if there is one. While it waits for init it has not got the operation lock, so that the
/// zone's own end can be dealt with.
#[derive(Debug, Default)]
pub(crate) struct ShutdownCell {
    at_work: Rc<AtWork>,
    under_way: RefCell<Option<Shutdown>>,
    over: Notify,
}

impl ShutdownCell {
    /// One that holds none.
    pub(crate) fn new(at_work: Rc<AtWork>) -> Self {
        Self { at_work, ..Self::default() }
    }

    /// Begins the shutdown of an incarnation; `false` if one is under way already, which is joined then. A boot that is to
    /// follow is not forgotten because somebody else does not ask for it.
    pub(crate) fn begin(&self, uniqid: u64, then: Then) -> bool {
        let mut under_way = self.under_way.borrow_mut();
        match under_way.as_mut().filter(|shutdown| shutdown.uniqid == uniqid) {
            Some(shutdown) => {
                if let Then::Boot(_) = then {
                    shutdown.then = then;
                }
                false
            }
            None => {
                self.at_work.shuts_down(true);
                *under_way =
                    Some(Shutdown { uniqid, then, current: Arc::new(Current::telling(crate::log::takes)) });
                true
            }
        }
    }

    /// Whether this incarnation was asked to shut down: its end is what was asked for.
    pub(crate) fn is_of(&self, uniqid: u64) -> bool {
        self.under_way.borrow().as_ref().is_some_and(|shutdown| shutdown.uniqid == uniqid)
    }

    /// Takes what is to follow the end of an incarnation: whoever gets it does it.
    pub(crate) fn take_then(&self, uniqid: u64) -> Then {
        let mut under_way = self.under_way.borrow_mut();
        let shutdown = under_way.as_mut().filter(|shutdown| shutdown.uniqid == uniqid);
        shutdown.map(|shutdown| std::mem::take(&mut shutdown.then)).unwrap_or_default()
    }

    /// Ends the shutdown of an incarnation, and tells those who wait for that.
    pub(crate) fn end(&self, uniqid: u64) {
        if self.is_of(uniqid) {
            self.under_way.take();
            self.at_work.shuts_down(false);
            self.over.notify_waiters();
        }
    }

    /// Gives the handle of the shutdown under way, by which it is watched.
    pub(crate) fn current(&self) -> Option<Arc<Current>> {
        self.under_way.borrow().as_ref().map(|shutdown| Arc::clone(&shutdown.current))
    }

    /// Waits until no shutdown is under way.
    pub(crate) async fn over(&self) {
        loop {
            let over = self.over.notified();
            if self.under_way.borrow().is_none() {
                return;
            }
            over.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boots(then: &Then) -> bool {
        matches!(then, Then::Boot(_))
    }

    #[test]
    fn a_second_shutdown_joins_the_first_and_may_add_a_boot() {
        let cell = ShutdownCell::default();
        assert!(cell.begin(7, Then::Nothing));
        assert!(!cell.begin(7, Then::Boot(BootArguments::default())));
        assert!(!cell.begin(7, Then::Nothing), "the boot is still somebody's wish");
        assert!(cell.is_of(7) && !cell.is_of(8));
        assert!(!boots(&cell.take_then(8)));
        assert!(boots(&cell.take_then(7)));
        assert!(!boots(&cell.take_then(7)), "only one does it");
        cell.end(8);
        assert!(cell.is_of(7));
        cell.end(7);
        assert!(!cell.is_of(7) && cell.current().is_none());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn who_waits_is_told_of_the_end() {
        let cell = ShutdownCell::default();
        cell.over().await;
        cell.begin(7, Then::Nothing);
        tokio::join!(cell.over(), async { cell.end(7) });
    }
}

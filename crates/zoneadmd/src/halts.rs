//! The halts that were asked for and those that have ended, for whoever asks for one meanwhile.

use std::cell::{Cell, RefCell};
use zone_door::{DoorError, OpResult};

/// The halts that have ended, for those who asked for the same meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Halts {
    asked: Cell<u64>,
    ended: Cell<u64>,
    last: RefCell<Option<Halt>>,
}

#[derive(Debug)]
struct Halt {
    forced: bool,
    result: Result<OpResult, DoorError>,
}

impl Halts {
    /// Somebody wants the zone halted, whatever is being done with it.
    pub(crate) fn ask(&self) {
        self.asked.set(self.asked.get() + 1);
    }

    /// How many were asked for.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.get()
    }

    /// How many have ended.
    pub(crate) fn count(&self) -> u64 {
        self.ended.get()
    }

    /// One has ended.
    pub(crate) fn note(&self, forced: bool, result: &Result<OpResult, DoorError>) {
        self.ended.set(self.ended.get() + 1);
        self.last.replace(Some(Halt { forced, result: result.clone() }));
    }

    /// What came of a halt that failed after there had been `count`: who asked for one while it ran has joined it. Not if more
    /// was asked for.
    pub(crate) fn joined(&self, count: u64, forced: bool) -> Option<DoorError> {
        if self.count() == count {
            return None;
        }
        let last = self.last.borrow();
        let halt = last.as_ref().filter(|halt| halt.forced || !forced)?;
        halt.result.as_ref().err().cloned()
    }
}

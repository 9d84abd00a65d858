//! Whose turn it is: one operation at a time. Who has to wait hears for what; a halt does not wait for a bring-up, a forced one
//! for nobody.

use crate::daemon::Daemon;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::MutexGuard;
use zone_door::{DoorError, OpResult, Operation, Reporter};

/// How long an operation waits for the one before it; then it is refused with the name of the step
/// that takes so long.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a forced halt waits for the operation before it, which was told; then it leaves that behind.
const FORCED: Duration = Duration::from_secs(5);

/// Waits for the operation before. A halt calls a bring-up off; a forced one hurries another halt up, and takes over
/// from what does not react.
pub(crate) async fn take<'a>(
    daemon: &'a Rc<Daemon>,
    operation: Operation,
    force: bool,
    reporter: &Reporter,
) -> Result<MutexGuard<'a, ()>, DoorError> {
    if let Ok(turn) = daemon.turn.try_lock() {
        return Ok(turn);
    }
    let current = daemon.current();
    if let Some(running) = daemon.operation.get() {
        let bring_up = matches!(running, Operation::Ready | Operation::Boot | Operation::Reboot);
        if operation == Operation::Halt && bring_up {
            current.cancel();
        }
        if force {
            current.force();
        }
        let at = current.described().map_or_else(String::new, |step| format!(" (now: {step})"));
        reporter.message(format!("waiting for {running} to finish{at}"));
    }
    if force {
        let limit = zone_config::patience::of(daemon.layout(), FORCED) + crate::current::GRACE;
        if let Ok(turn) = tokio::time::timeout(limit, daemon.turn.lock()).await {
            return Ok(turn);
        }
        current.abandon();
    }
    tokio::time::timeout(PATIENCE, daemon.turn.lock()).await.map_err(|_| {
        let running = daemon.operation.get().unwrap_or(operation);
        DoorError::busy(running, daemon.current().described())
    })
}

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

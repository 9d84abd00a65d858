//! The one operation that may run at a time: who has the lock, which operation it is, and how others see and reach it.

use crate::at_work::AtWork;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};
use zone_door::Operation;
use zone_engine::Current;

/// The right to change the zone; given back when dropped.
pub(crate) type OperationLock<'a> = MutexGuard<'a, ()>;

/// The lock, and the operation that runs under it.
#[derive(Debug)]
pub(crate) struct OperationSlot {
    at_work: Rc<AtWork>,
    lock: Mutex<()>,
    operation: Cell<Option<Operation>>,
    current: RefCell<Arc<Current>>,
}

impl OperationSlot {
    /// A free one.
    pub(crate) fn new(at_work: Rc<AtWork>) -> Self {
        Self { at_work, lock: Mutex::default(), operation: Cell::default(), current: RefCell::default() }
    }

    /// Takes the lock if nobody has it.
    pub(crate) fn try_lock(&self) -> Option<OperationLock<'_>> {
        self.lock.try_lock().ok()
    }

    /// Waits for the lock.
    pub(crate) async fn lock(&self) -> OperationLock<'_> {
        self.lock.lock().await
    }

    /// Waits for the lock, at most for `limit`.
    pub(crate) async fn lock_within(&self, limit: Duration) -> Option<OperationLock<'_>> {
        tokio::time::timeout(limit, self.lock()).await.ok()
    }

    /// Names the operation that runs; a shutdown that waits for init has given its lock back and is not shown here.
    pub(crate) fn operation(&self) -> Option<Operation> {
        self.operation.get()
    }

    /// Gives the handle of the operation that runs, by which it is watched and called off.
    pub(crate) fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.borrow())
    }

    /// Shows that `operation` runs, until the guard is dropped. The caller holds the lock.
    pub(crate) fn begin(&self, operation: Operation) -> Running<'_> {
        self.at_work.operates(true);
        self.operation.set(Some(operation));
        crate::log::is_at(Some(operation));
        self.current.replace(Arc::new(Current::telling(crate::log::takes)));
        Running(self)
    }
}

/// An operation that others can see.
#[derive(Debug)]
pub(crate) struct Running<'a>(&'a OperationSlot);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.operation.set(None);
        crate::log::is_at(None);
        self.0.current.take();
        self.0.at_work.operates(false);
    }
}

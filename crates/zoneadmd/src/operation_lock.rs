//! Taking the operation lock: one operation at a time. Who has to wait is told for what; a halt does not wait for a bring-up, a forced one
//! for nobody.

use crate::daemon::Daemon;
use crate::matrix::{Beside, beside_shutdown};
use crate::slot::OperationLock;
use std::rc::Rc;
use std::time::Duration;
use zone_engine::Current;

use zone_door::{DoorError, Operation, Reporter};

/// How long an operation waits for the one before it; then it is refused with the name of the step
/// that takes so long.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a forced halt waits for the operation before it, which was told; then it leaves that behind.
const FORCED: Duration = Duration::from_secs(5);

/// Waits for the operation before, and for a shutdown that is under way if this operation has to. A halt calls a bring-up off;
/// a forced one hurries another halt up, and takes over from what does not react.
///
/// # Errors
/// [`DoorError::Busy`] when the other operation takes too long, or makes this one pointless.
pub(crate) async fn take<'a>(
    daemon: &'a Rc<Daemon>,
    operation: Operation,
    force: bool,
    reporter: &Reporter,
) -> Result<OperationLock<'a>, DoorError> {
    loop {
        after_shutdown(daemon, operation, reporter).await?;
        let lock = lock(daemon, operation, force, reporter).await?;
        // Another shutdown may have begun meanwhile.
        if beside_shutdown(operation) == Beside::GoesOn || daemon.shutdown.current().is_none() {
            return Ok(lock);
        }
    }
}

/// Waits until no shutdown is under way. The state of the zone meanwhile is one that is about to change.
async fn after_shutdown(daemon: &Daemon, operation: Operation, reporter: &Reporter) -> Result<(), DoorError> {
    let Some(current) = daemon.shutdown.current() else { return Ok(()) };
    let busy = || DoorError::busy(Operation::Shutdown, current.described());
    match beside_shutdown(operation) {
        Beside::GoesOn => Ok(()),
        Beside::Refused => Err(busy()),
        Beside::Waits => {
            waits_for(Operation::Shutdown, &current, reporter);
            tokio::time::timeout(PATIENCE, daemon.shutdown.over()).await.map_err(|_| busy())
        }
    }
}

fn waits_for(running: Operation, current: &Current, reporter: &Reporter) {
    let at = current.described().map_or_else(String::new, |step| format!(" (now: {step})"));
    reporter.message(format!("waiting for {running} to finish{at}"));
}

async fn lock<'a>(
    daemon: &'a Rc<Daemon>,
    operation: Operation,
    force: bool,
    reporter: &Reporter,
) -> Result<OperationLock<'a>, DoorError> {
    if let Some(lock) = daemon.slot.try_lock() {
        return Ok(lock);
    }
    let current = daemon.slot.current();
    if let Some(running) = daemon.slot.operation() {
        let bring_up = matches!(running, Operation::Ready | Operation::Boot | Operation::Reboot);
        if operation == Operation::Halt && bring_up {
            current.cancel();
        }
        if force {
            current.force();
        }
        waits_for(running, &current, reporter);
    }
    if force {
        let limit = zone_fail::limit(&daemon.layout().run(), FORCED) + zone_engine::GRACE;
        if let Some(lock) = daemon.slot.lock_within(limit).await {
            return Ok(lock);
        }
        current.abandon();
    }
    daemon.slot.lock_within(PATIENCE).await.ok_or_else(|| {
        let running = daemon.slot.operation().unwrap_or(operation);
        DoorError::busy(running, daemon.slot.current().described())
    })
}

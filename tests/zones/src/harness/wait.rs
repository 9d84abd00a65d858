//! Waiting for a named thing to be so.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The longest that any condition may take to come true. Not a measurement: a machine under load
/// gets all the time it needs, a thing that never happens ends the test.
const PATIENCE: Duration = Duration::from_secs(40);

/// By how much everything takes longer here, as somebody said who knows the machine.
static SLOWNESS: OnceLock<u32> = OnceLock::new();

/// Gives everything that is waited for this many times as long, from now on.
pub fn slow_down(times: u32) {
    let _ = SLOWNESS.set(times);
}

/// A time limit, as long as this machine needs it.
pub(crate) fn stretched(limit: Duration) -> Duration {
    limit.saturating_mul(SLOWNESS.get().copied().unwrap_or(1).max(1))
}

/// Looks until `condition` gives something, and gives that. `what` names it in the failure.
#[track_caller]
pub fn until<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    match within(PATIENCE, condition) {
        Some(value) => value,
        None => panic!("waited {PATIENCE:?} in vain: {what}"),
    }
}

/// Looks until `condition` gives something or the time is over.
pub(crate) fn within<T>(patience: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + stretched(patience);
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

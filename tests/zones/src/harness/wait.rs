//! Waiting for a named thing to be so.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The longest that any condition may take to come true. Not a measurement: a machine under load
/// gets all the time it needs, a thing that never happens ends the test.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long to rest between two looks, at first and once something takes long: short enough to see a state that does not last.
const OFTEN: Duration = Duration::from_millis(10);
const RARELY: Duration = Duration::from_millis(40);

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

/// Looks until nothing is left. `what` names in the failure what it would be that is.
#[track_caller]
pub fn until_none(what: &str, mut look: impl FnMut() -> Vec<String>) {
    let mut left = Vec::new();
    let gone = within(PATIENCE, || {
        left = look();
        left.is_empty().then_some(())
    });
    assert!(gone.is_some(), "waited {PATIENCE:?} in vain: {what}: {left:#?}");
}

/// Looks until `condition` gives something or the time is over: ever more rarely, since most looks start a program, and others
/// wait for the processors meanwhile.
pub(crate) fn within<T>(patience: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    let patience = stretched(patience);
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        let passed = began.elapsed();
        if passed > patience {
            return None;
        }
        std::thread::sleep((passed / 8).clamp(OFTEN, RARELY));
    }
}

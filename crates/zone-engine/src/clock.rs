//! The time of the day, as it is written down.

/// Seconds since the epoch.
pub fn now() -> u64 {
    rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec.unsigned_abs()
}

//! Waits for which the event loop's own clock does not do: it knows milliseconds, and stands while the host sleeps.

use crate::readable;
use rustix::fd::OwnedFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::io;
use std::time::Duration;
use zone_platform::network::dhcp;

/// Waits for less than the event loop can count.
pub(crate) async fn pause(time: Duration) {
    wait(timer(TimerfdClockId::Monotonic, TimerfdTimerFlags::empty(), time), time).await;
}

/// Waits until a time since the host's boot, as leases count it.
pub(crate) async fn until(at: Duration) {
    let left = at.saturating_sub(dhcp::now());
    if !left.is_zero() {
        wait(timer(TimerfdClockId::Boottime, TimerfdTimerFlags::ABSTIME, at), left).await;
    }
}

/// Waits for a timer; without one, for about as long.
async fn wait(timer: io::Result<OwnedFd>, left: Duration) {
    match timer.and_then(readable::watch) {
        Ok(timer) if timer.readable().await.is_ok() => {}
        _ => tokio::time::sleep(left).await,
    }
}

fn timer(clock: TimerfdClockId, flags: TimerfdTimerFlags, time: Duration) -> io::Result<OwnedFd> {
    let timer = timerfd_create(clock, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
    let it_value = Timespec::try_from(time).map_err(io::Error::other)?;
    timerfd_settime(&timer, flags, &Itimerspec { it_interval: Timespec::default(), it_value })?;
    Ok(timer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[tokio::test(flavor = "current_thread")]
    async fn neither_ends_early_and_what_is_over_is_not_waited_for() {
        let begun = Instant::now();
        pause(Duration::from_micros(300)).await;
        assert!(begun.elapsed() >= Duration::from_micros(300));
        let at = dhcp::now() + Duration::from_millis(2);
        until(at).await;
        assert!(dhcp::now() >= at);
        until(Duration::ZERO).await;
    }
}

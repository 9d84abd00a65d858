//! How fast the log may grow.

use std::time::Duration;

/// A bucket that is filled at a steady rate; what is logged is taken out of it. Moments are
/// durations since any fixed one.
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: u64,
    burst: u64,
    level: u64,
    filled: Duration,
}

impl Bucket {
    /// A full one, of at least one byte a second.
    pub(crate) fn new(rate: u64, burst: u64, now: Duration) -> Self {
        let burst = burst.max(1);
        Self { rate: rate.max(1), burst, level: burst, filled: now }
    }

    /// How much may be logged now.
    pub(crate) fn level(&mut self, now: Duration) -> u64 {
        let passed = now.saturating_sub(self.filled).as_millis();
        let gained = u64::try_from(passed.saturating_mul(self.rate.into()) / 1000).unwrap_or(u64::MAX);
        if gained > 0 {
            self.level = self.level.saturating_add(gained).min(self.burst);
            self.filled = now;
        }
        self.level
    }

    /// So much was logged.
    pub(crate) fn take(&mut self, bytes: u64) {
        self.level = self.level.saturating_sub(bytes);
    }

    /// How long it takes until `bytes` (or a full bucket) may be logged.
    pub(crate) fn wait(&self, bytes: u64) -> Duration {
        let missing = bytes.min(self.burst).saturating_sub(self.level);
        Duration::from_millis(missing.saturating_mul(1000).div_ceil(self.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_a_burst_and_then_the_rate() {
        let second = Duration::from_secs;
        let mut bucket = Bucket::new(100, 1000, second(5));
        assert_eq!(bucket.level(second(5)), 1000);
        bucket.take(1000);
        assert_eq!(bucket.level(second(5)), 0);
        assert_eq!(bucket.wait(50), Duration::from_millis(500));
        assert_eq!(bucket.level(Duration::from_millis(5500)), 50);
        assert_eq!(bucket.wait(50), Duration::ZERO);
        // Never more than the burst, and a clock that stands or goes back gives nothing.
        assert_eq!(bucket.level(second(1000)), 1000);
        bucket.take(5000);
        assert_eq!(bucket.level(second(2)), 0);
        assert_eq!(bucket.wait(u64::MAX), second(10));
    }
}

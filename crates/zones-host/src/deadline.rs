//! How long zones may take when the host goes down: three quarters of the time to end in order, the last quarter to be halted,
//! as Solaris' zones service divides it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use zone_config::file;
use zone_config::settings::SHUTDOWN_TIME;
use zone_config::{Layout, Settings};

/// When the time of a host that goes down is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    /// Since the host's boot.
    begun: Duration,
    total: Duration,
}

impl Deadline {
    /// The deadline of the host that goes down now. Whoever asks first begins it.
    pub(crate) fn of(layout: &Layout, settings: &Settings) -> Self {
        Self { begun: begun(layout), total: total(settings) }
    }

    /// The deadline of who takes down all zones by himself, and so shares the time with nobody: no file says when it began, which could
    /// be one of long ago.
    pub(crate) fn from_now(settings: &Settings) -> Self {
        Self { begun: now(), total: total(settings) }
    }

    /// For how long zones may still end in order.
    pub(crate) fn orderly(&self) -> Duration {
        (self.begun + self.total * 3 / 4).saturating_sub(now())
    }

    /// How long there is at all.
    pub(crate) fn left(&self) -> Duration {
        (self.begun + self.total).saturating_sub(now())
    }

    /// The whole time.
    pub(crate) fn total(&self) -> Duration {
        self.total
    }
}

fn total(settings: &Settings) -> Duration {
    Duration::from_secs(settings.shutdown_time.unwrap_or(SHUTDOWN_TIME))
}

/// When the host began to go down, from the file that says so; it is made when it is missing. Where it cannot be, the time
/// begins anew for each zone.
fn begun(layout: &Layout) -> Duration {
    let path = layout.going_down();
    let read = || {
        let bytes = file::read_if_there(&path, file::DOCUMENT).ok()??;
        let seconds: f64 = String::from_utf8_lossy(&bytes).trim().parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    };
    let now = now();
    read().filter(|begun| *begun <= now).unwrap_or_else(|| {
        let text = format!("{:.3}\n", now.as_secs_f64());
        let _ = file::make_dir(&layout.run(), 0o700)
            .and_then(|()| file::replace_fast(&path, text.as_bytes(), 0o600));
        now
    })
}

/// Forgets an earlier one: a host may come up again with what is in its run directory.
pub(crate) fn forget(layout: &Layout) {
    let _ = file::remove_fast(&layout.going_down());
}

fn now() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::try_from(now).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_quarters_are_for_an_orderly_end() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        let settings = Settings { shutdown_time: Some(4000), ..Settings::default() };
        let first = Deadline::of(&layout, &settings);
        assert_eq!(first.total(), Duration::from_secs(4000));
        let quarter = first.left() - first.orderly();
        assert!(quarter.abs_diff(Duration::from_secs(1000)) < Duration::from_secs(1), "{quarter:?}");
        // The second to ask has the rest of the same time.
        let earlier = format!("{:.3}\n", (now() - Duration::from_millis(1)).as_secs_f64());
        std::fs::write(layout.going_down(), &earlier).unwrap();
        let second = Deadline::of(&layout, &settings);
        assert_eq!(format!("{:.3}\n", second.begun.as_secs_f64()), earlier);
        // Who has the time for himself has all of it, whatever is left of another's.
        std::fs::write(layout.going_down(), "0.001\n").unwrap();
        let short = Settings { shutdown_time: Some(0), ..Settings::default() };
        assert!(Deadline::of(&layout, &short).left().is_zero());
        let own = Deadline::from_now(&settings);
        assert!(own.begun > Duration::from_millis(1) && own.total() == first.total());
        // What cannot be is no deadline, and another boot's is forgotten.
        std::fs::write(layout.going_down(), "99999999999\n").unwrap();
        assert!(Deadline::of(&layout, &settings).begun <= now());
        forget(&layout);
        assert!(!layout.going_down().exists());
    }
}

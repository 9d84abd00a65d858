//! Killing a zone's daemon at an exact boundary between two steps: a debug build counts the boundaries
//! down that it passes, and dies at the one that the test names by its number.

use super::lab::{make_dir, write};
use super::{Zone, skip, until};
use std::fs;

const COUNT: &str = "failpoint";
const HIT: &str = "failpoint.hit";

impl Zone<'_> {
    /// The next daemon that passes a boundary dies at the first of `numbers`, counted from 1; the one
    /// after it at the second.
    #[track_caller]
    pub fn die_at(&self, numbers: &[usize]) {
        make_dir(&self.run_dir(), 0o700);
        let _ = fs::remove_file(self.run_dir().join(HIT));
        let words: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        write(&self.run_dir().join(COUNT), words.join(" "));
    }

    /// The boundaries at which daemons have died since [`Self::die_at`].
    #[must_use]
    pub fn deaths(&self) -> Vec<String> {
        let text = fs::read_to_string(self.run_dir().join(HIT)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// No daemon dies any more. Gives the boundaries at which some did.
    pub fn die_no_more(&self) -> Vec<String> {
        let _ = fs::remove_file(self.run_dir().join(COUNT));
        let deaths = self.deaths();
        let _ = fs::remove_file(self.run_dir().join(HIT));
        deaths
    }

    /// The operation that the journal says was begun and not ended.
    #[must_use]
    pub fn unfinished(&self) -> Option<String> {
        let text = fs::read_to_string(self.run_dir().join("journal")).unwrap_or_default();
        let mut marks = text.lines().filter(|line| line.starts_with("begin ") || line.starts_with("end "));
        marks.next_back().filter(|line| line.starts_with("begin ")).map(str::to_owned)
    }

    /// Waits until a daemon has died as it was told to, or has passed all the boundaries there are.
    #[track_caller]
    pub fn dead_or_done(&self) -> Vec<String> {
        until(&format!("the daemon of zone '{}' is dead or at rest", self.name()), || {
            let deaths = self.deaths();
            let rests = || match self.daemon() {
                // Its door is gone before it is: what it passes on its way out counts, too.
                None => self.nobody_is_daemon(),
                Some(_) => {
                    let now = self.status();
                    ["ready", "running"].contains(&now.state.as_str()) && now.operation.is_none()
                }
            };
            if deaths.is_empty() { rests().then(|| self.deaths()) } else { Some(deaths) }
        })
    }

    /// Whether the lock that a daemon holds for its whole life is free.
    fn nobody_is_daemon(&self) -> bool {
        use rustix::fs::{FlockOperation, flock};
        fs::File::open(self.run_dir().join("lock"))
            .map_or(true, |lock| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok())
    }
}

/// Ends a test that needs the boundaries when the daemon has none: that of a release build.
pub fn need_failpoints(deaths: &[String]) {
    if deaths.is_empty() {
        skip("this zoneadmd has no failpoints: it is not a debug build");
    }
}

//! The console while no daemon is there because the last one has left: before more is kept than could be logged one is started, and
//! until it comes the console is left unread for a moment, which stops whoever writes there, and loses nothing. Whatever is said is
//! in the log in the end.

use crate::upcall::now_ms;
use rustix::fd::OwnedFd;
use rustix::time::Timespec;
use zone_ring::Ring;

/// No longer than this is the zone held up by a daemon that does not come. Then the kept output is what it is otherwise: the newest.
const LONGEST_MS: i64 = 1000;
/// For so long what was said may be in no log: who reads that without us, and a host that loses power, misses no more.
const UNLOGGED_MS: i64 = 60_000;

/// What the console has said that is in no log, as far as that is for another daemon to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unlogged {
    Nothing,
    Something,
    /// So much that it is time.
    Much,
}

impl Unlogged {
    /// Gives what a daemon that has left, if one `rests`, has left to the next one.
    pub(crate) fn of(ring: &Ring<OwnedFd>, rests: bool) -> Self {
        match rests && ring.total() > ring.logged() {
            false => Self::Nothing,
            true if ring.log_is_due() => Self::Much,
            true => Self::Something,
        }
    }
}

/// Since when what is kept is to be logged.
#[derive(Debug, Default)]
pub(crate) struct Restraint {
    much_ms: Option<i64>,
    something_ms: Option<i64>,
    is_due: bool,
}

impl Restraint {
    /// Tells for how long the console is not to be read, and in how long what is kept is to be logged.
    pub(crate) fn look(&mut self, unlogged: Unlogged) -> [Option<Timespec>; 2] {
        self.look_at(unlogged, now_ms())
    }

    fn look_at(&mut self, unlogged: Unlogged, now_ms: i64) -> [Option<Timespec>; 2] {
        let (much, something) = (unlogged == Unlogged::Much, unlogged != Unlogged::Nothing);
        let unread = left(&mut self.much_ms, much, LONGEST_MS, now_ms);
        let late = left(&mut self.something_ms, something, UNLOGGED_MS, now_ms);
        self.is_due = much || (something && late.is_none());
        [unread, late]
    }

    /// Whether a daemon was to log what is kept when that was last looked at.
    pub(crate) fn is_due(&self) -> bool {
        self.is_due
    }
}

/// What is left of a time that begins when something is so; nothing when it is over, or it is not so.
fn left(since_ms: &mut Option<i64>, is_so: bool, longest_ms: i64, now_ms: i64) -> Option<Timespec> {
    if !is_so {
        *since_ms = None;
        return None;
    }
    let left = longest_ms - (now_ms - *since_ms.get_or_insert(now_ms));
    (left > 0).then_some(Timespec { tv_sec: left / 1000, tv_nsec: left % 1000 * 1_000_000 })
}

#[cfg(test)]
mod tests {
    use super::Unlogged::*;
    use super::*;

    fn look(restraint: &mut Restraint, unlogged: Unlogged, now_ms: i64) -> ([Option<i64>; 2], bool) {
        let ms = |wait: Option<Timespec>| wait.map(|it| it.tv_sec * 1000 + it.tv_nsec / 1_000_000);
        let waits = restraint.look_at(unlogged, now_ms).map(ms);
        (waits, restraint.is_due())
    }

    #[test]
    fn the_zone_is_held_up_for_a_moment_each_time() {
        let mut restraint = Restraint::default();
        let mut unread = |unlogged, now_ms| {
            let ([unread, _], is_due) = look(&mut restraint, unlogged, now_ms);
            assert_eq!(is_due, unlogged == Much);
            unread
        };
        assert_eq!(unread(Nothing, 5), None);
        assert_eq!(unread(Much, 10), Some(1000));
        assert_eq!(unread(Much, 700), Some(310));
        assert_eq!(unread(Much, 1010), None);
        assert_eq!(unread(Much, 9000), None, "not again for the same");
        assert_eq!(unread(Something, 9001), None);
        assert_eq!(unread(Much, 9500), Some(1000));
    }

    #[test]
    fn what_little_was_said_is_logged_after_a_minute() {
        let mut restraint = Restraint::default();
        assert_eq!(look(&mut restraint, Nothing, 5), ([None, None], false));
        assert_eq!(look(&mut restraint, Something, 10), ([None, Some(60_000)], false));
        assert_eq!(look(&mut restraint, Something, 59_010), ([None, Some(1000)], false));
        assert_eq!(look(&mut restraint, Something, 60_010), ([None, None], true));
        assert_eq!(look(&mut restraint, Something, 70_010), ([None, None], true));
        assert_eq!(look(&mut restraint, Nothing, 70_020), ([None, None], false));
        assert_eq!(look(&mut restraint, Something, 70_030), ([None, Some(60_000)], false));
    }
}

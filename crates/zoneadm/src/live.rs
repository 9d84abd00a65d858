//! The state of a zone, derived from what lives (see `zone_live`).

use std::time::Duration;

use zone_config::{Layout, ZoneName};
use zsched::client::{ClientError, ZoneFds};
use zsched::wire::Status;

pub(crate) use zone_live::{Question, is_forbidden, state};

/// A keeper answers in microseconds unless it is just building a zone, which takes milliseconds. One that takes
/// longer than this is stopped or ill; or the machine has so much else to do that seconds go by before it runs.
const PATIENCE: Duration = Duration::from_secs(10);
/// One that is ill must not hold up the list of the others.
const AMONG_OTHERS: Duration = Duration::from_secs(3);

/// What is known of a zone that is up, be it without its keeper; `None` when there is none.
///
/// # Errors
/// When there is a keeper and it does not answer, or when the caller may not ask it.
pub(crate) fn ask(layout: &Layout, zone: &ZoneName) -> Result<Option<Status>, ClientError> {
    zone_live::ask(layout, zone, PATIENCE)
}

/// What it takes to look into a zone that is up; `None` if it is not any more, or may not be looked into.
pub(crate) fn enter(layout: &Layout, zone: &ZoneName) -> Option<ZoneFds> {
    zone_live::enter(layout, zone, AMONG_OTHERS).ok()?.1
}

/// The same of one zone of many.
///
/// # Errors
/// As [`ask`].
pub(crate) fn ask_among_others(layout: &Layout, zone: &ZoneName) -> Result<Option<Status>, ClientError> {
    zone_live::ask(layout, zone, AMONG_OTHERS)
}

/// Asks the same of one zone of many, whose answer is to be read when those have been asked, too, or only looks at what its keeper shows.
/// Where it is `alone` nothing else waits for it, and it is asked.
pub(crate) fn question<'a>(layout: &'a Layout, zone: &'a ZoneName, alone: bool) -> Question<'a> {
    if alone { Question::ask(layout, zone, PATIENCE) } else { Question::look(layout, zone, AMONG_OTHERS) }
}

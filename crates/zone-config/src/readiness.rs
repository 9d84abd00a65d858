//! Whether a zone that runs is ready: what is said of it, and on disk in the zone's run directory.

use serde::{Deserialize, Serialize};

use crate::file::{self, FileError};
use crate::{Layout, ZoneName};

/// How far a zone that runs has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadyState {
    /// It has not said yet that it is ready.
    Starting,
    /// It is ready.
    Ready,
    /// It cannot be told.
    Unknown,
}

/// Who tells whether a zone is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadyBy {
    /// Its init, by a notification as sd_notify(3) has it.
    Notify,
    /// The run level that its init has come to.
    Runlevel,
    /// The command of `ready-check`.
    Check,
    /// Nobody says more than that its init runs.
    Init,
}

impl ReadyState {
    /// All of them, in the order of the interface file of the door.
    pub const ALL: [Self; 3] = [Self::Starting, Self::Ready, Self::Unknown];

    /// The word of it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Unknown => "unknown",
        }
    }
}

impl ReadyBy {
    /// All of them, in the order of the interface file of the door.
    pub const ALL: [Self; 4] = [Self::Notify, Self::Runlevel, Self::Check, Self::Init];

    /// The word of it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Notify => "notify",
            Self::Runlevel => "runlevel",
            Self::Check => "check",
            Self::Init => "init",
        }
    }
}

/// What has been found out of one incarnation: `RUN/NAME/ready`, until halt, so that a daemon that comes after another knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Of which incarnation.
    pub uniqid: u64,
    /// Ready, or unknown for good.
    pub state: ReadyState,
    /// Who told.
    pub by: ReadyBy,
    /// When, in seconds since the epoch.
    pub since: u64,
}

impl Found {
    /// Reads what was found out of an incarnation; `None` if that is nothing yet.
    #[must_use]
    pub fn load(layout: &Layout, zone: &ZoneName, uniqid: u64) -> Option<Self> {
        let bytes = file::read_if_there(&layout.ready(zone), file::DOCUMENT).ok()??;
        parse(&String::from_utf8(bytes).ok()?).filter(|found| found.uniqid == uniqid)
    }

    /// Writes it.
    ///
    /// # Errors
    /// When that fails; then a next daemon has to find it out again.
    pub fn save(&self, layout: &Layout, zone: &ZoneName) -> Result<(), FileError> {
        let Self { uniqid, state, by, since } = self;
        let text = format!("{uniqid} {} {} {since}\n", state.as_str(), by.as_str());
        file::replace_fast(&layout.ready(zone), text.as_bytes(), 0o600)
    }

    /// Removes it.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove(layout: &Layout, zone: &ZoneName) -> Result<(), FileError> {
        file::remove_fast(&layout.ready(zone))
    }
}

fn parse(text: &str) -> Option<Found> {
    let mut words = text.strip_suffix('\n')?.split(' ');
    let uniqid = words.next()?.parse().ok()?;
    let state = words.next()?;
    let by = words.next()?;
    Some(Found {
        uniqid,
        state: ReadyState::ALL.into_iter().find(|known| known.as_str() == state)?,
        by: ReadyBy::ALL.into_iter().find(|known| known.as_str() == by)?,
        since: words.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_of_that_incarnation_only() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(root.path().to_owned())).unwrap();
        let zone: ZoneName = "a".parse().unwrap();
        std::fs::create_dir_all(layout.zone_run(&zone)).unwrap();
        assert_eq!(Found::load(&layout, &zone, 7), None);
        for (state, by) in [(ReadyState::Ready, ReadyBy::Notify), (ReadyState::Unknown, ReadyBy::Check)] {
            let found = Found { uniqid: 7, state, by, since: 9 };
            found.save(&layout, &zone).unwrap();
            assert_eq!(Found::load(&layout, &zone, 7), Some(found));
            assert_eq!(Found::load(&layout, &zone, 8), None, "what is left of an earlier one says nothing");
        }
        Found::remove(&layout, &zone).unwrap();
        assert_eq!(Found::load(&layout, &zone, 7), None);
    }

    #[test]
    fn a_spoilt_record_is_none() {
        let whole = "7 ready notify 9\n";
        assert!(parse(whole).is_some());
        for cut in 0..whole.len() {
            assert_eq!(parse(&whole[..cut]), None, "{cut}");
        }
        assert_eq!(parse("7 ripe notify 9\n"), None);
    }
}

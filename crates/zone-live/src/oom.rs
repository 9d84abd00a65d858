//! What has been told of processes that the kernel killed for want of memory: `RUN/NAME/oomkills`, so that a daemon that comes after
//! another tells the rest, and nothing twice.

use std::path::PathBuf;

use zone_config::file::{self, FileError};
use zone_config::{Layout, ZoneName};

/// How far it has been told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OomSeen {
    /// Of which incarnation.
    pub uniqid: u64,
    /// How many of its processes were told of.
    pub kills: u64,
    /// The number of the record of the kernel's log to go on from.
    pub record: u64,
}

fn path(layout: &Layout, zone: &ZoneName) -> PathBuf {
    layout.zone_run(zone).join("oomkills")
}

impl OomSeen {
    /// Reads it; `None` if nothing is written, or nothing of this incarnation.
    #[must_use]
    pub fn load(layout: &Layout, zone: &ZoneName, uniqid: u64) -> Option<Self> {
        let bytes = file::read_if_there(&path(layout, zone), file::DOCUMENT).ok()??;
        let text = String::from_utf8(bytes).ok()?;
        let mut numbers = text.split_whitespace().map(|word| word.parse::<u64>().ok());
        let mut next = || numbers.next().flatten();
        let seen = Self { uniqid: next()?, kills: next()?, record: next()? };
        (seen.uniqid == uniqid).then_some(seen)
    }

    /// Writes it.
    ///
    /// # Errors
    /// When that fails; then a next daemon may tell something again.
    pub fn save(&self, layout: &Layout, zone: &ZoneName) -> Result<(), FileError> {
        let text = format!("{} {} {}\n", self.uniqid, self.kills, self.record);
        file::replace_fast(&path(layout, zone), text.as_bytes(), 0o600)
    }

    /// Removes it.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub(crate) fn remove(layout: &Layout, zone: &ZoneName) -> Result<(), FileError> {
        file::remove_fast(&path(layout, zone))
    }
}

//! How the last incarnation of a zone ended: `ZONEPATH/lastexit.toml`.
//!
//! That file is written when a zone ends, which it does not in a host that goes down. So which incarnation was booted last, and
//! in which boot of the host, is in a file of its own, `ZONEPATH/lastboot`: a line of one length always, written over the one
//! before. A boot takes some milliseconds, and to wait for the disk would take as many; so would half a millisecond be much, which a
//! rename over an old file takes on ext4 (it allocates the blocks at once). After a loss of power the line may be missing, cut off or
//! that of a boot before: then nothing follows from it, and what is told is the end before the last.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::file::{self, FileError};
use crate::hostboot;

/// What ended a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Its init returned; `status` says with what.
    Exited,
    /// A signal ended its init, with none of a crash; `signal` says which.
    Killed,
    /// Its init died of a fault of its own (SIGSEGV, SIGABRT, ...); `signal` says which.
    Crashed,
    /// It asked to be halted or powered off, from inside; the kernel does not tell these apart.
    Poweroff,
    /// It was rebooted, from inside or by an administrator.
    Rebooted,
    /// An administrator halted it.
    Halted,
    /// An administrator had its init shut it down.
    Shutdown,
    /// Nobody saw how: its zsched had been killed before, or the host went down.
    Unknown,
}

/// How one incarnation of a zone ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LastExit {
    /// The uniqid of the incarnation that ended.
    pub uniqid: u64,
    /// What ended it.
    pub how: How,
    /// What init returned, when it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// What signal ended init, when one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// When, in seconds since 1970 UTC; of one that ended with the host, when the present boot of the host began.
    pub when: u64,
    /// How many times init had been started again before, in a row.
    #[serde(default)]
    pub restarts: u32,
}

/// A record that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LastExitError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// Truncated, or not ours.
    #[error("{} does not say how the zone last ended: remove it, the next exit writes it anew", .path.display())]
    Parse {
        /// The record's path.
        path: PathBuf,
        /// What is wrong, with line and column.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// No value of ours does this.
    #[error("cannot put the end of the zone into words for {}", .path.display())]
    Print {
        /// The path of the record or the mark that was to be written.
        path: PathBuf,
        /// What the serializer refuses.
        #[source]
        source: toml::ser::Error,
    },
}

impl LastExit {
    /// Where the record of the zone at `zonepath` is.
    pub fn path(zonepath: &Path) -> PathBuf {
        zonepath.join("lastexit.toml")
    }

    /// Tells how the zone ended last; `None` when it has not ended yet. That is what the record says, but of an incarnation
    /// that was booted after it, in an earlier boot of the host, that its end is unknown.
    ///
    /// # Errors
    /// When the record is there and cannot be read or understood.
    pub fn load(zonepath: &Path) -> Result<Option<Self>, LastExitError> {
        let recorded = Self::recorded(zonepath)?;
        Ok(Self::lost(recorded.as_ref(), LastBoot::load(zonepath)).or(recorded))
    }

    /// Reads the record.
    fn recorded(zonepath: &Path) -> Result<Option<Self>, LastExitError> {
        let path = Self::path(zonepath);
        let Some(bytes) = file::read_if_there(&path, file::DOCUMENT)? else { return Ok(None) };
        let parsed = toml::from_str(&String::from_utf8_lossy(&bytes));
        parsed.map(Some).map_err(|source| LastExitError::Parse { path, source: Box::new(source) })
    }

    /// The end that the host's own hid, if the incarnation that was `booted` last is none that is `recorded`.
    fn lost(recorded: Option<&Self>, booted: Option<LastBoot>) -> Option<Self> {
        let LastBoot { uniqid, boot } = booted?;
        // Of two, the younger: the mark may be the one that did not come to the disk.
        if recorded.is_some_and(|exit| exit.uniqid >= uniqid) || hostboot::present()? == boot {
            return None;
        }
        Some(Self {
            uniqid,
            how: How::Unknown,
            status: None,
            signal: None,
            when: hostboot::since(),
            restarts: 0,
        })
    }

    /// Writes the record in place of the one before.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, zonepath: &Path) -> Result<(), LastExitError> {
        let path = Self::path(zonepath);
        match toml::to_string(self) {
            Ok(text) => Ok(file::replace_whole(&path, text.as_bytes(), 0o644)?),
            Err(source) => Err(LastExitError::Print { path, source }),
        }
    }
}

/// Names the incarnation that was booted last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastBoot {
    uniqid: u64,
    /// The boot of the host, by its id.
    boot: String,
}

impl LastBoot {
    /// Where the mark of the zone at `zonepath` is.
    #[must_use]
    pub fn path(zonepath: &Path) -> PathBuf {
        zonepath.join("lastboot")
    }

    /// Marks the incarnation `uniqid` as booted, so that it is known to have ended if the host goes down. Of one before it
    /// that ended so, the record is written first.
    ///
    /// # Errors
    /// When a file cannot be written; no more comes of it than that such an end is not known.
    pub fn mark(zonepath: &Path, uniqid: u64) -> Result<(), LastExitError> {
        let Some(boot) = hostboot::present() else { return Ok(()) };
        let before = Self::load(zonepath);
        let recorded = before.as_ref().and_then(|_| LastExit::recorded(zonepath).ok().flatten());
        if let Some(lost) = LastExit::lost(recorded.as_ref(), before) {
            lost.save(zonepath)?;
        }
        Ok(file::overwrite(&Self::path(zonepath), Self { uniqid, boot }.line().as_bytes(), 0o644)?)
    }

    /// The text of the file, of one length as long as that of a boot's id is.
    fn line(&self) -> String {
        format!("{:020} {}\n", self.uniqid, self.boot)
    }

    /// Reads the mark; what cannot be understood was cut off by a loss of power, and marks nothing.
    fn load(zonepath: &Path) -> Option<Self> {
        let bytes = file::read_if_there(&Self::path(zonepath), file::DOCUMENT).ok().flatten()?;
        let (line, _) = str::from_utf8(&bytes).ok()?.split_once('\n')?;
        let (uniqid, boot) = line.split_once(' ')?;
        Some(Self { uniqid: uniqid.parse().ok()?, boot: boot.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLIER: &str = "01234567-89ab-4def-8123-456789abcdef";

    fn exit(uniqid: u64, how: How) -> LastExit {
        LastExit { uniqid, how, status: None, signal: None, when: 9, restarts: 0 }
    }

    fn booted_earlier(zonepath: &Path, uniqid: u64) {
        let mark = LastBoot { uniqid, boot: EARLIER.to_owned() };
        std::fs::write(LastBoot::path(zonepath), mark.line()).unwrap();
    }

    fn told(zonepath: &Path) -> Option<(u64, How)> {
        LastExit::load(zonepath).unwrap().map(|exit| (exit.uniqid, exit.how))
    }

    #[test]
    fn what_ended_with_the_host_ended_in_an_unknown_way() {
        let dir = tempfile::tempdir().unwrap();
        booted_earlier(dir.path(), 7);
        assert_eq!(told(dir.path()), Some((7, How::Unknown)), "it never ended before");
        exit(6, How::Halted).save(dir.path()).unwrap();
        assert_eq!(told(dir.path()), Some((7, How::Unknown)));
        exit(7, How::Poweroff).save(dir.path()).unwrap();
        assert_eq!(told(dir.path()), Some((7, How::Poweroff)), "it ended before the host did");
        exit(8, How::Killed).save(dir.path()).unwrap();
        assert_eq!(told(dir.path()), Some((8, How::Killed)), "the mark of its boot was lost");
    }

    #[test]
    fn what_was_booted_in_this_boot_of_the_host_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        exit(6, How::Halted).save(dir.path()).unwrap();
        LastBoot::mark(dir.path(), 7).unwrap();
        assert_eq!(told(dir.path()), Some((6, How::Halted)));
    }

    #[test]
    fn a_mark_that_a_loss_of_power_has_cut_off_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        exit(6, How::Halted).save(dir.path()).unwrap();
        for torn in ["", "00000000000000000007 0123", "\0\0\0", "00000000000000000007\n"] {
            std::fs::write(LastBoot::path(dir.path()), torn).unwrap();
            assert_eq!(told(dir.path()), Some((6, How::Halted)), "{torn:?}");
        }
    }

    #[test]
    fn the_next_boot_writes_the_end_down_that_went_with_the_host() {
        let dir = tempfile::tempdir().unwrap();
        exit(6, How::Halted).save(dir.path()).unwrap();
        booted_earlier(dir.path(), 7);
        LastBoot::mark(dir.path(), 8).unwrap();
        assert_eq!(told(dir.path()), Some((7, How::Unknown)));
        assert_eq!(LastBoot::load(dir.path()).map(|mark| mark.uniqid), Some(8));
    }

    #[test]
    fn a_record_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(LastExit::load(dir.path()).unwrap(), None);
        let how_it_ended =
            LastExit { uniqid: 7, how: How::Crashed, status: None, signal: Some(11), when: 9, restarts: 2 };
        how_it_ended.save(dir.path()).unwrap();
        assert_eq!(LastExit::load(dir.path()).unwrap(), Some(how_it_ended));
        std::fs::write(LastExit::path(dir.path()), "uniqid = 7\nho").unwrap();
        assert!(matches!(LastExit::load(dir.path()), Err(LastExitError::Parse { .. })));
    }
}

//! How the last incarnation of a zone ended: `ZONEPATH/lastexit.toml`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::file::{self, FileError};

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
    /// Nobody saw how: its zsched had been killed before.
    Unknown,
}

/// How one incarnation of a zone ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LastExit {
    /// The incarnation.
    pub uniqid: u64,
    /// What ended it.
    pub how: How,
    /// What init returned, when it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// What signal ended init, when one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// When, in seconds since 1970 UTC.
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
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// No value of ours does this.
    #[error("cannot put the end of the zone into words for {}", .path.display())]
    Print {
        /// The file.
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

    /// Reads the record; `None` when the zone has not ended yet.
    ///
    /// # Errors
    /// When it is there and cannot be read or understood.
    pub fn load(zonepath: &Path) -> Result<Option<Self>, LastExitError> {
        let path = Self::path(zonepath);
        let Some(bytes) = file::read_if_there(&path, file::DOCUMENT)? else { return Ok(None) };
        let parsed = toml::from_str(&String::from_utf8_lossy(&bytes));
        parsed.map(Some).map_err(|source| LastExitError::Parse { path, source: Box::new(source) })
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

#[cfg(test)]
mod tests {
    use super::*;

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

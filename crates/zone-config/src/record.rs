//! Files of a live zone that grow by a line at a time: a word, and what belongs to it. What an incarnation is and what its daemon
//! is about are kept so.
//!
//! They are in the run directory, which is gone with the zones when the host loses its power: nothing waits for a disk. What a
//! death cuts short is the last line only, and that is passed over by who reads. So are words that are not known: a later program
//! may write more, and an earlier one reads what it knows. A value is never given another meaning; a new one gets a new word, or
//! stands behind those that are there.

use crate::file::{self, FileError};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Reads a record; one that is missing or cannot be read is none.
#[must_use]
pub fn load(path: &Path) -> Option<String> {
    read(path).ok()?
}

/// Reads a record; `None` if there is none.
///
/// # Errors
/// When it cannot be read, or is larger than a document may be.
pub fn read(path: &Path) -> Result<Option<String>, FileError> {
    let bytes = file::read_if_there(path, file::DOCUMENT)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Gives the lines that are whole, each as its word and what belongs to it.
pub fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let whole = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    whole.map(|line| line.split_once(' ').unwrap_or((line, "")))
}

/// A record that lines are added to.
#[derive(Debug)]
pub struct Record {
    path: PathBuf,
    file: File,
}

impl Record {
    /// Opens a record, and makes it if there is none.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open(path: &Path) -> Result<Self, FileError> {
        Self::with(path, true)
    }

    /// Opens a record; `None` if there is none.
    ///
    /// # Errors
    /// Those of open(2), but for `ENOENT`.
    pub fn open_if_there(path: &Path) -> Result<Option<Self>, FileError> {
        match Self::with(path, false) {
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    fn with(path: &Path, make: bool) -> Result<Self, FileError> {
        let opened = OpenOptions::new().create(make).append(true).mode(0o600).open(path);
        Ok(Self { path: path.to_owned(), file: opened.map_err(FileError::new("open", path))? })
    }

    /// Adds a line, which is there as a whole or not at all for whoever reads. What would begin another line is a blank.
    ///
    /// # Errors
    /// Those of write(2); then nothing was added.
    pub fn add(&mut self, line: &str) -> Result<(), FileError> {
        let mut line = line.replace(char::is_control, " ");
        line.push('\n');
        let before = self.file.metadata().map(|meta| meta.len());
        // One write: what a death cuts short is this line only.
        self.file.write_all(line.as_bytes()).map_err(|error| {
            // On a full disk a part may have been written, and the next line must not become the rest of this one.
            if let Ok(length) = before {
                let _ = self.file.set_len(length);
            }
            FileError::new("write", &self.path)(error)
        })
    }

    /// Removes all lines: for whoever reads it is as one that nothing was added to.
    ///
    /// # Errors
    /// Those of ftruncate(2).
    pub fn clear(&mut self) -> Result<(), FileError> {
        self.file.set_len(0).map_err(FileError::new("truncate", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_added_and_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        assert!(Record::open_if_there(&path).unwrap().is_none());
        assert_eq!(load(&path), None);
        Record::open(&path).unwrap().add("begin boot 1").unwrap();
        let mut record = Record::open_if_there(&path).unwrap().unwrap();
        record.add("booted").unwrap();
        record.add("args a\nend b").unwrap();
        let text = load(&path).unwrap();
        assert_eq!(
            lines(&text).collect::<Vec<_>>(),
            [("begin", "boot 1"), ("booted", ""), ("args", "a end b")]
        );
        record.clear().unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some(""));
        record.add("booted").unwrap();
        assert_eq!(load(&path).as_deref(), Some("booted\n"), "what was there before leaves no hole");
    }

    #[test]
    fn one_that_is_too_large_is_told_from_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        assert!(read(&path).unwrap().is_none());
        Record::open(&path).unwrap().file.set_len(file::DOCUMENT + 1).unwrap();
        assert!(read(&path).is_err() && load(&path).is_none());
    }

    #[test]
    fn a_line_that_was_cut_short_is_none() {
        assert_eq!(lines("pid 7\nbooted\nend").collect::<Vec<_>>(), [("pid", "7"), ("booted", "")]);
        assert_eq!(lines("pid 7").count(), 0);
    }

    #[test]
    fn a_line_that_does_not_fit_leaves_nothing() {
        let record = Record::open(Path::new("/dev/full"));
        let error = record.unwrap().add("begin boot").unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().starts_with("cannot write /dev/full"));
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text: String) {
            prop_assert!(lines(&text).all(|(word, _)| !word.contains(['\n', ' '])));
        }
    }
}

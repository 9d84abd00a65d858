//! A file with a record a line: the index, the addresses. Each line is either understood or kept.

use std::collections::HashSet;
use std::fmt::Display;
use std::hash::Hash;

/// What a line may hold. It is written as it is displayed.
pub(crate) trait Record: Display {
    /// What no two records of a file share.
    type Key: Eq + Hash;

    fn key(&self) -> Self::Key;

    /// Says in words what [`Self::key`] is of, for whoever finds a second one.
    fn subject(&self) -> String;

    /// Reads a line; `None` for one that is none of ours, such as a comment. The error says why it makes no sense.
    fn read(text: &str) -> Result<Option<Self>, String>
    where
        Self: Sized;
}

/// One line. What was read is kept beside what it means, so that a line nobody changed is written as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line<R> {
    /// A record.
    Record { record: R, text: Vec<u8> },
    /// A comment, a blank line, or one that others have in the file.
    Other(Vec<u8>),
    /// A line that makes no sense, and why; it is kept.
    Garbage { text: Vec<u8>, reason: String },
}

impl<R: Record> Line<R> {
    /// The line of a new or changed record.
    pub(crate) fn of(record: R) -> Self {
        Self::Record { text: record.to_string().into_bytes(), record }
    }
}

impl<R> Line<R> {
    pub(crate) fn record(&self) -> Option<&R> {
        match self {
            Self::Record { record, .. } => Some(record),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> &[u8] {
        match self {
            Self::Record { text, .. } | Self::Other(text) | Self::Garbage { text, .. } => text,
        }
    }
}

/// Reads a line's bytes, as [`Record::read`] does its text.
pub(crate) fn read<R: Record>(line: &[u8]) -> Result<Option<R>, String> {
    std::str::from_utf8(line).map_err(|_| "not valid UTF-8".to_owned()).and_then(R::read)
}

/// Reads the lines; a second line of the same key makes no sense, so that the first one rules.
pub(crate) fn parse<R: Record>(bytes: &[u8]) -> Vec<Line<R>> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let mut keys = HashSet::new();
    let line = |text: &[u8]| {
        let kept = text.to_vec();
        match read::<R>(text) {
            Ok(None) => Line::Other(kept),
            Ok(Some(record)) if !keys.insert(record.key()) => {
                Line::Garbage { text: kept, reason: format!("a second line for {}", record.subject()) }
            }
            Ok(Some(record)) => Line::Record { record, text: kept },
            Err(reason) => Line::Garbage { text: kept, reason },
        }
    };
    bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|&b| b == b'\n').map(line).collect()
}

/// The file's contents. A last line that had no line break gets one, lest the next record be glued to it.
pub(crate) fn print<R>(lines: &[Line<R>]) -> Vec<u8> {
    lines.iter().flat_map(|line| line.text().iter().copied().chain([b'\n'])).collect()
}

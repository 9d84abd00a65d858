//! The lines of the index, each either understood or kept.

use std::collections::HashSet;
use std::str::FromStr;

use uuid::Uuid;

use super::Entry;
use crate::{State, ZoneName};

/// One line. What was read is kept beside what it means, so that a line nobody changed is written as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A zone.
    Zone { entry: Entry, text: Vec<u8> },
    /// A comment, a blank line, or the line of the host itself.
    Other(Vec<u8>),
    /// A line that makes no sense, and why; it is kept.
    Garbage { text: Vec<u8>, reason: String },
}

impl Line {
    pub(super) fn entry_of(entry: Entry) -> Self {
        Self::Zone { text: entry.to_string().into_bytes(), entry }
    }

    pub(super) fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Zone { entry, .. } => Some(entry),
            _ => None,
        }
    }

    fn text(&self) -> &[u8] {
        match self {
            Self::Zone { text, .. } | Self::Other(text) | Self::Garbage { text, .. } => text,
        }
    }
}

/// Reads the lines; a second line of the same zone counts as garbage, so that the first one rules.
pub(super) fn parse(bytes: &[u8]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut names = HashSet::new();
    if bytes.is_empty() {
        return lines;
    }
    for text in bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|&b| b == b'\n') {
        let kept = text.to_vec();
        let line = match read(text) {
            Ok(None) => Line::Other(kept),
            Ok(Some(entry)) if !names.insert(entry.name.clone()) => {
                Line::Garbage { text: kept, reason: format!("a second line for zone '{}'", entry.name) }
            }
            Ok(Some(entry)) => Line::Zone { entry, text: kept },
            Err(reason) => Line::Garbage { text: kept, reason },
        };
        lines.push(line);
    }
    lines
}

/// The file's contents. A last line that had no line break gets one, lest the next entry be glued to it.
pub(super) fn print(lines: &[Line]) -> Vec<u8> {
    lines.iter().flat_map(|line| line.text().iter().copied().chain([b'\n'])).collect()
}

fn read(text: &[u8]) -> Result<Option<Entry>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "not valid UTF-8".to_owned())?;
    if text.trim().is_empty() || text.starts_with('#') || text.starts_with("global:") {
        return Ok(None);
    }
    let (name, rest) = text.split_once(':').ok_or_else(shape)?;
    let (state, rest) = rest.split_once(':').ok_or_else(shape)?;
    let (path, rest) = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').ok_or("the quote before the zonepath is not closed")?,
        None => rest.split_at(rest.find(':').unwrap_or(rest.len())),
    };
    // The uuid's colon may be missing: so wrote the oldest versions of Solaris.
    let uuid = if rest.is_empty() { "" } else { rest.strip_prefix(':').ok_or_else(shape)? };

    let name = ZoneName::from_str(name).map_err(|e| e.to_string())?;
    let state = State::from_str(state).ok().filter(|s| s.is_stored());
    let state = state.ok_or("the state must be configured, incomplete or installed")?;
    if !path.starts_with('/') || path.chars().any(|c| c == '"' || c.is_control()) {
        return Err("the zonepath must be an absolute path".to_owned());
    }
    let uuid = if uuid.is_empty() {
        None
    } else {
        Some(Uuid::try_parse(uuid).map_err(|_| "the fourth field must be a uuid or empty")?)
    };
    Ok(Some(Entry { name, state, zonepath: path.into(), uuid }))
}

fn shape() -> String {
    "not of the form name:state:zonepath:uuid".to_owned()
}

//! What a line of the index holds.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::str::FromStr;

use uuid::Uuid;

use super::Entry;
use crate::lines;
use crate::{State, ZoneName};

/// One line of the index.
pub(super) type Line = lines::Line<Entry>;

impl lines::Record for Entry {
    type Key = ZoneName;

    fn key(&self) -> Self::Key {
        self.name.clone()
    }

    fn subject(&self) -> String {
        format!("zone '{}'", self.name)
    }

    fn read(text: &str) -> Result<Option<Self>, String> {
        read(text)
    }
}

/// Finds the zonepath in a line, whatever else is in it.
pub(super) fn path_of(line: &[u8]) -> Option<&Path> {
    let mut fields = line.splitn(3, |&byte| byte == b':');
    let rest = fields.nth(2)?;
    let (rest, end) = match rest.strip_prefix(b"\"") {
        Some(quoted) => (quoted, b'"'),
        None => (rest, b':'),
    };
    let path = rest.split(|&byte| byte == end).next()?;
    Some(Path::new(OsStr::from_bytes(path)))
}

fn read(text: &str) -> Result<Option<Entry>, String> {
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

//! Files of id ranges, `owner:first:count` a line: subuid(5), subgid(5) and our own record.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::IdRange;
use crate::file::{self, FileError, Next};

/// Understands one line; comments and nonsense are `None`.
pub(super) fn read_line(line: &str) -> Option<(&str, IdRange)> {
    let mut fields = line.trim().split(':');
    let (owner, base, count) = (fields.next()?, fields.next()?, fields.next()?);
    let range = IdRange { base: base.parse().ok()?, count: count.parse().ok()? };
    fields.next().is_none().then_some((owner, range))
}

/// All ranges of a file, with their owners; a missing file has none.
pub(super) fn read(path: &Path) -> Result<Vec<(String, IdRange)>, FileError> {
    let bytes = file::read_if_there(path, file::TABLE)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().filter_map(read_line).map(|(owner, range)| (owner.to_owned(), range)).collect())
}

/// The ids in the third field of passwd(5) or group(5), each as a range of one.
pub(super) fn read_ids(path: &Path) -> Result<Vec<IdRange>, FileError> {
    let bytes = file::read_if_there(path, file::TABLE)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let ids = text.lines().filter_map(|line| line.split(':').nth(2)?.parse().ok());
    Ok(ids.map(|base| IdRange { base, count: 1 }).collect())
}

/// What a file is to be that has exactly this range of this owner, or none, if it is not that already; every other line stays as it
/// is, byte for byte. The file keeps its mode, and a symbolic link stays one.
pub(super) fn edit(path: &Path, owner: &str, range: Option<IdRange>) -> Result<Option<Next>, FileError> {
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let old = file::read_if_there(path, file::TABLE)?;
    let wanted = range.map(|range| format!("{owner}:{range}\n").into_bytes());
    let bytes = old.as_deref().unwrap_or_default();
    let prefix = format!("{owner}:");
    let (ours, mut kept): (Vec<&[u8]>, Vec<&[u8]>) =
        bytes.split_inclusive(|&b| b == b'\n').partition(|line| line.starts_with(prefix.as_bytes()));
    if ours.len() == usize::from(wanted.is_some()) && ours.first().copied() == wanted.as_deref() {
        return Ok(None);
    }
    if let Some(wanted) = &wanted {
        if kept.last().is_some_and(|last| !last.ends_with(b"\n")) {
            kept.push(b"\n");
        }
        kept.push(wanted);
    }
    let mode = fs::metadata(path).map_or(0o644, |meta| meta.permissions().mode() & 0o7777);
    Ok(Some(Next { path: path.to_owned(), contents: kept.concat(), mode }))
}

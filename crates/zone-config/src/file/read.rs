//! Files that are read up to a bound, and nothing that is no file.

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use super::FileError;

/// Why something that is there is not read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// To read a fifo or a device may take for ever; a directory cannot be read at all.
    #[error("it is {0}, not a regular file")]
    Kind(&'static str),
    /// The programs read the file as a whole, and will not do that with any size.
    #[error("it has more than {0} bytes, the most that is read")]
    TooLong(u64),
}

/// Reads a regular file of at most `most` bytes; a missing one is `None`. Never waits for anybody: whatever else is at
/// `path` (a fifo, a device, a directory) is refused without reading it.
///
/// # Errors
/// When it exists and cannot be read, is no regular file, or is longer; see [`Unreadable`].
pub fn read_if_there(path: &Path, most: u64) -> Result<Option<Vec<u8>>, FileError> {
    let Some((file, length)) = open_regular(path)? else { return Ok(None) };
    // As much as there is, and room to see that there is no more: else reading begins with some bytes and doubles.
    let length = usize::try_from(length.min(most)).unwrap_or_default();
    read_into(Vec::with_capacity(length + 32), file, most).map(Some).map_err(FileError::new("read", path))
}

/// Opens a regular file, and gives its length; `None` if there is none.
fn open_regular(path: &Path) -> Result<Option<(File, u64)>, FileError> {
    let failed = || FileError::new("read", path);
    // NONBLOCK, for to open a fifo waits for its other end.
    let file = match OpenOptions::new().read(true).custom_flags(unblocked()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed()(error)),
    };
    let meta = file.metadata().map_err(failed())?;
    if !meta.is_file() {
        return Err(failed()(unreadable(Unreadable::Kind(kind(meta.file_type())))));
    }
    Ok(Some((file, meta.len())))
}

/// Goes through the lines of a regular file of at most `most` bytes until `look` breaks, and gives what it breaks with; `None`
/// at the end, and of a file that is missing. The lines come without line breaks, and no more than one is kept in memory. Refuses what
/// [`read_if_there`] refuses, but a length only where it comes to it.
///
/// # Errors
/// When it exists and cannot be read, is no regular file, or is longer; see [`Unreadable`].
pub fn scan_lines<T>(
    path: &Path,
    most: u64,
    mut look: impl FnMut(&[u8]) -> ControlFlow<T>,
) -> Result<Option<T>, FileError> {
    let failed = || FileError::new("read", path);
    let Some((file, _)) = open_regular(path)? else { return Ok(None) };
    let mut reader = BufReader::with_capacity(SCAN, file.take(most + 1));
    let mut line = Vec::new();
    let mut seen = 0;
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line).map_err(failed())?;
        seen += length as u64;
        if length == 0 {
            return Ok(None);
        }
        if seen > most {
            return Err(failed()(unreadable(Unreadable::TooLong(most))));
        }
        if let ControlFlow::Break(found) = look(line.strip_suffix(b"\n").unwrap_or(&line)) {
            return Ok(Some(found));
        }
    }
}

/// How much of a file is read at a time by whoever goes through its lines.
const SCAN: usize = 16 << 10;

/// Reads to the end of what may be no file (a pipe, standard input), up to a bound.
///
/// # Errors
/// When reading fails, or there are more than `most` bytes ([`Unreadable::TooLong`]).
pub fn read_at_most(from: impl Read, most: u64) -> io::Result<Vec<u8>> {
    read_into(Vec::new(), from, most)
}

fn read_into(mut bytes: Vec<u8>, from: impl Read, most: u64) -> io::Result<Vec<u8>> {
    from.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(unreadable(Unreadable::TooLong(most))) } else { Ok(bytes) }
}

/// Refuses to write what [`read_if_there`] with the same bound would refuse to read.
///
/// # Errors
/// When there are more than `most` bytes.
pub fn check_size(path: &Path, contents: &[u8], most: u64) -> Result<(), FileError> {
    if contents.len() as u64 > most {
        return Err(FileError::new("write", path)(unreadable(Unreadable::TooLong(most))));
    }
    Ok(())
}

pub(super) fn unreadable(why: Unreadable) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The flags for opening what may turn out to be a fifo, a device or a terminal.
pub(super) fn unblocked() -> i32 {
    (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed()
}

/// The kind of a file, with its article.
pub(super) fn kind(of: FileType) -> &'static str {
    match of {
        _ if of.is_dir() => "a directory",
        _ if of.is_fifo() => "a fifo",
        _ if of.is_socket() => "a socket",
        _ => "a device",
    }
}

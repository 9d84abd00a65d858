//! The console's log on disk: `NAME`, and older `NAME.1`, `NAME.2`..., none longer than a limit.
//!
//! A guest can write a hundred megabytes in a second, and the log must neither fill a disk nor lose
//! last week's messages to one burst, so its size is bounded by rotation and its rate by the server
//! that feeds it. Files are opened beneath a directory that only root may write, follow no link,
//! and belong to root alone: the output of a zone is the zone's business.

mod bucket;
mod reader;
mod writer;

pub(crate) use bucket::Bucket;
pub use reader::{LogReader, Style};
pub use writer::ConsoleLog;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use std::io;
use std::path::{Path, PathBuf};

/// How much a log may hold, and how fast it may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// The most bytes of one file.
    pub bytes: u64,
    /// How many files there are, the present one included.
    pub files: u32,
    /// Bytes a second that a guest may log for as long as it likes.
    pub rate: u64,
    /// Bytes that it may log at once before that counts.
    pub burst: u64,
}

impl Default for LogLimits {
    /// Five files of 1 MiB; a burst of 1 MiB, then 64 KiB a second.
    fn default() -> Self {
        Self { bytes: 1 << 20, files: 5, rate: 64 << 10, burst: 1 << 20 }
    }
}

/// Why a log cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// A system call failed.
    #[error("console log {}: {operation} failed", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file or directory it was tried on.
        path: PathBuf,
        /// What the kernel answered.
        #[source]
        source: io::Error,
    },
    /// Others could exchange the file or its directory.
    #[error("console log {}: {problem}; correct that or remove it", path.display())]
    Unsafe {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
}

fn io_error(operation: &'static str, path: &Path, source: impl Into<io::Error>) -> LogError {
    LogError::Io { operation, path: path.to_owned(), source: source.into() }
}

/// The name of the log's file number `age`; 0 is the present one.
fn file_name(name: &str, age: u32) -> String {
    if age == 0 { name.to_owned() } else { format!("{name}.{age}") }
}

/// The directory, if nobody but root or this user can change what is in it.
fn open_dir(path: &Path) -> Result<OwnedFd, LogError> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    let dir = openat(CWD, path, flags, Mode::empty()).map_err(|e| io_error("open", path, e))?;
    let stat = fstat(&dir).map_err(|e| io_error("fstat", path, e))?;
    if !is_trusted(stat.st_uid) {
        return Err(LogError::Unsafe { path: path.into(), problem: "the directory belongs to another user" });
    }
    if Mode::from_raw_mode(stat.st_mode).intersects(Mode::WGRP | Mode::WOTH) {
        return Err(LogError::Unsafe { path: path.into(), problem: "others may write into the directory" });
    }
    Ok(dir)
}

/// A file of the log. The size is the file's, in bytes.
fn open_file(dir: &OwnedFd, path: &Path, name: &str, flags: OFlags) -> Result<(OwnedFd, u64), LogError> {
    // A pipe that somebody has put there must not stop us.
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let path = path.join(name);
    let file = openat(dir, name, flags, Mode::RUSR | Mode::WUSR).map_err(|e| io_error("open", &path, e))?;
    let stat = fstat(&file).map_err(|e| io_error("fstat", &path, e))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(LogError::Unsafe { path, problem: "it is not a regular file" });
    }
    if !is_trusted(stat.st_uid) || stat.st_nlink > 1 {
        return Err(LogError::Unsafe { path, problem: "it belongs to another user or has a second name" });
    }
    Ok((file, u64::try_from(stat.st_size).unwrap_or(0)))
}

fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

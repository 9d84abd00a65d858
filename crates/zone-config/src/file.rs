//! Files that are written whole or not at all, read up to a bound, and the lock under which they are changed.

mod lock;
mod read;
mod together;

pub use lock::{FileLock, is_removed};
pub use read::{Unreadable, check_size, read_at_most, read_if_there, scan_lines};
pub use together::{Next, replace_all};

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use read::{kind, unblocked, unreadable};

/// An operation on a file that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}{}", .path.display(), remedy(.source))]
pub struct FileError {
    /// What was tried: a verb, and what of the file.
    pub operation: &'static str,
    /// On which file.
    pub path: PathBuf,
    /// What the system answered.
    #[source]
    pub source: io::Error,
}

/// What to do about an answer of the system that says nothing of the file itself.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ", whose file system is full (free some space there, and try again)"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            ", whose file system is read-only (say 'mount -o remount,rw', and try again)"
        }
        _ => "",
    }
}

impl FileError {
    /// Makes the error of `operation` on `path`; for `map_err`.
    pub fn new<E: Into<io::Error>>(operation: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        move |error| Self { operation, path: path.to_owned(), source: error.into() }
    }
}

/// Begins every file of a guest's that is ours to replace, and tells that by itself: a line, as a comment. Whoever makes such a
/// file a guest's own takes the line away.
pub const GUEST_MARKER: &str =
    "# Written by zones at each boot of this zone. Without this line the file is left alone.\n";

/// Bounds the files that hold one thing (a configuration, a snapshot, a brand, a text of commands), in bytes.
pub const DOCUMENT: u64 = 1 << 20;

/// Bounds the files with a line for each of many things (the index, the id map, passwd(5), subuid(5)), in bytes.
pub const TABLE: u64 = 16 << 20;

/// Makes a file have these contents and this mode, or leaves it as it was: a temporary file beside it,
/// fsync, rename, fsync of the directory. After a crash at any point one of the two versions is there, whole.
///
/// # Errors
/// When any step fails; the temporary file is then gone.
pub fn replace(path: &Path, contents: &[u8], mode: u32) -> Result<(), FileError> {
    swap_in(path, contents, mode, Durability::HostCrash)?;
    zone_fail::pass!("file.renamed");
    sync_dir(parent(path))
}

/// As [`replace`], but the new name is put on the disk some seconds later, with what else there is: after a crash of the host
/// one of the two versions is there, whole, perhaps the old one. Takes half the time.
///
/// # Errors
/// As [`replace`].
pub fn replace_whole(path: &Path, contents: &[u8], mode: u32) -> Result<(), FileError> {
    swap_in(path, contents, mode, Durability::HostCrash)
}

/// As [`replace`], but without waiting for the disk: whole after a crash of any process, not of the host.
/// For what is of no use after one (run files), or not worth a disk's time on the way of a halt.
///
/// # Errors
/// As [`replace`].
pub fn replace_fast(path: &Path, contents: &[u8], mode: u32) -> Result<(), FileError> {
    swap_in(path, contents, mode, Durability::ProcessCrash)
}

/// Writes over the beginning of a file, or makes it, without waiting for the disk; for what has one length always, is short, and
/// does no harm when a crash of the host cuts it off. A hundredth of the time of [`replace_fast`] where there is a file already.
///
/// # Errors
/// When it cannot be opened or written, or is no regular file.
pub fn overwrite(path: &Path, contents: &[u8], mode: u32) -> Result<(), FileError> {
    let written = zone_fail::fail!("file.write").map_err(io::Error::from).and_then(|()| {
        let flags = unblocked() | OFlags::NOFOLLOW.bits().cast_signed();
        let mut options = OpenOptions::new();
        let file =
            options.write(true).create(true).truncate(false).mode(mode).custom_flags(flags).open(path)?;
        match file.metadata()?.file_type() {
            of if of.is_file() => file.write_all_at(contents, 0),
            of => Err(unreadable(Unreadable::Kind(kind(of)))),
        }
    });
    written.map_err(FileError::new("write", path))
}

/// What a file must outlive.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Durability {
    ProcessCrash,
    HostCrash,
}

fn swap_in(path: &Path, contents: &[u8], mode: u32, durability: Durability) -> Result<(), FileError> {
    let temporary = temporary(path);
    let written = zone_fail::fail!("file.write")
        .map_err(FileError::new("write", &temporary))
        .and_then(|()| write_new(&temporary, contents, mode))
        .and_then(|file| match durability {
            Durability::HostCrash => file.sync_all().map_err(FileError::new("sync", &temporary)),
            Durability::ProcessCrash => Ok(()),
        })
        .inspect(|()| zone_fail::pass!("file.written"))
        .and_then(|()| take_place(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Gives a file's next contents its name.
fn take_place(temporary: &Path, path: &Path) -> Result<(), FileError> {
    let allowed = zone_fail::fail!("file.rename").map_err(io::Error::from);
    allowed.and_then(|()| fs::rename(temporary, path)).map_err(FileError::new("replace", path))
}

/// Where a file's next contents are written. Two writers of one file hold the same lock, so that one name is enough,
/// and what a writer that was killed has left is found by the next one, or by whoever removes the file.
fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    parent(path).join(format!(".{name}.new"))
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// Removes a file and makes that last; a missing one is fine.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove(path: &Path) -> Result<(), FileError> {
    remove_if_there(&temporary(path))?;
    match fs::remove_file(path) {
        Ok(()) => sync_dir(parent(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(FileError::new("remove", path)(error)),
    }
}

/// As [`remove`], but without waiting for the disk.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove_fast(path: &Path) -> Result<(), FileError> {
    remove_if_there(&temporary(path))?;
    remove_if_there(path)
}

/// Whether there is anything that [`remove`] would remove.
#[must_use]
pub fn is_left(path: &Path) -> bool {
    path.exists() || temporary(path).exists()
}

fn remove_if_there(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::new("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Makes a directory and those above it that are missing; the mode is that of the ones made.
///
/// # Errors
/// When one cannot be made.
pub fn make_dir(path: &Path, mode: u32) -> Result<(), FileError> {
    DirBuilder::new().recursive(true).mode(mode).create(path).map_err(FileError::new("make directory", path))
}

/// As [`make_dir`], for directories that are still to be there after a crash of the host.
///
/// # Errors
/// When one cannot be made, or put on the disk.
pub fn make_dir_to_stay(path: &Path, mode: u32) -> Result<(), FileError> {
    let missing: Vec<&Path> = path.ancestors().take_while(|dir| !dir.exists()).collect();
    make_dir(path, mode)?;
    missing.into_iter().rev().try_for_each(|made| sync_dir(parent(made)))
}

fn write_new(path: &Path, contents: &[u8], mode: u32) -> Result<File, FileError> {
    // What a writer that was killed has left.
    remove_if_there(path)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(FileError::new("create", path))?;
    // The mode at creation is cut by the umask of whoever runs us.
    rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(mode))
        .map_err(FileError::new("set the mode of", path))?;
    file.write_all(contents).map_err(FileError::new("write", path))?;
    Ok(file)
}

fn sync_dir(dir: &Path) -> Result<(), FileError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(FileError::new("sync directory", dir))
}

#[cfg(test)]
mod tests;

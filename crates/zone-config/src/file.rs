//! Files that are written whole or not at all, read up to a bound, and the lock under which they are changed.

use std::fs::{self, DirBuilder, File, FileType, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::{DirBuilderExt, FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags};

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
    let failed = || FileError::new("read", path);
    // NONBLOCK, for to open a fifo waits for its other end.
    match OpenOptions::new().read(true).custom_flags(unblocked()).open(path) {
        Ok(file) => {
            let meta = file.metadata().map_err(failed())?;
            if !meta.is_file() {
                return Err(failed()(unreadable(Unreadable::Kind(kind(meta.file_type())))));
            }
            // As much as there is, and room to see that there is no more: else reading begins with some bytes and doubles.
            let length = usize::try_from(meta.len().min(most)).unwrap_or_default();
            read_into(Vec::with_capacity(length + 32), file, most).map(Some).map_err(failed())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed()(error)),
    }
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
    let file = match OpenOptions::new().read(true).custom_flags(unblocked()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed()(error)),
    };
    let meta = file.metadata().map_err(failed())?;
    if !meta.is_file() {
        return Err(failed()(unreadable(Unreadable::Kind(kind(meta.file_type())))));
    }
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

fn unreadable(why: Unreadable) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The flags for opening what may turn out to be a fifo, a device or a terminal.
fn unblocked() -> i32 {
    (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed()
}

/// The kind of a file, with its article.
fn kind(of: FileType) -> &'static str {
    match of {
        _ if of.is_dir() => "a directory",
        _ if of.is_fifo() => "a fifo",
        _ if of.is_socket() => "a socket",
        _ => "a device",
    }
}

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
        .and_then(|()| write_new(&temporary, contents, mode, durability))
        .inspect(|()| zone_fail::pass!("file.written"))
        .and_then(|()| {
            let allowed = zone_fail::fail!("file.rename").map_err(io::Error::from);
            allowed.and_then(|()| fs::rename(&temporary, path)).map_err(FileError::new("replace", path))
        });
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
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

fn write_new(path: &Path, contents: &[u8], mode: u32, durability: Durability) -> Result<(), FileError> {
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
    match durability {
        Durability::HostCrash => file.sync_all().map_err(FileError::new("sync", path)),
        Durability::ProcessCrash => Ok(()),
    }
}

fn sync_dir(dir: &Path) -> Result<(), FileError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(FileError::new("sync directory", dir))
}

/// An exclusive lock on a file, held until this is dropped or the process ends. The file stays, unless it is
/// [discarded](Self::discard).
#[derive(Debug)]
pub struct FileLock {
    file: File,
    path: PathBuf,
}

impl FileLock {
    /// Takes the lock, waiting for whoever has it. The file and its directory are made when missing, the
    /// directory with mode 0700.
    ///
    /// # Errors
    /// When the file cannot be made or opened for writing.
    pub fn take(path: &Path) -> Result<Self, FileError> {
        loop {
            let file = Self::open(path)?;
            match rustix::fs::flock(&file, FlockOperation::LockExclusive) {
                Ok(()) if is_removed(&file) => {}
                Ok(()) => return Ok(Self { file, path: path.to_owned() }),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(FileError::new("lock", path)(error)),
            }
        }
    }

    /// Takes the lock if nobody has it.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn try_take(path: &Path) -> Result<Option<Self>, FileError> {
        loop {
            let file = Self::open(path)?;
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) if is_removed(&file) => {}
                Ok(()) => return Ok(Some(Self { file, path: path.to_owned() })),
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(FileError::new("lock", path)(error)),
            }
        }
    }

    /// Writes into the file what it is held for, which is for people alone: that it cannot be written is no failure.
    pub fn note(&self, text: &str) {
        let mut file = &self.file;
        let _ = file.set_len(0).and_then(|()| file.write_all(text.as_bytes()));
    }

    /// What the lock is held for, if somebody has it: what was [noted](Self::note), or nothing. No file is made.
    pub fn held_for(path: &Path) -> Option<String> {
        const LINE: u64 = 200;
        let mut options = OpenOptions::new();
        let file = options.read(true).custom_flags(unblocked()).open(path).ok()?;
        // Without waiting, and given up at once: who wants it tries for longer than this takes.
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            _ => return None,
        }
        let mut text = Vec::new();
        file.take(LINE).read_to_end(&mut text).ok()?;
        Some(String::from_utf8_lossy(&text).into_owned())
    }

    /// Removes the file, then gives up the lock. Whoever waits for it finds that it has locked a file that no third one would
    /// see, and begins anew.
    pub fn discard(self) {
        // A lock file that stays is no harm.
        let _ = fs::remove_file(&self.path);
    }

    /// Removes the file of a lock that nobody has; one that somebody has stays, and is for the next to remove.
    pub fn discard_if_free(path: &Path) {
        if path.exists()
            && let Ok(Some(lock)) = Self::try_take(path)
        {
            lock.discard();
        }
    }

    /// Takes the lock if nobody has it, or has it for this long only: the child of one that was killed has its
    /// parent's locks until it executes.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn take_within(path: &Path, patience: Duration) -> Result<Option<Self>, FileError> {
        const PAUSE: Duration = Duration::from_millis(10);
        let deadline = Instant::now() + patience;
        loop {
            let taken = Self::try_take(path)?;
            if taken.is_some() || Instant::now() > deadline {
                return Ok(taken);
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn open(path: &Path) -> Result<File, FileError> {
        loop {
            if let Some(dir) = path.parent() {
                make_dir(dir, 0o700)?;
            }
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false).mode(0o600).custom_flags(unblocked());
            match options.open(path) {
                // Somebody removed the directory just now, with the last file in it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // So the kernel answers whoever would write to a fifo that nobody reads.
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => {
                    return Err(FileError::new("open", path)(unreadable(Unreadable::Kind(
                        "a fifo or a device",
                    ))));
                }
                opened => return opened.map_err(FileError::new("open", path)),
            }
        }
    }
}

/// For a child that is to hold it, too.
impl rustix::fd::AsFd for FileLock {
    fn as_fd(&self) -> rustix::fd::BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Whether an open file has no name any more: a lock on it locks nothing.
pub fn is_removed(file: impl rustix::fd::AsFd) -> bool {
    rustix::fs::fstat(file).is_ok_and(|stat| stat.st_nlink == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        replace(&path, b"one", 0o600).unwrap();
        replace(&path, b"two", 0o644).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        fs::write(temporary(&path), "left by one that was killed").unwrap();
        replace(&path, b"three", 0o600).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        fs::write(temporary(&path), "left by one that was killed").unwrap();
        remove(&path).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        remove(&path).unwrap();
        assert_eq!(read_if_there(&path, 3).unwrap(), None);
    }

    #[test]
    fn only_regular_files_of_a_bounded_size_are_read() {
        use rustix::fs::{CWD, Mode, mkfifoat};
        let dir = tempfile::tempdir().unwrap();
        let said = |path: &Path| {
            let error = read_if_there(path, 3).unwrap_err();
            format!("{error}: {}", error.source)
        };
        let path = dir.path().join("f");
        fs::write(&path, "123").unwrap();
        assert_eq!(read_if_there(&path, 3).unwrap().unwrap(), b"123");
        fs::write(&path, "1234").unwrap();
        assert_eq!(
            said(&path),
            format!("cannot read {}: it has more than 3 bytes, the most that is read", path.display())
        );
        let fifo = dir.path().join("fifo");
        mkfifoat(CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
        assert_eq!(said(&fifo), format!("cannot read {}: it is a fifo, not a regular file", fifo.display()));
        assert!(said(dir.path()).ends_with("it is a directory, not a regular file"));
        assert!(said(Path::new("/dev/zero")).ends_with("it is a device, not a regular file"));
        assert!(FileLock::try_take(&fifo).is_err());
        let endless = read_at_most(File::open("/dev/zero").unwrap(), 5).unwrap_err();
        assert_eq!(endless.to_string(), "it has more than 5 bytes, the most that is read");
    }

    #[test]
    fn a_lock_excludes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/lock");
        assert_eq!(FileLock::held_for(&path), None);
        let held = FileLock::take(&path).unwrap();
        assert_eq!(FileLock::held_for(&path).as_deref(), Some(""));
        held.note("install 12");
        assert_eq!(FileLock::held_for(&path).as_deref(), Some("install 12"));
        assert!(FileLock::try_take(&path).unwrap().is_none());
        assert!(FileLock::take_within(&path, Duration::from_millis(20)).unwrap().is_none());
        drop(held);
        assert!(FileLock::try_take(&path).unwrap().is_some());
    }

    #[test]
    fn who_waits_for_a_lock_whose_file_is_removed_gets_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/lock");
        let mut held = Some(FileLock::take(&path).unwrap());
        std::thread::scope(|scope| {
            let waits: Vec<_> =
                (0..4).map(|_| scope.spawn(|| FileLock::take(&path).unwrap().discard())).collect();
            held.take().unwrap().discard();
            let _ = fs::remove_dir(path.parent().unwrap());
            waits.into_iter().for_each(|wait| wait.join().unwrap());
        });
        let held = FileLock::take(&path).unwrap();
        assert!(FileLock::try_take(&path).unwrap().is_none());
        drop(held);
    }
}

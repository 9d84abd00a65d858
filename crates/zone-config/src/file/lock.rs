//! The lock under which a file is changed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;

use super::read::unblocked;
use super::{FileError, Unreadable, make_dir, unreadable};

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

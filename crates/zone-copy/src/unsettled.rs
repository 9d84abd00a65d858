//! What has its name and is not known to be on the disk yet.
//!
//! The next copy believes that a file is there by its size and its time. So a file gets its time last, when its bytes are on
//! the disk: before that it is one of another state, and is copied again. Many are put there together, since each wait for
//! the disk costs as much as writing a small file does.

use crate::CopyError;
use crate::wire::Time;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Timespec, Timestamps, fsync, futimens};
use rustix::io::Errno;

/// The most descriptors that are held.
const MOST_FILES: usize = 64;
/// The most bytes that a power loss costs, but for those of a file that is larger.
const MOST_BYTES: u64 = 64 << 20;

/// Files and directories in the order in which they were written.
#[derive(Debug, Default)]
pub(crate) struct Unsettled {
    all: Vec<Written>,
    bytes: u64,
}

/// A file, or a directory, which keeps the time that it has.
#[derive(Debug)]
struct Written {
    fd: OwnedFd,
    time: Option<Time>,
    path: Vec<u8>,
}

impl Unsettled {
    /// Takes a file that has its name, of so many bytes.
    ///
    /// # Errors
    /// Those of [`Self::settle`].
    pub(crate) fn file(
        &mut self,
        fd: OwnedFd,
        time: Time,
        bytes: u64,
        path: Vec<u8>,
    ) -> Result<(), CopyError> {
        self.bytes = self.bytes.saturating_add(bytes);
        self.add(Written { fd, time: Some(time), path })
    }

    /// Takes a directory that is full.
    ///
    /// # Errors
    /// Those of [`Self::settle`].
    pub(crate) fn directory(&mut self, fd: OwnedFd, path: Vec<u8>) -> Result<(), CopyError> {
        self.add(Written { fd, time: None, path })
    }

    fn add(&mut self, written: Written) -> Result<(), CopyError> {
        self.all.push(written);
        if self.all.len() >= MOST_FILES || self.bytes >= MOST_BYTES { self.settle() } else { Ok(()) }
    }

    /// Puts all of them on the disk, and gives the files their times.
    ///
    /// # Errors
    /// [`CopyError::Write`] with the first that could not be; those behind it keep the time of now.
    pub(crate) fn settle(&mut self) -> Result<(), CopyError> {
        self.bytes = 0;
        for Written { fd, time, path } in self.all.drain(..) {
            let settled = sync(&fd).and_then(|()| time.map_or(Ok(()), |time| set(&fd, time)));
            settled.map_err(|source| CopyError::Write { path, source })?;
        }
        zone_fail::pass!("copy.settled");
        Ok(())
    }
}

/// Waits until a file or a directory is on the disk, where there is one.
pub(crate) fn sync(fd: impl AsFd) -> Result<(), Errno> {
    zone_fail::fail!("copy.sync")?;
    loop {
        match fsync(&fd) {
            Err(Errno::INTR) => {}
            // A file system that cannot be asked.
            Err(Errno::INVAL) => return Ok(()),
            outcome => return outcome,
        }
    }
}

fn set(fd: &OwnedFd, (seconds, nanoseconds): Time) -> Result<(), Errno> {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
    futimens(fd, &Timestamps { last_access: time, last_modification: time })
}

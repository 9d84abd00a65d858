//! Locks that belong to an open file description (`F_OFD_SETLK`, fcntl_locking(2), Linux 3.15): whoever has a copy of
//! the descriptor holds the lock, over `execve(2)` too, until the last of them has closed it or ended. Unlike with
//! `flock(2)` one can ask whether a lock is held without taking it for that moment.

use crate::{Arg, Error, Result};
use rustix::fd::{AsFd, AsRawFd};
use rustix::io::Errno;

/// The two kinds of lock. Whoever has one may exchange it for the other at any time, in one step; others see which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One that others may have as well (`F_RDLCK`).
    Shared,
    /// One that nobody has beside it (`F_WRLCK`).
    Exclusive,
}

/// Takes the exclusive lock on a file that is open for writing. False if somebody else has one.
///
/// # Errors
/// What `fcntl(2)` says.
pub fn take(file: impl AsFd) -> Result<bool> {
    take_as(file, Kind::Exclusive)
}

/// Takes a lock on a file, instead of the one that the description has. A shared one takes that the file is open for reading, an exclusive one
/// for writing. False if somebody else has one that does not go with it.
///
/// # Errors
/// What `fcntl(2)` says.
pub fn take_as(file: impl AsFd, kind: Kind) -> Result<bool> {
    let mut whole = whole_file(match kind {
        Kind::Shared => libc::F_RDLCK,
        Kind::Exclusive => libc::F_WRLCK,
    });
    match fcntl(file, libc::F_OFD_SETLK, "F_OFD_SETLK", &mut whole) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.errno(), Errno::AGAIN | Errno::ACCESS) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Tells which kind of lock somebody else has on a file, if somebody has.
///
/// # Errors
/// What `fcntl(2)` says.
pub fn held(file: impl AsFd) -> Result<Option<Kind>> {
    let mut whole = whole_file(libc::F_WRLCK);
    fcntl(file, libc::F_OFD_GETLK, "F_OFD_GETLK", &mut whole)?;
    Ok(match i32::from(whole.l_type) {
        libc::F_UNLCK => None,
        libc::F_RDLCK => Some(Kind::Shared),
        _ => Some(Kind::Exclusive),
    })
}

/// Whether somebody else has a lock on a file.
///
/// # Errors
/// What `fcntl(2)` says.
pub fn is_taken(file: impl AsFd) -> Result<bool> {
    Ok(held(file)?.is_some())
}

/// A lock of one type on all of a file.
fn whole_file(kind: libc::c_int) -> libc::flock {
    // SAFETY: an all-zero struct flock is valid, it holds plain numbers; zero is the file's begin for `l_whence` and
    // its end for `l_len`, and what `l_pid` must be.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    // The types are 0, 1 and 2 on every architecture; the kernel's field is a short.
    lock.l_type = libc::c_short::try_from(kind).unwrap_or_default();
    lock
}

fn fcntl(file: impl AsFd, command: libc::c_int, name: &'static str, lock: &mut libc::flock) -> Result<()> {
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: both commands read one struct flock and may write it; `lock` is one, borrowed for the call.
    if unsafe { libc::fcntl(fd, command, std::ptr::from_mut(lock)) } == 0 {
        return Ok(());
    }
    Err(Error::last("fcntl").arg(Arg::Fd(fd)).arg(Arg::Word(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, OpenOptions};

    #[test]
    fn a_lock_is_held_by_whoever_has_a_copy() {
        let path = std::env::temp_dir().join(format!("zone-sys-lock-{}", std::process::id()));
        let open =
            || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
        let (ours, theirs) = (open(), open());
        assert!(!is_taken(&theirs).unwrap());
        assert!(take(&ours).unwrap() && !take(&theirs).unwrap());
        let copy = ours.try_clone().unwrap();
        drop(ours);
        assert!(is_taken(File::open(&path).unwrap()).unwrap(), "to ask takes no right to write");
        let (shared, kind) = (File::open(&path).unwrap(), Kind::Shared);
        assert!(!take_as(&shared, kind).unwrap(), "somebody has the exclusive one");
        assert!(take_as(&copy, kind).unwrap() && take_as(&shared, kind).unwrap());
        assert!(!take(&copy).unwrap(), "somebody has a shared one beside");
        drop(shared);
        assert_eq!(held(&theirs).unwrap(), Some(kind));
        assert!(take(&copy).unwrap() && held(&theirs).unwrap() == Some(Kind::Exclusive));
        drop(copy);
        assert!(!is_taken(&theirs).unwrap() && take(&theirs).unwrap());
        std::fs::remove_file(&path).unwrap();
    }
}

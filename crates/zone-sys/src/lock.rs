//! Locks that belong to an open file description (`F_OFD_SETLK`, fcntl_locking(2), Linux 3.15): whoever has a copy of
//! the descriptor holds the lock, over `execve(2)` too, until the last of them has closed it or ended. Unlike with
//! `flock(2)` one can ask whether a lock is held without taking it for that moment.

use crate::{Arg, Error, Result};
use rustix::fd::{AsFd, AsRawFd};
use rustix::io::Errno;

/// Takes the lock on a file that is open for writing. False if somebody else has it.
///
/// # Errors
/// What `fcntl(2)` says.
pub fn take(file: impl AsFd) -> Result<bool> {
    let mut whole = whole_file();
    match fcntl(file, libc::F_OFD_SETLK, "F_OFD_SETLK", &mut whole) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.errno(), Errno::AGAIN | Errno::ACCESS) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether somebody else has the lock on a file.
///
/// # Errors
/// What `fcntl(2)` says.
pub fn is_taken(file: impl AsFd) -> Result<bool> {
    let mut whole = whole_file();
    fcntl(file, libc::F_OFD_GETLK, "F_OFD_GETLK", &mut whole)?;
    Ok(i32::from(whole.l_type) != libc::F_UNLCK)
}

/// A lock for writing on all of a file.
fn whole_file() -> libc::flock {
    // SAFETY: an all-zero struct flock is valid, it holds plain numbers; zero is the file's begin for `l_whence` and
    // its end for `l_len`, and what `l_pid` must be.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    // F_WRLCK is 1 on every architecture; the kernel's field is a short.
    lock.l_type = libc::c_short::try_from(libc::F_WRLCK).unwrap_or(1);
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
        let open = || OpenOptions::new().write(true).create(true).truncate(false).open(&path).unwrap();
        let (ours, theirs) = (open(), open());
        assert!(!is_taken(&theirs).unwrap());
        assert!(take(&ours).unwrap() && !take(&theirs).unwrap());
        let copy = ours.try_clone().unwrap();
        drop(ours);
        assert!(is_taken(File::open(&path).unwrap()).unwrap(), "to ask takes no right to write");
        drop(copy);
        assert!(!is_taken(&theirs).unwrap() && take(&theirs).unwrap());
        std::fs::remove_file(&path).unwrap();
    }
}

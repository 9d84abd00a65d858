//! What a zsched shows of its zone to whoever only looks: a record in the file on which it has its lock.
//!
//! Whoever lists a thousand zones would wake a thousand keepers to ask them what they have not done for weeks. So each writes
//! how things stand into a file of its own, before it answers anybody who could know of it; and the kernel tells by the lock whether
//! the one that wrote lives. There is nothing else in the file, and nobody else writes to it. What is shown may lag behind a first process that
//! ends, by as long as zsched takes to be told: who decides anything asks it.

use crate::client::LOCK;
use crate::wire::{PACKET, REPLY, Reply, Status};
use rustix::fd::AsFd;
use rustix::fs::{CWD, Mode, OFlags, fstat, ftruncate, openat};
use rustix::io::{Errno, pread, pwrite};
use std::path::Path;

/// The bytes of a record of this protocol: those of an answer, twice.
const RECORD: usize = 2 * REPLY;

/// Writes how things stand into the file.
///
/// # Errors
/// What `pwrite(2)` says; the file may then hold what no reader takes for a record.
pub fn show(file: impl AsFd, status: &Status) -> Result<(), Errno> {
    let mut record = [0; RECORD];
    let answer = Reply::Done(*status).encode();
    record[..REPLY].copy_from_slice(&answer);
    record[REPLY..].copy_from_slice(&answer);
    match pwrite(file, &record, 0)? {
        RECORD => Ok(()),
        _ => Err(Errno::NOSPC),
    }
}

/// Takes away what was shown. The file keeps its place on the disk, or in memory, so that there is room for what is shown next; where that
/// cannot be, it is emptied.
///
/// # Errors
/// What `ftruncate(2)` says.
pub fn clear(file: impl AsFd) -> Result<(), Errno> {
    match fstat(&file) {
        Ok(found) if found.st_size == 0 => Ok(()),
        Ok(found)
            if u64::try_from(found.st_size).is_ok_and(|size| size <= RECORD as u64)
                && pwrite(&file, &[0; RECORD], 0) == Ok(RECORD) =>
        {
            Ok(())
        }
        _ => ftruncate(file, 0),
    }
}

/// Reads how things stand with the zone whose zsched has its file in `run_dir`. `None` if there is no zsched, or one that shows nothing,
/// or is about to show something else: then it takes a question to know.
#[must_use]
pub fn look(run_dir: &Path) -> Option<Status> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(CWD, run_dir.join(LOCK), flags, Mode::empty()).ok()?;
    // Before the reading: whoever takes the lock has cleared the file, so what is in it is not of one before.
    if !zone_sys::lock::is_taken(&file).ok()? {
        return None;
    }
    let mut record = [0; 2 * PACKET];
    let length = pread(&file, &mut record, 0).ok()?;
    of_record(&record[..length])
}

/// The reader has no lock: where he has met the writer the halves differ.
fn of_record(record: &[u8]) -> Option<Status> {
    let (one, other) = record.split_at(record.len() / 2);
    match Reply::decode(one).filter(|_| one == other)? {
        // Of nobody: it was taken away.
        Reply::Done(status) => Some(status).filter(|status| status.keeper != 0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Phase;
    use std::fs::{File, OpenOptions};

    fn file(dir: &Path) -> File {
        OpenOptions::new().write(true).create(true).truncate(false).open(dir.join(LOCK)).unwrap()
    }

    #[test]
    fn what_is_shown_is_seen_while_the_lock_is_held() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(look(dir.path()), None, "no file");
        let ours = file(dir.path());
        assert!(zone_sys::lock::take(&ours).unwrap());
        assert_eq!(look(dir.path()), None, "nothing is shown yet");
        for phase in [Phase::Ready, Phase::Running] {
            let status = Status { phase, uniqid: 7, pid: 1234, keeper: 99, ..Status::default() };
            show(&ours, &status).unwrap();
            assert_eq!(look(dir.path()), Some(status));
        }
        clear(&ours).unwrap();
        assert_eq!(look(dir.path()), None, "it was taken away");
        assert!(ours.metadata().unwrap().len() > 0, "and there is room for more");
        show(&ours, &Status { phase: Phase::Ready, keeper: 99, ..Status::default() }).unwrap();
        assert!(look(dir.path()).is_some());
        drop(ours);
        assert_eq!(look(dir.path()), None, "who has written is gone");
    }

    #[test]
    fn half_a_record_is_none() {
        let status = Status { phase: Phase::Running, uniqid: 7, keeper: 99, ..Status::default() };
        let later = Status { uniqid: 8, ..status };
        let bytes = |status| Reply::Done(status).encode();
        let record = [bytes(status), bytes(status)].concat();
        assert_eq!(of_record(&record), Some(status));
        assert_eq!(of_record(&[bytes(later), bytes(status)].concat()), None);
        for length in 0..record.len() {
            assert_eq!(of_record(&record[..length]), None, "{length}");
        }
        // Of a protocol to come.
        let longer = |status| [&bytes(status)[..], &[1; 16]].concat();
        assert_eq!(of_record(&[longer(status), longer(status)].concat()), Some(status));
    }
}

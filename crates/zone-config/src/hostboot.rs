//! Which boot of the host the files of a zone's run directory are of.
//!
//! On most hosts `/run` is memory and forgets. Below a root of one's own it may be a disk: then snapshot, journal and sockets are still
//! there after the host went down, and mean nothing. The daemon's lock file holds the id that the kernel gave to the boot in
//! which a daemon last had the lock.

use std::fs;
use std::io::{Read, Seek, Write};

use rustix::time::{ClockId, clock_gettime};

use crate::{Layout, ZoneName, file};

/// `random(4)`: new with each boot, the same in every namespace.
const ID: &str = "/proc/sys/kernel/random/boot_id";
/// More than an id has.
const MOST: u64 = 100;

/// The present boot's id; `None` where `/proc` does not tell.
#[must_use]
pub fn present() -> Option<String> {
    let id = fs::read_to_string(ID).ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

/// When the present boot began, in seconds since 1970 UTC by the clock as it is now.
#[must_use]
pub fn since() -> u64 {
    let seconds = |clock| clock_gettime(clock).tv_sec;
    (seconds(ClockId::Realtime) - seconds(ClockId::Boottime)).unsigned_abs()
}

/// Whether the run directories are in memory, so that all files in them are of the present boot.
#[must_use]
pub fn forgets(layout: &Layout) -> bool {
    const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6]; // statfs(2): tmpfs, ramfs
    rustix::fs::statfs(layout.run())
        .is_ok_and(|found| u64::try_from(found.f_type).is_ok_and(|fstype| IN_MEMORY.contains(&fstype)))
}

/// Whether the files in a zone's run directory are of an earlier boot.
#[must_use]
pub fn is_over(layout: &Layout, zone: &ZoneName) -> bool {
    let read = file::read_if_there(&layout.lock(zone), MOST).ok().flatten();
    read.and_then(|held| String::from_utf8(held).ok()).is_some_and(|held| is_another(&held))
}

/// Whether the lock file that this is was last written in an earlier boot. One that holds nothing tells nothing.
pub fn is_other(lock: &mut fs::File) -> bool {
    let mut held = String::new();
    let _ = lock.rewind();
    lock.take(MOST).read_to_string(&mut held).is_ok() && is_another(&held)
}

fn is_another(held: &str) -> bool {
    !held.trim().is_empty() && present().is_some_and(|present| present != held.trim())
}

/// Notes the present boot, for whoever has the lock and has forgotten what an earlier one left: after this nobody can tell any more.
pub fn note(lock: &mut fs::File) {
    let other = is_other(lock);
    let _ = lock.rewind();
    if let Some(id) = present()
        && (other || lock.metadata().is_ok_and(|meta| meta.len() == 0))
    {
        // Of one length always. On a full disk nothing is noted, and nothing is told by that.
        let _ = lock.write_all(format!("{id}\n").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_boot_is_told_until_the_present_one_is_noted() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        let zone: ZoneName = "web".parse().unwrap();
        fs::create_dir_all(layout.zone_run(&zone)).unwrap();
        let path = layout.lock(&zone);
        let open =
            || fs::File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
        assert!(!is_over(&layout, &zone) && !is_other(&mut open()));
        note(&mut open());
        assert!(!is_over(&layout, &zone) && !is_other(&mut open()));
        fs::write(&path, "01234567-89ab-cdef-0123-456789abcdef\n").unwrap();
        let mut lock = open();
        assert!(is_over(&layout, &zone) && is_other(&mut lock));
        assert!(is_other(&mut lock), "until it is noted");
        note(&mut lock);
        assert!(!is_over(&layout, &zone) && !is_other(&mut lock));
        assert_eq!(fs::read_to_string(&path).unwrap().trim(), present().unwrap());
    }
}

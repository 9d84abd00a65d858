//! Processes of a zone that the kernel has killed for want of memory: how many, told when there is one more; and which.
//!
//! The number is the cgroup's own. Who it was stands in the kernel's log alone, in a line whose end the kernel makes of numbers: by
//! the user id there a process is known as a zone's, whatever name it gave itself.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use zone_config::{IdRange, Layout, ZoneName};

use super::{CgroupError, Tree, ZONE, cpus};
use crate::Failed;

/// The kernel's log, a record a read.
const LOG: &str = "/dev/kmsg";
/// As many records are read at most: more than any log has.
const MOST: usize = 1 << 20;

/// Makes a descriptor that becomes readable when a process of the zone was killed, or its own CPUs are not its own any more;
/// `None` for a zone of which the kernel counts no memory.
///
/// # Errors
/// [`CgroupError`]
pub fn watch(layout: &Layout, zone: &ZoneName) -> Result<Option<OwnedFd>, CgroupError> {
    let tree = Tree::find(layout.id(), zone)?;
    let Some(dir) = tree.open(ZONE)? else { return Ok(None) };
    let around = tree.around().map_err(Failed::to("open cgroup", tree.path().display()))?;
    let failed = |errno: Errno| Failed::to("watch the cgroup of zone", zone)(errno);
    let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(failed)?;
    let mut watches = 0;
    for (dir, file) in [(dir.as_fd(), "memory.events"), (around.as_fd(), cpus::PARTITION)] {
        let path = format!("/proc/self/fd/{}/{file}", dir.as_raw_fd());
        match inotify::add_watch(&events, path, WatchFlags::MODIFY) {
            Ok(_) => watches += 1,
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed(errno).into()),
        }
    }
    Ok((watches > 0).then_some(events))
}

/// Takes from a descriptor of [`watch`] what it has to say, so that it becomes readable again when there is more.
pub fn drain(events: &OwnedFd) {
    let mut buffer = [0; 4096];
    while rustix::io::read(events, &mut buffer).is_ok_and(|read| read > 0) {}
}

/// A process that was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Killed {
    /// Its number on the host.
    pub pid: i32,
    /// The name that it gave itself, without control characters.
    pub process: String,
    /// How much memory it had, in bytes.
    pub bytes: u64,
}

/// Reads from the kernel's log which processes of the zone with these ids were killed since record `since`; also the number of the
/// record to go on from. Where the log cannot be read nobody is named.
#[must_use]
pub fn killed(ids: IdRange, since: u64) -> (Vec<Killed>, u64) {
    let mut found = Vec::new();
    let mut next = since;
    let flags = rustix::fs::OFlags::NONBLOCK.bits();
    let Ok(mut log) = OpenOptions::new().read(true).custom_flags(i32::try_from(flags).unwrap_or(0)).open(LOG)
    else {
        return (found, next);
    };
    let mut record = [0; 8192];
    for _ in 0..MOST {
        match log.read(&mut record) {
            Ok(0) => break,
            Ok(length) => {
                let text = String::from_utf8_lossy(&record[..length]);
                let Some((number, line)) = numbered(&text).filter(|(number, _)| *number >= since) else {
                    continue;
                };
                next = number + 1;
                found.extend(read_line(line).filter(|(uid, _)| ids.contains(*uid)).map(|(_, killed)| killed));
            }
            // What was next has been overwritten; the one after it comes then.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    (found, next)
}

/// `PRIORITY,NUMBER,TIME,FLAGS;LINE`, and lines of other things after it.
fn numbered(record: &str) -> Option<(u64, &str)> {
    let (head, rest) = record.split_once(';')?;
    Some((head.split(',').nth(1)?.parse().ok()?, rest.lines().next()?))
}

/// Reads `... Killed process PID (NAME) total-vm:1kB, anon-rss:2kB, file-rss:3kB, shmem-rss:4kB, UID:5 pgtables:...`. What follows the
/// name is looked for from the end.
fn read_line(line: &str) -> Option<(u32, Killed)> {
    let (_, rest) = line.split_once(": Killed process ")?;
    let (pid, rest) = rest.split_once(" (")?;
    let (name, numbers) = rest.rsplit_once(") total-vm:")?;
    let number = |word: &str| {
        let (_, rest) = numbers.split_once(word)?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().ok()
    };
    let kilobytes = number("anon-rss:")? + number("file-rss:")? + number("shmem-rss:").unwrap_or_default();
    let process = name.chars().filter(|c| !c.is_control()).collect();
    let killed = Killed { pid: pid.parse().ok()?, process, bytes: kilobytes << 10 };
    Some((u32::try_from(number("UID:")?).ok()?, killed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_killed_is_read_whatever_it_calls_itself() {
        let line = |name: &str| {
            format!(
                "Memory cgroup out of memory: Killed process 812 ({name}) total-vm:316448kB, anon-rss:97000kB, file-rss:3000kB, shmem-rss:0kB, UID:690552832 pgtables:280kB oom_score_adj:0"
            )
        };
        let wanted = |name: &str| {
            let killed = Killed { pid: 812, process: name.to_owned(), bytes: 100_000 << 10 };
            Some((690_552_832, killed))
        };
        for name in ["python3", "a) b (c", ", UID:0 ", ") total-vm:1"] {
            assert_eq!(read_line(&line(name)), wanted(name), "{name}");
        }
        assert_eq!(read_line("oom_reaper: reaped process 812 (python3)"), None);
        let record = format!("3,1700,5,-;{}\n SUBSYSTEM=x\n", line("sh"));
        let (number, text) = numbered(&record).unwrap();
        assert_eq!((number, read_line(text)), (1700, wanted("sh")));
    }
}

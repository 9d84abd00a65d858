//! The truth about the zones, read from the kernel alone.

use crate::harness::{proc_status, started_at};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A process, by what no other ever has: its number and when it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub(super) pid: i32,
    started: u64,
}

impl Process {
    /// The living process of that number.
    pub(super) fn of(pid: i32) -> Option<Self> {
        let alive = proc_status(pid, "State").is_some_and(|state| !state.starts_with(['Z', 'X']));
        let started = started_at(pid)?;
        alive.then_some(Self { pid, started })
    }

    /// Whether it lives still.
    pub(super) fn lives(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

/// Every process in sight.
fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The first processes that live, by the name of their zone.
pub(crate) fn first_processes() -> BTreeMap<String, Vec<Process>> {
    let mut found: BTreeMap<String, Vec<Process>> = BTreeMap::new();
    for pid in pids() {
        let Some(numbers) = proc_status(pid, "NSpid") else { continue };
        let mut inner = numbers.split_whitespace().skip(1);
        // One PID namespace below ours, and number 1 in it.
        if (inner.next(), inner.next()) != (Some("1"), None) {
            continue;
        }
        let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let zone = cgroups.lines().find_map(|line| {
            let (_, path) = line.split_once("::")?;
            let mut parts = path.split('/').skip_while(|part| !part.starts_with("zones"));
            parts.nth(1).map(str::to_owned)
        });
        if let (Some(zone), Some(process)) = (zone, Process::of(pid)) {
            found.entry(zone).or_default().push(process);
        }
    }
    found
}

/// The processes that hold the lock of the daemon of a zone with that run directory, each with the
/// device and inode of the locked file: two files are two locks.
pub(super) fn lock_holders(run: &Path) -> Vec<(Process, String)> {
    let lock = run.join("lock");
    let mut found = Vec::new();
    for pid in pids() {
        let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        if comm.trim() != "zoneadmd" {
            continue;
        }
        for fd in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let Ok(target) = fs::read_link(fd.path()) else { continue };
            let target = target.to_string_lossy().into_owned();
            if Path::new(target.trim_end_matches(" (deleted)")) != lock {
                continue;
            }
            let number = fd.file_name().to_string_lossy().into_owned();
            let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).unwrap_or_default();
            // proc_pid_fdinfo(5): lock: 1: FLOCK ADVISORY WRITE 359 00:13:11691 0 EOF
            let lock = info.lines().find_map(|line| line.strip_prefix("lock:")?.split_whitespace().nth(5));
            if let (Some(lock), Some(process)) = (lock, Process::of(pid)) {
                found.push((process, lock.to_owned()));
            }
        }
    }
    found
}

//! A zone whose zsched was killed.

use crate::is_quiet;
use crate::record::{Incarnation, program_of, start_of};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs;
use std::time::{Duration, Instant};
use zone_config::{Layout, ZoneName, hostboot};
use zsched::client::ZoneFds;
use zsched::wire::{Phase, Status};

/// A first process that waits at its gate ends by itself when zsched is gone; a busy machine may keep it from that for a
/// moment.
const PARTING: Duration = Duration::from_secs(5);
/// How often to look whether it has, or has become init.
const LOOK: Duration = Duration::from_millis(5);

/// A zone that lives without a zsched.
#[derive(Debug)]
pub struct Orphan {
    /// What is known of it.
    pub record: Incarnation,
    /// Its first process and its cgroup.
    pub fds: ZoneFds,
}

/// What has become of the zone of which there is a record.
#[derive(Debug)]
pub enum Fate {
    /// There is none, or it is of an earlier boot of the host.
    Unknown,
    /// Its first process lives.
    Lives(Orphan),
    /// Its first process has ended.
    Ended(Incarnation),
}

/// What has become of a zone that has no zsched.
#[must_use]
pub fn fate(layout: &Layout, zone: &ZoneName) -> Fate {
    let Some(record) = Incarnation::load(layout, zone) else { return Fate::Unknown };
    if hostboot::present().as_ref() != Some(&record.boot) {
        return Fate::Unknown;
    }
    match alive(layout, zone, &record) {
        Some(fds) => Fate::Lives(Orphan { record, fds }),
        None => Fate::Ended(record),
    }
}

impl Orphan {
    /// The zone, if it lives without a zsched.
    #[must_use]
    pub fn find(layout: &Layout, zone: &ZoneName) -> Option<Self> {
        match fate(layout, zone) {
            Fate::Lives(orphan) => Some(orphan),
            Fate::Ended(_) | Fate::Unknown => None,
        }
    }

    /// What zsched would say of it.
    #[must_use]
    pub fn status(&self) -> Status {
        let Incarnation { uniqid, pid, since, restarts, .. } = self.record;
        Status { phase: Phase::Running, uniqid, pid, since, restarts, ..Status::default() }
    }
}

/// The first process, if it is that of the record and has become init. Everything is read between the opening of the pidfd and a look
/// that it has not ended, and so is about one process.
fn alive(layout: &Layout, zone: &ZoneName, record: &Incarnation) -> Option<ZoneFds> {
    let pidfd = pidfd_open(Pid::from_raw(record.pid)?, PidfdFlags::empty()).ok()?;
    let is_it = start_of(record.pid) == Some(record.start)
        && is_first_of_a_namespace(record.pid)
        && zone_platform::cgroup::has(layout, zone, record.pid);
    if !is_it || record.waits_at_gate(&pidfd) {
        return None;
    }
    let cgroup = zone_platform::cgroup::open(layout, zone).ok()??;
    is_quiet(&pidfd, Duration::ZERO).then_some(ZoneFds { pidfd, cgroup })
}

impl Incarnation {
    /// Whether its first process still waits at its gate, where it ends when zsched is gone. If it does it has some time for
    /// that.
    #[must_use]
    pub fn waits_at_gate(&self, pidfd: &OwnedFd) -> bool {
        let until = Instant::now() + PARTING;
        // One that is just ending has no program any more.
        while program_of(self.pid).map_or(true, |program| program == self.program) {
            if !is_quiet(pidfd, LOOK) {
                return false;
            }
            if Instant::now() > until {
                return true;
            }
        }
        false
    }
}

/// Whether a process is number 1 of a PID namespace below ours (proc_pid_status(5), `NSpid`).
fn is_first_of_a_namespace(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers.is_some_and(|numbers| {
        let numbers: Vec<&str> = numbers.split_whitespace().collect();
        numbers.len() > 1 && numbers.last() == Some(&"1")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_taken_for_a_zone_by_his_number() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(root.path().to_owned())).unwrap();
        let zone: ZoneName = "a".parse().unwrap();
        fs::create_dir_all(layout.zone_run(&zone)).unwrap();
        assert!(matches!(fate(&layout, &zone), Fate::Unknown));
        // This process, as a record of which everything but its place is right.
        let pid = std::process::id().cast_signed();
        let pidfd = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap();
        let status = Status { phase: Phase::Running, uniqid: 7, pid, ..Status::default() };
        let record = Incarnation::of(&status, &pidfd).unwrap();
        record.save(&layout, &zone).unwrap();
        assert!(matches!(fate(&layout, &zone), Fate::Ended(seen) if seen == record));
        Incarnation { boot: "earlier".into(), ..record }.save(&layout, &zone).unwrap();
        assert!(matches!(fate(&layout, &zone), Fate::Unknown));
        assert!(!is_first_of_a_namespace(pid) || !zone_platform::cgroup::has(&layout, &zone, pid));
    }
}

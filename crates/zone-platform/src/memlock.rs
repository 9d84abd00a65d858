//! How much memory each process of a zone can lock: its `RLIMIT_MEMLOCK`, which no root of a zone may raise.
//!
//! Linux has no such limit for a zone as a whole: mlock(2) counts in each process by itself. What all of them lock together is bounded
//! by the memory of the zone's cgroup, where locked pages count as all others do.

use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, getrlimit, pidfd_open, prlimit};
use rustix::thread::CapabilitySet;
use zone_config::limits::size;
use zone_config::{Layout, ZoneConfig, ZoneName};

use crate::cgroup::CgroupError;
use crate::change::Change;
use crate::check::Check;
use crate::{Failed, PlatformError, cgroup};

/// Reads what a configuration asks for, in bytes.
pub(crate) fn asked(config: &ZoneConfig) -> Option<u64> {
    config.capped_memory.first().and_then(|memory| size(memory.locked.as_deref()?))
}

/// Looks whether a process of a zone can be bounded.
pub(crate) fn look(check: &mut Check<'_>) -> Result<(), PlatformError> {
    let may = rustix::thread::capabilities(None)
        .is_ok_and(|held| held.effective.contains(CapabilitySet::SYS_RESOURCE));
    if check.spec.memlock.is_some() && !may {
        check.fail(CgroupError::NoCapability { property: "capped-memory.locked" });
    }
    Ok(())
}

/// Bounds a process of a zone that is held by a pidfd, and all that it will start.
///
/// # Errors
/// What prlimit(2) says. A process that has ended is none.
pub fn bound(pidfd: BorrowedFd<'_>, bytes: u64) -> Result<(), Errno> {
    // As long as it lives the number is its own; prlimit(2) takes no pidfd.
    let Some(pid) = zone_sys::pidfd::pid(pidfd).map_err(|error| error.errno())? else { return Ok(()) };
    match prlimit(
        Pid::from_raw(pid),
        Resource::Memlock,
        Rlimit { current: Some(bytes), maximum: Some(bytes) },
    ) {
        Ok(_) | Err(Errno::SRCH) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Bounds all processes of a live zone anew. One that is being started while its parent is changed has what the parent had, so
/// they are gone through until none differs, a few times at most.
pub(crate) fn update(change: &mut Change<'_>) -> Result<(), PlatformError> {
    const ROUNDS: usize = 5;
    let (layout, (old, new)) = (change.layout, change.specs());
    if old.memlock == new.memlock {
        return Ok(());
    }
    // What the table of what a zone's processes begin with has.
    let usual = zone_sys::inherit::limits(u64::MAX, true).iter().find_map(zone_sys::inherit::Limit::memlock);
    let Some(bytes) = new.memlock.or(usual).or(getrlimit(Resource::Memlock).maximum) else { return Ok(()) };
    for _ in 0..ROUNDS {
        let members = cgroup::all_processes(layout, &new.zone)?;
        if !bound_those(layout, &new.zone, &members.pids, bytes)? && members.complete {
            return Ok(());
        }
    }
    change.warn(format!(
        "some processes of zone '{}' may keep the limit of locked memory that they had: it has more than can be gone through, or starts them too fast; the next boot gives it to all",
        new.zone
    ));
    Ok(())
}

/// Bounds those of these processes that are the zone's and not bounded so; whether there was one.
fn bound_those(layout: &Layout, zone: &ZoneName, pids: &[i32], bytes: u64) -> Result<bool, PlatformError> {
    let mut changed = false;
    for &number in pids {
        let Some(pid) = Pid::from_raw(number) else { continue };
        let Ok(held) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        if limit_of(number) == Some(bytes) || !cgroup::has(layout, zone, number)? {
            continue;
        }
        bound(held.as_fd(), bytes).map_err(Failed::to("limit the locked memory of process", number))?;
        changed = true;
    }
    Ok(changed)
}

/// The hard limit of a process, if it is a number.
fn limit_of(pid: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_is_bounded_and_one_that_has_ended_is_no_error() {
        let mut child = Command::new("sleep").arg("100").spawn().unwrap();
        let number = i32::try_from(child.id()).unwrap();
        let pid = Pid::from_raw(number).unwrap();
        let held = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        bound(held.as_fd(), 65_536).unwrap();
        assert_eq!(limit_of(number), Some(65_536));
        child.kill().unwrap();
        child.wait().unwrap();
        bound(held.as_fd(), 65_536).unwrap();
    }
}

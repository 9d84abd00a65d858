//! Keepers of this zone that nobody can reach: they run, but their socket was removed from under them, or what is sent to them
//! does not arrive. To start one more would give the zone a second console, and a zone that lives would seem not to.
//!
//! Every keeper holds a lock on a file in the zone's run directory, taken by the daemon that started it. The kernel gives
//! the lock to one of them only and takes it back when the holder is gone, so the usual start costs one `fcntl`. A lock that
//! is held is a reason to look through `/proc`, which takes the longer the more zones are up; and so is a file that was not there, if the zone
//! has processes: without any, a keeper whose files somebody has removed keeps no zone, and goes with its daemon.

use crate::keeper_error::{KeeperError, Unreached};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::{Signal, pidfd_send_signal};
use rustix::time::Timespec;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use zone_config::{Layout, ZoneName};
use zsched::client::{Client, ClientError, SOCKET};
use zsched::process::Process;

/// A keeper that was dismissed is gone within this.
const DEPARTURE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// And one that was killed within this, be the machine as busy as it may.
const DEATH: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };
/// Whether it listens shows within this.
const PLACE: Duration = Duration::from_secs(1);
/// Who has copies of its descriptors has closed them within this: processes that it was making, and tracers.
const COPIES: Duration = Duration::from_secs(1);

/// Sees that the zone has no other keeper, and takes the lock for the one that is to be started. `None`
/// when the lock cannot be had for reasons that are no keeper's; it protects, and is not needed. With `in_doubt` one may live that
/// has no lock. `warn` is told what was removed. The caller is the zone's daemon, of which there is one.
///
/// # Errors
/// [`KeeperError::Living`] when one keeps a zone that lives, or does not end: one more would run without the lock, and be found by
/// nobody who looks for that.
pub(crate) fn claim(
    layout: &Layout,
    zone: &ZoneName,
    in_doubt: bool,
    warn: impl FnOnce(&str),
) -> Result<Option<OwnedFd>, KeeperError> {
    let path = layout.keeper_lock(zone);
    let was_there = path.exists();
    let lock = take(&path);
    // In doubt it has some.
    let has_processes = || zone_platform::cgroup::is_populated(layout, zone).unwrap_or(true);
    if lock.is_some() && !in_doubt && (was_there || !has_processes()) {
        return Ok(lock);
    }
    // One that was told to go may need a moment.
    let found: Vec<Process> = find(layout, zone).into_iter().filter(|keeper| !leaves(keeper)).collect();
    if let Some(living) = found.iter().find(|keeper| keeps_a_zone(keeper)) {
        return Err(why(living, layout, zone).into());
    }
    // It is no second one.
    let unheard = found.first().filter(|only| found.len() == 1 && listens(&why(only, layout, zone)));
    let unheard = unheard.map(|only| only.pid);
    let left: Vec<&Process> = found.iter().filter(|keeper| !remove(keeper)).collect();
    let removed = found.len() - left.len();
    match unheard {
        Some(pid) if left.is_empty() => warn(&was_ended(pid)),
        None if !found.is_empty() => warn(&format!(
            "WARNING: multiple zone console instances detected for zone '{zone}'; {removed} of {} successfully removed.",
            found.len()
        )),
        _ => {}
    }
    match left.first() {
        Some(one) => Err(Unreached::Killed { pid: one.pid }.into()),
        None => Ok(lock.or_else(|| take_soon(&path))),
    }
}

/// Ends the zone's keepers that keep none, and cannot be told to go. Says whether none is left; `warn` is told of each that was ended.
/// The caller is the zone's daemon, of which there is one, and there is no zone.
pub(crate) fn end(layout: &Layout, zone: &ZoneName, mut warn: impl FnMut(&str)) -> bool {
    // One that was heard after all may need a moment.
    let found = find(layout, zone).into_iter().filter(|keeper| !leaves(keeper));
    let mut gone = |keeper: &Process| {
        let removed = !keeps_a_zone(keeper) && remove(keeper);
        if removed {
            warn(&was_ended(keeper.pid));
        }
        removed
    };
    found.filter(|keeper| !gone(keeper)).count() == 0
}

fn was_ended(pid: i32) -> String {
    format!("WARNING: zsched, process {pid}, which kept no zone, could not be spoken to; it was ended.")
}

/// The lock, if nobody has it.
fn take(path: &Path) -> Option<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(CWD, path, flags, Mode::RUSR | Mode::WUSR).ok()?;
    if zone_sys::lock::is_taken(&file).ok()? {
        return None;
    }
    // What a dead one has shown there (`zsched::shown`) is not to be seen again once there is a living one.
    zsched::shown::clear(&file).ok()?;
    zone_sys::lock::take(&file).ok()?.then_some(file)
}

/// As [`take`], but waits for who has a copy of a dead keeper's descriptor.
fn take_soon(path: &Path) -> Option<OwnedFd> {
    let deadline = Instant::now() + COPIES;
    loop {
        match take(path) {
            None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(1)),
            lock => return lock,
        }
    }
}

/// The keepers of the zone that run in our sight.
fn find(layout: &Layout, zone: &ZoneName) -> Vec<Process> {
    let root = layout.root().display().to_string();
    Process::find(|arguments| arguments.zone == zone.as_str() && arguments.root == root)
}

/// Why a keeper that lives could not be spoken to.
fn why(keeper: &Process, layout: &Layout, zone: &ZoneName) -> Unreached {
    let run_dir = layout.zone_run(zone);
    let (pid, socket) = (keeper.pid, run_dir.join(SOCKET));
    let (is_there, socket) = (socket.symlink_metadata().is_ok(), socket.display().to_string());
    match Client::connect_for(&run_dir, PLACE) {
        // Where there is no place for one more to wait, there is somebody who accepts nobody.
        Ok(_) | Err(ClientError::Silent | ClientError::Stopped { .. }) => match keeper.is_stopped() {
            true => Unreached::Stopped { pid },
            false => Unreached::Deaf { pid },
        },
        Err(_) if is_there => Unreached::Replaced { pid, socket },
        Err(_) => Unreached::Removed { pid, socket },
    }
}

fn listens(why: &Unreached) -> bool {
    matches!(why, Unreached::Stopped { .. } | Unreached::Deaf { .. })
}

/// Whether it goes by itself.
fn leaves(keeper: &Process) -> bool {
    ends_within(keeper, DEPARTURE)
}

fn ends_within(keeper: &Process, limit: Timespec) -> bool {
    poll(&mut [PollFd::new(&keeper.pidfd, PollFlags::IN)], Some(&limit)).is_ok_and(|ready| ready == 1)
}

/// Whether it has a child: that is a zone's first process. In doubt it has.
fn keeps_a_zone(keeper: &Process) -> bool {
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", keeper.pid));
    children.map_or_else(|_| !leaves(keeper), |children| !children.trim().is_empty())
}

fn remove(keeper: &Process) -> bool {
    pidfd_send_signal(&keeper.pidfd, Signal::KILL).is_ok() && ends_within(keeper, DEATH)
}

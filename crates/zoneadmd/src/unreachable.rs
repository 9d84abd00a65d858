//! Keepers of this zone that nobody can reach: they run, but their socket was removed from under them.
//! To start one more would give the zone a second console, and a zone that lives would seem not to.
//!
//! Every keeper holds a lock on a file in the zone's run directory, taken by the daemon that started it. The kernel gives
//! the lock to one of them only and takes it back when the holder is gone, so the usual start costs one `fcntl`. A lock that
//! is held, or a file that was not there, is a reason to look through `/proc`.

use crate::keeper_error::KeeperError;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::time::Timespec;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use zone_config::{Layout, ZoneName};
use zsched::launch::Arguments;

/// A keeper that was dismissed is gone within this, and so is one that was killed.
const DEPARTURE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Sees that the zone has no other keeper, and takes the lock for the one that is to be started. `None`
/// when the lock cannot be had for reasons that are no keeper's; it protects, and is not needed. `warn`
/// is told what was removed. The caller is the zone's daemon, of which there is one.
///
/// # Errors
/// [`KeeperError::Living`] when one keeps a zone that lives.
pub(crate) fn claim(
    layout: &Layout,
    zone: &ZoneName,
    warn: impl FnOnce(&str),
) -> Result<Option<OwnedFd>, KeeperError> {
    let path = layout.keeper_lock(zone);
    let was_there = path.exists();
    let lock = take(&path);
    if was_there && lock.is_some() {
        return Ok(lock);
    }
    // One that was told to go may need a moment.
    let found: Vec<Unreachable> = find(layout, zone).into_iter().filter(|keeper| !keeper.leaves()).collect();
    if let Some(living) = found.iter().find(|keeper| keeper.keeps_a_zone()) {
        let socket = layout.zone_run(zone).join(zsched::client::SOCKET).display().to_string();
        return Err(KeeperError::Living { pid: living.pid, socket, zone: zone.to_string() });
    }
    let removed = found.iter().filter(|keeper| keeper.remove()).count();
    if !found.is_empty() {
        warn(&format!(
            "WARNING: multiple zone console instances detected for zone '{zone}'; {removed} of {} successfully removed.",
            found.len()
        ));
    }
    Ok(lock.or_else(|| take(&path)))
}

/// The lock, if nobody has it.
fn take(path: &Path) -> Option<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(CWD, path, flags, Mode::RUSR | Mode::WUSR).ok()?;
    zone_sys::lock::take(&file).ok()?.then_some(file)
}

/// A keeper that is not the one behind the zone's socket.
#[derive(Debug)]
struct Unreachable {
    pid: i32,
    pidfd: OwnedFd,
}

impl Unreachable {
    /// Whether it goes by itself.
    fn leaves(&self) -> bool {
        poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&DEPARTURE)).is_ok_and(|ready| ready == 1)
    }

    /// Whether it has a child: that is a zone's first process. In doubt it has.
    fn keeps_a_zone(&self) -> bool {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid));
        children.map_or_else(|_| !self.leaves(), |children| !children.trim().is_empty())
    }

    fn remove(&self) -> bool {
        pidfd_send_signal(&self.pidfd, Signal::KILL).is_ok() && self.leaves()
    }
}

/// The keepers of the zone that run in our sight.
fn find(layout: &Layout, zone: &ZoneName) -> Vec<Unreachable> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: i32| {
        // Held first: what is read below is then about this process, or it is gone.
        let pidfd = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        is_keeper(pid, layout, zone).then_some(Unreachable { pid, pidfd })
    })
    .collect()
}

/// Whether a process is what zoneadmd starts as the zone's keeper. Nobody but the host's root can be,
/// whatever words a process gives itself.
fn is_keeper(pid: i32, layout: &Layout, zone: &ZoneName) -> bool {
    let dir = Path::new("/proc").join(pid.to_string());
    let cmdline = fs::read(dir.join("cmdline")).unwrap_or_default();
    let is_called_so = Arguments::of_process(&cmdline).is_some_and(|arguments| {
        arguments.zone == zone.as_str() && arguments.root == layout.root().display().to_string()
    });
    is_called_so && fs::metadata(&dir).is_ok_and(|meta| meta.uid() == 0) && is_of_the_host(&dir)
}

fn is_of_the_host(dir: &Path) -> bool {
    let ours = fs::read_link("/proc/self/ns/user").ok();
    ours.is_some() && fs::read_link(dir.join("ns/user")).ok() == ours
}

//! The end of a zone's cgroup: kill everything, wait until it is gone, remove the directories.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;
use zone_config::layout::InstallationId;
use zone_config::{Layout, ZoneName};

use super::below::{SOME, children, pids};
use super::{CgroupError, SLICE, SUPERVISOR, Tree, ZONE, open_dir, path_of, read, rmdir, write};
use crate::{Failed, holders};

/// How long to wait before looking who does not end, and whether somebody has given up. What dies at all dies sooner.
const LOOK: Duration = Duration::from_millis(250);

/// Watches over processes that were killed and have not ended yet.
pub trait KillObserver {
    /// Takes note of the processes that are still alive. Called every quarter of a second; `Break` gives up before the
    /// time limit.
    fn still_alive(&self, pids: &[i32]) -> ControlFlow<()>;
}

/// An observer that never gives up before the time limit.
#[derive(Debug, Clone, Copy)]
pub struct WaitToTheLimit;

impl KillObserver for WaitToTheLimit {
    fn still_alive(&self, _: &[i32]) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Kills every process of the zone and waits until the last is gone. Nothing to kill is fine.
///
/// # Errors
/// [`CgroupError::Alive`] if there are some left at the deadline, or when `observer` gives up.
pub fn kill(
    layout: &Layout,
    zone: &ZoneName,
    limit: Duration,
    observer: &dyn KillObserver,
) -> Result<(), CgroupError> {
    kill_in(&Tree::find(layout.id(), zone)?, zone, limit, observer)
}

/// Whether a zone has any process; also one that only its cgroup knows.
///
/// # Errors
/// [`CgroupError`] when that cannot be told.
pub fn is_populated(layout: &Layout, zone: &ZoneName) -> Result<bool, CgroupError> {
    let Some(dir) = Tree::find(layout.id(), zone)?.open(ZONE)? else { return Ok(false) };
    match read(dir.as_fd(), "cgroup.events") {
        Ok(events) => Ok(events.lines().any(|line| line == "populated 1")),
        // It was removed meanwhile.
        Err(Errno::NODEV | Errno::NOENT) => Ok(false),
        Err(errno) => Err(Failed::to("watch the cgroup of zone", zone)(errno).into()),
    }
}

/// Kills every process of the zone, waits until the last is gone, and removes the cgroup. Nothing to remove is fine.
///
/// # Errors
/// [`CgroupError::Alive`] if there are processes left at the deadline or when `observer` gives up; or when a directory cannot
/// be removed.
pub fn end(
    installation: InstallationId,
    zone: &ZoneName,
    limit: Duration,
    observer: &dyn KillObserver,
) -> Result<(), CgroupError> {
    let tree = Tree::find(installation, zone)?;
    kill_in(&tree, zone, limit, observer)?;
    remove_in(&tree)
}

fn kill_in(
    tree: &Tree,
    zone: &ZoneName,
    limit: Duration,
    observer: &dyn KillObserver,
) -> Result<(), CgroupError> {
    let Some(dir) = tree.open(ZONE)? else { return Ok(()) };
    let begun = Instant::now();
    let deadline = begun + limit;
    let events = openat(&dir, "cgroup.events", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let events = events.map_err(Failed::to("watch the cgroup of zone", zone))?;
    write(dir.as_fd(), "cgroup.kill", "1").map_err(Failed::to("kill the processes of zone", zone))?;
    let mut events = std::fs::File::from(events);
    loop {
        // Reading arms the notification, so nothing that comes after it is missed.
        if !has_processes(&mut events).map_err(Failed::to("watch the cgroup of zone", zone))? {
            return Ok(());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let late = begun.elapsed() >= LOOK && observer.still_alive(&pids(dir.as_fd(), SOME).pids).is_break();
        if left.is_zero() || late {
            let holders = holders::among(&pids(dir.as_fd(), SOME).pids, 0);
            let seconds = begun.elapsed().as_secs();
            return Err(CgroupError::Alive { zone: zone.clone(), seconds, holders });
        }
        wait(events.as_fd(), left.min(LOOK)).map_err(Failed::to("watch the cgroup of zone", zone))?;
    }
}

fn has_processes(events: &mut std::fs::File) -> std::io::Result<bool> {
    use std::io::Seek;
    let mut text = String::new();
    events.rewind()?;
    events.read_to_string(&mut text)?;
    Ok(text.lines().any(|line| line == "populated 1"))
}

fn wait(events: BorrowedFd<'_>, left: Duration) -> Result<(), Errno> {
    let limit = Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    };
    match poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&limit)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Removes the zone's cgroup with all that the zone made in it, and what nobody uses above it.
pub(super) fn remove_in(tree: &Tree) -> Result<(), CgroupError> {
    if let Some(dir) = tree.open(ZONE)? {
        remove_tree(dir).map_err(Failed::to("remove cgroup", tree.path().join(ZONE).display()))?;
    }
    sweep_in(tree);
    Ok(())
}

/// Removes the directories above the zone's cgroup as far as nobody uses them: a daemon that lives in its own cannot
/// remove that, but whoever comes after can. Waits for `going` at most for one that has given up its locks and is about to be gone.
///
/// # Errors
/// [`CgroupError::NoCgroup2`]; a directory that is in use is no error.
pub fn sweep(layout: &Layout, zone: &ZoneName, going: Duration) -> Result<(), CgroupError> {
    let tree = Tree::find(layout.id(), zone)?;
    if let Some(dir) = tree.open(SUPERVISOR)? {
        let _ = wait_until_empty(dir.as_fd(), going);
    }
    sweep_in(&tree);
    Ok(())
}

fn wait_until_empty(dir: BorrowedFd<'_>, most: Duration) -> std::io::Result<()> {
    let events = openat(dir, "cgroup.events", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut events = std::fs::File::from(events);
    let deadline = Instant::now() + most;
    while has_processes(&mut events)? {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        wait(events.as_fd(), left)?;
    }
    Ok(())
}

fn sweep_in(tree: &Tree) {
    // Wherever it has been: before there was a slice, or with an earlier version. With those of a zone that had CPUs of its own these go
    // back to the host.
    let places = tree.places.apart.iter().chain(&tree.places.usual);
    places.for_each(|names| sweep_below(tree.mount.as_fd(), names));
}

pub(super) fn sweep_below(mount: BorrowedFd<'_>, names: &[String]) {
    let path = path_of(names);
    let supervisor = path.join(SUPERVISOR);
    // The slice is systemd's to remove.
    let ours = |path: &&Path| !path.as_os_str().is_empty() && *path != Path::new(SLICE);
    for path in supervisor.ancestors().take_while(ours) {
        match unlinkat(mount, path, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(_) => return,
        }
    }
}

/// Removes a cgroup and all below it, the deepest first, with one descriptor however deep that is. Going up by `..` is safe here:
/// no cgroup can be moved.
fn remove_tree(top: OwnedFd) -> Result<(), Errno> {
    let mut here = top;
    // The names that are left at each level; the last of a level is the one gone into.
    let mut left = vec![children(here.as_fd())?];
    loop {
        if let Some(name) = left.last().and_then(|level| level.last()) {
            match open_dir(here.as_fd(), name) {
                Ok(child) => {
                    left.push(children(child.as_fd())?);
                    here = child;
                    continue;
                }
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
        } else {
            left.pop();
            here = open_dir(here.as_fd(), c"..")?;
            let name = left.last().and_then(|level| level.last());
            match name {
                Some(name) => rmdir(here.as_fd(), name)?,
                None => return rmdir(here.as_fd(), ZONE),
            }
        }
        left.last_mut().and_then(Vec::pop);
    }
}

//! The end of a zone's cgroup: kill everything, wait until it is gone, remove the directories.

use std::io::Read;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Dir, FileType, Mode, OFlags, openat};
use rustix::io::Errno;
use zone_config::{Layout, ZoneName};

use super::{CgroupError, SUPERVISOR, Tree, ZONE, open_dir, read, rmdir, write};
use crate::Failed;

/// As many as a message names; whoever has more has one cause for them all.
const MOST_NAMED: usize = 20;

/// Kills every process of the zone and waits until the last is gone. Nothing to kill is fine.
///
/// # Errors
/// [`CgroupError::Alive`] if there are some left at the deadline.
pub fn kill(layout: &Layout, zone: &ZoneName, limit: Duration) -> Result<(), CgroupError> {
    let Some(dir) = Tree::find(layout, zone)?.open(ZONE)? else { return Ok(()) };
    let deadline = Instant::now() + limit;
    let events = openat(&dir, "cgroup.events", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let events = events.map_err(Failed::to("watch the cgroup of zone", zone))?;
    write(dir.as_fd(), "cgroup.kill", "1").map_err(Failed::to("kill the processes of zone", zone))?;
    let mut events = std::fs::File::from(events);
    loop {
        // Reading arms the notification, so nothing that comes after it is missed.
        if !is_populated(&mut events).map_err(Failed::to("watch the cgroup of zone", zone))? {
            return Ok(());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let pids = name_all(dir.as_fd());
            return Err(CgroupError::Alive { zone: zone.clone(), seconds: limit.as_secs(), pids });
        }
        wait(events.as_fd(), left).map_err(Failed::to("watch the cgroup of zone", zone))?;
    }
}

fn is_populated(events: &mut std::fs::File) -> std::io::Result<bool> {
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

/// Removes the zone's cgroup with all that the zone made in it. It must be empty of processes.
///
/// # Errors
/// When a directory cannot be removed.
pub fn remove(layout: &Layout, zone: &ZoneName) -> Result<(), CgroupError> {
    let tree = Tree::find(layout, zone)?;
    if let Some(dir) = tree.open(ZONE)? {
        let path = tree.path().join(ZONE);
        let fail = || Failed::to("remove cgroup", path.display());
        let children = children(dir.as_fd()).map_err(fail())?;
        children.iter().try_for_each(|name| remove_tree(dir.as_fd(), name)).map_err(fail())?;
        drop(dir);
        if let Some(parent) = tree.open(".")? {
            rmdir(parent.as_fd(), ZONE).map_err(fail())?;
        }
    }
    sweep(layout, zone)
}

/// Removes the directories above the zone's cgroup as far as nobody uses them: a daemon that lives in its own cannot
/// remove that, but whoever comes after can.
///
/// # Errors
/// [`CgroupError::NoCgroup2`]; a directory that is in use is no error.
pub fn sweep(layout: &Layout, zone: &ZoneName) -> Result<(), CgroupError> {
    let tree = Tree::find(layout, zone)?;
    let [installation, zone] = &tree.names;
    let Ok(above) = open_dir(tree.mount.as_fd(), installation) else { return Ok(()) };
    if let Ok(dir) = open_dir(above.as_fd(), zone) {
        let _ = rmdir(dir.as_fd(), SUPERVISOR);
    }
    let _ = rmdir(above.as_fd(), zone);
    drop(above);
    let _ = rmdir(tree.mount.as_fd(), installation);
    Ok(())
}

/// Removes a directory and all below it, the deepest first. A zone may have made them as deep as it liked, so they
/// are walked without recursion and with two descriptors at a time.
fn remove_tree(top: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    let mut path = vec![name.to_owned()];
    while let Some(last) = path.last().cloned() {
        let parent = descend(top, &path[..path.len() - 1])?;
        match rmdir(parent.as_fd(), &last) {
            Ok(()) => {
                path.pop();
            }
            Err(Errno::BUSY) => {
                let here = open_dir(parent.as_fd(), &last)?;
                // Busy without children: a process is in it.
                let child = children(here.as_fd())?.into_iter().next().ok_or(Errno::BUSY)?;
                path.push(child);
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn descend(top: BorrowedFd<'_>, path: &[String]) -> Result<OwnedFd, Errno> {
    let start = open_dir(top, ".")?;
    path.iter().try_fold(start, |dir, name| open_dir(dir.as_fd(), name))
}

fn children(dir: BorrowedFd<'_>) -> Result<Vec<String>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        if entry.file_type() == FileType::Directory && name != "." && name != ".." {
            names.push(name.into_owned());
        }
    }
    Ok(names)
}

/// The processes in a cgroup and below it, as `pid (name)`.
fn name_all(dir: BorrowedFd<'_>) -> String {
    let mut pids = Vec::new();
    let mut open = open_dir(dir, ".").into_iter().collect::<Vec<_>>();
    while let Some(here) = open.pop() {
        // Fails for a threaded cgroup, whose processes its parent shows.
        let text = read(here.as_fd(), "cgroup.procs").unwrap_or_default();
        pids.extend(text.lines().map(str::to_owned));
        if pids.len() > MOST_NAMED {
            break;
        }
        let below = children(here.as_fd()).unwrap_or_default();
        open.extend(below.iter().filter_map(|name| open_dir(here.as_fd(), name).ok()));
    }
    let more = if pids.len() > MOST_NAMED { ", ..." } else { "" };
    let named: Vec<String> = pids.iter().take(MOST_NAMED).map(|pid| with_name(pid)).collect();
    named.join(", ") + more
}

pub(super) fn with_name(pid: &str) -> String {
    // The name is the guest's: nothing of it may reach a terminal as it is.
    match std::fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(name) => format!("{pid} ({})", name.trim_end().escape_debug()),
        Err(_) => pid.to_owned(),
    }
}

//! Keepers of this zone that nobody can reach: they run, but their socket was removed from under them.
//! To start one more would give the zone a second console, and a zone that lives would seem not to.
//!
//! Every keeper holds a socket with an abstract name of the zone's own, bound by the daemon that started
//! it. The kernel gives a name to one socket only and takes it back when the holder is gone, so the usual
//! start costs one `bind`, and only a name that is taken is a reason to look through `/proc`.

use crate::keeper_error::KeeperError;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, socket_with};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::time::Timespec;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use zone_config::{Layout, ZoneName};

/// A keeper that was dismissed is gone within this, and so is one that was killed.
const DEPARTURE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Sees that the zone has no other keeper, and takes the name for the one that is to be started. `None`
/// when the name cannot be had for reasons that are no keeper's; it protects, and is not needed. `warn`
/// is told what was removed.
///
/// # Errors
/// [`KeeperError::Living`] when one keeps a zone that lives.
pub(crate) fn claim(
    layout: &Layout,
    zone: &ZoneName,
    warn: impl FnOnce(&str),
) -> Result<Option<OwnedFd>, KeeperError> {
    let Some(address) = address(layout, zone) else { return Ok(None) };
    if let Some(name) = take(&address) {
        return Ok(Some(name));
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
    Ok(take(&address))
}

/// The zone's name among the sockets: its installation's directory is known by its inode, for a path may
/// be longer than a name.
fn address(layout: &Layout, zone: &ZoneName) -> Option<SocketAddrUnix> {
    let root = fs::metadata(layout.root()).ok()?;
    let name = format!("zsched:{:x}:{:x}:{zone}", root.dev(), root.ino());
    SocketAddrUnix::new_abstract_name(name.as_bytes()).ok()
}

fn take(address: &SocketAddrUnix) -> Option<OwnedFd> {
    // It never listens: nobody can connect, and nothing can be sent to it.
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).ok()?;
    bind(&socket, address).ok()?;
    Some(socket)
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
    let root = layout.root().as_os_str().as_encoded_bytes();
    let is_called_so = fs::read(dir.join("cmdline")).is_ok_and(|line| {
        let mut words = line.split(|&byte| byte == 0);
        let program = words.next().unwrap_or_default();
        let of_zone = words.next() == Some(zone.as_str().as_bytes());
        program.ends_with(b"zsched") && of_zone && words.nth(1) == Some(root)
    });
    is_called_so && fs::metadata(&dir).is_ok_and(|meta| meta.uid() == 0) && is_of_the_host(&dir)
}

fn is_of_the_host(dir: &Path) -> bool {
    let ours = fs::read_link("/proc/self/ns/user").ok();
    ours.is_some() && fs::read_link(dir.join("ns/user")).ok() == ours
}

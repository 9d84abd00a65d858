//! The end of images: a loop device lets its file go when the last mount is gone, which the kernel sees to some time after the
//! last process, and tells.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use rustix::io::Errno;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use zone_config::hostpath::{HostPath, shown};

use super::disk::loops;
use crate::{Failed, mountinfo};

/// As many processes as a message names.
const MOST_NAMED: usize = 5;

/// Why an image is not let go.
#[derive(Debug, thiserror::Error)]
pub enum Held {
    /// Somebody still has its file system.
    #[error("the file system in {} is still mounted as /dev/loop{number}{}: end what holds it, and halt the zone again", shown(.image), by(.holders))]
    Mounted {
        /// The image.
        image: PathBuf,
        /// The number of its loop device.
        number: u32,
        /// The processes in whose mount namespaces it is, by id and name.
        holders: Vec<String>,
    },
    /// A call to the system failed.
    #[error(transparent)]
    Failed(#[from] Failed),
}

fn by(holders: &[String]) -> String {
    if holders.is_empty() { String::new() } else { format!(", in the mounts of {}", holders.join(", ")) }
}

/// Waits until no loop device is left of these files but those that the host has mounted itself.
pub(super) fn wait(images: &[PathBuf], limit: Duration) -> Result<(), Held> {
    if images.is_empty() {
        return Ok(());
    }
    let events = events()?;
    let end = Instant::now() + limit;
    loop {
        // What the kernel says after this is heard below.
        let Some((image, number)) = images.iter().find_map(|image| left(image).transpose()).transpose()?
        else {
            return Ok(());
        };
        let rest = end.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Err(Held::Mounted { image, number, holders: holders(number) });
        }
        next(&events, rest)?;
    }
}

/// A loop device of an image that is not the host's own.
fn left(image: &Path) -> Result<Option<(PathBuf, u32)>, Failed> {
    // What is not there, or is somebody else's by now, is nothing that we could wait for.
    let Ok(found) = HostPath::open(image) else { return Ok(None) };
    let table = mountinfo::read()?;
    let is_hosts = |number: u32| table.iter().any(|mount| (mount.major, mount.minor) == (7, number));
    // One that does not clear itself is none of a zone's, and would be waited for in vain.
    let left = loops(found.stat())?.into_iter().filter(|(_, backing)| backing.is_plain);
    let left = left.map(|(device, _)| device.number());
    Ok(left.filter(|number| !is_hosts(*number)).map(|number| (image.to_owned(), number)).next())
}

/// A socket that hears what the kernel tells of devices.
fn events() -> Result<OwnedFd, Failed> {
    let fail = || Failed::to("listen to", "the kernel's events of devices");
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket =
        socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(KOBJECT_UEVENT)).map_err(fail())?;
    bind(&socket, &SocketAddrNetlink::new(0, 1)).map_err(fail())?;
    Ok(socket)
}

/// Waits for something to be told, and takes all that was.
fn next(events: &OwnedFd, rest: Duration) -> Result<(), Failed> {
    let fail = || Failed::to("listen to", "the kernel's events of devices");
    let rest = Timespec {
        tv_sec: i64::try_from(rest.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: rest.subsec_nanos().into(),
    };
    match poll(&mut [PollFd::new(events, PollFlags::IN)], Some(&rest)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(errno) => return Err(fail()(errno)),
    }
    let mut buffer = [0; 4096];
    loop {
        match recv(events, &mut buffer[..], RecvFlags::empty()) {
            // Too many to be kept: something was told.
            Ok(_) | Err(Errno::NOBUFS | Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(()),
            Err(errno) => return Err(fail()(errno)),
        }
    }
}

/// The processes that have something of a loop device's file system: mounted, one of each mount namespace, or open.
fn holders(number: u32) -> Vec<String> {
    let mut seen = Vec::new();
    let mut named = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(namespace) = fs::read_link(path.join("ns/mnt")) else { continue };
        let is_first = !seen.contains(&namespace);
        seen.extend(is_first.then_some(namespace));
        let is_there = |mount: &mountinfo::Mount| (mount.major, mount.minor) == (7, number);
        let sees = || {
            let process = entry.file_name().to_str().and_then(|name| name.parse().ok());
            process.is_some_and(|pid| mountinfo::read_of(pid).is_ok_and(|table| table.iter().any(is_there)))
        };
        if is_first && sees() || has_open(&path, number) {
            let name = zone_sys::proc::text(path.join("comm")).unwrap_or_default();
            let mut text = String::new();
            let _ =
                write!(text, "process {} ({})", entry.file_name().display(), name.trim_end().escape_debug());
            named.push(text);
        }
        if named.len() == MOST_NAMED {
            break;
        }
    }
    named
}

fn has_open(process: &Path, number: u32) -> bool {
    let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten().map(|entry| entry.path());
    // Where a file is, and no more: what its file system knows of it a server would have to be asked for, who may be gone.
    let is_there = |path: PathBuf| {
        statx(CWD, path, AtFlags::STATX_DONT_SYNC, StatxFlags::empty())
            .is_ok_and(|found| (found.stx_dev_major, found.stx_dev_minor) == (7, number))
    };
    files.chain([process.join("cwd"), process.join("root")]).any(is_there)
}

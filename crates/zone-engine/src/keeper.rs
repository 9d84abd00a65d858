//! Finding the zone's zsched, or starting one.

use crate::keeper_error::KeeperError;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use zone_config::{Layout, ZoneName};
use zone_ring::{DEFAULT_FIRST_CAP, DEFAULT_NEWEST_CAP, Ring};
use zone_sys::exec;
use zsched::client::{Client, ClientError, ConsoleFds, SOCKET};
use zsched::launch::Arguments;
use zsched::wire::Status;

/// A zsched that we are the daemon of.
#[derive(Debug)]
pub struct Keeper {
    /// The connection on which its events come.
    pub events: Client,
    /// The connection for requests.
    pub requests: Client,
    /// How it was when we attached.
    pub status: Status,
    /// The console.
    pub console: ConsoleFds,
    /// Its pidfd, if it was started by this daemon.
    pub child: Option<OwnedFd>,
}

/// A zsched that was found or started.
#[derive(Debug)]
pub struct Reached {
    /// The connection to it.
    pub client: Client,
    /// Its pidfd and its console, if it was started just now: it keeps no zone then.
    pub started: Option<(OwnedFd, ConsoleFds)>,
}

/// Connects to the zone's zsched, or starts one if there is none. One that was just started comes to life on another
/// processor meanwhile: whoever calls has other things to do before [`attach`].
/// `warn` is told of other keepers that were in the way.
pub fn find_or_start(
    layout: &Layout,
    zone: &ZoneName,
    warn: impl FnOnce(&str),
) -> Result<Reached, KeeperError> {
    match Client::connect(&layout.zone_run(zone)) {
        Ok(client) => Ok(Reached { client, started: None }),
        Err(ClientError::NotRunning) => {
            let lock = crate::unreachable::claim(layout, zone, false, warn)?;
            let console = console()?;
            let ends = [console.manager.as_fd(), console.subsidiary.as_fd(), console.ring.as_fd()];
            let (client, child) = launch(layout, zone, lock, ends)?;
            Ok(Reached { client, started: Some((child, console)) })
        }
        Err(e) => Err(e.into()),
    }
}

/// Becomes the daemon of a zsched.
pub fn attach(
    events: Client,
    child: Option<OwnedFd>,
    layout: &Layout,
    zone: &ZoneName,
) -> Result<Keeper, KeeperError> {
    let (status, console) = events.attach()?;
    let requests = Client::connect(&layout.zone_run(zone))?;
    // Else the first operation would be the one to find out, after half a minute.
    requests.greet()?;
    Ok(Keeper { events, requests, status, console, child })
}

/// A new pty pair. It is one of the host's devpts: a mount of its own would have to be kept somewhere,
/// and the descriptor is all that is ever used of it.
pub fn pty() -> Result<(OwnedFd, OwnedFd), KeeperError> {
    let manager =
        openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).map_err(KeeperError::Pty)?;
    unlockpt(&manager).map_err(KeeperError::Pty)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let subsidiary = ioctl_tiocgptpeer(&manager, flags).map_err(KeeperError::Pty)?;
    Ok((manager, subsidiary))
}

/// A console that nobody has used.
fn console() -> Result<ConsoleFds, KeeperError> {
    let (manager, subsidiary) = pty()?;
    let memfd = memfd_create("zone-console", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
        .map_err(KeeperError::Memory)?;
    let ring =
        Ring::create(memfd, DEFAULT_FIRST_CAP, DEFAULT_NEWEST_CAP).map_err(KeeperError::Ring)?.into_fd();
    Ok(ConsoleFds { manager, subsidiary, ring })
}

/// Starts a zsched with this console (manager, subsidiary, kept output), and gives the daemon's connection to it and its
/// pidfd. It holds `lock` for as long as it lives, and shows in that file how things stand. May be called with threads.
pub fn launch(
    layout: &Layout,
    zone: &ZoneName,
    lock: Option<OwnedFd>,
    console: [BorrowedFd<'_>; 3],
) -> Result<(Client, OwnedFd), KeeperError> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(|e| KeeperError::Start(zone_sys::Error::new("socketpair", e)))?;
    let listener = zone_fail::fail!("keeper.bind")
        .map_err(|e| zone_sys::Error::new("bind", e))
        .and_then(|()| zone_sys::unix::bind_in(&layout.zone_run(zone), SOCKET, SocketType::SEQPACKET, 16))
        .map_err(KeeperError::Start)?;

    zone_fail::pass!("keeper.bound");
    let program = |name| Layout::program(name).display().to_string();
    let zoneadmd = program("zoneadmd");
    let arguments = Arguments { zone: zone.to_string(), zoneadmd, root: layout.root().display().to_string() };
    let block = exec::block(&program("zsched"), &arguments.argv(), &[])
        .ok_or_else(|| KeeperError::Start(zone_sys::Error::new("execve", Errno::TOOBIG)))?;
    // In the order of `zsched::launch`.
    let fds: Vec<_> = [listener.as_fd(), theirs.as_fd()]
        .into_iter()
        .chain(console)
        .chain(lock.as_ref().map(AsFd::as_fd))
        .collect();
    // Of all processes of the host this one is killed last: it holds what cannot be had again.
    let child = zone_fail::fail!("keeper.spawn")
        .map_err(|e| zone_sys::Error::new("clone3", e))
        .and_then(|()| zone_sys::spawn::spawn(&block, &fds, -1000))
        .map_err(KeeperError::Start)?;
    Ok((Client::over(ours, &layout.zone_run(zone))?, child))
}

//! The socket, and a process for each caller within bounds.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, chmodat};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{SocketFlags, SocketType, accept_with};
use rustix::pipe::{PipeFlags, pipe_with};
use zone_config::Layout;
use zone_config::file::{FileError, FileLock};
use zone_config::layout::ACCESS;
use zone_door::Caller;
use zone_door::access::{Refusal, refusal};
use zone_sys::clone::{Clone, Cloned, Namespaces, SingleThreaded, exit_now};

use crate::act;
use crate::callers::Callers;

/// So many callers wait to be accepted, at most.
const BACKLOG: i32 = 128;
/// After so long without a caller a process ends that systemd starts for the next.
const IDLE: Duration = Duration::from_secs(60);
/// How long to wait before accepting again where there is no descriptor, memory or process to be had.
const PAUSE: Duration = Duration::from_secs(1);

/// Why nobody is served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("another zone-access serves already")]
    Another,
    #[error(transparent)]
    Lock(#[from] FileError),
    #[error("cannot listen at {}", .0.display())]
    Listen(std::path::PathBuf, #[source] zone_sys::Error),
    #[error("cannot open {} for all users", .0.display())]
    Mode(std::path::PathBuf, #[source] Errno),
    #[error("cannot accept callers")]
    Accept(#[source] Errno),
    #[error(transparent)]
    Threads(zone_sys::Error),
}

/// Takes the socket that systemd has made (sd_listen_fds(3)), if it has.
pub(crate) fn given() -> Option<OwnedFd> {
    let is = |name: &str, wanted: u32| std::env::var(name).is_ok_and(|value| value.parse() == Ok(wanted));
    let ours = is("LISTEN_PID", std::process::id()) && is("LISTEN_FDS", 1);
    ours.then(|| zone_sys::process::inherited(3)).flatten()
}

/// Serves: for as long as there are callers if systemd has the socket, else for ever.
pub(crate) fn serve(given: Option<OwnedFd>, layout: &Layout) -> Result<(), ServeError> {
    let (listener, _lock, idle) = match given {
        Some(listener) => (listener, None, Some(IDLE)),
        None => {
            reachable(layout)?;
            let lock = FileLock::try_take(&layout.run().join("zone-access.lock"))?;
            (bind(layout)?, Some(lock.ok_or(ServeError::Another)?), None)
        }
    };
    ioctl_fionbio(&listener, true).map_err(ServeError::Accept)?;
    let mut callers = Callers::default();
    let mut paused = false;
    loop {
        let closed = if paused { Some(PAUSE) } else { callers.full_for(Instant::now()) };
        let Ok((called, ended)) = wait(&listener, &mut callers, closed, idle) else { continue };
        if !called && !ended && closed.is_none() && callers.is_empty() {
            return Ok(());
        }
        paused = false;
        if called {
            paused = !admit(&listener, layout, &mut callers)?;
        }
    }
}

/// Sees to the directory of the socket. One that is closed is another's doing, and stays so.
fn reachable(layout: &Layout) -> Result<(), ServeError> {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = layout.access_dir();
    zone_config::file::make_dir(&dir, 0o755)?;
    let mode = std::fs::metadata(&dir).map_or(0, |meta| meta.permissions().mode());
    if mode & 0o001 == 0 {
        let dir = dir.display();
        eprintln!("zone-access: WARNING: nobody but root can get to {dir}: chmod o+x {dir}");
    }
    Ok(())
}

fn bind(layout: &Layout) -> Result<OwnedFd, ServeError> {
    let dir = layout.access_dir();
    let path = dir.join(ACCESS);
    let listener = zone_sys::unix::bind_in(&dir, ACCESS, SocketType::STREAM, BACKLOG)
        .map_err(|error| ServeError::Listen(path.clone(), error))?;
    // Who connects is looked at; the directory is root's.
    chmodat(CWD, &path, Mode::from_raw_mode(0o666), AtFlags::empty())
        .map_err(|errno| ServeError::Mode(path, errno))?;
    Ok(listener)
}

/// Waits for a caller, unless nobody is to be accepted for so long (`closed`), or for what is heard of those who have called:
/// whether there is one, and whether any of the others has ended.
fn wait(
    listener: &OwnedFd,
    callers: &mut Callers,
    closed: Option<Duration>,
    idle: Option<Duration>,
) -> Result<(bool, bool), Errno> {
    let limit = closed.or(idle).and_then(|limit| Timespec::try_from(limit).ok());
    let events = if closed.is_some() { PollFlags::empty() } else { PollFlags::IN };
    let mut fds = vec![PollFd::new(listener, events)];
    callers.poll(&mut fds);
    poll(&mut fds, limit.as_ref())?;
    let events: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
    Ok((events[0].contains(PollFlags::IN), callers.heard(events.into_iter().skip(1))))
}

/// Gives who waits longest a process; `false` if the host has nothing left for one.
fn admit(listener: &OwnedFd, layout: &Layout, callers: &mut Callers) -> Result<bool, ServeError> {
    let stream = match accept_with(listener, SocketFlags::CLOEXEC) {
        Ok(socket) => UnixStream::from(socket),
        Err(Errno::AGAIN | Errno::CONNABORTED | Errno::INTR) => return Ok(true),
        Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS) => return Ok(false),
        Err(errno) => return Err(ServeError::Accept(errno)),
    };
    let Ok(peer) = zone_sys::unix::peer(&stream) else { return Ok(true) };
    if let Some(text) = callers.no_room(peer.uid) {
        let said = Refusal::Failed { status: 1, message: text };
        // A socket that is new has room for it.
        let _ = rustix::net::send(
            &stream,
            &refusal(&said),
            rustix::net::SendFlags::DONTWAIT | rustix::net::SendFlags::NOSIGNAL,
        );
        return Ok(true);
    }
    callers.make_room();
    let Ok((told, tell)) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK) else { return Ok(false) };
    let proof = SingleThreaded::assert().map_err(ServeError::Threads)?;
    match Clone::new(Namespaces::empty()).spawn(proof) {
        Ok(Cloned::Parent { pidfd, .. }) => {
            callers.add(pidfd, peer.uid, told);
            Ok(true)
        }
        Ok(Cloned::Child) => {
            // The others' ends are the parent's to see; and who calls when it is gone is not to wait for a session's end at a
            // socket, or a lock, that this process holds open. None of them is dropped: it ends by _exit(2).
            if zone_sys::process::close_all_but(3, &[stream.as_fd(), tell.as_fd()]).is_err() {
                exit_now(1);
            }
            act::one_call(proof, stream, Caller::of(peer.pid, peer.uid), layout, tell);
            exit_now(0)
        }
        Err(_) => Ok(false),
    }
}

//! A blocking client of zsched, for zoneadmd and zlogin.

mod error;
mod exchange;
mod fds;
mod served;

pub use error::{ClientError, Result};
pub use fds::{ConsoleFds, NamespaceFds, ZoneFds};
pub use served::{connect_served, is_at_work, operates};

use crate::wire::{Adopt, Create, Kinds, Op, PACKET, Reply, SOCKETS, Status};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{RecvFlags, SocketType};
use std::path::{Path, PathBuf};
use std::time::Duration;
use zone_sys::unix;

/// The name of zsched's socket in a zone's run directory.
pub const SOCKET: &str = "zsched";
/// The name of the file there on which each zsched has a lock (`zone_sys::lock`) for as long as it lives.
pub const LOCK: &str = "zsched.lock";
/// The name of the file there on which a daemon has such a lock as long as it serves door and console.
pub const DAEMON_LOCK: &str = "lock";

/// How long a request may take. Making a zone is bounded by zsched itself, below this.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long [`Client::greet`] waits.
const GREETING: Duration = Duration::from_secs(10);
/// How long to wait for a place among those who wait to be accepted, where only that is to be seen: who has none sees it, too.
const LOOK: Duration = Duration::from_secs(1);

/// Whether a zsched lives whose socket is, or was, in `run_dir`. In doubt it does.
#[must_use]
pub fn lives(run_dir: &Path) -> bool {
    match std::fs::File::open(run_dir.join(LOCK)) {
        Ok(file) => zone_sys::lock::is_taken(&file).unwrap_or(true) || listens(run_dir),
        // One of before there was this lock.
        Err(_) => listens(run_dir),
    }
}

fn listens(run_dir: &Path) -> bool {
    match unix::connect_within(run_dir, SOCKET, SocketType::SEQPACKET, LOOK) {
        Ok(_) => true,
        Err(e) => !matches!(e.errno(), Errno::NOENT | Errno::CONNREFUSED),
    }
}

/// A connection to a zone's zsched.
#[derive(Debug)]
pub struct Client {
    socket: OwnedFd,
    /// Where its socket is.
    run_dir: PathBuf,
}

impl Client {
    /// Connects to the zsched whose socket is in `run_dir`.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] if nobody listens there, [`ClientError::Silent`] or [`ClientError::Stopped`] if it accepts nobody.
    pub fn connect(run_dir: &Path) -> Result<Self> {
        Self::connect_for(run_dir, PATIENCE)
    }

    /// As [`Client::connect`], with a limit to how long an answer may take, and a place among those who wait to be accepted.
    ///
    /// # Errors
    /// As [`Client::connect`]; [`ClientError::Silent`] or [`ClientError::Stopped`] if there is no place.
    pub fn connect_for(run_dir: &Path, patience: Duration) -> Result<Self> {
        let socket = match unix::connect_within(run_dir, SOCKET, SocketType::SEQPACKET, patience) {
            Ok(socket) => socket,
            Err(e) if matches!(e.errno(), Errno::NOENT | Errno::CONNREFUSED) => {
                return Err(ClientError::NotRunning);
            }
            Err(e) if e.errno() == Errno::AGAIN => return Err(exchange::silent(run_dir)),
            Err(e) => return Err(ClientError::Io(e)),
        };
        let client = Self { socket, run_dir: run_dir.to_owned() };
        client.set_patience(patience)?;
        Ok(client)
    }

    /// A client over a socket that is already connected to the zsched whose socket is in `run_dir`.
    ///
    /// # Errors
    /// If the time limit cannot be set.
    pub fn over(socket: OwnedFd, run_dir: &Path) -> Result<Self> {
        let client = Self { socket, run_dir: run_dir.to_owned() };
        client.set_patience(PATIENCE)?;
        Ok(client)
    }

    /// Limits how long an answer may take.
    ///
    /// # Errors
    /// If the socket does not take the limit.
    pub fn set_patience(&self, patience: Duration) -> Result<()> {
        set_socket_timeout(&self.socket, Timeout::Recv, Some(patience))
            .map_err(|e| ClientError::Io(zone_sys::Error::new("setsockopt", e)))
    }

    /// Sees that the connection is served: a socket can be connected to whose process accepts nobody. Waits less long
    /// than for an answer that takes work.
    ///
    /// # Errors
    /// [`ClientError::Silent`] if it is not, [`Stage::Accept`](crate::wire::Stage::Accept) if there is no room for it.
    pub fn greet(&self) -> Result<Status> {
        self.set_patience(GREETING)?;
        let status = self.status()?;
        self.set_patience(PATIENCE)?;
        Ok(status)
    }

    /// How things stand.
    ///
    /// # Errors
    /// If zsched does not answer.
    pub fn status(&self) -> Result<Status> {
        Ok(self.call(Op::Status, &[], &[])?.0)
    }

    /// Asks how things stand, and does not wait: the answer is for [`Client::status_asked`] to read, before anything else is asked.
    ///
    /// # Errors
    /// If zsched has gone.
    pub fn ask_status(&self) -> Result<()> {
        self.send(&Op::Status.header(), &[])
    }

    /// Reads the answer to [`Client::ask_status`].
    ///
    /// # Errors
    /// If zsched does not answer.
    pub fn status_asked(&self) -> Result<Status> {
        Ok(self.answer(&Op::Status.header())?.0)
    }

    /// A new user namespace in which `map` (the text of `uid_map`, see user_namespaces(7)) holds for
    /// users and groups alike.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn user_namespace(&self, map: &str) -> Result<OwnedFd> {
        let (_, mut fds) = self.call(Op::UserNamespace, map.as_bytes(), &[])?;
        fds.take(0).ok_or(ClientError::Protocol)
    }

    /// Gives namespaces that belong to the user namespace `userns`, one of each of `kinds`, for the zone that
    /// [`Client::create`] makes next with them: those that [`Client::user_namespace`] began to make, and others. Waits for
    /// them.
    ///
    /// # Errors
    /// [`ClientError::TooOld`] from a zsched that knows nothing of them; if they cannot be made.
    pub fn namespaces(&self, userns: BorrowedFd<'_>, kinds: Kinds) -> Result<NamespaceFds> {
        let (_, mut fds) = self.call(Op::Namespaces, &kinds.bits().to_le_bytes(), &[userns])?;
        let mut index = 0;
        let mut next = |kind| {
            if !kinds.contains(kind) {
                return Ok(None);
            }
            index += 1;
            fds.take(index - 1).map(Some).ok_or(ClientError::Protocol)
        };
        let (net, ipc) = (next(Kinds::NET)?, next(Kinds::IPC)?);
        Ok(NamespaceFds { net, ipc, time: next(Kinds::TIME)?, uts: next(Kinds::UTS)? })
    }

    /// Makes the zone's first process. `fds` are as [`Create`] says.
    ///
    /// # Errors
    /// At which stage it failed; nothing is left of the attempt.
    pub fn create(&self, create: &Create<'_>, fds: &[BorrowedFd<'_>]) -> Result<Status> {
        Ok(self.exchange(&create.encode(), fds)?.0)
    }

    /// Lets the first process become init: `block` is made by `zone_sys::exec::block`.
    ///
    /// # Errors
    /// If the exec failed; the first process is gone then.
    pub fn boot(&self, block: &[u8]) -> Result<Status> {
        Ok(self.call(Op::Boot, block, &[])?.0)
    }

    /// Becomes the zone's daemon; this connection then gets the events.
    ///
    /// # Errors
    /// If zsched does not answer.
    pub fn attach(&self) -> Result<(Status, ConsoleFds)> {
        let (status, mut fds) = self.call(Op::Attach, &[], &[])?;
        let mut next = |i| fds.take(i).ok_or(ClientError::Protocol);
        Ok((status, ConsoleFds { manager: next(0)?, subsidiary: next(1)?, ring: next(2)? }))
    }

    /// The descriptors of the live zone.
    ///
    /// # Errors
    /// [`Stage::NoZone`](crate::wire::Stage::NoZone) if there is none.
    pub fn fds(&self) -> Result<(Status, ZoneFds)> {
        let (status, mut fds) = self.call(Op::Fds, &[], &[])?;
        let mut next = |i| fds.take(i).ok_or(ClientError::Protocol);
        Ok((status, ZoneFds { pidfd: next(0)?, cgroup: next(1)? }))
    }

    /// Gives what zsched holds with the zone, in the order in which it was handed over.
    ///
    /// # Errors
    /// [`Stage::NoZone`](crate::wire::Stage::NoZone) if there is none, [`ClientError::TooOld`] from a zsched that gives nothing back.
    pub fn kept(&self) -> Result<Vec<OwnedFd>> {
        let (_, mut fds) = self.call(Op::Kept, &[], &[])?;
        Ok((0..fds.len()).filter_map(|index| fds.take(index)).collect())
    }

    /// Says that incarnation `uniqid` is being stopped.
    ///
    /// # Errors
    /// [`Stage::StaleUniqid`](crate::wire::Stage::StaleUniqid) if it is not the present one.
    pub fn stopping(&self, uniqid: u64) -> Result<Status> {
        Ok(self.call(Op::Stopping, &uniqid.to_le_bytes(), &[])?.0)
    }

    /// Says that the end of incarnation `uniqid` has been dealt with, and whether another is to follow: as
    /// long as that has not come, zsched sees to it that there is a daemon.
    ///
    /// # Errors
    /// [`Stage::StaleUniqid`](crate::wire::Stage::StaleUniqid) if it is not the present one, [`Stage::Busy`](crate::wire::Stage::Busy) if it lives.
    pub fn consume(&self, uniqid: u64, follows: bool) -> Result<Status> {
        let mut body = [0; 9];
        body[..8].copy_from_slice(&uniqid.to_le_bytes());
        body[8] = u8::from(follows);
        Ok(self.call(Op::Consume, &body, &[])?.0)
    }

    /// Gives zsched a zone whose own zsched died.
    ///
    /// # Errors
    /// [`Stage::Busy`](crate::wire::Stage::Busy) if it has one already.
    pub fn adopt(&self, zone: &Adopt, fds: &[BorrowedFd<'_>]) -> Result<Status> {
        Ok(self.exchange(&zone.encode(), fds)?.0)
    }

    /// Gives zsched another pty pair to hold.
    ///
    /// # Errors
    /// If zsched does not answer.
    pub fn replace_console(&self, manager: BorrowedFd<'_>, subsidiary: BorrowedFd<'_>) -> Result<Status> {
        Ok(self.call(Op::Console, &[], &[manager, subsidiary])?.0)
    }

    /// Gives zsched the listening sockets of the zone's console and door to hold.
    ///
    /// # Errors
    /// [`ClientError::TooOld`] from a zsched that holds none.
    pub fn hold_sockets(&self, sockets: [BorrowedFd<'_>; SOCKETS]) -> Result<Status> {
        Ok(self.call(Op::Sockets, &[], &sockets)?.0)
    }

    /// Gives the listening sockets that zsched holds, if it does: of console and door.
    ///
    /// # Errors
    /// [`ClientError::TooOld`] from a zsched that holds none.
    pub fn sockets(&self) -> Result<(Status, Option<[OwnedFd; SOCKETS]>)> {
        let (status, mut fds) = self.call(Op::Sockets, &[], &[])?;
        Ok((status, fds.take(0).zip(fds.take(1)).map(<[OwnedFd; SOCKETS]>::from)))
    }

    /// Says that the daemon leaves on purpose, and whether it `rests`: nothing needs it. It is gone when its connections are.
    ///
    /// # Errors
    /// [`ClientError::TooOld`] from a zsched that makes no difference.
    pub fn leave(&self, rests: bool) -> Result<Status> {
        Ok(self.call(Op::Leave, &[u8::from(rests)], &[])?.0)
    }

    /// Asks zsched to end.
    ///
    /// # Errors
    /// [`Stage::Busy`](crate::wire::Stage::Busy) while a zone exists.
    pub fn quit(&self) -> Result<()> {
        self.call(Op::Quit, &[], &[]).map(|_| ())
    }

    /// The socket, to be watched for events after [`Client::attach`].
    #[must_use]
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Reads one event without waiting; `None` if there is none now.
    ///
    /// # Errors
    /// When zsched has gone.
    pub fn event(&self) -> Result<Option<Status>> {
        let mut packet = [0; PACKET];
        match unix::recv(&self.socket, &mut packet, RecvFlags::DONTWAIT) {
            Ok((0, _)) => Err(self.gone()),
            Ok((n, _)) => match self.decode(&packet[..n])? {
                Some(Reply::Ended(status)) => Ok(Some(status)),
                _ => Err(ClientError::Protocol),
            },
            Err(e) if e.errno() == Errno::AGAIN => Ok(None),
            Err(e) => Err(ClientError::Io(e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zsched_with_no_place_for_one_more_is_silent_and_lives() {
        let dir = tempfile::tempdir().unwrap();
        let connect = || Client::connect_for(dir.path(), Duration::from_millis(10));
        assert!(matches!(connect(), Err(ClientError::NotRunning)) && !lives(dir.path()));
        let listener = unix::bind_in(dir.path(), SOCKET, SocketType::SEQPACKET, 1).unwrap();
        let mut connected = Vec::new();
        let refused = loop {
            match connect() {
                Ok(client) => connected.push(client),
                Err(error) => break error,
            }
            assert!(connected.len() < 100, "nobody accepts them");
        };
        assert!(matches!(refused, ClientError::Silent), "{refused}");
        assert!(lives(dir.path()), "in doubt it does");
        drop(listener);
        assert!(matches!(connect(), Err(ClientError::NotRunning)));
    }
}

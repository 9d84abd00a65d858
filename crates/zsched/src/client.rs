//! A blocking client of zsched, for zoneadmd and zlogin.

use crate::wire::{Create, Failure, MAX_MESSAGE, NOTE, Op, Phase, REPLY, Reply, Stage, Status};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{RecvFlags, SocketType};
use std::path::Path;
use std::time::Duration;
use thiserror::Error;
use zone_sys::unix::{self, Fds};

/// The name of zsched's socket in a zone's run directory.
pub const SOCKET: &str = "zsched";

/// How long a request may take. Making a zone is bounded by zsched itself, below this.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a request to zsched came to nothing.
#[derive(Debug, Error)]
pub enum ClientError {
    /// There is no zsched for this zone.
    #[error("zsched is not running")]
    NotRunning,
    /// It went away, did not answer, or the socket failed.
    #[error("could not speak with zsched")]
    Io(#[source] zone_sys::Error),
    /// It answered something that is no answer.
    #[error("zsched gave an answer of another version")]
    Protocol,
    /// It refused or failed.
    #[error("{}", failure.stage.text())]
    Refused {
        /// At which point and why.
        failure: Failure,
        /// The kernel's word.
        #[source]
        errno: Errno,
    },
}

/// The result of a request.
pub type Result<T> = std::result::Result<T, ClientError>;

/// The console's descriptors.
#[derive(Debug)]
pub struct ConsoleFds {
    /// The pty's manager side.
    pub manager: OwnedFd,
    /// The pty's subsidiary side.
    pub subsidiary: OwnedFd,
    /// The memfd of the kept output.
    pub ring: OwnedFd,
}

/// What one needs to enter or stop a live zone.
#[derive(Debug)]
pub struct ZoneFds {
    /// The first process.
    pub pidfd: OwnedFd,
    /// The zone's cgroup directory.
    pub cgroup: OwnedFd,
}

/// A connection to a zone's zsched.
#[derive(Debug)]
pub struct Client {
    socket: OwnedFd,
}

impl Client {
    /// Connects to the zsched whose socket is in `run_dir`.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] if nobody listens there.
    pub fn connect(run_dir: &Path) -> Result<Self> {
        match unix::connect_in(run_dir, SOCKET, SocketType::SEQPACKET) {
            Ok(socket) => Self::over(socket),
            Err(e) if matches!(e.errno(), Errno::NOENT | Errno::CONNREFUSED) => Err(ClientError::NotRunning),
            Err(e) => Err(ClientError::Io(e)),
        }
    }

    /// A client over a socket that is already connected.
    ///
    /// # Errors
    /// If the time limit cannot be set.
    pub fn over(socket: OwnedFd) -> Result<Self> {
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))
            .map_err(|e| ClientError::Io(zone_sys::Error::new("setsockopt", e)))?;
        Ok(Self { socket })
    }

    /// How things stand.
    ///
    /// # Errors
    /// If zsched does not answer.
    pub fn status(&self) -> Result<Status> {
        Ok(self.call(Op::Status, &[], &[])?.0)
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
    /// [`Stage::NoZone`] if there is none.
    pub fn fds(&self) -> Result<(Status, ZoneFds)> {
        let (status, mut fds) = self.call(Op::Fds, &[], &[])?;
        let mut next = |i| fds.take(i).ok_or(ClientError::Protocol);
        Ok((status, ZoneFds { pidfd: next(0)?, cgroup: next(1)? }))
    }

    /// Says that incarnation `uniqid` is being stopped.
    ///
    /// # Errors
    /// [`Stage::StaleUniqid`] if it is not the present one.
    pub fn stopping(&self, uniqid: u64) -> Result<Status> {
        Ok(self.call(Op::Stopping, &uniqid.to_le_bytes(), &[])?.0)
    }

    /// Says that the end of incarnation `uniqid` has been dealt with, and whether another is to follow: as
    /// long as that has not come, zsched sees to it that there is a daemon.
    ///
    /// # Errors
    /// [`Stage::StaleUniqid`] if it is not the present one, [`Stage::Busy`] if it lives.
    pub fn consume(&self, uniqid: u64, follows: bool) -> Result<Status> {
        let mut body = [0; 9];
        body[..8].copy_from_slice(&uniqid.to_le_bytes());
        body[8] = u8::from(follows);
        Ok(self.call(Op::Consume, &body, &[])?.0)
    }

    /// Gives zsched another pty pair to hold.
    ///
    /// # Errors
    /// If zsched does not answer.
    pub fn replace_console(&self, manager: BorrowedFd<'_>, subsidiary: BorrowedFd<'_>) -> Result<Status> {
        Ok(self.call(Op::Console, &[], &[manager, subsidiary])?.0)
    }

    /// Asks zsched to end.
    ///
    /// # Errors
    /// [`Stage::Busy`] while a zone exists.
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
        let mut packet = [0; REPLY];
        match unix::recv(&self.socket, &mut packet, RecvFlags::DONTWAIT) {
            Ok((0, _)) => Err(ClientError::NotRunning),
            Ok((n, _)) => match Reply::decode(&packet[..n]) {
                Some(Reply::Ended(status)) => Ok(Some(status)),
                _ => Err(ClientError::Protocol),
            },
            Err(e) if e.errno() == Errno::AGAIN => Ok(None),
            Err(e) => Err(ClientError::Io(e)),
        }
    }

    fn call(&self, op: Op, body: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(Status, Fds)> {
        let mut message = Vec::with_capacity(4 + body.len());
        message.extend_from_slice(&(op as u32).to_le_bytes());
        message.extend_from_slice(body);
        self.exchange(&message, fds)
    }

    fn exchange(&self, message: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(Status, Fds)> {
        if message.len() > MAX_MESSAGE {
            let failure = Failure::new(Stage::Request, Errno::TOOBIG);
            return Err(ClientError::Refused { failure, errno: failure.errno });
        }
        unix::send(&self.socket, message, fds).map_err(|e| match e.errno() {
            Errno::PIPE | Errno::CONNRESET => ClientError::NotRunning,
            _ => ClientError::Io(e),
        })?;
        let mut packet = [0; REPLY];
        let (n, fds) =
            unix::recv(&self.socket, &mut packet, RecvFlags::empty()).map_err(|e| match e.errno() {
                Errno::CONNRESET => ClientError::NotRunning,
                _ => ClientError::Io(e),
            })?;
        if n == 0 {
            return Err(ClientError::NotRunning);
        }
        match Reply::decode(&packet[..n]) {
            Some(Reply::Done(status)) => Ok((status, fds)),
            Some(Reply::Failed(failure)) => Err(ClientError::Refused { failure, errno: failure.errno }),
            Some(Reply::Ended(_)) | None => Err(ClientError::Protocol),
        }
    }
}

impl Status {
    /// Whether a zone exists, alive or not yet taken down.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.phase != Phase::None
    }

    /// How many times in a row init was started again before this incarnation.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.note.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }

    /// The note that carries `restarts`.
    #[must_use]
    pub fn note_of(restarts: u32) -> [u8; NOTE] {
        let mut note = [0; NOTE];
        note[..4].copy_from_slice(&restarts.to_le_bytes());
        note
    }
}

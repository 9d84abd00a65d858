//! A blocking client of zsched, for zoneadmd and zlogin.

use crate::wire::{
    Adopt, Create, Failure, Header, LAYOUT, MAX_MESSAGE, OLDEST, Op, PACKET, Reply, Stage, Status,
};
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
    #[error("zsched gave an answer that makes no sense")]
    Protocol,
    /// It speaks only layouts that are older than what is asked for.
    #[error(
        "zone '{zone}' is kept by a zsched that speaks messages of layout {speaks}, and this takes layout {needed}: halt the \
         zone and boot it again, which gives it a new one"
    )]
    TooOld {
        /// Whose it is.
        zone: String,
        /// The layout that it speaks.
        speaks: u8,
        /// The layout that the request needs.
        needed: u8,
    },
    /// It no longer speaks the layouts of this program.
    #[error(
        "zone '{zone}' is kept by a zsched that speaks messages of layouts {oldest} to {speaks}, and this program no more than \
         {LAYOUT}: use the programs that the zone was booted with, or newer ones"
    )]
    TooNew {
        /// Whose it is.
        zone: String,
        /// The oldest layout that it speaks.
        oldest: u8,
        /// The newest.
        speaks: u8,
    },
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
    /// Whose zsched it is, for messages.
    zone: String,
}

impl Client {
    /// Connects to the zsched whose socket is in `run_dir`.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] if nobody listens there.
    pub fn connect(run_dir: &Path) -> Result<Self> {
        match unix::connect_in(run_dir, SOCKET, SocketType::SEQPACKET) {
            Ok(socket) => {
                let zone = run_dir.file_name().unwrap_or_default().to_string_lossy();
                Self::over(socket, &zone)
            }
            Err(e) if matches!(e.errno(), Errno::NOENT | Errno::CONNREFUSED) => Err(ClientError::NotRunning),
            Err(e) => Err(ClientError::Io(e)),
        }
    }

    /// A client over a socket that is already connected to the zsched of `zone`.
    ///
    /// # Errors
    /// If the time limit cannot be set.
    pub fn over(socket: OwnedFd, zone: &str) -> Result<Self> {
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))
            .map_err(|e| ClientError::Io(zone_sys::Error::new("setsockopt", e)))?;
        Ok(Self { socket, zone: zone.to_owned() })
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

    /// Gives zsched a zone whose own zsched died.
    ///
    /// # Errors
    /// [`Stage::Busy`] if it has one already.
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
        let mut packet = [0; PACKET];
        match unix::recv(&self.socket, &mut packet, RecvFlags::DONTWAIT) {
            Ok((0, _)) => Err(ClientError::NotRunning),
            Ok((n, _)) => match self.decode(&packet[..n])? {
                Some(Reply::Ended(status)) => Ok(Some(status)),
                _ => Err(ClientError::Protocol),
            },
            Err(e) if e.errno() == Errno::AGAIN => Ok(None),
            Err(e) => Err(ClientError::Io(e)),
        }
    }

    fn call(&self, op: Op, body: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(Status, Fds)> {
        let mut message = Vec::with_capacity(Header::SIZE + body.len());
        message.extend_from_slice(&op.header());
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
        let mut packet = [0; PACKET];
        let (n, fds) =
            unix::recv(&self.socket, &mut packet, RecvFlags::empty()).map_err(|e| match e.errno() {
                Errno::CONNRESET => ClientError::NotRunning,
                _ => ClientError::Io(e),
            })?;
        if n == 0 {
            return Err(ClientError::NotRunning);
        }
        match self.decode(&packet[..n])? {
            Some(Reply::Done(status)) => Ok((status, fds)),
            Some(Reply::Failed(failure)) if failure.stage == Stage::Layout => {
                let speaks = u8::try_from(failure.index).unwrap_or(u8::MAX);
                let needed = Header::of(message).map_or(LAYOUT, |header| header.layout);
                Err(ClientError::TooOld { zone: self.zone.clone(), speaks, needed })
            }
            Some(Reply::Failed(failure)) => Err(ClientError::Refused { failure, errno: failure.errno }),
            Some(Reply::Ended(_)) | None => Err(ClientError::Protocol),
        }
    }

    /// Reads a packet, if it is of a zsched that speaks our layouts.
    fn decode(&self, packet: &[u8]) -> Result<Option<Reply>> {
        let Some(Header { layout: speaks, other: oldest, .. }) = Header::of(packet) else { return Ok(None) };
        let zone = || self.zone.clone();
        if speaks < OLDEST {
            return Err(ClientError::TooOld { zone: zone(), speaks, needed: OLDEST });
        }
        if oldest > LAYOUT {
            return Err(ClientError::TooNew { zone: zone(), oldest, speaks });
        }
        Ok(Reply::decode(packet))
    }
}

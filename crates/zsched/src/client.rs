//! A blocking client of zsched, for zoneadmd and zlogin.

use crate::wire::{
    Adopt, Create, Failure, Header, Kinds, MAX_MESSAGE, OLDEST, Op, Origin, Origins, PACKET, PROTOCOL, Reply,
    Stage, Status,
};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{RecvFlags, SocketType};
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;
use zone_sys::unix::{self, Fds};

/// The name of zsched's socket in a zone's run directory.
pub const SOCKET: &str = "zsched";
/// The name of the file there on which each zsched has a lock (`zone_sys::lock`) for as long as it lives.
pub const LOCK: &str = "zsched.lock";

/// How long a request may take. Making a zone is bounded by zsched itself, below this.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long [`Client::greet`] waits.
const GREETING: Duration = Duration::from_secs(10);

/// Why a request to zsched came to nothing.
#[derive(Debug, Error)]
pub enum ClientError {
    /// There is no zsched for this zone.
    #[error("zsched is not running")]
    NotRunning,
    /// It did not answer, or the socket failed; which call failed and why is the source.
    #[error("could not speak with zsched")]
    Io(#[source] zone_sys::Error),
    /// It took the time that a request may take, and said nothing.
    #[error("zsched does not answer: it is stopped, or has no memory to accept a connection")]
    Silent,
    /// It lives, but this connection to it has ended. Whether it carried out what was asked last is not known.
    #[error("the connection to zsched broke, which is still running")]
    Broken,
    /// It answered something that is no answer.
    #[error("zsched gave an answer that makes no sense")]
    Protocol,
    /// It speaks only protocols that are older than what is asked for.
    #[error(
        "zone '{zone}' is kept by a zsched that speaks protocol {speaks}, and this takes protocol {needed}: halt the \
         zone and boot it again, which gives it a new one"
    )]
    TooOld {
        /// Whose it is.
        zone: String,
        /// The protocol that it speaks.
        speaks: u8,
        /// The protocol that the request needs.
        needed: u8,
    },
    /// It no longer speaks the protocols of this program.
    #[error(
        "zone '{zone}' is kept by a zsched that speaks protocols {oldest} to {speaks}, and this program no more than \
         {PROTOCOL}: use the programs that the zone was booted with, or newer ones"
    )]
    TooNew {
        /// Whose it is.
        zone: String,
        /// The oldest protocol that it speaks.
        oldest: u8,
        /// The newest protocol that it speaks.
        speaks: u8,
    },
    /// It refused or failed.
    #[error("{}", failure.stage.text())]
    Refused {
        /// At which point and why.
        failure: Failure,
        /// What the kernel said to zsched.
        #[source]
        errno: Errno,
    },
}

impl ClientError {
    /// Whether zsched serves as many connections as it can, each of which lasts a moment: another one in a moment may fare
    /// better.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        matches!(
            self,
            Self::Refused { failure: Failure { stage: Stage::Accept, errno: Errno::USERS, .. }, .. }
        )
    }

    /// Whether zsched lives and does not serve this connection: another one would fare no better.
    #[must_use]
    pub fn is_unserved(&self) -> bool {
        matches!(self, Self::Silent)
            || matches!(self, Self::Refused { failure, .. } if failure.stage == Stage::Accept)
    }
}

/// The result of a request.
pub type Result<T> = std::result::Result<T, ClientError>;

/// Holds the console's descriptors, each the caller's own copy.
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
    /// The first process, as a pidfd.
    pub pidfd: OwnedFd,
    /// The zone's cgroup directory.
    pub cgroup: OwnedFd,
}

/// Namespaces that were asked for.
#[derive(Debug, Default)]
pub struct NamespaceFds {
    /// Of the network; its loopback interface is up.
    pub net: Option<OwnedFd>,
    /// Of IPC: message queues, semaphores and shared memory.
    pub ipc: Option<OwnedFd>,
    /// Of the clocks, without offsets.
    pub time: Option<OwnedFd>,
    /// Of the host name.
    pub uts: Option<OwnedFd>,
}

impl NamespaceFds {
    /// Where the namespaces of a zone come from that is made with these and else has the usual ones.
    #[must_use]
    pub fn origins(&self) -> Origins {
        let mut origins = Origins::default();
        for (fd, origin) in [
            (&self.net, &mut origins.net),
            (&self.ipc, &mut origins.ipc),
            (&self.time, &mut origins.time),
            (&self.uts, &mut origins.uts),
        ] {
            if fd.is_some() {
                *origin = Origin::Given;
            }
        }
        origins
    }

    /// The descriptors in the order in which [`Create`] takes them.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [&self.net, &self.ipc, &self.time, &self.uts].into_iter().flatten().map(AsFd::as_fd)
    }
}

/// How often a request is sent in all to a zsched that lives, when the kernel says that it does not.
const SENDS: u32 = 6;
/// How long to wait before the first repetition; each further one waits twice as long.
const PAUSE: Duration = Duration::from_millis(5);

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
    match unix::connect_in(run_dir, SOCKET, SocketType::SEQPACKET) {
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
    /// [`ClientError::NotRunning`] if nobody listens there.
    pub fn connect(run_dir: &Path) -> Result<Self> {
        match unix::connect_in(run_dir, SOCKET, SocketType::SEQPACKET) {
            Ok(socket) => Self::over(socket, run_dir),
            Err(e) if matches!(e.errno(), Errno::NOENT | Errno::CONNREFUSED) => Err(ClientError::NotRunning),
            Err(e) => Err(ClientError::Io(e)),
        }
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
    /// [`ClientError::Silent`] if it is not, [`Stage::Accept`] if there is no room for it.
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
    /// [`Stage::NoZone`] if there is none.
    pub fn fds(&self) -> Result<(Status, ZoneFds)> {
        let (status, mut fds) = self.call(Op::Fds, &[], &[])?;
        let mut next = |i| fds.take(i).ok_or(ClientError::Protocol);
        Ok((status, ZoneFds { pidfd: next(0)?, cgroup: next(1)? }))
    }

    /// Gives what zsched holds with the zone, in the order in which it was handed over.
    ///
    /// # Errors
    /// [`Stage::NoZone`] if there is none, [`ClientError::TooOld`] from a zsched that gives nothing back.
    pub fn kept(&self) -> Result<Vec<OwnedFd>> {
        let (_, mut fds) = self.call(Op::Kept, &[], &[])?;
        Ok((0..fds.len()).filter_map(|index| fds.take(index)).collect())
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
            Ok((0, _)) => Err(self.gone()),
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
        self.send(message, fds)?;
        let mut packet = [0; PACKET];
        let received = beyond_reset(
            || unix::recv(&self.socket, &mut packet, RecvFlags::empty()),
            zone_sys::Error::errno,
        );
        let (n, fds) = received.map_err(|e| match e.errno() {
            Errno::CONNRESET => self.gone(),
            errno => {
                self.hang_up();
                if errno == Errno::AGAIN { ClientError::Silent } else { ClientError::Io(e) }
            }
        })?;
        if n == 0 {
            return Err(self.gone());
        }
        match self.decode(&packet[..n])? {
            Some(Reply::Done(status)) => Ok((status, fds)),
            Some(Reply::Failed(failure)) if failure.stage == Stage::Protocol => {
                let speaks = u8::try_from(failure.index).unwrap_or(u8::MAX);
                let needed = Header::of(message).map_or(PROTOCOL, |header| header.protocol);
                Err(ClientError::TooOld { zone: self.zone(), speaks, needed })
            }
            Some(Reply::Failed(failure)) => Err(ClientError::Refused { failure, errno: failure.errno }),
            Some(Reply::Ended(_)) | None => {
                self.hang_up();
                Err(ClientError::Protocol)
            }
        }
    }

    /// Ends a connection on which an answer may still come: it would be taken for that of the next request.
    fn hang_up(&self) {
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        // What came before that would hide the end of the connection.
        let next = || rustix::net::recv(&self.socket, &mut [0; 1], RecvFlags::DONTWAIT);
        while matches!(next(), Ok((_, 1..))) {}
    }

    /// Sends a request. That the other end is gone is believed only where reading says so too; anything else may pass, and
    /// nothing has been sent.
    fn send(&self, message: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
        let mut pause = PAUSE;
        for _ in 1..SENDS {
            match unix::send(&self.socket, message, fds).map_err(|e| (e.errno(), e)) {
                Ok(_) => return Ok(()),
                Err((Errno::PIPE | Errno::CONNRESET, _)) if self.has_ended() => return Err(self.gone()),
                // It was not read, but answered: there is no room for this connection.
                Err((Errno::PIPE, _)) if self.has_words() => return Ok(()),
                Err((Errno::PIPE | Errno::CONNRESET | Errno::AGAIN, _)) => {
                    std::thread::sleep(pause);
                    pause *= 2;
                }
                Err((_, error)) => return Err(ClientError::Io(error)),
            }
        }
        unix::send(&self.socket, message, fds).map(|_| ()).map_err(ClientError::Io)
    }

    /// Whether the other end of the connection was closed, by what can be read from it.
    fn has_ended(&self) -> bool {
        matches!(self.peek(), Ok(0) | Err(Errno::CONNRESET))
    }

    /// Whether there is something to be read.
    fn has_words(&self) -> bool {
        matches!(self.peek(), Ok(1..))
    }

    fn peek(&self) -> rustix::io::Result<usize> {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        beyond_reset(|| rustix::net::recv(&self.socket, &mut [0; 1], flags), |errno| *errno).map(|(n, _)| n)
    }

    /// What it means that the connection has ended. Of a zsched that is just ending the sockets may be closed before the
    /// lock is free, so that is looked at for a while.
    fn gone(&self) -> ClientError {
        let mut pause = PAUSE;
        for _ in 1..SENDS {
            if !lives(&self.run_dir) {
                return ClientError::NotRunning;
            }
            std::thread::sleep(pause);
            pause *= 2;
        }
        ClientError::Broken
    }

    /// Whose zsched it is, for messages.
    fn zone(&self) -> String {
        self.run_dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Reads a packet, if it is of a zsched that speaks our protocols.
    fn decode(&self, packet: &[u8]) -> Result<Option<Reply>> {
        let Some(Header { protocol: speaks, peer: oldest, .. }) = Header::of(packet) else { return Ok(None) };
        if speaks < OLDEST {
            return Err(ClientError::TooOld { zone: self.zone(), speaks, needed: OLDEST });
        }
        if oldest > PROTOCOL {
            return Err(ClientError::TooNew { zone: self.zone(), oldest, speaks });
        }
        Ok(Reply::decode(packet))
    }
}

/// Reads what came before a connection was reset, if anything did: a process that closes a connection without having read
/// all of it says so first, before the packets that it sent.
fn beyond_reset<T, E>(
    mut read: impl FnMut() -> std::result::Result<T, E>,
    errno: impl Fn(&E) -> Errno,
) -> std::result::Result<T, E> {
    match read() {
        Err(error) if errno(&error) == Errno::CONNRESET => read(),
        done => done,
    }
}

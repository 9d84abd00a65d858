//! How a request goes to zsched and its answer comes back: what may pass is tried again, and a connection that has ended is
//! told from a zsched that has.

use super::{Client, ClientError, Result, lives};
use crate::process::Process;
use crate::wire::{Failure, Header, MAX_MESSAGE, OLDEST, Op, PACKET, PROTOCOL, Reply, Stage, Status};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::net::RecvFlags;
use std::path::Path;
use std::time::Duration;
use zone_sys::unix::{self, Fds};

/// How often a request is sent in all to a zsched that lives, when the kernel says that it does not.
const SENDS: u32 = 6;
/// How long to wait before the first repetition; each further one waits twice as long.
const PAUSE: Duration = Duration::from_millis(5);

impl Client {
    pub(super) fn call(&self, op: Op, body: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(Status, Fds)> {
        let mut message = Vec::with_capacity(Header::SIZE + body.len());
        message.extend_from_slice(&op.header());
        message.extend_from_slice(body);
        self.exchange(&message, fds)
    }

    pub(super) fn exchange(&self, message: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(Status, Fds)> {
        if message.len() > MAX_MESSAGE {
            let failure = Failure::new(Stage::Request, Errno::TOOBIG);
            return Err(ClientError::Refused { failure, errno: failure.errno });
        }
        self.send(message, fds)?;
        self.answer(message)
    }

    /// Reads the answer to a message that was sent.
    pub(super) fn answer(&self, message: &[u8]) -> Result<(Status, Fds)> {
        loop {
            let (reply, fds) = self.receive()?;
            return match reply {
                Reply::Done(status) => Ok((status, fds)),
                Reply::Failed(failure) if failure.stage == Stage::Protocol => {
                    let speaks = u8::try_from(failure.index).unwrap_or(u8::MAX);
                    let needed = Header::of(message).map_or(PROTOCOL, |header| header.protocol);
                    Err(ClientError::TooOld { zone: self.zone(), speaks, needed })
                }
                Reply::Failed(failure) => Err(ClientError::Refused { failure, errno: failure.errno }),
                // Whoever has started a zsched is its daemon from the first moment: what it has handed over may end before it asks
                // for the next thing. The answer to that tells as much.
                Reply::Ended(_) => continue,
            };
        }
    }

    /// Waits for what comes next.
    fn receive(&self) -> Result<(Reply, Fds)> {
        let mut packet = [0; PACKET];
        let received = beyond_reset(
            || unix::recv(&self.socket, &mut packet, RecvFlags::empty()),
            zone_sys::Error::errno,
        );
        let (n, fds) = received.map_err(|e| match e.errno() {
            Errno::CONNRESET => {
                let gone = self.gone();
                self.hang_up();
                gone
            }
            errno => {
                self.hang_up();
                if errno == Errno::AGAIN { silent(&self.run_dir) } else { ClientError::Io(e) }
            }
        })?;
        if n == 0 {
            return Err(self.gone());
        }
        if let Some(reply) = self.decode(&packet[..n])? {
            return Ok((reply, fds));
        }
        self.hang_up();
        Err(ClientError::Protocol)
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
    pub(super) fn send(&self, message: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
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
    pub(super) fn gone(&self) -> ClientError {
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
    pub(super) fn decode(&self, packet: &[u8]) -> Result<Option<Reply>> {
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

/// Why the zsched whose socket is in `run_dir` said nothing in all the time that an answer may take.
pub(super) fn silent(run_dir: &Path) -> ClientError {
    let stopped = Process::of_zone(run_dir).into_iter().find(Process::is_stopped);
    stopped.map_or(ClientError::Silent, |stopped| ClientError::Stopped { pid: stopped.pid })
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

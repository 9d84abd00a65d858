//! The client's half: one call over one connection.

use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketType};
use serde::Deserialize;
use thiserror::Error;
use zone_sys::unix::{self, Fds};

use super::{Answer, Ask, Done, Ended, Refusal};
use crate::wire::{Frame, Framer, encode};

/// A longer reply is given up: a list of some ten thousand zones is shorter.
const MAX_REPLY: usize = 64 * 1024 * 1024;

/// Why a call brought nothing.
#[derive(Debug, Error)]
pub enum AccessError {
    /// Nobody listens: this host does not let users who are not root do anything.
    #[error("no zone-access listens at {}", path.display())]
    NotListening {
        /// Where its socket would be.
        path: PathBuf,
        /// What the kernel said.
        source: zone_sys::Error,
    },
    /// It went away before it answered.
    #[error("zone-access went away before it answered")]
    Gone,
    /// It understood and did not do it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What came back is not what the interface promises.
    #[error("zone-access sent what the interface does not know")]
    Protocol,
    /// Reading or writing failed.
    #[error("cannot speak with zone-access")]
    Io(#[source] io::Error),
}

/// Where zone-access is.
#[derive(Debug)]
pub struct Access<'a> {
    dir: &'a Path,
}

/// What has begun, and what came with that.
#[derive(Debug)]
pub struct Begun {
    /// The name of its terminal.
    pub terminal: Option<String>,
    /// The descriptors.
    pub fds: Fds,
    /// The connection, on which its end is told.
    pub connection: Connection,
}

/// A connection with a call under way.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    framer: Framer,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Incoming {
    Success { parameters: Answer },
    Refused(Refusal),
}

impl<'a> Access<'a> {
    /// The one whose socket is in `dir`.
    #[must_use]
    pub fn in_dir(dir: &'a Path) -> Self {
        Self { dir }
    }

    /// Has a program do something and gives what it printed.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn run(&self, ask: &Ask) -> Result<Done, AccessError> {
        let mut connection = self.send(ask)?;
        match connection.next()? {
            (Answer::Done(done), _) => Ok(done),
            _ => Err(AccessError::Protocol),
        }
    }

    /// Has a command begun, a program whose output comes as it is printed, or the console connected.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn begin(&self, ask: &Ask) -> Result<Begun, AccessError> {
        let mut connection = self.send(ask)?;
        match connection.next()? {
            (Answer::Begun { terminal }, fds) => Ok(Begun { terminal, fds, connection }),
            _ => Err(AccessError::Protocol),
        }
    }

    fn send(&self, ask: &Ask) -> Result<Connection, AccessError> {
        let name = zone_config::layout::ACCESS;
        let path = self.dir.join(name);
        let socket =
            unix::connect_in(self.dir, name, SocketType::STREAM).map_err(|source| match source.errno() {
                // Where users cannot pass, nobody serves them.
                Errno::NOENT | Errno::NOTDIR | Errno::CONNREFUSED | Errno::ACCESS => {
                    AccessError::NotListening { path, source }
                }
                errno => AccessError::Io(errno.into()),
            })?;
        let mut stream = UnixStream::from(socket);
        let bytes = encode(ask).map_err(|_| AccessError::Protocol)?;
        match stream.write_all(&bytes) {
            // It may have answered without reading, and hung up.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(AccessError::Io(error)),
            _ => Ok(Connection { stream, framer: Framer::new(MAX_REPLY) }),
        }
    }
}

impl Connection {
    /// The next answer and its descriptors.
    fn next(&mut self) -> Result<(Answer, Fds), AccessError> {
        let mut fds = Fds::new();
        loop {
            match self.framer.next() {
                Some(Frame::Message(message)) => {
                    let incoming = serde_json::from_slice(&message).map_err(|_| AccessError::Protocol)?;
                    return match incoming {
                        Incoming::Success { parameters } => Ok((parameters, fds)),
                        Incoming::Refused(refusal) => Err(refusal.into()),
                    };
                }
                Some(Frame::TooLong) => return Err(AccessError::Protocol),
                None => {}
            }
            let mut buffer = [0; 4096];
            let (count, came) = match unix::recv(&self.stream, &mut buffer, RecvFlags::empty()) {
                Ok(got) => got,
                Err(error) if error.errno() == Errno::CONNRESET => return Err(AccessError::Gone),
                Err(error) => return Err(AccessError::Io(error.errno().into())),
            };
            if count == 0 {
                return Err(AccessError::Gone);
            }
            if !came.is_empty() {
                fds = came;
            }
            self.framer.push(&buffer[..count]);
        }
    }

    /// Becomes readable when the command has ended, or nobody will tell any more.
    #[must_use]
    pub fn watch(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Sends a signal to the command. One that has ended is no error.
    pub fn signal(&self, number: u8) {
        let _ = (&self.stream).write_all(&[number]);
    }

    /// Waits for the end of the command, or of the program.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn wait(&mut self) -> Result<Ended, AccessError> {
        match self.next()? {
            (Answer::Ended(ended), _) => Ok(ended),
            _ => Err(AccessError::Protocol),
        }
    }
}

//! The listening sockets of console and door. zsched holds them too, and keeps them when this daemon has gone: whoever connects
//! then waits for the next one, which takes them over with all who wait.

use crate::started::NotListening;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{SocketType, listen};
use std::path::Path;
use zone_config::layout::{CONSOLE, DOOR};
use zone_sys::unix;
use zsched::client::{Client, ClientError};
use zsched::wire::Attendance;

/// How many may wait at each.
const CONSOLE_BACKLOG: i32 = 64;
const DOOR_BACKLOG: i32 = 256;

/// What zsched holds, and says of the daemon before this one.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) console: Option<OwnedFd>,
    pub(crate) door: Option<OwnedFd>,
    pub(crate) before: Attendance,
}

impl Held {
    /// Asks a zsched that was found. One of before holds none.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) fn by(zsched: &Client) -> Result<Self, ClientError> {
        match zsched.sockets() {
            Ok((status, sockets)) => {
                let (console, door) = sockets.map(|[console, door]| (console, door)).unzip();
                Ok(Self { console, door, before: status.daemon })
            }
            Err(ClientError::TooOld { .. }) => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }
}

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) socket: OwnedFd,
    /// Whether it was made just now, so that zsched does not have it.
    is_new: bool,
}

impl Listener {
    /// The console's, which is the one that is held if one comes to it.
    pub(crate) fn of_console(run: &Path, held: Option<OwnedFd>) -> Result<Self, NotListening> {
        Self::open(run, CONSOLE, CONSOLE_BACKLOG, held)
    }

    /// The door's.
    pub(crate) fn of_door(run: &Path, held: Option<OwnedFd>) -> Result<Self, NotListening> {
        Self::open(run, DOOR, DOOR_BACKLOG, held)
    }

    fn open(run: &Path, name: &str, backlog: i32, held: Option<OwnedFd>) -> Result<Self, NotListening> {
        if let Some(socket) = held.filter(|held| unix::is_bound_in(held, run, name)) {
            // Who connects from now on is told that this process serves it (SO_PEERCRED).
            match listen(&socket, backlog) {
                Ok(()) => return Ok(Self { socket, is_new: false }),
                Err(errno) => tracing::warn!("{name}: {errno}"),
            }
        }
        match unix::bind_in(run, name, SocketType::STREAM, backlog) {
            Ok(socket) => Ok(Self { socket, is_new: true }),
            Err(error) if error.errno() == Errno::ISDIR => Err(NotListening::Directory(run.join(name))),
            Err(error) => Err(NotListening::Other(run.join(name), error)),
        }
    }
}

/// Gives both to a zsched that does not have them.
pub(crate) fn hand_over(zsched: &Client, console: &Listener, door: &Listener) {
    if console.is_new || door.is_new {
        zone_engine::respawn::give_sockets(zsched, [console.socket.as_fd(), door.socket.as_fd()]);
    }
}

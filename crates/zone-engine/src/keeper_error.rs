//! Why a zone has no zsched.

use crate::error::Error;
use rustix::io::Errno;
use zsched::client::ClientError;

/// Why there is no zsched.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// No pty could be had.
    #[error("could not make the console's pty")]
    Pty(#[source] Errno),
    /// No memory for the kept output could be had.
    #[error("could not make the memory for the console's kept output")]
    Memory(#[source] Errno),
    /// That memory could not be prepared.
    #[error("could not prepare the console's kept output")]
    Ring(#[source] zone_ring::Error),
    /// A descriptor could not be copied.
    #[error("could not copy a descriptor")]
    Descriptor(#[source] std::io::Error),
    /// zsched could not be started.
    #[error("could not start zsched")]
    Start(#[source] zone_sys::Error),
    /// One that nobody can speak to lives.
    #[error(transparent)]
    Living(#[from] Unreached),
    /// It lives, as far as anybody can tell.
    #[error(transparent)]
    Unserved(ClientError),
    /// zsched refused, or did not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There is none, and it cannot be told whether the zone lives on.
    #[error(transparent)]
    Unclear(#[from] zone_live::Unclear),
}

/// A zsched that lives and cannot be spoken to. Of what the remedies name nothing ends but zsched, for a zone
/// that runs goes on without it.
#[derive(Debug, thiserror::Error)]
pub enum Unreached {
    /// Nothing is where its socket was.
    #[error(
        "zsched, process {pid}, keeps this zone alive, but its socket {socket} was removed, so that nobody can speak to \
         it: 'kill -KILL {pid}' ends zsched and hangs up the zone's console, and the next command gives a zone that runs \
         on another one"
    )]
    Removed {
        /// Its process.
        pid: i32,
        /// Where it was.
        socket: String,
    },
    /// Something else is there.
    #[error(
        "zsched, process {pid}, keeps this zone alive, but {socket} is not its socket, so that nobody can speak to \
         it: 'kill -KILL {pid}' ends zsched and hangs up the zone's console, and the next command gives a zone that runs \
         on another one"
    )]
    Replaced {
        /// Its process.
        pid: i32,
        /// What is there.
        socket: String,
    },
    /// A signal has stopped it.
    #[error("zsched, process {pid}, is stopped and answers nobody: 'kill -CONT {pid}' lets it go on")]
    Stopped {
        /// Its process.
        pid: i32,
    },
    /// It listens, and a connection to it comes to nothing.
    #[error(
        "zsched, process {pid}, keeps this zone alive, but what is said to it does not arrive: try again; if that stays \
         so, 'kill -KILL {pid}' ends zsched alone, and the next command gives a zone that runs another one"
    )]
    Deaf {
        /// Its process.
        pid: i32,
    },
    /// It keeps no zone and was killed, and the kernel does not let it go.
    #[error(
        "zsched, process {pid}, which kept no zone and could not be spoken to, was killed and has not ended yet: try again; \
         /proc/{pid}/stack tells what it waits for"
    )]
    Killed {
        /// Its process.
        pid: i32,
    },
}

impl KeeperError {
    /// Gives the error of an operation that needed zsched, or another one in its place.
    #[must_use]
    pub fn of_operation(self) -> Error {
        match self {
            Self::Unserved(error) => Error::Keeper(error),
            Self::Living(living) => Error::Unreached(living),
            error => Error::Respawn(error),
        }
    }
}

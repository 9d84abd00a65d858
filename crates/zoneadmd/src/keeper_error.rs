//! Why a zone has no zsched.

use rustix::io::Errno;
use zsched::client::ClientError;

/// Why there is no zsched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeeperError {
    #[error("could not make the console's pty")]
    Pty(#[source] Errno),
    #[error("could not make the memory for the console's kept output")]
    Memory(#[source] Errno),
    #[error("could not prepare the console's kept output")]
    Ring(#[source] zone_ring::Error),
    #[error("could not copy a descriptor")]
    Descriptor(#[source] std::io::Error),
    #[error("could not start zsched")]
    Start(#[source] zone_sys::Error),
    #[error(
        "zsched, process {pid}, keeps this zone alive, but its socket {socket} was removed, so that nobody can speak to \
         it: end both with 'kill -KILL {pid}' and then 'zoneadm -z {zone} halt'"
    )]
    Living { pid: i32, socket: String, zone: String },
    #[error(transparent)]
    Client(#[from] ClientError),
}

//! Connecting to a zone's door or console for those that start a daemon themselves, or want none.

use super::{Client, ClientError, DAEMON_LOCK};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::SocketType;
use std::path::Path;
use std::time::Duration;
use zone_sys::lock::{self, Kind};
use zone_sys::unix;

/// How long zsched may take to say whether there is a daemon. One that takes longer starts none either.
const PATIENCE: Duration = Duration::from_secs(2);

/// Connects to a zone's door or console, the socket `name` in `run_dir`, if a daemon serves it. zsched holds these sockets, so that
/// one can connect without a daemon, too, and has one started by that, out of sight.
///
/// # Errors
/// `ECONNREFUSED` and `ENOENT` if no daemon is there.
pub fn connect_served(run_dir: &Path, name: &str) -> zone_sys::Result<OwnedFd> {
    if is_deserted(run_dir) {
        return Err(zone_sys::Error::new("connect", Errno::CONNREFUSED));
    }
    unix::connect_in(run_dir, name, SocketType::STREAM)
}

/// Whether the daemon that serves a zone is at work, as far as it shows that: one of before it did, or that starts, may be.
#[must_use]
pub fn is_at_work(run_dir: &Path) -> bool {
    !matches!(daemon_lock(run_dir), Some(Ok(Some(Kind::Shared))))
}

/// Whether there is a daemon that shows that it is at work.
#[must_use]
pub fn operates(run_dir: &Path) -> bool {
    matches!(daemon_lock(run_dir), Some(Ok(Some(Kind::Exclusive))))
}

/// The lock that a daemon has for as long as it serves; `None` where there was none since the host's boot.
fn daemon_lock(run_dir: &Path) -> Option<zone_sys::Result<Option<Kind>>> {
    std::fs::File::open(run_dir.join(DAEMON_LOCK)).ok().map(lock::held)
}

/// Whether there is a zsched and no daemon. In doubt that is for the socket to say.
fn is_deserted(run_dir: &Path) -> bool {
    let file = std::fs::File::open(run_dir.join(DAEMON_LOCK));
    if file.is_ok_and(|file| lock::is_taken(file).unwrap_or(false)) {
        return false;
    }
    // Nor has a daemon of before there was this lock one, and only zsched knows.
    let asked = Client::connect_for(run_dir, PATIENCE).and_then(|zsched| zsched.status());
    match asked {
        Ok(status) => status.daemon.is_absent(),
        Err(ClientError::NotRunning | ClientError::Broken | ClientError::Io(_)) => false,
        // It lives and serves nobody: no daemon that it starts would get further, and one that is started for us says why.
        Err(_) => true,
    }
}

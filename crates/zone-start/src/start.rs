//! Starting zoneadmd.

use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use zone_config::file::{FileError, FileLock};
use zone_config::{Layout, ZoneName};
use zone_door::Client;
use zsched::daemon::CommandLine;

use crate::process::{Daemon, ProcessError};

/// What came of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// A daemon serves: this one, or one that somebody else has started meanwhile.
    Serving,
    /// Ours gave way, without a word, to another that holds the zone: one that is not serving yet, or not any
    /// more; or ours was killed before it served. Another attempt may do better.
    Beaten,
}

/// Why no daemon could be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The lock under which a daemon is started could not be had.
    #[error(transparent)]
    Lock(#[from] FileError),
    /// On this kernel it could only say that something is not implemented.
    #[error(transparent)]
    Kernel(#[from] zone_platform::kernel::KernelError),
    /// Somebody takes the zone's files elsewhere, or copies them, which may take an hour.
    #[error("{0} is at work on its files; wait until that has ended")]
    Busy(String),
    /// The program could not be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It said why it cannot serve this zone, and that was passed on.
    #[error("it exited with status {status}")]
    Refused {
        /// The status that it exited with, not 0.
        status: i32,
    },
}

/// Starts the zone's daemon and waits until it serves. The operation lock is held meanwhile, and only meanwhile, so
/// that of several who find no daemon one starts it and the others find it.
///
/// What the daemon says meanwhile is given to `say` line by line. It is waited for no longer than `limit`.
///
/// # Errors
/// [`StartError`].
pub fn start(
    layout: &Layout,
    zone: &ZoneName,
    limit: Duration,
    say: impl FnMut(&str),
) -> Result<Started, StartError> {
    let until = Instant::now() + limit;
    if let Some(who) = at_work(layout, zone) {
        return Err(StartError::Busy(who));
    }
    let _lock = match FileLock::take(&layout.oplock(zone)) {
        Ok(lock) => Some(lock),
        // The daemon says what stands there, in its own words.
        Err(error) if error.source.kind() == ErrorKind::NotADirectory => None,
        Err(error) => return Err(error.into()),
    };
    if Client::connect(&layout.zone_run(zone)).is_ok() {
        return Ok(Started::Serving);
    }
    zone_fail::pass!("start.locked");
    let daemon = Daemon::spawn(layout, zone).map_err(|error| {
        // A kernel that is too old could only say that something is not implemented.
        zone_platform::kernel::check().err().map_or(StartError::Process(error), StartError::Kernel)
    })?;
    zone_fail::pass!("start.spawned");
    let ended = daemon.wait(until)?;
    zone_fail::pass!("start.served");
    ended.said.lines().for_each(say);
    if ended.status != 0 {
        // Best effort: it is empty unless another daemon is in it.
        let _ = zone_platform::cgroup::sweep(layout, zone, Duration::ZERO);
        // It may not have got as far as to ask for what the kernel must have.
        zone_platform::kernel::check()?;
    }
    match ended.status {
        0 => Ok(Started::Serving),
        died if died == i32::from(CommandLine::DIED) => Ok(Started::Beaten),
        _ if ended.said.trim().is_empty() => Ok(Started::Beaten),
        status => Err(StartError::Refused { status }),
    }
}

/// Who holds the operation lock for longer than anybody would wait in silence. What a lock says of somebody who was killed is not so.
fn at_work(layout: &Layout, zone: &ZoneName) -> Option<String> {
    let held = FileLock::held_for(&layout.oplock(zone))?;
    let (verb, pid) = held.split_once(' ')?;
    let lives = pid.parse::<u32>().is_ok() && Path::new("/proc").join(pid).exists();
    (["move", "clone"].contains(&verb) && lives).then(|| format!("\"zoneadm {verb}\" (process {pid})"))
}

//! The state of a zone, derived from what lives.
//!
//! Nobody stores that a zone is ready or running: its keeper, zsched, is asked. Where no keeper holds a zone, the
//! index tells, whatever files a crash may have left in the run directory.

use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use zone_config::{Layout, State, ZoneName};
use zsched::client::{Client, ClientError};
use zsched::wire::{Phase, Status};

/// A keeper answers in microseconds unless it is just building a zone, which takes milliseconds. One that takes
/// longer than this is stopped or ill, and must not hold up the list of the others.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the keeper of a zone knows; `None` when there is no zone that it keeps.
///
/// # Errors
/// When there is a keeper and it does not answer, or when the caller may not ask it.
pub(crate) fn ask(layout: &Layout, zone: &ZoneName) -> Result<Option<Status>, ClientError> {
    let client = match Client::connect(&layout.zone_run(zone)) {
        Err(ClientError::NotRunning) => return Ok(None),
        other => other?,
    };
    set_socket_timeout(client.socket(), Timeout::Recv, Some(PATIENCE))
        .map_err(|errno| ClientError::Io(zone_sys::Error::new("setsockopt", errno)))?;
    match client.status() {
        // It ended between the two calls, as keepers of halted zones do.
        Err(ClientError::NotRunning) => Ok(None),
        other => Ok(other?).map(|status| status.exists().then_some(status)),
    }
}

/// The state of a zone of which the keeper says `live` and the index says `stored`.
pub(crate) fn state(live: Option<&Status>, stored: State) -> State {
    match live.map(|status| status.phase) {
        None | Some(Phase::None) => stored,
        Some(Phase::Ready) => State::Ready,
        Some(Phase::Running) => State::Running,
        Some(Phase::Stopping) => State::ShuttingDown,
        Some(Phase::Down) => State::Down,
    }
}

/// Whether an error only says that the caller is not root.
pub(crate) fn is_forbidden(error: &ClientError) -> bool {
    matches!(error, ClientError::Io(cause) if matches!(cause.errno(), Errno::ACCESS | Errno::PERM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keeper_comes_before_the_index() {
        let with = |phase| Status { phase, ..Status::default() };
        for (phase, state_then) in [
            (Phase::None, State::Installed),
            (Phase::Ready, State::Ready),
            (Phase::Running, State::Running),
            (Phase::Stopping, State::ShuttingDown),
            (Phase::Down, State::Down),
        ] {
            assert_eq!(state(Some(&with(phase)), State::Installed), state_then);
        }
        assert_eq!(state(None, State::Incomplete), State::Incomplete);
    }

    #[test]
    fn no_keeper_no_life() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(root.path().to_owned())).unwrap();
        let zone: ZoneName = "a".parse().unwrap();
        assert_eq!(ask(&layout, &zone).unwrap(), None);
        // What a crash leaves behind says nothing.
        std::fs::create_dir_all(layout.zone_run(&zone)).unwrap();
        std::fs::write(layout.snapshot(&zone), "version = 1\n").unwrap();
        std::fs::write(layout.zone_run(&zone).join("zsched"), "").unwrap();
        assert_eq!(ask(&layout, &zone).unwrap(), None);
    }
}

//! What lives of a zone.
//!
//! Nobody stores that a zone is ready or running: its keeper, zsched, is asked. Where the keeper was killed, the
//! zone's processes run on, and are found by a record that the daemon made of the first of them: by its number and the time
//! of its start, in the zone's own cgroup, as the first process of a PID namespace, and held by a pidfd. Without either the
//! index tells, whatever files a crash may have left in the run directory.
#![forbid(unsafe_code)]

mod end;
mod oom;
mod orphan;
mod record;

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::time::{Duration, Instant};
use zone_config::{Layout, State, ZoneName};
use zsched::client::{Client, ClientError, ZoneFds};
use zsched::wire::{Phase, Status};

pub use end::{how_it_ended, last_exit};
pub use oom::OomSeen;
pub use orphan::{Fate, Orphan, fate};
pub use record::{Incarnation, Mark};

/// The state of a zone of which its keeper says `live` and the index says `stored`: the one place where the one becomes
/// the other.
#[must_use]
pub fn state(live: Option<&Status>, stored: State) -> State {
    match live.map(|status| status.phase) {
        None | Some(Phase::None) => stored,
        Some(Phase::Ready) => State::Ready,
        Some(Phase::Running) => State::Running,
        Some(Phase::Stopping) => State::ShuttingDown,
        Some(Phase::Down) => State::Down,
    }
}

/// What the keeper of a zone knows, or can be seen of a zone whose keeper was killed (its [`Status::keeper`] is then 0). `None`
/// when there is no zone. The keeper may take as long as `patience` to answer.
///
/// Processes in the zone's cgroup that no keeper and no record knows are a zone, too: one that is shutting down, with no
/// first process ([`Status::pid`] 0). Whatever was lost, it must be halted before anything of it is removed.
///
/// # Errors
/// When there is a keeper and it does not answer, or when the caller may not ask it.
pub fn ask(layout: &Layout, zone: &ZoneName, patience: Duration) -> Result<Option<Status>, ClientError> {
    match asked(layout, zone, patience, Client::status) {
        Ok(status) if status.exists() => Ok(Some(status)),
        // It may have ended between the two calls, as keepers of halted zones do; and one that was started for a zone whose
        // keeper was killed may not have it yet.
        Ok(_) | Err(ClientError::NotRunning) => {
            let orphan = Orphan::find(layout, zone).map(|orphan| orphan.status());
            let seen = orphan.or_else(|| remains(layout, zone));
            // What was made between the two looks has a keeper that knows it.
            let known = || asked(layout, zone, patience, Client::status).ok().filter(Status::exists);
            Ok(seen.map(|seen| known().unwrap_or(seen)))
        }
        Err(error) => Err(error),
    }
}

/// Gives a status to processes of a zone that nobody knows.
#[must_use]
pub fn remains(layout: &Layout, zone: &ZoneName) -> Option<Status> {
    let populated = zone_platform::cgroup::is_populated(layout, zone).unwrap_or(false);
    populated.then(|| Status { phase: Phase::Stopping, ..Status::default() })
}

/// The same with what it takes to enter the zone, of one whose first process lives.
///
/// # Errors
/// As [`ask`].
pub fn enter(
    layout: &Layout,
    zone: &ZoneName,
    patience: Duration,
) -> Result<(Option<Status>, Option<ZoneFds>), ClientError> {
    let ask = || {
        asked(layout, zone, patience, |client| match client.status()? {
            status if status.lives() => client.fds().map(|(status, fds)| (status, Some(fds))),
            status => Ok((status, None)),
        })
    };
    match ask() {
        Ok((status, fds)) if status.exists() => Ok((Some(status), fds)),
        Ok(_) | Err(ClientError::NotRunning) => {
            let Some(orphan) = Orphan::find(layout, zone) else { return Ok((None, None)) };
            // What was made between the two looks has a keeper that knows it.
            Ok(match ask() {
                Ok((status, fds)) if status.exists() => (Some(status), fds),
                _ => (Some(orphan.status()), Some(orphan.fds)),
            })
        }
        Err(error) => Err(error),
    }
}

/// Asks the keeper of a zone something, and again when a connection breaks that it has accepted, which says nothing of the
/// keeper itself, or when others crowd it out, for as long as it may take to answer.
fn asked<T>(
    layout: &Layout,
    zone: &ZoneName,
    patience: Duration,
    question: impl Fn(&Client) -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    const ATTEMPTS: u32 = 3;
    const LONGEST: Duration = Duration::from_millis(100);
    let (begun, mut broken, mut pause) = (Instant::now(), 0, Duration::from_millis(1));
    loop {
        match question(&connect(layout, zone, patience)?) {
            Err(ClientError::NotRunning | ClientError::Broken) if broken + 1 < ATTEMPTS => broken += 1,
            Err(error) if error.is_crowded() && begun.elapsed() < patience => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(LONGEST);
            }
            answer => return answer,
        }
    }
}

fn connect(layout: &Layout, zone: &ZoneName, patience: Duration) -> Result<Client, ClientError> {
    let client = Client::connect(&layout.zone_run(zone))?;
    client.set_patience(patience)?;
    Ok(client)
}

/// Whether an error only says that the caller is not root.
#[must_use]
pub fn is_forbidden(error: &ClientError) -> bool {
    matches!(error, ClientError::Io(cause) if matches!(cause.errno(), Errno::ACCESS | Errno::PERM))
}

/// A descriptor that has nothing to read yet: for a pidfd, a process that has not ended.
fn is_quiet(fd: &OwnedFd, patience: Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let limit = Timespec::try_from(patience).ok();
    poll(&mut [PollFd::new(fd, PollFlags::IN)], limit.as_ref()) == Ok(0)
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
        let ask = || ask(&layout, &zone, Duration::from_secs(3)).unwrap();
        assert_eq!(ask(), None);
        // What a crash leaves behind says nothing.
        std::fs::create_dir_all(layout.zone_run(&zone)).unwrap();
        std::fs::write(layout.snapshot(&zone), "version = 1\n").unwrap();
        std::fs::write(layout.zone_run(&zone).join("zsched"), "").unwrap();
        assert_eq!(ask(), None);
    }
}

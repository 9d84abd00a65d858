//! What lives of a zone.
//!
//! Nobody stores that a zone is ready or running: its keeper, zsched, is asked, or looked at where there are many. Where the keeper was killed, the
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
use zsched::shown;
use zsched::wire::{Phase, Status};

pub use end::{how_it_ended, last_exit};
pub use oom::OomSeen;
pub use orphan::{Fate, Orphan, Unclear, fate};
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
    known(layout, zone, patience, asked(layout, zone, patience, Client::status))
}

/// What is known of a zone whose keeper has given this answer.
fn known(
    layout: &Layout,
    zone: &ZoneName,
    patience: Duration,
    answer: Result<Status, ClientError>,
) -> Result<Option<Status>, ClientError> {
    match answer {
        Ok(status) if status.exists() => Ok(Some(status)),
        // It may have ended between the two calls, as keepers of halted zones do; and one that was started for a zone whose
        // keeper was killed may not have it yet.
        Ok(_) | Err(ClientError::NotRunning) => {
            let seen = match fate(layout, zone) {
                Fate::Lives(orphan) => Some(orphan.status()),
                Fate::Unclear(_) => Some(unclear()),
                Fate::Ended(_) | Fate::Unknown => remains(layout, zone),
            };
            // What was made between the two looks has a keeper that knows it.
            let known = || asked(layout, zone, patience, Client::status).ok().filter(Status::exists);
            Ok(seen.map(|seen| known().unwrap_or(seen)))
        }
        Err(error) => Err(error),
    }
}

/// A question to the keeper of a zone that is on its way. Whoever asks many keepers before he reads the first answer has them answer at
/// the same time, and waits for none that is not ill.
#[derive(Debug)]
pub struct Question<'a> {
    layout: &'a Layout,
    zone: &'a ZoneName,
    patience: Duration,
    asked: Instant,
    way: Way,
}

/// How a question is answered.
#[derive(Debug)]
enum Way {
    /// By what the keeper shows.
    Seen(Status),
    /// On the connection on which it was asked, if it could be; with the error if nobody could be connected to.
    Sent(Result<Option<Client>, ClientError>),
}

impl<'a> Question<'a> {
    /// Asks what [`ask`] asks, and does not wait for the answer.
    #[must_use]
    pub fn ask(layout: &'a Layout, zone: &'a ZoneName, patience: Duration) -> Self {
        let asked = Instant::now();
        let sent =
            connect(layout, zone, patience).map(|client| client.ask_status().is_ok().then_some(client));
        Self { layout, zone, patience, asked, way: Way::Sent(sent) }
    }

    /// The same where many are looked at: a zone that lives is as its keeper shows it, and the keeper sleeps on. What ends a first process is
    /// seen as soon as the keeper has seen it. All else is asked.
    #[must_use]
    pub fn look(layout: &'a Layout, zone: &'a ZoneName, patience: Duration) -> Self {
        match shown::look(&layout.zone_run(zone)).filter(Status::lives) {
            Some(status) => Self { layout, zone, patience, asked: Instant::now(), way: Way::Seen(status) },
            None => Self::ask(layout, zone, patience),
        }
    }

    /// Gives the answer. The keeper may take as long as the patience, from when it was asked.
    ///
    /// # Errors
    /// As [`ask`].
    pub fn answer(self) -> Result<Option<Status>, ClientError> {
        let Self { layout, zone, patience, asked, way } = self;
        let answer = match way {
            Way::Seen(status) => return Ok(Some(status)),
            Way::Sent(Err(error)) => return known(layout, zone, patience, Err(error)),
            Way::Sent(Ok(Some(client))) => {
                wait_until(&client, asked, patience).and_then(|()| client.status_asked())
            }
            Way::Sent(Ok(None)) => Err(ClientError::Broken),
        };
        match answer {
            Err(ClientError::NotRunning | ClientError::Broken) => ask(layout, zone, patience),
            Err(error) if error.is_crowded() => ask(layout, zone, patience),
            answer => known(layout, zone, patience, answer),
        }
    }
}

/// Limits how long an answer may take by what is left of the patience, where some of it has gone by.
fn wait_until(client: &Client, asked: Instant, patience: Duration) -> Result<(), ClientError> {
    const LEAST: Duration = Duration::from_millis(1);
    let gone = asked.elapsed();
    if gone < patience / 10 { Ok(()) } else { client.set_patience(patience.saturating_sub(gone).max(LEAST)) }
}

/// Gives a status to processes of a zone that nobody knows.
#[must_use]
pub fn remains(layout: &Layout, zone: &ZoneName) -> Option<Status> {
    let populated = zone_platform::cgroup::is_populated(layout, zone).unwrap_or(false);
    populated.then(unclear)
}

/// The status of a zone that nobody knows, or of which it cannot be told whether it lives: it has processes, for all that is known, and
/// nothing is removed below them.
fn unclear() -> Status {
    Status { phase: Phase::Stopping, ..Status::default() }
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
            let orphan = match fate(layout, zone) {
                Fate::Lives(orphan) => orphan,
                Fate::Unclear(_) => return Ok((Some(unclear()), None)),
                Fate::Ended(_) | Fate::Unknown => return Ok((None, None)),
            };
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
    Client::connect_for(&layout.zone_run(zone), patience)
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
        assert_eq!(Question::ask(&layout, &zone, Duration::from_secs(3)).answer().unwrap(), None);
    }

    #[test]
    fn a_question_ends_with_its_keeper_or_with_the_patience() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(root.path().to_owned())).unwrap();
        let zone: ZoneName = "a".parse().unwrap();
        let run = layout.zone_run(&zone);
        std::fs::create_dir_all(&run).unwrap();
        let kind = rustix::net::SocketType::SEQPACKET;
        let listener = zone_sys::unix::bind_in(&run, zsched::client::SOCKET, kind, 8).unwrap();
        let patience = Duration::from_millis(30);
        let questions = [0, 1].map(|_| Question::ask(&layout, &zone, patience));
        for question in questions {
            assert!(matches!(question.answer(), Err(ClientError::Silent)), "nobody accepts it");
        }
        let question = Question::ask(&layout, &zone, Duration::from_secs(30));
        drop(listener);
        assert_eq!(question.answer().unwrap(), None, "it has gone since");
    }
}

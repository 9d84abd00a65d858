//! `zoneadm wait`, and the wait of `zoneadm boot --wait`: until a zone is ready, or in a state.
//!
//! What is ready is on record in the zone's run directory, and its keeper tells its state: nobody has to live for that but the
//! daemon that makes the record, which is started if there is none.

use std::time::{Duration, Instant};

use zone_config::lastexit::LastExit;
use zone_config::readiness::{Found, ReadyBy, ReadyState};
use zone_config::{Index, Layout, State, ZoneName};
use zone_console::log::{LogReader, Style};
use zone_console::{Locale, Notice};
use zone_door::{CallError, Client, Readiness};
use zone_start::Missed;
use zsched::wire::{Phase, Status};

use crate::cli::watch::WaitArgs;
use crate::context::Context;
use crate::live;
use crate::message::{Failure, Outcome, relay, warn};
use crate::sanity;

/// The pause before the second look; each is longer than the one before, up to [`SLOWEST`].
const FIRST: Duration = Duration::from_millis(5);
const SLOWEST: Duration = Duration::from_millis(200);
/// How long a daemon may take to say why a zone is not ready.
const ANSWER: Duration = Duration::from_secs(2);
/// How long it is waited for the record of how a zone has ended.
const RECORD: Duration = Duration::from_secs(10);
/// And for its last lines to be in the log.
const LOGGED: Duration = Duration::from_secs(2);
/// So many lines of the console are shown.
const LINES: usize = 10;

pub(crate) fn run(cx: &Context, args: WaitArgs) -> Outcome {
    sanity::only_root_here("wait for a zone")?;
    let zone = cx.one("wait operation is invalid for the global zone.")?;
    let limit = args.timeout.map(|seconds| Duration::from_secs(seconds.into()));
    match args.state {
        Some(state) => state_of(&cx.layout, &zone, state, limit),
        None => ready(&cx.layout, &zone, None, limit),
    }
}

/// Waits for a state.
fn state_of(layout: &Layout, zone: &ZoneName, wanted: State, limit: Option<Duration>) -> Outcome {
    let mut turns = Turns::new(limit);
    loop {
        let status = ask(layout, zone)?;
        let state = match &status {
            Some(_) => live::state(status.as_ref(), State::Installed),
            None => stored(layout, zone)?,
        };
        if state == wanted {
            return Ok(());
        }
        if !turns.next() {
            let text = format!("is {state} and not {wanted} after {} seconds", turns.seconds());
            return Err(Failure::text(zone, text));
        }
    }
}

/// Waits until a zone is ready; if `incarnation` is given, that one, and no longer than it lives.
pub(crate) fn ready(
    layout: &Layout,
    zone: &ZoneName,
    incarnation: Option<u64>,
    limit: Option<Duration>,
) -> Outcome {
    let mut turns = Turns::new(limit);
    loop {
        let status = ask(layout, zone)?.filter(|status| status.phase == Phase::Running);
        if let Some(wanted) = incarnation
            && status.is_none_or(|status| status.uniqid != wanted)
        {
            return Err(ended(layout, zone, wanted));
        }
        if let Some(status) = status {
            match Found::load(layout, zone, status.uniqid).map(|found| found.state) {
                Some(ReadyState::Ready) => return Ok(()),
                Some(ReadyState::Unknown | ReadyState::Starting) => {
                    return Err(Failure::text(zone, cannot_be_told(zone, told(layout, zone))));
                }
                None => attend(layout, zone)?,
            }
        } else {
            stored(layout, zone)?;
        }
        if !turns.next() {
            let why = match status {
                Some(_) => why_not(told(layout, zone)),
                None => "it does not run".to_owned(),
            };
            return Err(Failure::text(
                zone,
                format!("is not ready after {} seconds: {why}", turns.seconds()),
            ));
        }
    }
}

/// The state of a zone that is not up. For one that was deleted meanwhile nobody waits on.
fn stored(layout: &Layout, zone: &ZoneName) -> Outcome<State> {
    let entry = Index::find(layout, zone).map_err(Failure::of(zone))?;
    entry.map(|entry| entry.state).ok_or_else(|| Failure::text(zone, "No such zone configured"))
}

fn ask(layout: &Layout, zone: &ZoneName) -> Outcome<Option<Status>> {
    live::ask(layout, zone)
        .map_err(|error| Failure::of(zone)(anyhow::Error::new(error).context("could not get state")))
}

/// Sees to it that a daemon looks after the zone.
fn attend(layout: &Layout, zone: &ZoneName) -> Outcome {
    let attempt = || match Client::connect(&layout.zone_run(zone)) {
        Ok(_) => Ok(()),
        Err(cause @ CallError::NotListening { .. }) => Err(Missed::NotListening(Box::new(cause))),
        Err(cause) => Err(Missed::Final(Box::new(cause))),
    };
    let reached = zone_start::reach(layout, zone, |line| warn(line), attempt);
    reached.map_err(|unreached| match unreached {
        zone_start::Unreached::Start(error) => Failure::of(zone)(error),
        zone_start::Unreached::GaveUp(error) | zone_start::Unreached::Failed(error) => {
            Failure::of(zone)(*error)
        }
    })
}

/// What the zone's daemon knows.
fn told(layout: &Layout, zone: &ZoneName) -> Option<Readiness> {
    let mut client = Client::connect(&layout.zone_run(zone)).ok()?;
    client.set_timeout(Some(ANSWER)).ok()?;
    client.status().ok()?.readiness
}

fn why_not(told: Option<Readiness>) -> String {
    let Some(Readiness { by, text, .. }) = told else { return "nobody has said so yet".to_owned() };
    let who = match by {
        ReadyBy::Notify => "its init has not said so yet",
        ReadyBy::Runlevel => "its init has not come to its run level yet",
        ReadyBy::Check => "its ready-check has not succeeded yet",
        ReadyBy::Init => "nobody has said so yet",
    };
    text.map_or_else(|| who.to_owned(), |text| format!("{who} ({text})"))
}

fn cannot_be_told(zone: &ZoneName, told: Option<Readiness>) -> String {
    let why = told.and_then(|told| told.text).map_or_else(String::new, |text| format!(": {text}"));
    format!("it cannot be told whether it is ready{why}; 'zlogin {zone}' and look, or reboot it")
}

/// The failure that an incarnation has ended before it was ready, with what its console showed last.
fn ended(layout: &Layout, zone: &ZoneName, incarnation: u64) -> Failure {
    let zonepath = Index::load(layout).ok().and_then(|index| Some(index.get(zone)?.zonepath.clone()));
    let recorded = || {
        let exit = LastExit::load(zonepath.as_deref()?).ok().flatten();
        exit.filter(|exit| exit.uniqid == incarnation)
    };
    // It is recorded when the zone has been taken down.
    let mut turns = Turns::new(Some(RECORD));
    let mut exit = recorded();
    while exit.is_none() && turns.next() {
        exit = recorded();
    }
    let how = exit.map_or_else(String::new, |exit| match (exit.status, exit.signal) {
        (Some(status), _) => format!(": its init exited {status}"),
        (_, Some(signal)) => format!(": its init was killed by signal {signal}"),
        _ => String::new(),
    });
    // The daemon gathers what a console shows before it writes that down; what it says of the end comes after all of it.
    let mut turns = Turns::new(Some(LOGGED));
    let mut lines = last_lines(layout, zone);
    while !lines.last().is_some_and(|line| is_of_an_end(line)) && turns.next() {
        lines = last_lines(layout, zone);
    }
    for line in lines {
        relay(zone, &format!("console: {line}"));
    }
    Failure::text(zone, format!("has gone down before it was ready{how}"))
}

/// Whether a line of a console's log tells that an incarnation is over.
fn is_of_an_end(line: &str) -> bool {
    let ends = [Notice::Halted, Notice::Rebooting { args: String::new() }];
    ends.iter().any(|notice| line.contains(&notice.text(Locale::C, false)))
}

/// What the console showed last, as text.
fn last_lines(layout: &Layout, zone: &ZoneName) -> Vec<String> {
    let mut text = Vec::new();
    let log = LogReader::open(&layout.log_dir(), &format!("{zone}.console.log"), Style::Terminal);
    let _ = log.and_then(|mut log| log.copy(&mut text, false));
    let text = String::from_utf8_lossy(&text);
    let mut lines: Vec<_> =
        text.lines().rev().filter(|line| !line.trim().is_empty()).take(LINES).map(str::to_owned).collect();
    lines.reverse();
    lines
}

/// Looks again and again, until the time is over.
struct Turns {
    begun: Instant,
    limit: Option<Duration>,
    pause: Duration,
}

impl Turns {
    fn new(limit: Option<Duration>) -> Self {
        Self { begun: Instant::now(), limit, pause: FIRST }
    }

    /// Waits for the next look; false when the time is over.
    fn next(&mut self) -> bool {
        let left = self.limit.map(|limit| limit.saturating_sub(self.begun.elapsed()));
        if left == Some(Duration::ZERO) {
            return false;
        }
        std::thread::sleep(left.map_or(self.pause, |left| left.min(self.pause)));
        self.pause = (self.pause * 3 / 2).min(SLOWEST);
        true
    }

    fn seconds(&self) -> u64 {
        self.limit.unwrap_or_default().as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_look_is_at_the_end() {
        let mut turns = Turns::new(Some(Duration::from_millis(30)));
        while turns.next() {}
        assert!(turns.begun.elapsed() >= Duration::from_millis(30));
        assert!(!Turns::new(Some(Duration::ZERO)).next());
        assert!(Turns::new(None).next());
    }

    #[test]
    fn why_it_is_not_ready() {
        let told = |by, text: Option<&str>| {
            Some(Readiness { state: ReadyState::Starting, by, since: None, text: text.map(str::to_owned) })
        };
        assert_eq!(
            why_not(told(ReadyBy::Notify, Some("Starting"))),
            "its init has not said so yet (Starting)"
        );
        assert_eq!(why_not(told(ReadyBy::Check, None)), "its ready-check has not succeeded yet");
        assert_eq!(why_not(None), "nobody has said so yet");
    }
}

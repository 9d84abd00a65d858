//! The terminal that the screen of `zoneadm stat` is on: keys, sizes and signals come from it, and it is given back as it was, however the
//! program ends.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use zone_sys::signal::{self, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};

use super::screen::View;
use super::used::{Counted, count, report};
use crate::context::Context;
use crate::message::{Failure, Outcome};

/// What the one who looks has done, or somebody to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happened {
    /// The interval is over.
    Nothing,
    /// What is shown has to be drawn again.
    Changed,
    /// They have left.
    Left,
    /// The program is told to end, or there is no terminal any more.
    Ended,
}

/// Shows what zones use until whoever looks at it leaves.
pub(super) fn run(cx: &Context, interval: Duration) -> Outcome {
    // Whoever has asked for a zone that is not there is told so on the screen that they have.
    let first = count(cx)?;
    // Before the terminal is changed: from now on nobody ends the program and leaves it so. A panic is ratatui's to see to.
    let signals = signal::as_fd(&[SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGWINCH]).map_err(Failure::general)?;
    let terminal = ratatui::try_init().map_err(unusable)?;
    let shown = show(cx, interval, &signals, terminal, first);
    match (shown, ratatui::try_restore()) {
        (Ok(Happened::Ended), _) => Err(Failure::Told),
        (Ok(_), restored) => restored.map_err(unusable),
        (Err(failure), _) => Err(failure),
    }
}

fn show(
    cx: &Context,
    interval: Duration,
    signals: &OwnedFd,
    mut terminal: DefaultTerminal,
    mut before: Counted,
) -> Outcome<Happened> {
    let mut view = View::default();
    view.take(report(&before, &before));
    let mut next = Instant::now() + interval;
    loop {
        // It asks for the size, too, and draws what differs.
        terminal.draw(|frame| view.draw(frame)).map_err(unusable)?;
        match wait(signals, (!view.is_paused()).then_some(next), &mut view).map_err(unusable)? {
            Happened::Changed => {}
            Happened::Nothing => {
                let now = count(cx)?;
                view.take(report(&before, &now));
                before = now;
                next = Instant::now() + interval;
            }
            end => return Ok(end),
        }
    }
}

/// Waits until something happens, or up to `until`. Keys are told to `view`.
fn wait(signals: &OwnedFd, until: Option<Instant>, view: &mut View) -> io::Result<Happened> {
    // A key may have come along with the last one.
    if event::poll(Duration::ZERO)? {
        return keys(view);
    }
    let stdin = rustix::stdio::stdin();
    let mut fds = [PollFd::new(signals, PollFlags::IN), PollFd::new(&stdin, PollFlags::IN)];
    let limit = until.map(|until| {
        let left = until.saturating_duration_since(Instant::now());
        Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        }
    });
    match poll(&mut fds, limit.as_ref()) {
        Ok(0) => return Ok(Happened::Nothing),
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(Happened::Changed),
        Err(error) => return Err(error.into()),
    }
    if let Some((number, _)) = signal::read(signals)? {
        return Ok(if number == SIGWINCH { Happened::Changed } else { Happened::Ended });
    }
    if fds[1].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
        return Ok(Happened::Ended);
    }
    if event::poll(Duration::ZERO)? { keys(view) } else { Ok(Happened::Changed) }
}

fn keys(view: &mut View) -> io::Result<Happened> {
    Ok(match event::read()? {
        Event::Key(key) if key.kind != KeyEventKind::Release && view.key(key) => Happened::Left,
        _ => Happened::Changed,
    })
}

fn unusable(error: io::Error) -> Failure {
    Failure::general(anyhow::Error::new(error).context("cannot use the terminal"))
}

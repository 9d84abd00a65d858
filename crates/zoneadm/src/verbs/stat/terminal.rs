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
use super::source::{Next, Source};
use crate::message::{Failure, Outcome};

/// What the one who looks has done, or somebody to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happened {
    /// The interval is over, or more of one was told.
    Nothing,
    /// What is shown has to be drawn again.
    Changed,
    /// They have left.
    Left,
    /// The program is told to end, or there is no terminal any more.
    Ended,
}

/// How it came that nothing is shown any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Whoever looked has left.
    Left,
    /// There is no interval to come.
    Over,
}

/// Shows what zones use until whoever looks at it leaves, or nothing more comes.
pub(super) fn run(source: &mut impl Source) -> Outcome<Shown> {
    // Before the terminal is changed: from now on nobody ends the program and leaves it so. A panic is ratatui's to see to.
    let signals = signal::as_fd(&[SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGWINCH]).map_err(Failure::general)?;
    let terminal = ratatui::try_init().map_err(unusable)?;
    let shown = show(source, &signals, terminal);
    match (shown, ratatui::try_restore()) {
        (Ok(None), _) => Err(Failure::Told),
        (Ok(Some(shown)), restored) => restored.map(|()| shown).map_err(unusable),
        (Err(failure), _) => Err(failure),
    }
}

/// `None`: the program is told to end.
fn show(
    source: &mut impl Source,
    signals: &OwnedFd,
    mut terminal: DefaultTerminal,
) -> Outcome<Option<Shown>> {
    let mut view = View::default();
    if let Some(report) = source.first() {
        view.take(report);
    }
    loop {
        // It asks for the size, too, and draws what differs.
        terminal.draw(|frame| view.draw(frame)).map_err(unusable)?;
        match wait(signals, source, &mut view).map_err(unusable)? {
            Happened::Changed => {}
            Happened::Nothing => match source.next()? {
                Next::Report(report) if !view.is_paused() => view.take(report),
                Next::Report(_) | Next::NotYet => {}
                Next::Over => return Ok(Some(Shown::Over)),
            },
            Happened::Left => return Ok(Some(Shown::Left)),
            Happened::Ended => return Ok(None),
        }
    }
}

/// Waits until something happens. Keys are told to `view`.
fn wait(signals: &OwnedFd, source: &impl Source, view: &mut View) -> io::Result<Happened> {
    // A key may have come along with the last one.
    if event::poll(Duration::ZERO)? {
        return keys(view);
    }
    let stdin = rustix::stdio::stdin();
    let mut fds = vec![PollFd::new(signals, PollFlags::IN), PollFd::new(&stdin, PollFlags::IN)];
    fds.extend(source.told().map(|pipe| PollFd::from_borrowed_fd(pipe, PollFlags::IN)));
    let limit = source.until().filter(|_| !view.is_paused()).map(|until| {
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
    if fds.get(2).is_some_and(|pipe| !pipe.revents().is_empty()) {
        return Ok(Happened::Nothing);
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

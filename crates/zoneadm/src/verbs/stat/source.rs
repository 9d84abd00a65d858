//! Where the intervals of the screen of `zoneadm stat` come from: what is counted here, or what another zoneadm says that counts for us.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use super::used::{Counted, Report, count, report};
use crate::context::Context;
use crate::message::{Failure, Outcome};

/// What has come of an interval.
pub(super) enum Next {
    /// It is over.
    Report(Report),
    /// It is not.
    NotYet,
    /// Nor will it be.
    Over,
}

/// A source of intervals, that is waited for beside keys and signals.
pub(super) trait Source {
    /// What there is to be shown before the first of them is over.
    fn first(&self) -> Option<Report>;
    /// When the next is over, if that is known.
    fn until(&self) -> Option<Instant>;
    /// What is to be read from when there is something, if something is.
    fn told(&self) -> Option<BorrowedFd<'_>>;
    /// Takes the next, at that moment.
    fn next(&mut self) -> Outcome<Next>;
}

/// What is counted here.
pub(super) struct Counting<'a> {
    cx: &'a Context,
    interval: Duration,
    before: Counted,
    next: Instant,
}

impl<'a> Counting<'a> {
    /// Counts for the first time: who has asked for a zone that is not there is told so on the screen that they have.
    pub(super) fn begin(cx: &'a Context, interval: Duration) -> Outcome<Self> {
        Ok(Self { cx, interval, before: count(cx)?, next: Instant::now() + interval })
    }
}

impl Source for Counting<'_> {
    fn first(&self) -> Option<Report> {
        Some(report(&self.before, &self.before))
    }

    fn until(&self) -> Option<Instant> {
        Some(self.next)
    }

    fn told(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn next(&mut self) -> Outcome<Next> {
        let now = count(self.cx)?;
        let report = report(&self.before, &now);
        self.before = now;
        self.next = Instant::now() + self.interval;
        Ok(Next::Report(report))
    }
}

/// What `zoneadm stat --json` says at the other end of a pipe.
pub(super) struct Told {
    pipe: File,
    line: Vec<u8>,
}

impl Told {
    pub(super) fn by(pipe: File) -> Self {
        Self { pipe, line: Vec::new() }
    }
}

impl Source for Told {
    fn first(&self) -> Option<Report> {
        None
    }

    fn until(&self) -> Option<Instant> {
        None
    }

    fn told(&self) -> Option<BorrowedFd<'_>> {
        Some(self.pipe.as_fd())
    }

    fn next(&mut self) -> Outcome<Next> {
        let mut part = [0; 16384];
        let read = match self.pipe.read(&mut part) {
            Ok(0) => return Ok(Next::Over),
            Ok(read) => &part[..read],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Next::NotYet),
            Err(error) => return Err(Failure::general(error)),
        };
        self.line.extend_from_slice(read);
        // Who comes late shows the last that is whole.
        let Some(end) = self.line.iter().rposition(|&byte| byte == b'\n') else { return Ok(Next::NotYet) };
        let rest = self.line.split_off(end + 1);
        let whole = std::mem::replace(&mut self.line, rest);
        let last = whole[..end].rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
        serde_json::from_slice(last).map(Next::Report).map_err(Failure::general)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_is_told_is_taken_line_by_line() {
        let (from, mut to) = io::pipe().unwrap();
        let mut told = Told::by(File::from(std::os::fd::OwnedFd::from(from)));
        let mut next = |text: &str| {
            to.write_all(text.as_bytes()).unwrap();
            told.next().unwrap()
        };
        let line = |time: &str| format!("{{\"time\":\"{time}\",\"zones\":[]}}\n");
        assert!(matches!(next(&line("1")), Next::Report(report) if report.time == "1"));
        assert!(matches!(next("{\"time\":"), Next::NotYet));
        assert!(matches!(next(&line("2")[8..]), Next::Report(report) if report.time == "2"));
        let several = line("3") + &line("4") + "{";
        assert!(
            matches!(next(&several), Next::Report(report) if report.time == "4"),
            "the last that is whole"
        );
        drop(to);
        assert!(matches!(told.next().unwrap(), Next::Over));
    }
}

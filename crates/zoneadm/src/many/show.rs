//! What is seen of several zones that something is done to: on a terminal a line for each, and at the end a summary.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::run::Ended;
use crate::message::{harmless, say, warn};

/// How often a line that waits is drawn.
const TICK: Duration = Duration::from_millis(250);

/// Tells how it goes.
pub(super) struct Show<'a> {
    verb: &'a str,
    zones: &'a [String],
    width: usize,
    /// Whether somebody looks on.
    terminal: bool,
    /// None also on a terminal on which nothing can be drawn.
    bars: Option<Bars>,
}

/// The lines of those that something is being done to.
struct Bars {
    all: MultiProgress,
    one: Vec<Option<ProgressBar>>,
}

impl<'a> Show<'a> {
    pub(super) fn new(verb: &'a str, zones: &'a [String]) -> Self {
        let width = zones.iter().map(String::len).max().unwrap_or_default();
        let terminal = io::stderr().is_terminal();
        let bars = Bars { all: MultiProgress::new(), one: zones.iter().map(|_| None).collect() };
        let bars = (terminal && !bars.all.is_hidden()).then_some(bars);
        Self { verb, zones, width, terminal, bars }
    }

    /// It is being done to this one.
    pub(super) fn begin(&mut self, at: usize) {
        let Some(bars) = &mut self.bars else { return };
        let bar = bars.all.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{prefix}  {msg} {spinner} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_prefix(format!("{:<width$}", self.zones[at], width = self.width));
        bar.set_message(self.verb.to_owned());
        bar.enable_steady_tick(TICK);
        bars.one[at] = Some(bar);
    }

    /// Its process has said something.
    pub(super) fn line(&self, _at: usize, line: &str) {
        self.print(line);
    }

    /// It has been done to this one, or has failed.
    pub(super) fn end(&mut self, at: usize, ok: bool) {
        if !self.terminal {
            return;
        }
        if let Some(bar) = self.bars.as_mut().and_then(|bars| bars.one[at].take()) {
            bar.finish_and_clear();
        }
        let how = if ok { "done" } else { "FAILED" };
        self.print(&format!("{:<width$}  {} {how}", self.zones[at], self.verb, width = self.width));
    }

    fn print(&self, line: &str) {
        match &self.bars {
            // A terminal that is gone shows nothing.
            Some(bars) => drop(bars.all.println(harmless(line))),
            None => say(format_args!("{line}")),
        }
    }

    /// Ends with a summary; whether all went well.
    pub(super) fn summary(&self, ends: &[Option<Ended>]) -> bool {
        let (text, ok) = summary(self.verb, self.zones, ends);
        warn(text);
        ok
    }
}

/// How many it was done to, and to which it was not.
fn summary(verb: &str, zones: &[String], ends: &[Option<Ended>]) -> (String, bool) {
    let which = |wanted: fn(&Option<Ended>) -> bool| {
        let names = zones.iter().zip(ends).filter(|(_, end)| wanted(end)).map(|(zone, _)| zone.as_str());
        names.collect::<Vec<_>>()
    };
    let done = which(|end| end.as_ref().is_some_and(|end| end.ok)).len();
    let failed = which(|end| end.as_ref().is_some_and(|end| !end.ok));
    let missing = which(Option::is_none);
    let word = if zones.len() == 1 { "zone" } else { "zones" };
    let mut text = format!("{verb}: {done} of {} {word} done", zones.len());
    if !failed.is_empty() {
        text += &format!("; failed: {}", failed.join(", "));
    }
    if !missing.is_empty() {
        text += &format!("; interrupted before it began with: {}", missing.join(", "));
    }
    (text, done == zones.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_what_went_wrong() {
        let zones = ["a", "b", "c"].map(str::to_owned);
        let end = |ok| Some(Ended { ok, out: String::new() });
        let said = |ends: [Option<Ended>; 3]| summary("boot", &zones, &ends);
        assert_eq!(said([end(true), end(true), end(true)]), ("boot: 3 of 3 zones done".to_owned(), true));
        let (text, ok) = said([end(true), end(false), None]);
        assert_eq!(text, "boot: 1 of 3 zones done; failed: b; interrupted before it began with: c");
        assert!(!ok);
    }
}

//! What is done while the daemon works on a call and says nothing: whoever waits is told what for, and may stop waiting.

use std::os::fd::OwnedFd;
use std::time::Duration;

use zone_config::{Layout, ZoneName};
use zone_door::{Client, Operation};
use zone_sys::signal::{self, SIGHUP, SIGINT, SIGTERM};

use crate::exit::Exit;
use crate::message::relay;

/// How often to look.
pub(super) const EVERY: Duration = Duration::from_millis(500);
/// How long the daemon may take to say what it waits for.
const ANSWER: Duration = Duration::from_secs(2);

/// Somebody who waits for an operation.
pub(super) struct Waiting<'a> {
    layout: &'a Layout,
    zone: &'a ZoneName,
    operation: Operation,
    /// What was told already.
    told: Option<String>,
    /// Whether a line on the terminal shows it anyway.
    shown: bool,
    signals: Option<OwnedFd>,
}

impl<'a> Waiting<'a> {
    /// `shown`: what the daemon reports is drawn as it comes.
    pub(super) fn new(layout: &'a Layout, zone: &'a ZoneName, operation: Operation, shown: bool) -> Self {
        Self { layout, zone, operation, told: None, shown, signals: None }
    }

    /// Time has passed.
    pub(super) fn look(&mut self) {
        if self.signals.is_none() {
            // Only now: what takes no time is not interrupted in a way that needs words.
            self.signals = signal::as_fd(&[SIGINT, SIGTERM, SIGHUP]).ok();
        }
        if matches!(self.signals.as_ref().map(signal::read), Some(Ok(Some(_)))) {
            self.leave();
        }
        if self.shown {
            return;
        }
        let Some((_, Some(waiting))) = self.ask() else { return };
        if self.told.as_ref() != Some(&waiting) {
            relay(self.zone, &format!("{} waits: {waiting}", self.operation));
            self.told = Some(waiting);
        }
    }

    /// Where the operation is, and what it waits for.
    fn ask(&self) -> Option<(String, Option<String>)> {
        let mut client = Client::connect(&self.layout.zone_run(self.zone)).ok()?;
        client.set_timeout(Some(ANSWER)).ok()?;
        let status = client.status().ok()?;
        let step = status.step.unwrap_or_else(|| "not begun".to_owned());
        Some((step, status.waiting))
    }

    /// Interrupted: the daemon goes on, and that has to be said.
    fn leave(&self) -> ! {
        let operation = self.operation;
        let at = match self.ask() {
            Some((step, Some(waiting))) => format!(" (now: {step}, {waiting})"),
            Some((step, None)) => format!(" (now: {step})"),
            None => String::new(),
        };
        let text = format!("interrupted; its zoneadmd goes on with the {operation}{at}");
        relay(self.zone, &text);
        std::process::exit(Exit::Error as i32)
    }
}

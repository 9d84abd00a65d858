//! What is done while the daemon works on a call and says nothing: whoever waits is told what for, and may stop waiting.

use std::os::fd::OwnedFd;
use std::time::Duration;

use zone_config::{Layout, ZoneName};
use zone_door::{CallError, Client, Operation};
use zone_sys::signal::{self, SIGHUP, SIGINT, SIGTERM};

use crate::exit::Exit;
use crate::message::relay;

/// How often to look.
pub(super) const EVERY: Duration = Duration::from_millis(500);
/// How long the daemon may take to say what it waits for.
const ANSWER: Duration = Duration::from_secs(2);
/// How often in a row it may fail to say it. Its loop waits for nothing, so then it accepts nobody, or does not run.
const SILENCES: u32 = 5;

/// Somebody who waits for an operation.
pub(super) struct Waiting<'a> {
    layout: &'a Layout,
    zone: &'a ZoneName,
    operation: Operation,
    /// What was told already.
    told: Option<String>,
    /// Whether a line on the terminal shows it anyway.
    shown: bool,
    /// How often in a row the daemon did not answer.
    silences: u32,
    signals: Option<OwnedFd>,
}

/// Those that end whoever waits.
const ENDING: [signal::Number; 3] = [SIGINT, SIGTERM, SIGHUP];

/// What comes behind the operation is interrupted as always.
impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.signals.take().is_some() {
            signal::unblock(&ENDING);
        }
    }
}

impl<'a> Waiting<'a> {
    /// `shown`: what the daemon reports is drawn as it comes.
    pub(super) fn new(layout: &'a Layout, zone: &'a ZoneName, operation: Operation, shown: bool) -> Self {
        let mut waiting = Self { layout, zone, operation, told: None, shown, silences: 0, signals: None };
        if shown {
            waiting.hear();
        }
        waiting
    }

    /// From now on an interrupt is heard here.
    fn hear(&mut self) {
        if self.signals.is_none() {
            self.signals = signal::as_fd(&ENDING).ok();
        }
    }

    /// Time has passed.
    pub(super) fn look(&mut self) {
        // Only now: what takes no time, and shows nothing, is not interrupted in a way that needs words.
        self.hear();
        if matches!(self.signals.as_ref().map(signal::read), Some(Ok(Some(_)))) {
            self.leave();
        }
        let waiting = match self.ask() {
            Ok((_, waiting)) => waiting,
            Err(error) if matches!(*error, CallError::TimedOut { .. }) => {
                self.silences += 1;
                if self.silences == SILENCES {
                    self.give_up();
                }
                return;
            }
            Err(_) => return,
        };
        self.silences = 0;
        let Some(waiting) = waiting.filter(|_| !self.shown) else { return };
        if self.told.as_ref() != Some(&waiting) {
            relay(self.zone, &format!("{} waits: {waiting}", self.operation));
            self.told = Some(waiting);
        }
    }

    /// Where the operation is, and what it waits for.
    fn ask(&self) -> Result<(String, Option<String>), Box<CallError>> {
        let mut client = Client::connect(&self.layout.zone_run(self.zone))?;
        client.set_timeout(Some(ANSWER))?;
        let status = client.status()?;
        let step = status.step.unwrap_or_else(|| "not begun".to_owned());
        Ok((step, status.waiting))
    }

    /// Nobody serves the call: it would be waited for in vain.
    fn give_up(&self) -> ! {
        let Self { zone, operation, .. } = self;
        let client = Client::connect(&self.layout.zone_run(zone)).ok();
        let pid = client.and_then(|client| client.peer().ok());
        let process = pid.map(|pid| format!(", process {pid},")).unwrap_or_default();
        let text = format!(
            "its zoneadmd{process} answers nobody: it is stopped, or has no memory to accept a call; this {operation} has \
             not begun, or goes on without being watched"
        );
        relay(zone, &text);
        std::process::exit(Exit::Error as i32)
    }

    /// Interrupted: the daemon goes on, and that has to be said.
    fn leave(&self) -> ! {
        let operation = self.operation;
        let at = match self.ask() {
            Ok((step, Some(waiting))) => format!(" (now: {step}, {waiting})"),
            Ok((step, None)) => format!(" (now: {step})"),
            Err(_) => String::new(),
        };
        let text = format!("interrupted; its zoneadmd goes on with the {operation}{at}");
        relay(self.zone, &text);
        std::process::exit(Exit::Error as i32)
    }
}

//! A stop of a unit that is not active yet: it still boots its zone, or waits until that is ready. systemd has no command for that
//! ([`unit::stop`] is for units that are active) and sends the unit's process SIGTERM, which takes the zone down then.
//!
//! The same signal of anybody else, or once the unit is active, ends the process and does nothing to the zone. From then on the process
//! has one thread again: starting a daemon takes that.

use std::io::{self, PipeWriter};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Signal;
use zone_config::{Layout, State, ZoneName};

use crate::child::Zoneadm;
use crate::deadline::Deadline;
use crate::{Failed, say, settings, unit};

/// What systemd stops a process with.
const SIGNAL: i32 = Signal::TERM.as_raw();
/// Between two looks whether a boot that is called off has ended.
const PAUSE: Duration = Duration::from_millis(50);

/// The heeding of it.
pub(crate) struct Stop {
    start: Shared,
    thread: JoinHandle<()>,
    /// The thread ends with it.
    heeded: PipeWriter,
}

/// What the thread that boots and the one that heeds the signal have to know of each other.
#[derive(Clone)]
struct Shared(Arc<Mutex<Start>>);

/// How far the start is.
struct Start {
    stage: Stage,
    /// Whether somebody has been asked to boot the zone, and has not answered.
    boots: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Starting,
    /// The stop has come.
    Stopping,
    /// The unit is active, or does not become so.
    Over,
}

impl Stop {
    /// Begins to heed it, in a thread of its own.
    ///
    /// # Errors
    /// Those of signalfd(2) and pipe(2), and that there can be no thread.
    pub(crate) fn heed(layout: &Layout, zone: &ZoneName) -> io::Result<Self> {
        let signals = zone_sys::signal::as_fd(&[SIGNAL])?;
        let start = Shared(Arc::new(Mutex::new(Start { stage: Stage::Starting, boots: false })));
        let (over, heeded) = io::pipe()?;
        let (known, layout, zone) = (start.clone(), layout.clone(), zone.clone());
        let thread = Builder::new().name("stop".to_owned()).spawn(move || {
            let mut fds = [PollFd::new(&signals, PollFlags::IN), PollFd::new(&over, PollFlags::HUP)];
            while poll(&mut fds, None).is_err() {}
            if fds[0].revents().is_empty() {
                return;
            }
            if !known.begins(&zone) {
                // Nobody has read it: it is delivered now.
                return zone_sys::signal::unblock(&[SIGNAL]);
            }
            let done = known.take_down(&layout, &zone);
            if let Err(Some(why)) = &done {
                say(why);
            }
            std::process::exit(i32::from(done.is_err()));
        })?;
        Ok(Self { start, thread, heeded })
    }

    /// Has the zone booted, by what waits for that; `None` if the stop has come before.
    pub(crate) fn unless_it_has_come<T>(&self, boots: impl FnOnce() -> T) -> Option<T> {
        let mut start = self.start.lock();
        if start.stage == Stage::Stopping {
            return None;
        }
        start.boots = true;
        drop(start);
        let booted = boots();
        self.start.lock().boots = false;
        Some(booted)
    }

    /// Ends the heeding, since the unit is active, or does not become so. Where the stop has come this does not return: with its end this
    /// process ends, and that the boot was called off is no failure.
    pub(crate) fn end(self) {
        let mut start = self.start.lock();
        if start.stage == Stage::Starting {
            start.stage = Stage::Over;
        }
        drop(start);
        drop(self.heeded);
        let _ = self.thread.join();
        // From now on it ends the process.
        zone_sys::signal::unblock(&[SIGNAL]);
    }
}

impl Shared {
    /// Whether a stop begins with the signal that has come.
    fn begins(&self, zone: &ZoneName) -> bool {
        let mut start = self.lock();
        let begins = start.stage == Stage::Starting && is_stopped(zone);
        if begins {
            start.stage = Stage::Stopping;
        }
        begins
    }

    /// Calls the boot off, or takes down what has booted.
    fn take_down(&self, layout: &Layout, zone: &ZoneName) -> Result<(), Failed> {
        let deadline = || unit::goes_down().then(|| Deadline::of(layout, &settings(layout)));
        loop {
            // Before the look: what ends after it has been seen.
            let boots = self.lock().boots;
            match unit::state(layout, zone)? {
                State::Running | State::ShuttingDown | State::Down => {
                    let done = unit::take_down(layout, zone, deadline());
                    // What had ended before it was asked to is none to be told of.
                    if done.is_err() && unit::state(layout, zone)? >= State::Ready {
                        return done;
                    }
                }
                state if state < State::Ready && !boots => return Ok(()),
                // Who asked for the boot may come to the daemon after this: then once more.
                _ if Zoneadm::start(zone, &["halt"])?.wait() => {}
                _ => return Err(None),
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Start> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells whether systemd stops the zone's unit.
fn is_stopped(zone: &ZoneName) -> bool {
    let mut systemctl = Command::new("systemctl");
    systemctl.args(["show", "--property=ActiveState", "--value"]).arg(format!("zone@{zone}.service"));
    let said = systemctl.stdin(Stdio::null()).output();
    said.is_ok_and(|said| said.stdout.trim_ascii() == b"deactivating")
}

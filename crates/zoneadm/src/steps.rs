//! Showing on a terminal what a long operation is doing.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use zone_door::{Operation, Progress};

use crate::message::harmless;

/// What ends sooner is not worth a line that flashes by.
const WORTH_SHOWING: Duration = Duration::from_millis(500);

/// A line on the terminal that tells the current step once the operation has taken a while, and that is gone
/// when this is dropped.
#[derive(Debug)]
pub(crate) struct Steps {
    /// Taken out by the drop.
    sender: Option<Sender<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Steps {
    /// Begins to watch an operation; `None` when there is no terminal to show it on.
    pub(crate) fn watch(operation: Operation) -> Option<Self> {
        if !std::io::stderr().is_terminal() {
            return None;
        }
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::Builder::new().spawn(move || {
            // Who interrupts is heard by the thread that waits for the daemon, and told what goes on.
            zone_sys::signal::block_all();
            draw(operation, &receiver);
        });
        let thread = thread.ok()?;
        Some(Self { sender: Some(sender), thread: Some(thread) })
    }

    /// Tells what the daemon reports.
    pub(crate) fn show(&self, progress: &Progress) {
        if let (Some(sender), Some(text)) =
            (&self.sender, progress.message.as_ref().or(progress.step.as_ref()))
        {
            // It cannot fail before the drop: the receiver lives as long as the sender.
            let _ = sender.send(text.clone());
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn draw(operation: Operation, steps: &Receiver<String>) {
    let show_from = Instant::now() + WORTH_SHOWING;
    let mut current = "waiting for zoneadmd".to_owned();
    let mut drawn = false;
    loop {
        let wait = show_from.saturating_duration_since(Instant::now());
        let next = if drawn || wait.is_zero() {
            steps.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            steps.recv_timeout(wait)
        };
        match next {
            Ok(step) => current = step,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if Instant::now() >= show_from {
            let _ = write!(
                std::io::stderr(),
                "\r\x1b[K{operation}: {} ...",
                harmless(&zone_locale::here(&current))
            );
            drawn = true;
        }
    }
    if drawn {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
}

//! The processes, a bounded number at once.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::Serialize;
use serde_json::value::RawValue;
use zone_config::Entry;
use zone_sys::Chain;

use super::show::Show;
use crate::cli::Verb;
use crate::message::{Failure, Outcome};
use crate::output::Output;
use crate::work;

/// How often it is looked whether somebody has interrupted us.
const LOOK: Duration = Duration::from_millis(200);

/// The program that runs, be it replaced or removed by now.
const SELF: &str = "/proc/self/exe";

/// What happens with the zone of this number.
pub(super) enum Event {
    /// Its process has begun.
    Begin(usize),
    /// It has said this.
    Line(usize, String),
    /// It has ended.
    End(usize, Ended),
}

/// How a zone's process ended.
pub(super) struct Ended {
    pub(super) ok: bool,
    /// What it printed.
    pub(super) out: String,
}

/// How many at once: a boot waits for the kernel more than it uses a CPU.
fn side_by_side() -> usize {
    std::thread::available_parallelism().map_or(4, |cpus| (cpus.get() * 2).clamp(4, 32))
}

/// Does `verb` to each zone, tells how it goes, and ends with a summary.
///
/// # Errors
/// When it failed for one at least, which has then been told.
pub(super) fn each(zones: &[Entry], verb: &Verb) -> Outcome {
    let interrupt = work::interruptible().map_err(Failure::general)?;
    let work = Arc::new(Work {
        next: Mutex::new(Next { at: 0, running: Vec::new(), stopped: false }),
        zones: zones.iter().map(|entry| entry.name.to_string()).collect(),
    });
    let (sender, receiver) = channel();
    for _ in 0..side_by_side().min(zones.len()) {
        let (work, sender) = (Arc::clone(&work), sender.clone());
        let worker = std::thread::Builder::new().spawn(move || work.some(&sender));
        worker.map_err(Failure::general)?;
    }
    drop(sender);
    let interrupted = || interrupt.options.cancel.load(Ordering::Relaxed);
    let mut show = Show::new(verb.name(), &work.zones);
    let ends = follow(&work, &receiver, &mut show, interrupted);
    print(verb, &work.zones, &ends)?;
    if show.summary(&ends) { Ok(()) } else { Err(Failure::Told) }
}

/// Passes on what the processes say until all have ended; gives how each ended, nothing for one that was not begun.
fn follow(
    work: &Work,
    events: &Receiver<Event>,
    show: &mut Show<'_>,
    interrupted: impl Fn() -> bool,
) -> Vec<Option<Ended>> {
    let mut ends: Vec<Option<Ended>> = work.zones.iter().map(|_| None).collect();
    let mut stopped = false;
    loop {
        match events.recv_timeout(LOOK) {
            Ok(Event::End(at, ended)) => {
                show.end(at, ended.ok);
                ends[at] = Some(ended);
            }
            Ok(Event::Begin(at)) => show.begin(at),
            Ok(Event::Line(at, line)) => show.line(at, &line),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return ends,
        }
        if !stopped && interrupted() {
            stopped = true;
            work.stop();
        }
    }
}

struct Work {
    zones: Vec<String>,
    next: Mutex<Next>,
}

/// What is shared by those who work.
struct Next {
    /// The first zone that nobody has begun with.
    at: usize,
    /// The processes that run, to be interrupted.
    running: Vec<(usize, OwnedFd)>,
    stopped: bool,
}

impl Work {
    /// Does it for zones until none is left.
    fn some(&self, events: &Sender<Event>) {
        while let Some(at) = self.take() {
            // Nobody listens any more only when we end.
            let _ = events.send(Event::Begin(at));
            let ended = self.one(at, events).unwrap_or_else(|error| {
                let name = &self.zones[at];
                let line = format!("zoneadm: zone '{name}': cannot start zoneadm: {}", Chain(&error));
                let _ = events.send(Event::Line(at, line));
                Ended { ok: false, out: String::new() }
            });
            let _ = events.send(Event::End(at, ended));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Next> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<usize> {
        let mut next = self.lock();
        let at = next.at;
        (!next.stopped && at < self.zones.len()).then(|| {
            next.at += 1;
            at
        })
    }

    fn one(&self, at: usize, events: &Sender<Event>) -> std::io::Result<Ended> {
        let mut child = {
            let mut next = self.lock();
            let child = start(&self.zones[at])?;
            if let Some(pidfd) = pidfd_of(&child) {
                next.running.push((at, pidfd));
            }
            child
        };
        let out = child.stdout.take().map(|mut pipe| {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                // What was read until then is shown.
                let _ = pipe.read_to_end(&mut text);
                String::from_utf8_lossy(&text).into_owned()
            })
        });
        if let Some(pipe) = child.stderr.take() {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while matches!(pipe.read_until(b'\n', &mut line), Ok(1..)) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                let _ = events.send(Event::Line(at, text));
                line.clear();
            }
        }
        let out = out.and_then(|reader| reader.join().ok()).unwrap_or_default();
        let status = child.wait()?;
        self.lock().running.retain(|(other, _)| *other != at);
        Ok(Ended { ok: status.success(), out })
    }

    /// Begins with no further zone, and interrupts what runs, as it would be if it ran alone.
    fn stop(&self) {
        let mut next = self.lock();
        next.stopped = true;
        for (_, pidfd) in &next.running {
            // One that has ended by itself needs no signal.
            let _ = pidfd_send_signal(pidfd, Signal::INT);
        }
    }
}

/// Starts what a person would type for this zone alone. A group of its own, so that what is typed at the terminal interrupts
/// us, who pass it on, and nobody twice.
fn start(zone: &str) -> std::io::Result<Child> {
    Command::new(SELF)
        .arg0("zoneadm")
        .args(["--one", zone])
        .args(std::env::args_os().skip(1))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

fn pidfd_of(child: &Child) -> Option<OwnedFd> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// One zone's answer in JSON.
#[derive(Serialize)]
struct Answer<'a> {
    zone: &'a str,
    ok: bool,
    /// What the verb prints for one zone; null if it printed nothing.
    result: Option<&'a RawValue>,
}

/// Prints what was printed, in the order of the zones.
fn print(verb: &Verb, zones: &[String], ends: &[Option<Ended>]) -> Outcome {
    let mut out = Output::new();
    let all = zones.iter().zip(ends);
    if verb.prints_json() {
        let answer = |(zone, end): (&'_ String, &'_ Option<Ended>)| {
            let text = end.as_ref().map_or("", |end| end.out.trim());
            (
                zone.clone(),
                end.as_ref().is_some_and(|end| end.ok),
                RawValue::from_string(text.to_owned()).ok(),
            )
        };
        let answers: Vec<_> = all.map(answer).collect();
        let answers =
            answers.iter().map(|(zone, ok, result)| Answer { zone, ok: *ok, result: result.as_deref() });
        out.json(&answers.collect::<Vec<_>>())?;
        return out.end();
    }
    for (zone, end) in all {
        let text = end.as_ref().map_or("", |end| end.out.as_str());
        let named = text.lines().all(|line| ["zone '", "Zone '"].iter().any(|begin| line.starts_with(begin)));
        if !named {
            out.line(&format!("zone '{zone}':"))?;
        }
        for line in text.lines() {
            out.line(line)?;
        }
    }
    out.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_begun_with_in_order_until_stopped() {
        let work = Work {
            zones: vec!["a".into(), "b".into(), "c".into()],
            next: Mutex::new(Next { at: 0, running: Vec::new(), stopped: false }),
        };
        assert_eq!((work.take(), work.take()), (Some(0), Some(1)));
        work.stop();
        assert_eq!(work.take(), None);
        assert!((4..=32).contains(&side_by_side()));
    }
}

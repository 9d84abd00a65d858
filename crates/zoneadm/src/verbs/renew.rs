//! `zoneadm renew-daemon`: has zones served by the zoneadmd that is installed now.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::Serialize;
use zone_config::{Layout, ZoneName, here};
use zone_door::{CallError, Client};

use crate::cli::lead::RenewArgs;
use crate::context::{Context, Selection};
use crate::live;
use crate::message::{Failure, Outcome, relay, warn};
use crate::output::Output;
use crate::sanity;

/// How long an operation that runs may keep the old daemon.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often to look what keeps it.
const LOOK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// How long a daemon that works may take to answer, or to start.
const ANSWER: Duration = Duration::from_secs(10);
const START: Duration = Duration::from_secs(20);

/// A daemon.
#[derive(Debug, Serialize)]
struct Daemon {
    pid: i32,
    version: String,
}

/// What was done to one zone.
#[derive(Debug, Serialize)]
struct Renewed {
    zone: String,
    /// Null if there was none.
    old: Option<Daemon>,
    new: Daemon,
}

pub(crate) fn run(cx: &Context, args: RenewArgs) -> Outcome {
    sanity::only_root_here("renew a daemon")?;
    let zones: Vec<ZoneName> = match cx.select()? {
        Selection::Zone(entry) => vec![entry.name],
        Selection::Nothing => cx.index()?.entries().map(|entry| entry.name.clone()).collect(),
        Selection::Global => {
            return Err(Failure::text(here::GLOBAL, "the global zone has no zoneadmd."));
        }
    };
    let mut done = Vec::new();
    let mut failed = false;
    for zone in &zones {
        match renew(&cx.layout, zone) {
            Ok(renewed) => done.extend(renewed),
            // One that does not let itself be renewed keeps no other from it.
            Err(error) => {
                failed = true;
                warn(format_args!("zone '{zone}': {}", zone_sys::Chain(error.as_ref())));
            }
        }
    }
    let mut out = Output::new();
    if args.json {
        out.json(&done)?;
    } else {
        for Renewed { zone, old, new } in &done {
            let Daemon { pid, version } = new;
            out.said(&match old {
                Some(old) => format!(
                    "zone '{zone}': zoneadmd {version}, process {pid}, has taken the place of {}, process {}",
                    old.version, old.pid
                ),
                None => {
                    format!("zone '{zone}': zoneadmd {version}, process {pid}, was started; there was none")
                }
            })?;
        }
    }
    out.end()?;
    if failed { Err(Failure::Told) } else { Ok(()) }
}

/// Renews one zone's daemon; `None` if it has none and needs none.
fn renew(layout: &Layout, zone: &ZoneName) -> anyhow::Result<Option<Renewed>> {
    let old = match connect(layout, zone) {
        Ok((daemon, pidfd)) => {
            end(layout, zone, &pidfd)?;
            Some(daemon)
        }
        Err(error) if matches!(*error, CallError::NotListening { .. } | CallError::Gone) => {
            if live::ask(layout, zone)?.is_none() {
                return Ok(None);
            }
            None
        }
        Err(error) => return Err((*error).into()),
    };
    // Beaten by another start, which is as good; a daemon that leaves just now is not.
    let until = Instant::now() + START;
    loop {
        zone_start::start(layout, zone, START, |line| warn(line))
            .map_err(|error| anyhow::Error::new(error).context("could not start zoneadmd"))?;
        match connect(layout, zone) {
            Ok((new, _)) => return Ok(Some(Renewed { zone: zone.to_string(), old, new })),
            Err(error) if Instant::now() > until => return Err((*error).into()),
            Err(_) => {}
        }
    }
}

/// The zone's daemon, and a hold on its process.
fn connect(layout: &Layout, zone: &ZoneName) -> Result<(Daemon, OwnedFd), Box<CallError>> {
    let mut client = Client::connect(&layout.zone_run(zone))?;
    client.set_timeout(Some(ANSWER))?;
    let pid = client.peer()?;
    let gone = || Box::new(CallError::Gone);
    let pidfd =
        Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()).ok_or_else(gone)?;
    // It answers, so it lives, and the number is still its own.
    let version = client.version()?;
    Ok((Daemon { pid, version }, pidfd))
}

/// Has a daemon end, and waits for that.
fn end(layout: &Layout, zone: &ZoneName, daemon: &OwnedFd) -> anyhow::Result<()> {
    pidfd_send_signal(daemon, Signal::TERM)?;
    let until = Instant::now() + PATIENCE;
    let mut told = None;
    while poll(&mut [PollFd::new(daemon, PollFlags::IN)], Some(&LOOK)) == Ok(0) {
        let busy = busy_with(layout, zone);
        let what = busy.as_deref().unwrap_or("what it does");
        if Instant::now() > until {
            anyhow::bail!(
                "zoneadmd is still busy with {what}; it ends when that is through, and the next command starts the new one"
            );
        }
        if busy.is_some() && busy != told {
            relay(zone, &format!("waiting for {what} to finish"));
            told = busy;
        }
    }
    Ok(())
}

/// What the daemon does now.
fn busy_with(layout: &Layout, zone: &ZoneName) -> Option<String> {
    let mut client = Client::connect(&layout.zone_run(zone)).ok()?;
    client.set_timeout(Some(ANSWER)).ok()?;
    let operation = client.status().ok()?.operation?;
    Some(operation.to_string())
}

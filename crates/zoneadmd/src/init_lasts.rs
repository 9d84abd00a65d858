//! What is looked at just after a boot: whether its init lasts.

use crate::daemon::Daemon;
use crate::error::{InitEnd, OpError};
use crate::timer;
use std::time::Duration;
use tokio::time::Instant;
use zone_config::lastexit::How;
use zone_engine::OperationContext;
use zone_live::how_it_ended;
use zsched::wire::{End, Phase};

/// How long an init is watched at most.
const FIRST_SECOND: Duration = Duration::from_secs(1);
/// The first wait before it is looked at again whether it has come to rest; each one is a quarter longer, up to
/// [`MOST_BACKOFF`]: whoever boots a zone waits for this, so it must not be much longer than the init takes.
const BACKOFF: Duration = Duration::from_micros(250);
/// The longest wait between two looks.
const MOST_BACKOFF: Duration = Duration::from_millis(16);
/// Such a part of a wait is enough to see whether one that has come to rest stays so.
const OF_REST: u32 = 4;

/// Watches an init that was just started, until it has come to rest or its first second is over. The caller holds the
/// operation lock, so that its end is not dealt with meanwhile.
///
/// # Errors
/// [`OpError::InitDied`] when it ended by itself, other than with success.
pub(crate) async fn init_lasts(daemon: &Daemon, context: &mut OperationContext) -> Result<(), OpError> {
    let booted = daemon.status();
    let end = Instant::now() + FIRST_SECOND;
    let mut changes = daemon.changes();
    let mut before = None;
    let mut backoff = BACKOFF;
    loop {
        let now = *changes.borrow_and_update();
        if now.uniqid != booted.uniqid {
            return Ok(());
        }
        if now.phase == Phase::Down {
            return died(daemon, context, now.end).await;
        }
        let activity = activity(booted.pid);
        if Instant::now() >= end || (activity.is_some() && activity == before) {
            return Ok(());
        }
        before = activity;
        let wait = if activity.is_some() { (backoff / OF_REST).max(BACKOFF) } else { backoff };
        tokio::select! {
            _ = changes.changed() => {}
            () = timer::pause(wait) => {}
        }
        backoff = (backoff * 5 / 4).min(MOST_BACKOFF);
    }
}

async fn died(daemon: &Daemon, context: &mut OperationContext, end: Option<End>) -> Result<(), OpError> {
    if matches!(how_it_ended(end), How::Rebooted | How::Poweroff) {
        return Ok(());
    }
    let (init, end) = (daemon.zone.init(), InitEnd(end));
    if end.0 != Some(End::Exited(0)) {
        for line in crate::last_words::of(daemon).await {
            context.say(format!("console: {line}"));
        }
    }
    if end.0 == Some(End::Exited(0)) {
        context.say(format!("WARNING: init {init} {end} as soon as it was started"));
        return Ok(());
    }
    Err(OpError::InitDied { init, end })
}

/// How often an init that has come to rest, and its children, have been switched to and from; `None` while one of them does
/// something.
fn activity(init: i32) -> Option<u64> {
    let children = std::fs::read_to_string(format!("/proc/{init}/task/{init}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    std::iter::once(init).chain(children).map(switches).sum()
}

fn switches(pid: i32) -> Option<u64> {
    let text = zone_sys::proc::text(format!("/proc/{pid}/status")).ok()?;
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let sleeps = value("State:")?.starts_with('S');
    let count = |name| value(name).and_then(|count| count.parse::<u64>().ok());
    let count = count("voluntary_ctxt_switches:")? + count("nonvoluntary_ctxt_switches:")?;
    sleeps.then_some(count)
}

//! Finds out when a zone that runs is ready, and remembers it on disk before anybody is told.
//!
//! What the zone's init sends waits in the socket, which zsched holds, until it is on record: it is looked at first, and taken out
//! afterwards, so that no kill loses it. Once it has been heard nobody listens any more, and whoever sends is told so by the
//! kernel: a queue that nobody reads would hold up the zone's init.

use crate::blocking;
use crate::daemon::Daemon;
use crate::known_readiness::KnownReadiness;
use crate::readable;
use crate::shutdown::run_inside;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use zone_config::Snapshot;
use zone_config::readiness::{Found, ReadyBy, ReadyState};
use zone_console::sanitize::harmless;
use zone_door::{Event, Uniqid};
use zone_platform::Spec;
use zone_platform::readiness::{LONGEST, Method, has_level, method, notification};
use zone_sys::{Chain, notify};
use zsched::wire::Status;

/// How long it is waited before a zone is looked at again; each time is twice as long, up to [`SLOWEST`].
const FIRST: Duration = Duration::from_millis(20);
const SLOWEST: Duration = Duration::from_secs(1);
/// How long one run of `ready-check` may take.
const CHECK: Duration = Duration::from_secs(30);
/// So many notifications are read before the rest waits for [`REST`]: a zone can send as many as it likes.
const BATCH: usize = 16;
const REST: Duration = Duration::from_millis(50);

/// Looks after one incarnation; never ends by itself.
pub(crate) async fn keep_one(daemon: &Rc<Daemon>, status: &Status) {
    if let Some(found) = Found::load(daemon.layout(), daemon.name(), status.uniqid) {
        set(daemon, KnownReadiness::of(&found));
        close(daemon).await;
    } else {
        find_out(daemon, status).await;
    }
    std::future::pending::<()>().await;
}

async fn find_out(daemon: &Rc<Daemon>, status: &Status) {
    let Some(method) = asked(daemon).await else {
        return unknown(daemon, status, ReadyBy::Init, "the snapshot of the zone cannot be read");
    };
    let by = method.by();
    set(daemon, KnownReadiness::starting(status.uniqid, by));
    if method != Method::Notify {
        close(daemon).await;
    }
    match &method {
        Method::Notify => return notified(daemon, status).await,
        Method::Check(_) => check(daemon).await,
        Method::OpenRc | Method::SysV => level(status.pid, &method).await,
        Method::Started => {}
    }
    zone_fail::pass!("readiness.heard");
    found(daemon, status, ReadyState::Ready, by);
}

/// How it is found out, by what the zone was booted with.
async fn asked(daemon: &Rc<Daemon>) -> Option<Method> {
    let zone = Arc::clone(&daemon.zone);
    let asked = blocking::run(move || {
        let snapshot = Snapshot::load(&zone.layout, &zone.name).ok()?;
        Some(method(&Spec::of(&snapshot), snapshot.config.init(&snapshot.brand)))
    });
    asked.await.ok().flatten()
}

/// Listens to the zone's init until it says that it is ready.
async fn notified(daemon: &Rc<Daemon>, status: &Status) {
    const LOST: &str = "the socket at which the zone's init says that it is ready went down with zsched";
    let by = ReadyBy::Notify;
    let Some(socket) = socket(daemon, status.uniqid).await else { return unknown(daemon, status, by, LOST) };
    let Ok(socket) = readable::watch(socket) else { return unknown(daemon, status, by, LOST) };
    let mut bytes = [0; LONGEST];
    loop {
        let Ok(mut ready) = socket.readable().await else { return unknown(daemon, status, by, LOST) };
        for _ in 0..BATCH {
            let (count, sender) = match notify::receive(socket.get_ref(), &mut bytes, true) {
                Ok((0, None)) => return unknown(daemon, status, by, LOST),
                Ok(received) => received,
                Err(error) if error.errno() == Errno::AGAIN => {
                    ready.clear_ready();
                    break;
                }
                Err(error) => {
                    tracing::error!("{}", Chain(&error));
                    return unknown(daemon, status, by, LOST);
                }
            };
            // Services of the zone have a manager of their own, whom this is the business of.
            if sender.is_some_and(|sender| sender.pid == status.pid) {
                let (is_ready, text) = notification(&bytes[..count]);
                if is_ready {
                    zone_fail::pass!("readiness.heard");
                    found(daemon, status, ReadyState::Ready, by);
                    let _ = notify::close(socket.get_ref());
                    return;
                }
                if let Some(text) = text {
                    say(daemon, status.uniqid, &text);
                }
            }
            let _ = notify::receive(socket.get_ref(), &mut bytes, false);
        }
        tokio::time::sleep(REST).await;
    }
}

/// Runs the command until it exits with 0. Each time it is the one that is configured by then.
async fn check(daemon: &Rc<Daemon>) {
    let mut pause = FIRST;
    loop {
        let Some(Method::Check(command)) = asked(daemon).await else { return };
        let zone = Arc::clone(&daemon.zone);
        let words = ["/bin/sh", "-c", command.as_str()].map(str::to_owned);
        let ran = blocking::run(move || run_inside(&zone, &words, Instant::now() + CHECK)).await;
        match ran {
            Ok(Ok(())) => return,
            Ok(Err(error)) => say(daemon, daemon.status().uniqid, &Chain(&error).to_string()),
            Err(error) => say(daemon, daemon.status().uniqid, &Chain(&error).to_string()),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(SLOWEST);
    }
}

/// Waits until the zone's init has come to its run level.
async fn level(first: i32, method: &Method) {
    let mut pause = FIRST;
    loop {
        let method = method.clone();
        // What the zone has mounted there may hang. Then this does, and nothing else.
        if let Ok(Ok(true)) = blocking::run(move || has_level(first, &method)).await {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(SLOWEST);
    }
}

fn set(daemon: &Daemon, seen: KnownReadiness) {
    *daemon.readiness.borrow_mut() = Some(seen);
    daemon.stirred.notify_one();
}

/// Keeps what was said last of why it is not ready.
fn say(daemon: &Daemon, uniqid: u64, text: &str) {
    let mut seen = daemon.readiness.borrow_mut();
    if let Some(seen) = seen.as_mut().filter(|seen| seen.uniqid == uniqid) {
        seen.readiness.text = Some(harmless(text).replace('\n', " "));
    }
}

/// Puts on record what was found out, and then tells it.
fn found(daemon: &Daemon, status: &Status, state: ReadyState, by: ReadyBy) {
    let found = Found { uniqid: status.uniqid, state, by, since: zone_engine::clock::now() };
    if let Err(error) = found.save(daemon.layout(), daemon.name()) {
        tracing::warn!("a daemon after this one will not know whether the zone is ready: {}", Chain(&error));
    }
    zone_fail::pass!("readiness.recorded");
    set(daemon, KnownReadiness::of(&found));
    if state == ReadyState::Ready {
        tracing::info!("it is ready, by {}", by.as_str());
        let _ = daemon.events.send(Event::Ready { uniqid: Uniqid(status.uniqid) });
    }
}

fn unknown(daemon: &Daemon, status: &Status, by: ReadyBy, why: &str) {
    tracing::warn!("it cannot be told whether the zone is ready: {why}");
    found(daemon, status, ReadyState::Unknown, by);
    say(daemon, status.uniqid, why);
}

/// The socket at which the zone's init says that it is ready, from zsched; a copy stays with what a new zsched would be handed.
async fn socket(daemon: &Rc<Daemon>, uniqid: u64) -> Option<OwnedFd> {
    let zone = Arc::clone(&daemon.zone);
    blocking::run(move || zone.notify_socket(uniqid)).await.ok().flatten()
}

/// Has whoever sends to it know that nobody listens.
async fn close(daemon: &Rc<Daemon>) {
    if let Some(socket) = socket(daemon, daemon.status().uniqid).await {
        let _ = notify::close(socket);
    }
}

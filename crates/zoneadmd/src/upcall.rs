//! What zsched tells without being asked: the first process has ended. On Solaris this is the
//! kernel's upcall; what follows is the zone's wish (reboot, halt) or the policy for an init that ends.

use crate::blocking;
use crate::daemon::Daemon;
use crate::error::OpError;
use crate::internal;
use crate::shutdown_state::Then;
use crate::wish::{Policy, RESTART_DELAYS_MS, Wish, after_delay, wish};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::task::spawn_local;
use zone_config::lastexit::How;
use zone_console::{InitEnd, Locale, Notice};
use zone_engine::Ensured;
use zone_engine::bootargs::Asked;
use zone_live::how_it_ended;
use zone_sys::Chain;
use zsched::client::Client;
use zsched::wire::{End, Phase, Status};

/// An init that ran for so long is not one that keeps failing: the count of restarts begins anew.
const STEADY_SECONDS: u64 = 60;

/// How long to wait before another attempt to start a zsched; twice as long each time, up to the second.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LAST_DELAY: Duration = Duration::from_secs(30);

/// Listens to zsched for as long as it lives, and then to the one that replaces it.
pub(crate) async fn listen(daemon: Rc<Daemon>, client: Client) {
    let mut client = client;
    loop {
        forward_events(&daemon, &client).await;
        match respawned(&daemon).await {
            Some(next) => client = next,
            None => break,
        }
    }
    daemon.note(Status::default());
}

/// Forwards the events of one zsched until its connection ends.
async fn forward_events(daemon: &Rc<Daemon>, client: &Client) {
    let watched = client.socket().try_clone_to_owned().map(std::os::unix::net::UnixStream::from);
    // The runtime only ever waits on it; packets are read by the client.
    let watched = watched.and_then(|socket| socket.set_nonblocking(true).and(UnixStream::from_std(socket)));
    let Ok(socket) = watched else { return };
    while let Some(status) = next_event(&socket, client).await {
        daemon.note(status);
        spawn_local(ended(Rc::clone(daemon), status));
    }
}

/// zsched has died: sees to it that there is another, and says what became of the zone. `None` if there can be none and
/// no zone needs it.
async fn respawned(daemon: &Rc<Daemon>) -> Option<Client> {
    let mut delay = FIRST_DELAY;
    loop {
        match ensure_keeper(daemon).await {
            Ok(_) => break,
            Err(error) => {
                tracing::error!("{}", Chain(&error));
                if !daemon.zone.backup.holds_a_zone() {
                    return None;
                }
                if delay == FIRST_DELAY {
                    let text = match error {
                        OpError::Engine(zone_engine::Error::Respawn(_)) | OpError::Internal(_) => {
                            "WARNING: zsched has died and could not be replaced yet; the zone runs on"
                        }
                        _ => "WARNING: zsched lives, but cannot be spoken to; the zone runs on",
                    };
                    let text = text.to_owned();
                    daemon.notice(Notice::Text(text));
                }
            }
        }
        if let Some(status) = daemon.zone.backup.died_unseen() {
            daemon.note(status);
        }
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(LAST_DELAY);
    }
    for words in daemon.zone.backup.take_messages() {
        daemon.notice(Notice::Text(words));
    }
    let next = daemon.zone.backup.take_events().or_else(|| attached_anew(daemon));
    // An operation that runs has noticed by itself.
    let lock = daemon.slot.try_lock();
    daemon.refresh();
    if lock.is_some() {
        internal::clear_away(daemon).await;
    }
    drop(lock);
    let status = daemon.status();
    if status.phase == Phase::Down {
        spawn_local(ended(Rc::clone(daemon), status));
    }
    next
}

async fn ensure_keeper(daemon: &Daemon) -> Result<Ensured, OpError> {
    let zone = Arc::clone(&daemon.zone);
    let ensured = blocking::run(move || zone.ensure_keeper()).await?;
    Ok(ensured.map_err(zone_engine::KeeperError::of_operation)?)
}

/// Asks zsched anew, for who has the operation lock and is to decide by what it says. One that has died, of which [`listen`] has heard
/// nothing yet, is replaced first: a zone that was ready has gone with it.
pub(crate) async fn refresh(daemon: &Rc<Daemon>) {
    if !daemon.refresh() {
        return;
    }
    match ensure_keeper(daemon).await {
        Ok(_) => {
            daemon.refresh();
            internal::clear_away(daemon).await;
        }
        Err(error) => tracing::error!("{}", Chain(&error)),
    }
}

/// zsched lives, only its connection to us has gone.
fn attached_anew(daemon: &Daemon) -> Option<Client> {
    let client = Client::connect(&daemon.layout().zone_run(daemon.name())).ok()?;
    client.attach().ok()?;
    Some(client)
}

/// Waits for packets of a zsched that we are attached to; `None` when it has gone.
async fn next_event(socket: &UnixStream, client: &Client) -> Option<Status> {
    loop {
        socket.readable().await.ok()?;
        let read = socket.try_io(Interest::READABLE, || match client.event() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err(std::io::ErrorKind::WouldBlock.into()),
            Err(error) => Err(std::io::Error::other(error)),
        });
        match read {
            Ok(status) => return Some(status),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
    }
}

/// Deals with the end of an incarnation: at the latest word, only if it still is the present one.
pub(crate) async fn ended(daemon: Rc<Daemon>, status: Status) {
    let mut lock = daemon.slot.lock().await;
    zone_fail::pass!("upcall.heard");
    daemon.refresh();
    if daemon.stuck.is(status.uniqid) || !is_present(&daemon, &status) {
        // A halt or reboot by an administrator has dealt with it.
        return;
    }
    let policy = daemon.zone.config().map_or(
        Policy { restart: false, restart_on_0: false, reboot: false },
        |config| Policy {
            restart: config.restart_init,
            restart_on_0: config.restart_init_on_exit_0,
            reboot: config.reboot_on_init_exit,
        },
    );
    let ran = status.ended.saturating_sub(status.since);
    let restarts = if ran >= STEADY_SECONDS { 0 } else { status.restarts };
    let how = how_it_ended(status.end);
    let asked = matches!(how, How::Rebooted | How::Poweroff);
    // An init that was asked to shut down may simply exit.
    let mut shutting_down = daemon.shutdown.is_of(status.uniqid);
    let mut wished =
        if shutting_down && how != How::Rebooted { Wish::Halt } else { wish(status.end, policy, restarts) };
    if !asked {
        let again = matches!(wished, Wish::Restart(_)).then_some((restarts + 1, RESTART_DELAYS_MS.len()));
        let notice = Notice::InitEnded { how: init_end(status.end), again };
        tracing::warn!("{}", notice.text(Locale::C, false));
        daemon.notice(notice);
    }
    if let Wish::Restart(delay) = wished {
        drop(lock);
        zone_fail::pass!("upcall.delayed");
        // The zone is down meanwhile, and an administrator may halt, reboot or shut it down.
        tokio::time::sleep(Duration::from_millis(delay)).await;
        lock = daemon.slot.lock().await;
        daemon.refresh();
        if !is_present(&daemon, &status) {
            return;
        }
        shutting_down = daemon.shutdown.is_of(status.uniqid);
        wished = after_delay(wished, shutting_down);
    }
    let recorded = match how {
        How::Poweroff | How::Exited if shutting_down => How::Shutdown,
        how => how,
    };
    let then = daemon.shutdown.take_then(status.uniqid);
    zone_fail::pass!("upcall.decided");
    match (wished, then) {
        // Somebody outside has said how it is to come back.
        (Wish::Reboot | Wish::Halt, Then::Boot(args)) => {
            internal::again(&daemon, recorded, args.asked(), 0).await;
        }
        (Wish::Reboot, Then::Nothing) => {
            let asked = match how {
                How::Rebooted => internal::asked_inside(&daemon, status.uniqid).await,
                _ => Asked::default(),
            };
            internal::again(&daemon, recorded, asked, 0).await;
        }
        // With the arguments that hold.
        (Wish::Restart(_), _) => internal::again(&daemon, recorded, Asked::default(), restarts + 1).await,
        (Wish::Halt, Then::Nothing) => internal::halt(&daemon, recorded).await,
        (Wish::GiveUp, _) => {
            tracing::error!("{}", Notice::GivenUp.text(Locale::C, false));
            daemon.notice(Notice::GivenUp);
            internal::halt(&daemon, recorded).await;
        }
    }
    drop(lock);
}

fn is_present(daemon: &Daemon, status: &Status) -> bool {
    let now = daemon.status();
    now.phase == Phase::Down && now.uniqid == status.uniqid
}

fn init_end(end: Option<End>) -> InitEnd {
    match end {
        Some(End::Exited(status)) => InitEnd::Exited(status),
        Some(End::Killed(signal)) => InitEnd::Killed(signal),
        None => InitEnd::Unknown,
    }
}

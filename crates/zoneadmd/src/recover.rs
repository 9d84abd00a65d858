//! What a new daemon does first: sees what a dead one left, and carries on or undoes. There is no
//! other recovery code; this is the ordinary start, and mostly there is nothing to do.

use crate::daemon::Daemon;
use crate::journal::{self, Intent, Journal};
use crate::{shutdown, upcall};
use std::rc::Rc;
use tokio::task::spawn_local;
use zone_config::bootargs::BootArgs;
use zone_config::file;
use zone_config::lastexit::How;
use zone_console::Notice;
use zone_door::{Operation, Reporter};
use zsched::wire::{Phase, Status};

/// Brings the zone into a state that a daemon may have left on purpose.
pub(crate) async fn recover(daemon: &Rc<Daemon>) {
    // Who calls at the door meanwhile waits.
    let _turn = daemon.turn.lock().await;
    let status = daemon.status();
    let (layout, name) = (daemon.layout(), daemon.name());
    let left = file::is_left(&layout.snapshot(name)) || layout.journal(name).exists();
    if status.exists() {
        daemon.notice(Notice::Restarted);
    }
    let intent = journal::unfinished(layout, name);
    // What was meant for an incarnation is nothing to the one after it.
    let meant = intent.as_ref().is_some_and(|intent| intent.uniqid == status.uniqid);
    match (status.phase, intent) {
        (Phase::Running, Some(intent)) if intent.operation == Operation::Shutdown && meant => {
            carry_on_shutdown(daemon, status, intent);
        }
        (Phase::Ready | Phase::Running | Phase::Stopping | Phase::Down, Some(intent))
            if intent.operation == Operation::Halt && meant =>
        {
            tracing::warn!("a halt was interrupted; carrying on");
            undo(daemon, intent.how).await;
            daemon.notice(Notice::Halted);
        }
        // It has not come to that, and whoever asked for it asks again; or it was all but through.
        (Phase::Running, Some(intent)) => end(daemon, intent.operation),
        (Phase::None | Phase::Ready | Phase::Stopping, Some(intent))
            if intent.operation == Operation::Reboot =>
        {
            finish_reboot(daemon, intent).await;
        }
        (Phase::Down, Some(intent)) if intent.operation == Operation::Reboot && meant => {
            finish_reboot(daemon, intent).await;
        }
        // As far as it came it is what somebody may want.
        (Phase::Ready, Some(intent)) => end(daemon, intent.operation),
        (Phase::None, _) if left => {
            tracing::warn!("an operation was interrupted; removing what it left");
            undo(daemon, None).await;
        }
        (Phase::Stopping, _) => {
            tracing::warn!("a halt was interrupted; carrying on");
            undo(daemon, Some(How::Halted)).await;
        }
        (Phase::Down, intent) => {
            if let Some(intent) = intent.filter(|intent| intent.operation == Operation::Shutdown && meant) {
                carry_on_shutdown(daemon, status, intent);
            }
            spawn_local(upcall::ended(Rc::clone(daemon), status));
        }
        (Phase::None | Phase::Ready | Phase::Running, _) => {}
    }
}

/// Removes what is left of a zone that is no more: it was ready when its zsched died. The caller has the turn.
pub(crate) async fn clear_away(daemon: &Rc<Daemon>) {
    if !daemon.status().exists() && daemon.layout().snapshot(daemon.name()).exists() {
        undo(daemon, None).await;
    }
}

/// Nothing of an operation has to be carried on.
fn end(daemon: &Daemon, operation: Operation) {
    let ended = Journal::open(daemon.layout(), daemon.name()).and_then(|mut journal| journal.end(operation));
    if let Err(error) = ended {
        tracing::error!("{}", crate::errand::render(&error));
    }
}

pub(crate) async fn undo(daemon: &Rc<Daemon>, how: Option<How>) {
    let _running = daemon.begin(Operation::Halt);
    let errand = daemon.errand(Operation::Halt, Reporter::silent());
    let (_, result) = daemon.work(errand, move |zone, errand| zone.halt(errand, how)).await;
    match result {
        Ok(last) => daemon.remember(last),
        Err(error) => tracing::error!("{}", crate::errand::render(&error)),
    }
}

pub(crate) async fn finish_reboot(daemon: &Rc<Daemon>, intent: Intent) {
    tracing::warn!("a reboot was interrupted; carrying on");
    let args = BootArgs::parse(&intent.args).unwrap_or_default();
    upcall::again(daemon, intent.how.unwrap_or(How::Rebooted), &args, intent.number).await;
}

/// Init is asked again, since nobody knows whether it was.
fn carry_on_shutdown(daemon: &Rc<Daemon>, status: Status, intent: Intent) {
    tracing::warn!("a shutdown was interrupted; carrying on");
    daemon.shutting_down.set(Some(status.uniqid));
    let back = intent.up.then(|| BootArgs::parse(&intent.args).unwrap_or_default());
    daemon.comes_back.replace(back);
    spawn_local(shutdown::carry_on(Rc::clone(daemon), status, intent.number.into()));
}

//! What a new daemon does first: sees what a dead one left, and carries on or undoes. There is no
//! other recovery code; this is the ordinary start, and mostly there is nothing to do.

use crate::bootargs::Platform;
use crate::daemon::Daemon;
use crate::journal::{self, Intent, Journal};
use crate::shutdown_state::Then;
use crate::{internal, shutdown, upcall};
use std::rc::Rc;
use tokio::task::spawn_local;
use zone_config::file;
use zone_config::lastexit::How;
use zone_console::Notice;
use zone_door::Operation;
use zone_sys::Chain;
use zsched::wire::{Phase, Status};

/// Brings the zone into a state that a daemon may have left on purpose.
pub(crate) async fn recover(daemon: &Rc<Daemon>) {
    // Who calls at the door meanwhile waits.
    let _lock = daemon.slot.lock().await;
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
            internal::undo(daemon, intent.how).await;
            daemon.notice(Notice::Halted);
        }
        // It has not come to that, and whoever asked for it asks again; or it was all but through.
        (Phase::Running, Some(intent)) => end(daemon, intent.operation),
        (Phase::None | Phase::Ready | Phase::Stopping, Some(intent))
            if intent.operation == Operation::Reboot =>
        {
            internal::finish_reboot(daemon, intent).await;
        }
        (Phase::Down, Some(intent)) if intent.operation == Operation::Reboot && meant => {
            internal::finish_reboot(daemon, intent).await;
        }
        // As far as it came it is what somebody may want.
        (Phase::Ready, Some(intent)) => end(daemon, intent.operation),
        (Phase::None, _) if left => {
            tracing::warn!("an operation was interrupted; removing what it left");
            internal::undo(daemon, None).await;
        }
        (Phase::Stopping, _) => {
            tracing::warn!("a halt was interrupted; carrying on");
            internal::undo(daemon, Some(How::Halted)).await;
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

/// Nothing of an operation has to be carried on.
fn end(daemon: &Daemon, operation: Operation) {
    let ended = Journal::open(daemon.layout(), daemon.name()).and_then(|mut journal| journal.end(operation));
    if let Err(error) = ended {
        tracing::error!("{}", Chain(&error));
    }
}

/// Init is asked again, since nobody knows whether it was.
fn carry_on_shutdown(daemon: &Rc<Daemon>, status: Status, intent: Intent) {
    tracing::warn!("a shutdown was interrupted; carrying on");
    let then = if intent.up {
        let args = daemon.zone.boot_arguments(&intent.args, Platform::New);
        Then::Boot(args.unwrap_or_default())
    } else {
        Then::Nothing
    };
    daemon.shutdown.begin(status.uniqid, then);
    spawn_local(shutdown::carry_on(Rc::clone(daemon), status, intent.number.into()));
}

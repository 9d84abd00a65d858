//! What a new daemon does first: sees what a dead one left, and carries on or undoes, as `recovery` decides. This is the
//! ordinary start, and mostly there is nothing to do.

use crate::daemon::Daemon;
use crate::shutdown_state::Then;
use crate::{internal, shutdown, upcall};
use std::rc::Rc;
use tokio::task::spawn_local;
use zone_config::file;
use zone_console::Notice;
use zone_door::Operation;
use zone_engine::bootargs::{Asked, Platform};
use zone_engine::journal::{self, Intent, Journal};
use zone_engine::recovery::{Recovery, plan};
use zone_sys::Chain;
use zsched::wire::Status;

/// Brings the zone into a state that a daemon may have left on purpose.
pub(crate) async fn recover(daemon: &Rc<Daemon>) {
    // Whoever calls at the door meanwhile waits.
    let _lock = daemon.slot.lock().await;
    let status = daemon.status();
    let (layout, name) = (daemon.layout(), daemon.name());
    let left = file::is_left(&layout.snapshot(name)) || layout.journal(name).exists();
    let intent = journal::unfinished(layout, name);
    // What was meant for an incarnation is nothing to the one after it.
    let meant = intent.as_ref().is_some_and(|intent| intent.uniqid == status.uniqid);
    let recovery = plan(status.phase, intent.as_ref(), meant, left);
    match (recovery, intent) {
        (Recovery::Nothing, _) => {}
        (Recovery::Close(operation), _) => close(daemon, operation),
        (Recovery::UndoBringUp, _) => {
            tracing::warn!("an operation was interrupted; removing what it left");
            internal::undo(daemon, None).await;
        }
        (Recovery::CarryOnHalt(how), _) => {
            tracing::warn!("a halt was interrupted; carrying on");
            internal::undo(daemon, how).await;
            daemon.notice(Notice::Halted);
        }
        (Recovery::CarryOnApply, _) => internal::finish_apply(daemon).await,
        (Recovery::CarryOnReboot, Some(intent)) => internal::finish_reboot(daemon, intent).await,
        (Recovery::CarryOnShutdown, Some(intent)) => carry_on_shutdown(daemon, status, intent),
        (Recovery::EndOfShutdown, Some(intent)) => {
            carry_on_shutdown(daemon, status, intent);
            spawn_local(upcall::ended(Rc::clone(daemon), status));
        }
        (_, _) => {
            spawn_local(upcall::ended(Rc::clone(daemon), status));
        }
    }
}

/// Closes the journal entry of an operation of which nothing has to be carried on.
fn close(daemon: &Daemon, operation: Operation) {
    let ended = Journal::open(daemon.layout(), daemon.name()).and_then(|mut journal| journal.end(operation));
    if let Err(error) = ended {
        tracing::error!("{}", Chain(&error));
    }
}

/// Init is asked again, since nobody knows whether it was.
fn carry_on_shutdown(daemon: &Rc<Daemon>, status: Status, intent: Intent) {
    tracing::warn!("a shutdown was interrupted; carrying on");
    let then = if intent.up {
        let args =
            daemon.zone.boot_arguments(Asked { args: intent.given(), ..Asked::default() }, Platform::New);
        Then::Boot(args.unwrap_or_default())
    } else {
        Then::Nothing
    };
    daemon.shutdown.begin(status.uniqid, then);
    spawn_local(shutdown::carry_on(Rc::clone(daemon), status, intent.number.into()));
}

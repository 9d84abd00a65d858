//! What a new daemon does first: sees what a dead one left, and carries on or undoes. There is no
//! other recovery code; this is the ordinary start, and mostly there is nothing to do.

use crate::daemon::Daemon;
use crate::errand::OpError;
use crate::journal;
use crate::upcall;
use std::rc::Rc;
use zone_config::bootargs::BootArgs;
use zone_config::lastexit::How;
use zone_console::Notice;
use zone_door::{Operation, Reporter};
use zsched::wire::Phase;

/// Brings the zone into a state that a daemon may have left on purpose.
pub(crate) async fn recover(daemon: &Rc<Daemon>) {
    let status = daemon.status();
    let unfinished = journal::unfinished(daemon.layout(), daemon.name());
    let left =
        daemon.layout().snapshot(daemon.name()).exists() || daemon.layout().journal(daemon.name()).exists();
    let operation = unfinished.as_ref().map(|unfinished| unfinished.operation);
    if status.exists() {
        daemon.notice(Notice::Restarted);
    }
    match (status.phase, operation) {
        (Phase::None, Some(Operation::Reboot)) => {
            let args = unfinished.map(|unfinished| unfinished.args).unwrap_or_default();
            tracing::warn!("a reboot was interrupted; carrying on");
            finish_reboot(daemon, &args).await;
        }
        // A reboot that got as far as a new first process, or not as far as losing the old one.
        (Phase::Ready | Phase::Stopping, Some(Operation::Reboot)) => {
            let args = unfinished.map(|unfinished| unfinished.args).unwrap_or_default();
            tracing::warn!("a reboot was interrupted; carrying on");
            finish_reboot(daemon, &args).await;
        }
        (Phase::None, _) if left => {
            tracing::warn!("an operation was interrupted; removing what it left");
            undo(daemon, None).await;
        }
        (Phase::Ready | Phase::Running | Phase::Stopping, Some(Operation::Halt)) => {
            tracing::warn!("a halt was interrupted; carrying on");
            undo(daemon, Some(How::Halted)).await;
            daemon.notice(Notice::Halted);
        }
        (Phase::Down, Some(Operation::Halt)) => {
            undo(daemon, Some(How::Halted)).await;
            daemon.notice(Notice::Halted);
        }
        (Phase::Down, Some(Operation::Reboot)) => {
            let args = unfinished.map(|unfinished| unfinished.args).unwrap_or_default();
            finish_reboot(daemon, &args).await;
        }
        (Phase::Down, _) => {
            tokio::task::spawn_local(upcall::ended(Rc::clone(daemon), status));
        }
        _ => {}
    }
}

async fn undo(daemon: &Rc<Daemon>, how: Option<How>) {
    let errand = daemon.errand(Operation::Halt, Reporter::silent());
    let (_, result) = daemon.work(errand, move |zone, errand| zone.halt(errand, how)).await;
    match result {
        Ok(last) => daemon.remember(last),
        Err(error) => tracing::error!("{}", crate::errand::render(&error)),
    }
}

async fn finish_reboot(daemon: &Rc<Daemon>, args: &str) {
    let args = BootArgs::parse(args).unwrap_or_default();
    daemon.prepare_console().await;
    let errand = daemon.errand(Operation::Reboot, Reporter::silent());
    let (_, result): (_, Result<_, OpError>) =
        daemon.work(errand, move |zone, errand| zone.reboot(errand, How::Rebooted, &args, 0)).await;
    match result {
        Ok(last) => daemon.remember(last),
        Err(error) => {
            tracing::error!("{}", crate::errand::render(&error));
            daemon.notice(Notice::BootFailed);
        }
    }
}

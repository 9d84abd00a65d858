//! A halt that could not be brought to its end, because processes of the zone would not die: it ends when they do.

use crate::daemon::Daemon;
use crate::internal;
use std::rc::Rc;
use std::time::Duration;
use zone_config::lastexit::How;
use zone_console::Notice;
use zone_door::Operation;
use zone_platform::cgroup;

/// How often to look whether they have ended. Nothing tells it of all of them, and nobody is in a hurry.
const LOOK: Duration = Duration::from_millis(500);

/// Sees such halts through, one after another, for as long as the daemon lives.
pub(crate) async fn see_through(daemon: Rc<Daemon>) {
    loop {
        daemon.stuck.notified().await;
        // Somebody may have halted it again, and booted it: the processes that are there then are another incarnation's.
        while daemon.stuck.is_still(daemon.status().uniqid) {
            tokio::time::sleep(LOOK).await;
            let populated = cgroup::is_populated(daemon.layout(), daemon.name()).unwrap_or(true);
            if !populated {
                finish(&daemon).await;
            }
        }
    }
}

async fn finish(daemon: &Rc<Daemon>) {
    let _lock = daemon.slot.lock().await;
    daemon.refresh();
    let Some(uniqid) = daemon.stuck.take() else { return };
    if daemon.status().uniqid != uniqid {
        // Somebody has halted it again, and that went through.
        return;
    }
    tracing::warn!("the processes that held the zone up have ended; carrying on");
    let intent = zone_engine::journal::unfinished(daemon.layout(), daemon.name());
    match intent.filter(|intent| intent.uniqid == uniqid) {
        Some(intent) if intent.operation == Operation::Reboot => {
            internal::finish_reboot(daemon, intent).await;
        }
        intent => {
            let how = intent.and_then(|intent| intent.how).unwrap_or(How::Halted);
            internal::undo(daemon, Some(how)).await;
            if !daemon.status().exists() {
                daemon.notice(Notice::Halted);
            }
        }
    }
}

//! The daemon's end: when the zone is below ready and nobody is attached to its console or at its
//! door, there is nothing to serve. Who comes while it dies is told to start another.

use crate::daemon::Daemon;
use crate::operate::Door;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinHandle;
use zone_config::layout::{CONSOLE, DOOR, ZSCHED};
use zone_door::Server;

/// Whoever started the daemon has so long to say what for.
const FIRST_CALL: Duration = Duration::from_secs(2);

/// Waits until nothing needs the daemon any more.
pub(crate) async fn wait(daemon: &Rc<Daemon>, door: &Server<Door>, keeper: &JoinHandle<()>) {
    let mut changes = daemon.changes();
    let mut console = daemon.console.state();
    let first = tokio::time::Instant::now() + FIRST_CALL;
    loop {
        if keeper.is_finished() {
            return;
        }
        let below_ready = !daemon.status().exists();
        if below_ready && door.is_idle() && console.borrow().is_quiet() && daemon.turn.try_lock().is_ok() {
            let served = door.connections() == 0;
            if daemon.uninstalling.get() || (served && tokio::time::Instant::now() >= first) {
                return;
            }
        }
        tokio::select! {
            _ = changes.changed() => {}
            _ = console.changed() => {}
            () = door.idle(), if below_ready && !door.is_idle() => {}
            () = tokio::time::sleep(Duration::from_millis(200)), if below_ready => {}
            () = tokio::time::sleep(Duration::from_secs(3600)), if !below_ready => {}
        }
    }
}

/// Takes the door and the console away and lets zsched go, so that the next daemon starts from nothing.
pub(crate) async fn dismantle(daemon: &Rc<Daemon>, door: &Server<Door>) {
    let run = daemon.layout().zone_run(daemon.name());
    let _ = std::fs::remove_file(run.join(DOOR));
    let _ = std::fs::remove_file(run.join(CONSOLE));
    // Calls in flight end first.
    door.idle().await;
    match daemon.zone.keeper().quit() {
        Ok(()) => {
            let _ = std::fs::remove_file(run.join(ZSCHED));
        }
        Err(error) => tracing::error!("{}", crate::errand::render(&error)),
    }
}

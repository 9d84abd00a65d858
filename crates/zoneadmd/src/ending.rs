//! The daemon's end: when the zone is below ready and nobody is attached to its console or at its
//! door, there is nothing to serve. Who comes while it dies is told to start another.

use crate::blocking;
use crate::daemon::Daemon;
use crate::error::OpError;
use crate::operate::Door;
use crate::rest::{self, Idle};
use rustix::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use zone_config::layout::{CONSOLE, DOOR, ZSCHED};
use zone_door::Server;
use zsched::client::{Client, ClientError};

/// Whoever started the daemon has so long to say what for.
const FIRST_CALL: Duration = Duration::from_secs(2);

/// How often to look for what tells nobody that it is over, while that alone is waited for.
const LOOK: Duration = Duration::from_millis(500);

/// Waits until nothing needs the daemon any more. Wakes only when something changes.
async fn over(daemon: &Rc<Daemon>, door: &Server<Door>, keeper: &mut JoinHandle<()>) -> Why {
    let mut changes = daemon.changes();
    let mut console = daemon.console.state();
    let mut connections = door.changes();
    let first_call = tokio::time::sleep(FIRST_CALL);
    tokio::pin!(first_call);
    let mut idle = Idle::default();
    // Whether whoever it was started for has come.
    let mut met = false;
    loop {
        let below_ready = !daemon.status().exists();
        let called = daemon.called.get() || first_call.is_elapsed();
        let quiet = console.borrow().is_quiet() || daemon.uninstalling.get();
        let busy = daemon.slot.try_lock().is_none();
        if below_ready && called && quiet && door.is_idle() && !busy {
            return Why::Over;
        }
        let connected = door.connections() > 0;
        met |= !console.borrow().is_quiet();
        let seen = rest::look(daemon, connected, !(called || met));
        let mut until = idle.until(rest::need(&seen), || rest::patience(daemon));
        if until.is_some_and(|until| until <= Instant::now()) {
            until = match rests(daemon) {
                Farewell::Said => return Why::Rests,
                Farewell::Impossible => idle.stays(),
                Farewell::Unheard => Some(idle.tries_again()),
            };
        }
        let looks = until.is_none() && idle.may_leave() && (seen.releases || seen.waited_for);
        let shutdown = daemon.shutdown.current().is_some();
        tokio::select! {
            _ = changes.changed() => {}
            _ = console.changed() => {}
            () = door.idle(), if !door.is_idle() => {}
            // What nobody asked for at the door takes its turn, too.
            _ = daemon.slot.lock(), if busy => {}
            () = &mut first_call, if !first_call.is_elapsed() => {}
            _ = connections.changed() => met = true,
            () = daemon.stirred.notified() => {}
            () = daemon.shutdown.over(), if shutdown => {}
            () = tokio::time::sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {}
            () = tokio::time::sleep(LOOK), if looks => {}
            // Without zsched there is no zone to be the daemon of. Here it was not we who let it go.
            _ = &mut *keeper => {
                tracing::error!("zsched has gone and there can be no other; what is left of a zone is cleared away");
                return Why::Over;
            }
        }
    }
}

/// Why a daemon ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The zone is below ready, and nothing needs it.
    Over,
    /// The zone is up, and nothing needs it: zsched starts another when something does, and was told so.
    Rests,
    /// It was asked to, by SIGTERM, or cannot serve any more: another takes its place, or the host goes down.
    GivesWay,
}

/// Waits for the one or the other. A request to give way is heeded between two operations. `lost` ends, with its name, when
/// something is not served any more: who comes for it would find a daemon that is deaf, and start no other.
pub(crate) async fn wait(
    daemon: &Rc<Daemon>,
    door: &Server<Door>,
    keeper: &mut JoinHandle<()>,
    asked: &AsyncFd<OwnedFd>,
    lost: impl Future<Output = &'static str>,
) -> Why {
    let gives_way = async {
        tokio::select! {
            () = told(asked) => {}
            what = lost => tracing::error!("the {what} is not served any more: another daemon is to take over"),
        }
        let lock = daemon.slot.lock().await;
        // It is not given back: no operation begins any more.
        std::mem::forget(lock);
    };
    tokio::select! {
        why = over(daemon, door, keeper) => why,
        () = gives_way => if daemon.status().exists() { Why::GivesWay } else { Why::Over },
    }
}

async fn told(asked: &AsyncFd<OwnedFd>) {
    if asked.readable().await.is_err() {
        // Then SIGTERM does nothing; SIGKILL always does.
        std::future::pending::<()>().await;
    }
}

/// What came of telling zsched that nothing needs this daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Farewell {
    /// zsched knows, and has one started for whoever comes.
    Said,
    /// This zsched cannot do that.
    Impossible,
    /// It was not to be reached: another may have to be started first.
    Unheard,
}

/// Has zsched know that nothing needs this daemon. Nothing is waited for here, so that nobody comes between what was seen and the end:
/// who connects from now on waits for the next daemon.
fn rests(daemon: &Daemon) -> Farewell {
    let Some(lock) = daemon.slot.try_lock() else { return Farewell::Unheard };
    let left = {
        let zsched = daemon.zone.keeper();
        zsched.sockets().and_then(|(_, sockets)| {
            if sockets.is_none() {
                return Ok(false);
            }
            zone_fail::pass!("rest.idle");
            zsched.leave(true).map(|_| true)
        })
    };
    match left {
        Ok(true) => {}
        Ok(false) => {
            tracing::info!(
                "zsched does not hold the sockets of door and console: this daemon does not leave"
            );
            return Farewell::Impossible;
        }
        Err(error @ ClientError::TooOld { .. }) => {
            tracing::info!("this daemon does not leave: {}", zone_sys::Chain(&error));
            return Farewell::Impossible;
        }
        Err(error) => {
            tracing::info!("this daemon does not leave yet: {}", zone_sys::Chain(&error));
            return Farewell::Unheard;
        }
    }
    daemon.zone.backup.retire();
    // It is not given back: no operation begins any more.
    std::mem::forget(lock);
    tracing::info!("nothing needs this daemon any more; zsched starts another when something does");
    zone_fail::pass!("rest.told");
    Farewell::Said
}

/// Has zsched know that this daemon leaves on purpose. Whoever connects from now on waits for the next one, if that is so: a zsched of
/// before does not hold the door.
pub(crate) fn says_farewell(daemon: &Daemon) -> bool {
    daemon.zone.backup.retire();
    let left = daemon.zone.keeper().leave(false);
    if let Err(error) = &left {
        tracing::info!("{}", zone_sys::Chain(error));
    }
    left.is_ok()
}

/// Leaves everything where it is; but for the door if zsched has not `held` it, since its file would look like that of a daemon that was
/// killed. Who waits for his turn is disconnected, and asks the next one.
pub(crate) async fn give_way(daemon: &Rc<Daemon>, door: &Server<Door>, held: bool) {
    const LAST_WORDS: Duration = Duration::from_millis(200);
    // From renew-daemon as from a host that goes down: who comes next is not known here.
    tracing::info!("ends, as SIGTERM has asked; the zone is not touched");
    let _ = tokio::time::timeout(LAST_WORDS, door.idle()).await;
    if !held {
        let _ = std::fs::remove_file(daemon.layout().zone_run(daemon.name()).join(DOOR));
    }
}

/// Kills what a dead zsched has left alone, and forgets it.
pub(crate) async fn clear(daemon: &Rc<Daemon>) {
    let zone = Arc::clone(&daemon.zone);
    let mut context = daemon.context(zone_door::Operation::Halt, zone_door::Reporter::silent());
    match blocking::run(move || zone.clear(&mut context))
        .await
        .map_err(OpError::from)
        .and_then(|cleared| Ok(cleared?))
    {
        Ok(()) => zone_fail::pass!("end.cleared"),
        Err(error) => tracing::error!("{}", zone_sys::Chain(&error)),
    }
}

/// Takes the door and the console away, so that nobody comes any more.
pub(crate) async fn close(daemon: &Rc<Daemon>, door: &Server<Door>) {
    let run = daemon.layout().zone_run(daemon.name());
    let _ = std::fs::remove_file(run.join(DOOR));
    zone_fail::pass!("end.door");
    let _ = std::fs::remove_file(run.join(CONSOLE));
    // Calls in flight end first.
    door.idle().await;
    zone_fail::pass!("end.console");
}

/// Lets zsched go, so that the next daemon starts from nothing. With it goes what the console has said and no log has.
pub(crate) fn let_go(daemon: &Rc<Daemon>) {
    let run = daemon.layout().zone_run(daemon.name());
    match daemon.zone.dismiss() {
        Ok(()) => {
            zone_fail::pass!("end.keeper");
            let _ = std::fs::remove_file(run.join(ZSCHED));
            zone_fail::pass!("end.socket");
        }
        // It was killed just now, and kept nothing. Not so if only the connection broke: without its socket nobody would find
        // it again.
        Err(ClientError::NotRunning) if matches!(Client::connect(&run), Err(ClientError::NotRunning)) => {
            let _ = std::fs::remove_file(run.join(ZSCHED));
        }
        Err(error) => tracing::error!("{}", zone_sys::Chain(&error)),
    }
    daemon.zone.network_release.end(daemon.layout());
}

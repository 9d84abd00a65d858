//! Gives the zone the files of an lxcfs that was restarted, and takes away those of one that is gone. Woken by the kernel when the host's
//! table of mounts changes, never by time.

use crate::blocking;
use crate::daemon::Daemon;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use zone_config::Snapshot;
use zone_console::Notice;
use zone_platform::Spec;
use zone_platform::lxcfs::{self, Connection, Outcome};
use zone_sys::Chain;
use zsched::wire::Status;

/// How long it rests after it was woken: mounts come in numbers.
const REST: Duration = Duration::from_millis(500);

/// Sees to one incarnation; never ends by itself.
pub(crate) async fn keep_one(daemon: &Rc<Daemon>, incarnation: &Status) {
    match watch() {
        Ok(table) => {
            daemon.watches(&daemon.watches.views, incarnation, is_needed(daemon));
            // What came before this daemon, too.
            let mut settled: Option<Option<Connection>> = None;
            loop {
                if settled != Some(lxcfs::connection()) {
                    // Once one was seen it is expected back.
                    if is_needed(daemon) {
                        daemon.watches(&daemon.watches.views, incarnation, true);
                    }
                    settled = see_to(daemon, incarnation).await;
                }
                let Ok(mut ready) = table.ready(Interest::PRIORITY).await else { break };
                ready.clear_ready();
                tokio::time::sleep(REST).await;
            }
        }
        Err(error) => {
            tracing::warn!("nobody sees whether lxcfs is restarted: {error}");
            daemon.watches(&daemon.watches.views, incarnation, false);
        }
    }
    std::future::pending::<()>().await;
}

/// Whether the zone has files of lxcfs, or would be given some by one that runs. One that comes to run where there was none is seen by
/// the next daemon.
fn is_needed(daemon: &Daemon) -> bool {
    let wanted = || {
        Snapshot::load(daemon.layout(), daemon.name())
            .map_or(true, |snapshot| lxcfs::is_wanted(&Spec::of(&snapshot)))
    };
    lxcfs::connection().is_some() && wanted()
}

/// A descriptor that is ready with priority when the table of mounts has changed (proc_pid_mounts(5)).
#[expect(
    deprecated,
    reason = "the unsound part of AsyncFd needs a descriptor that can be replaced meanwhile; nobody can reach this one mutably"
)]
fn watch() -> std::io::Result<AsyncFd<OwnedFd>> {
    let table = openat(CWD, "/proc/self/mountinfo", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    AsyncFd::with_interest(table, Interest::PRIORITY)
}

/// Puts the files of lxcfs in order, and tells what was done. One that is just starting may be busy: it is tried some times more.
/// Gives back which lxcfs, if one, the zone has been put in order with; `None` if it is to be looked at again.
async fn see_to(daemon: &Rc<Daemon>, incarnation: &Status) -> Option<Option<Connection>> {
    let runs = lxcfs::connection();
    let mut rest = REST * 2;
    loop {
        let done = settle(daemon, incarnation).await;
        let silent = matches!(done, Ok(Outcome::Silent));
        // From the first to the last it takes half a minute.
        if !silent || rest > REST * 32 || lxcfs::connection() != runs {
            // Only while the zone holds files of it is the number of its device nobody else's: the next lxcfs may have it.
            let settled = match done {
                Ok(Outcome::Kept | Outcome::Given) => Some(runs),
                Ok(Outcome::Taken) => Some(None),
                Ok(Outcome::Silent) | Err(_) => None,
            };
            tell(daemon, done);
            return settled;
        }
        tokio::time::sleep(rest).await;
        rest *= 2;
    }
}

/// Puts the files of lxcfs in order while no operation runs.
async fn settle(daemon: &Rc<Daemon>, incarnation: &Status) -> Result<Outcome, String> {
    let _lock = daemon.slot.lock().await;
    let status = daemon.status();
    if status.uniqid != incarnation.uniqid || !status.lives() {
        return Ok(Outcome::Kept);
    }
    let zone = Arc::clone(&daemon.zone);
    let done = blocking::run(move || {
        let snapshot = Snapshot::load(&zone.layout, &zone.name).map_err(|error| Chain(&error).to_string())?;
        let fds = zone.keeper().fds().map_err(|error| Chain(&error).to_string())?.1;
        lxcfs::settle(fds.pidfd.as_fd(), &Spec::of(&snapshot)).map_err(|error| Chain(&error).to_string())
    });
    done.await.map_err(|error| Chain(&error).to_string()).flatten()
}

fn tell(daemon: &Daemon, done: Result<Outcome, String>) {
    let text = match done {
        Ok(Outcome::Kept) => return,
        Ok(Outcome::Given) => "NOTICE: lxcfs is there: /proc shows what the zone may use".to_owned(),
        Ok(Outcome::Taken) => {
            "WARNING: lxcfs is gone: until it is back, /proc shows what the machine has".to_owned()
        }
        Ok(Outcome::Silent) => format!("WARNING: {}", lxcfs::Silent),
        Err(error) => format!("WARNING: the zone does not have the files of lxcfs: {error}"),
    };
    tracing::info!("{text}");
    daemon.notice(Notice::Text(text));
}

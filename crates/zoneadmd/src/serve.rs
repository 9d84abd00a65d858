//! The daemon at work: one thread, one event loop; long work runs beside it, one operation at a time.

use crate::daemon::Daemon;
use crate::incarnations::{self, While};
use crate::started::{StartError, Started};
use crate::{
    dhcp, ending, log, log_level, lxcfs, oom, operate, pending, readiness, recover, systemd, upcall,
};
use rustix::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};
use zone_config::{Layout, ZoneName};
use zone_console::Notice;
use zone_console::log::{ConsoleLog, LogLimits};
use zone_console::server::{ConsoleServer, Limits, Setup};
use zone_door::Server;
use zone_engine::KeeperBackup;
use zone_engine::Zone;
use zone_ring::Ring;
use zone_sys::Chain;
use zsched::wire::{Phase, Status};

/// Serves until nobody needs the daemon. `serving` is called once door
/// and console answer.
pub(crate) fn run(started: Started, serving: impl FnOnce()) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(StartError::Runtime)?;
    let result = LocalSet::new().block_on(&runtime, serve(started, serving));
    // A thread that hangs in the kernel keeps nobody waiting; what it has open is closed for it where that matters.
    runtime.shutdown_background();
    result
}

/// How long a daemon that starts may be busy with what a dead one left before it serves all the same.
const RECOVERY: Duration = Duration::from_secs(2);

/// How long whoever calls a daemon that comes back waits at most until what was said meanwhile is logged.
const LOGGED: Duration = Duration::from_millis(200);

async fn serve(started: Started, serving: impl FnOnce()) -> Result<(), StartError> {
    let Started { layout, name, exclusive, keeper, door, console, returns, message } = started;
    let exclusive = Rc::new(exclusive);
    // Before there are threads, which inherit that it is blocked.
    let asked = zone_sys::signal::as_fd(&[zone_sys::signal::SIGTERM]);
    let asked = crate::readable::watch(asked.map_err(StartError::Signals)?).map_err(StartError::Runtime)?;
    log::start_file(&layout, &name);
    let backup = KeeperBackup::new(&keeper.console, [&console, &door], keeper.child)
        .map_err(StartError::Descriptor)?;
    let ring = Ring::inherit(keeper.console.ring)
        .map_err(|source| StartError::Kept { keeper: keeper.status.keeper, source })?;
    let (server, handle) = ConsoleServer::new(
        Setup { manager: keeper.console.manager, ring, listener: console },
        Limits::default(),
    )
    .map_err(StartError::Serve)?;
    let server = match open_log(&layout, &name) {
        Ok(log) => server.with_log(log),
        Err(error) => {
            tracing::warn!("the console is not logged: {}", Chain(&*error));
            server
        }
    };
    let (status_tx, mut status_rx) = mpsc::unbounded_channel::<Status>();
    let zone = Zone::new(layout, name, keeper.requests, keeper.console.subsidiary, backup, status_tx);
    zone.hold(&keeper.status);
    log::is_of(keeper.status.exists().then_some(keeper.status.uniqid));
    let daemon = Rc::new(Daemon::new(zone, handle, keeper.status, &exclusive));
    let mut console_task = spawn_local(server.run());
    if returns {
        // Whoever is answered finds in the log what was said while no daemon was there.
        let mut state = daemon.console.state();
        let _ = tokio::time::timeout(LOGGED, state.wait_for(|state| state.logged)).await;
    }
    let door_server = Server::new(Rc::new(operate::Door(Rc::clone(&daemon))));
    let mut door_task = spawn_local({
        let server = door_server.clone();
        async move {
            let error = server.serve(UnixListener::from(door)).await;
            tracing::error!("{}", Chain(&error));
        }
    });
    let mut keeper_task = spawn_local(upcall::listen(Rc::clone(&daemon), keeper.events));
    let status_task = spawn_local({
        let daemon = Rc::clone(&daemon);
        async move {
            while let Some(status) = status_rx.recv().await {
                // What is known by now may be newer.
                let known = daemon.status();
                if known.uniqid == status.uniqid && matches!(known.phase, Phase::Ready | Phase::Running) {
                    daemon.note(status);
                }
            }
        }
    });
    let console_watch = spawn_local(replace_console(Rc::clone(&daemon)));
    let pending = spawn_local(pending::see_through(Rc::clone(&daemon)));
    let addresses = spawn_local(dhcp::keep(Rc::clone(&daemon)));
    let level = spawn_local(log_level::keep(Rc::clone(&daemon)));
    let kills = spawn_local(incarnations::keep(Rc::clone(&daemon), While::Lives, oom::keep_one));
    let told = returns.then(|| daemon.status().uniqid);
    let unit = spawn_local(systemd::keep(Rc::clone(&daemon), told));
    let views = spawn_local(incarnations::keep(Rc::clone(&daemon), While::Lives, lxcfs::keep_one));
    let readiness = spawn_local(incarnations::keep(Rc::clone(&daemon), While::Runs, readiness::keep_one));
    // Before anybody is let in: who comes from now on has not seen it end.
    if daemon.status().exists() && !returns {
        daemon.notice(Notice::Restarted);
    }
    message.into_iter().for_each(|message| daemon.notice(Notice::Text(message)));
    // Whatever a predecessor left comes before any request: it has the turn. But what hangs there must not keep the door shut.
    let recovery = {
        let daemon = Rc::clone(&daemon);
        spawn_local(async move { recover::recover(&daemon).await })
    };
    let _ = tokio::time::timeout(RECOVERY, recovery).await;
    zone_fail::pass!("start.recovered");
    daemon.at_work.show();
    serving();

    let lost = async {
        tokio::select! {
            _ = &mut console_task => "console",
            _ = &mut door_task => "door",
        }
    };
    let why = ending::wait(&daemon, &door_server, &mut keeper_task, &asked, lost).await;
    if why == ending::Why::Rests {
        // Nobody was accepted since it was seen that nobody is there; who comes waits for the next daemon.
        door_task.abort();
        keeper_task.abort();
        daemon.console.stop(zone_console::frame::End::Restarting);
        if !console_task.is_finished() {
            let _ = console_task.await;
        }
        zone_fail::pass!("rest.written");
        log::flush();
        drop(exclusive);
        return Ok(());
    }
    let gives_way = why == ending::Why::GivesWay;
    let held = gives_way && ending::says_farewell(&daemon);
    if held {
        door_task.abort();
    }
    door_server.begin_dying();
    if gives_way {
        ending::give_way(&daemon, &door_server, held).await;
        log::flush();
        drop(exclusive);
        return Ok(());
    }
    zone_fail::pass!("end.idle");
    if keeper_task.is_finished() {
        ending::clear(&daemon).await;
    }
    door_task.abort();
    // From here on nobody minds that zsched goes.
    keeper_task.abort();
    ending::close(&daemon, &door_server).await;
    daemon.console.stop(zone_console::frame::End::Leaving);
    if !console_task.is_finished() {
        let _ = console_task.await;
    }
    // What was said is in the log by now, should this daemon be killed behind it.
    ending::let_go(&daemon);
    console_watch.abort();
    pending.abort();
    addresses.abort();
    kills.abort();
    unit.abort();
    views.abort();
    readiness.abort();
    level.abort();
    status_task.abort();
    // Whoever waits for the lock takes this process for gone.
    log::flush();
    // The lock file stays: whoever had it open already would lock a file that no third one sees.
    drop(exclusive);
    Ok(())
}

/// The console's log on disk. That it cannot be had is no reason to have no zone.
fn open_log(layout: &Layout, name: &ZoneName) -> Result<ConsoleLog, Box<dyn std::error::Error>> {
    let dir = layout.log_dir();
    zone_config::file::make_dir(&dir, 0o700)?;
    Ok(ConsoleLog::open(&dir, &format!("{name}.console.log"), LogLimits::default())?)
}

/// Brings a new pty when the old one was hung up for good: a zone cannot do that while it has a user
/// namespace, the host's root can.
async fn replace_console(daemon: Rc<Daemon>) {
    let mut state = daemon.console.state();
    while state.wait_for(|state| state.manager_lost).await.is_ok() {
        tracing::warn!("the console was hung up; it is opened anew, for the next boot");
        let Ok((manager, subsidiary)) = zone_engine::keeper::pty() else { return };
        if daemon.zone.keeper().replace_console(manager.as_fd(), subsidiary.as_fd()).is_err() {
            return;
        }
        if let Ok(copy) = manager.try_clone() {
            daemon.zone.backup.set_manager(copy);
        }
        *daemon.zone.subsidiary() = subsidiary;
        daemon.console.replace_manager(manager);
        if state.wait_for(|state| !state.manager_lost).await.is_err() {
            return;
        }
    }
}

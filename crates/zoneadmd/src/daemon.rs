//! The daemon at work: one thread, one event loop; long work runs beside it, one operation at a time.

use crate::current::Current;
use crate::errand::{Errand, OpError};
use crate::heir::Estate;
use crate::pending::{self, Stuck};
use crate::startup::{StartError, Started};
use crate::zone::Zone;
use crate::{ending, operate, recover, upcall};
use std::cell::{Cell, RefCell};
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::{Mutex, broadcast, mpsc, watch};
use tokio::task::{LocalSet, spawn_local};
use zone_config::{Layout, State, ZoneName};
use zone_console::log::{ConsoleLog, LogLimits};
use zone_console::server::{ConsoleServer, Handle, Limits, Setup};
use zone_console::{Locale, Notice};
use zone_door::{Event, Operation, Reporter, Server, Uniqid};
use zone_ring::Ring;
use zsched::client::Client;
use zsched::wire::{Phase, Status};

/// Everything that lives as long as the daemon. None of it is truth: that is zsched's and the disk's.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) zone: Arc<Zone>,
    pub(crate) console: Handle,
    /// What zsched said last.
    status: watch::Sender<Status>,
    /// One operation at a time.
    pub(crate) turn: Mutex<()>,
    pub(crate) operation: Cell<Option<Operation>>,
    current: RefCell<Arc<Current>>,
    /// An incarnation whose processes would not die.
    pub(crate) stuck: Stuck,
    /// The halts that have ended.
    pub(crate) halts: crate::turn::Halts,
    pub(crate) events: broadcast::Sender<Event>,
    /// How the last incarnation ended, as read from disk.
    pub(crate) last_exit: RefCell<Option<zone_config::lastexit::LastExit>>,
    /// An orderly shutdown under way: this incarnation's end is what was asked for.
    pub(crate) shutting_down: Cell<Option<u64>>,
    /// The boot arguments with which the zone is to come back from that shutdown.
    pub(crate) comes_back: RefCell<Option<zone_config::bootargs::BootArgs>>,
    /// The zone is being uninstalled: nothing keeps this daemon alive.
    pub(crate) uninstalling: Cell<bool>,
    /// Whoever started this daemon has made its call.
    pub(crate) called: Cell<bool>,
}

/// Serves until the zone is below ready and nobody needs the daemon. `serving` is called once door
/// and console answer.
pub(crate) fn run(started: Started, serving: impl FnOnce()) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        // A worker thread that idles would wake up once more only to end.
        .thread_keep_alive(Duration::from_millis(1))
        .max_blocking_threads(8)
        .build()
        .map_err(StartError::Runtime)?;
    let result = LocalSet::new().block_on(&runtime, serve(started, serving));
    // A thread that hangs in the kernel keeps nobody waiting; what it has open is closed for it where that matters.
    runtime.shutdown_background();
    result
}

/// How long a daemon that starts may be busy with what a dead one left before it serves all the same.
const RECOVERY: Duration = Duration::from_secs(2);

async fn serve(started: Started, serving: impl FnOnce()) -> Result<(), StartError> {
    let Started { layout, name, exclusive, keeper, door, console, words } = started;
    let setup = |e: std::io::Error| StartError::Runtime(e);
    // Before there are threads, which inherit that it is blocked.
    let asked = zone_sys::signal::as_fd(&[zone_sys::signal::SIGTERM]);
    let asked = ending::watch(asked.map_err(|e| setup(e.into()))?).map_err(setup)?;
    let copies = keeper.console.manager.try_clone().and_then(|fd| Ok((fd, keeper.console.ring.try_clone()?)));
    let (manager, kept) = copies.map_err(setup)?;
    let estate = Estate::new(manager, kept, keeper.child);
    let ring = Ring::inherit(keeper.console.ring)
        .map_err(|source| StartError::Kept { keeper: keeper.status.keeper, source })?;
    let (server, handle) = ConsoleServer::new(
        Setup { manager: keeper.console.manager, ring, listener: console },
        Limits::default(),
    )
    .map_err(|e| setup(std::io::Error::other(crate::errand::render(&e))))?;
    let server = match open_log(&layout, &name) {
        Ok(log) => server.with_log(log),
        Err(error) => {
            tracing::warn!("the console is not logged: {}", crate::errand::render(&*error));
            server
        }
    };
    let (heard, mut hears) = mpsc::unbounded_channel::<Status>();
    let zone = Zone::new(layout, name, keeper.requests, keeper.console.subsidiary, estate, heard);
    zone.hold(&keeper.status);
    let daemon = Rc::new(Daemon::new(zone, handle, keeper.status));
    let console_task = spawn_local(server.run());
    let door_server = Server::new(Rc::new(operate::Door(Rc::clone(&daemon))));
    let door_task = spawn_local({
        let server = door_server.clone();
        async move {
            let error = server.serve(UnixListener::from(door)).await;
            tracing::error!("{}", crate::errand::render(&error));
        }
    });
    let mut keeper_task = spawn_local(upcall::listen(Rc::clone(&daemon), keeper.events));
    let hearing = spawn_local({
        let daemon = Rc::clone(&daemon);
        async move {
            while let Some(status) = hears.recv().await {
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
    words.into_iter().for_each(|words| daemon.notice(Notice::Text(words)));
    // Whatever a predecessor left comes before any request: it has the turn. But what hangs there must not keep the door shut.
    let recovery = {
        let daemon = Rc::clone(&daemon);
        spawn_local(async move { recover::recover(&daemon).await })
    };
    let _ = tokio::time::timeout(RECOVERY, recovery).await;
    zone_fail::pass!("start.recovered");
    serving();

    let why = ending::wait(&daemon, &door_server, &mut keeper_task, &asked).await;
    door_server.begin_dying();
    if why == ending::Why::GivesWay {
        ending::give_way(&daemon, &door_server).await;
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
    ending::dismantle(&daemon, &door_server).await;
    daemon.console.stop(zone_console::frame::End::Leaving);
    let _ = console_task.await;
    console_watch.abort();
    pending.abort();
    hearing.abort();
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
        let Ok((manager, subsidiary)) = crate::keeper::pty() else { return };
        use rustix::fd::AsFd;
        if daemon.zone.keeper().replace_console(manager.as_fd(), subsidiary.as_fd()).is_err() {
            return;
        }
        if let Ok(copy) = manager.try_clone() {
            daemon.zone.estate.set_manager(copy);
        }
        *daemon.zone.subsidiary() = subsidiary;
        daemon.console.replace_manager(manager);
        if state.wait_for(|state| !state.manager_lost).await.is_err() {
            return;
        }
    }
}

impl Daemon {
    fn new(zone: Zone, console: Handle, status: Status) -> Self {
        let last_exit =
            zone.zonepath().and_then(|path| zone_config::lastexit::LastExit::load(&path).ok().flatten());
        Self {
            zone: Arc::new(zone),
            console,
            status: watch::Sender::new(status),
            turn: Mutex::new(()),
            operation: Cell::new(None),
            current: RefCell::default(),
            stuck: Stuck::default(),
            halts: crate::turn::Halts::default(),
            events: broadcast::Sender::new(256),
            last_exit: RefCell::new(last_exit),
            shutting_down: Cell::new(None),
            comes_back: RefCell::default(),
            uninstalling: Cell::new(false),
            called: Cell::new(false),
        }
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.zone.layout
    }

    pub(crate) fn name(&self) -> &ZoneName {
        &self.zone.name
    }

    /// What zsched said last.
    pub(crate) fn status(&self) -> Status {
        *self.status.borrow()
    }

    /// To wait for changes of it.
    pub(crate) fn changes(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// The zone's state now.
    pub(crate) fn state(&self) -> State {
        let status = self.status();
        let stored = || self.zone.entry().map_or(State::Installed, |entry| entry.state);
        zone_live::state(Some(&status), if status.exists() { State::Installed } else { stored() })
    }

    /// Takes over what zsched says, and tells those who watch.
    pub(crate) fn note(&self, status: Status) {
        self.zone.hold(&status);
        let before = self.status.send_replace(status);
        if (before.phase, before.uniqid) != (status.phase, status.uniqid) {
            let uniqid = status.exists().then_some(Uniqid(status.uniqid));
            let _ = self.events.send(Event::State { state: self.state(), uniqid });
        }
    }

    /// Asks zsched anew.
    pub(crate) fn refresh(&self) {
        let asked = self.zone.keeper().status();
        match asked {
            Ok(status) => self.note(status),
            Err(error) => tracing::error!("{}", crate::errand::render(&error)),
        }
    }

    /// Says something on the console and to those who monitor.
    pub(crate) fn notice(&self, notice: Notice) {
        let _ = self.events.send(Event::Notice { text: notice.text(Locale::C, false) });
        self.console.notice(notice);
    }

    /// The operation that runs, as it is seen and reached.
    pub(crate) fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.borrow())
    }

    /// Shows that `operation` runs, until what this gives is dropped.
    pub(crate) fn begin(&self, operation: Operation) -> Running<'_> {
        self.operation.set(Some(operation));
        self.current.take();
        Running(self)
    }

    /// Opens the console's zone side anew for the next boot, since the old one may have been hung up, and
    /// gives that boot the size of the window that is attached.
    pub(crate) async fn prepare_console(&self) {
        match self.console.subsidiary().await {
            Ok(subsidiary) => *self.zone.subsidiary() = subsidiary,
            Err(error) => tracing::warn!("{}", crate::errand::render(&error)),
        }
        self.zone.set_window(self.console.window());
    }

    /// An errand of this daemon.
    pub(crate) fn errand(&self, operation: Operation, reporter: Reporter) -> Errand {
        Errand {
            operation,
            reporter,
            current: self.current(),
            events: self.events.clone(),
            messages: Vec::new(),
            timings: Vec::new(),
        }
    }

    /// Does long work beside the event loop. The errand comes back with what was said meanwhile.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        mut errand: Errand,
        work: impl FnOnce(&Zone, &mut Errand) -> Result<T, OpError> + Send + 'static,
    ) -> (Errand, Result<T, OpError>) {
        let zone = Arc::clone(&self.zone);
        let operation = errand.operation;
        let spare = self.errand(operation, Reporter::silent());
        let current = Arc::clone(&errand.current);
        let working = tokio::task::spawn_blocking(move || {
            let result = work(&zone, &mut errand);
            (errand, result)
        });
        let done = tokio::select! {
            done = working => done,
            () = current.abandoned() => {
                return (spare, Err(OpError::Abandoned(current.step().unwrap_or_default())));
            }
        };
        self.refresh();
        let (errand, result) = match done {
            Ok(done) => done,
            Err(panic) => (spare, Err(OpError::Orderly(format!("internal error: {panic}")))),
        };
        if result.as_ref().is_err_and(OpError::is_stuck) && self.status().exists() {
            self.stuck.set(self.status().uniqid);
        }
        (errand, result)
    }
}

/// Waits for packets of a zsched that we are attached to; `None` when it has gone.
pub(crate) async fn next_event(socket: &UnixStream, client: &Client) -> Option<Status> {
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

/// An operation that others can see.
pub(crate) struct Running<'a>(&'a Daemon);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.operation.set(None);
        self.0.current.take();
    }
}

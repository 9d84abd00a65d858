//! The state of the daemon, and what all of its parts do with it.

use crate::at_work::AtWork;
use crate::blocking;
use crate::error::OpError;
use crate::exclusive::Exclusive;
use crate::halts::Halts;
use crate::known_readiness::{self, KnownReadiness};
use crate::shutdown_state::ShutdownCell;
use crate::slot::OperationSlot;
use crate::stuck::Stuck;
use crate::watches::{Watch, Watches};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::{Notify, broadcast, watch};
use zone_config::lastexit::LastExit;
use zone_config::{Layout, State, ZoneName};
use zone_console::server::Handle;
use zone_console::{Locale, Notice};
use zone_door::{DoorError, Event, OpResult, Operation, Readiness, Reporter, Step, Uniqid};
use zone_engine::Current;
use zone_engine::OperationContext;
use zone_engine::Zone;
use zone_engine::{Observer, Timing};
use zone_sys::Chain;
use zsched::wire::Status;

/// Everything that lives as long as the daemon. None of it is truth: that is zsched's and the disk's.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) zone: Arc<Zone>,
    pub(crate) console: Handle,
    /// Whether it does anything, as others see it.
    pub(crate) at_work: Rc<AtWork>,
    /// What zsched said last.
    status: watch::Sender<Status>,
    /// The operation that runs.
    pub(crate) slot: OperationSlot,
    /// An incarnation whose processes would not die.
    pub(crate) stuck: Stuck,
    /// The nets of the zone may be others: told to whoever keeps their addresses.
    pub(crate) nets: Notify,
    /// The halts that have ended.
    pub(crate) halts: Halts,
    pub(crate) events: broadcast::Sender<Event>,
    /// Whether the zone is ready, as far as that was found out.
    pub(crate) readiness: RefCell<Option<KnownReadiness>>,
    /// How the last incarnation ended, as read from disk.
    pub(crate) last_exit: RefCell<Option<LastExit>>,
    /// The orderly shutdown under way, which waits for init without the operation lock.
    pub(crate) shutdown: ShutdownCell,
    /// The zone is being uninstalled: nothing keeps this daemon alive.
    pub(crate) uninstalling: Cell<bool>,
    /// Whoever started this daemon has made its call.
    pub(crate) called: Cell<bool>,
    /// What it watches.
    pub(crate) watches: Watches,
    /// It may be needed no more: told to whoever waits for that, by what is told to nobody else.
    pub(crate) stirred: Notify,
}

/// Who is told of an operation: the one who waits for it, and those that monitor the zone.
#[derive(Debug)]
struct Watchers {
    reporter: Reporter,
    events: broadcast::Sender<Event>,
}

impl Observer for Watchers {
    fn step(&self, operation: Operation, step: &'static str) {
        self.reporter.step(step);
        let _ = self.events.send(Event::Step { operation, step: step.into() });
    }

    fn message(&self, text: String) {
        self.reporter.message(text);
    }
}

impl Daemon {
    pub(crate) fn new(zone: Zone, console: Handle, status: Status, exclusive: &Rc<Exclusive>) -> Self {
        let at_work = Rc::new(AtWork::new(exclusive));
        let last_exit = zone.zonepath().and_then(|path| LastExit::load(&path).ok().flatten());
        Self {
            zone: Arc::new(zone),
            console,
            status: watch::Sender::new(status),
            slot: OperationSlot::new(Rc::clone(&at_work)),
            stuck: Stuck::default(),
            nets: Notify::new(),
            halts: Halts::default(),
            events: broadcast::Sender::new(256),
            readiness: RefCell::default(),
            last_exit: RefCell::new(last_exit),
            shutdown: ShutdownCell::new(Rc::clone(&at_work)),
            at_work,
            uninstalling: Cell::new(false),
            called: Cell::new(false),
            watches: Watches::default(),
            stirred: Notify::new(),
        }
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.zone.layout
    }

    pub(crate) fn name(&self) -> &ZoneName {
        &self.zone.name
    }

    /// Tells whether the zone whose status this is is ready, as far as that was found out; `None` of one that does not run.
    pub(crate) fn readiness_of(&self, status: &Status) -> Option<Readiness> {
        known_readiness::told(self.readiness.borrow().as_ref(), status)
    }

    /// What zsched said last.
    pub(crate) fn status(&self) -> Status {
        *self.status.borrow()
    }

    /// To wait for changes of it.
    pub(crate) fn changes(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// The zone's state now. One that is not in the index any more is at most configured; processes that zsched does not know
    /// are a zone that has to be halted.
    pub(crate) fn state(&self) -> State {
        let status = self.status();
        if status.exists() {
            return zone_live::state(Some(&status), State::Installed);
        }
        let remains = zone_live::remains(self.layout(), self.name());
        let stored = || self.zone.entry().map_or(State::Configured, |entry| entry.state);
        zone_live::state(remains.as_ref(), if remains.is_some() { State::Installed } else { stored() })
    }

    /// Takes over what zsched says, and tells those who watch.
    pub(crate) fn note(&self, status: Status) {
        self.zone.hold(&status);
        let before = self.status.send_replace(status);
        crate::log::is_of(status.exists().then_some(status.uniqid));
        if (before.phase, before.uniqid) != (status.phase, status.uniqid) {
            let uniqid = status.exists().then_some(Uniqid(status.uniqid));
            let state = self.state();
            tracing::info!("state: {state}");
            let _ = self.events.send(Event::State { state, uniqid });
        }
    }

    /// Notes whether something of this incarnation needs the daemon.
    pub(crate) fn watches(&self, watch: &Watch, incarnation: &Status, needed: bool) {
        watch.set(incarnation.uniqid, needed);
        self.stirred.notify_one();
    }

    /// Asks zsched anew. Whether it may have died.
    pub(crate) fn refresh(&self) -> bool {
        let asked = self.zone.keeper().status();
        let is_missed = zone_engine::handover::is_missed(&asked);
        match asked {
            Ok(status) => self.note(status),
            Err(error) => tracing::error!("{}", Chain(&error)),
        }
        is_missed
    }

    /// Says something on the console and to those who monitor.
    pub(crate) fn notice(&self, notice: Notice) {
        let _ = self.events.send(Event::Notice { text: notice.text(Locale::C, false) });
        self.console.notice(notice);
    }

    /// Remembers how an incarnation ended, and tells those who monitor.
    pub(crate) fn remember(&self, last: Option<LastExit>) {
        if let Some(last) = last {
            let _ = self.events.send(Event::Exit { exit: last.clone().into() });
            *self.last_exit.borrow_mut() = Some(last);
        }
    }

    /// Names the operation that others see: the one that runs, else a shutdown that waits for init.
    pub(crate) fn under_way(&self) -> Option<(Operation, Arc<Current>)> {
        let running = self.slot.operation().map(|operation| (operation, self.slot.current()));
        running.or_else(|| Some((Operation::Shutdown, self.shutdown.current()?)))
    }

    /// Opens the console's zone side anew for the next boot, since the old one may have been hung up, and
    /// gives that boot the size of the window that is attached.
    pub(crate) async fn prepare_console(&self) {
        match self.console.subsidiary().await {
            Ok(subsidiary) => *self.zone.subsidiary() = subsidiary,
            Err(error) => tracing::warn!("{}", Chain(&error)),
        }
        self.zone.set_window(self.console.window());
    }

    /// Gives an operation its context.
    pub(crate) fn context(&self, operation: Operation, reporter: Reporter) -> OperationContext {
        OperationContext {
            operation,
            observer: Box::new(Watchers { reporter, events: self.events.clone() }),
            current: self.slot.current(),
            messages: Vec::new(),
            timings: Vec::new(),
            changes: None,
        }
    }

    /// Answers whoever asked for an operation: the messages, or what went wrong.
    pub(crate) fn answer(
        &self,
        mut context: OperationContext,
        result: Result<(), OpError>,
    ) -> Result<OpResult, DoorError> {
        match result {
            Ok(()) => Ok(OpResult {
                messages: context.messages,
                timings: context
                    .timings
                    .into_iter()
                    .map(|Timing { step, usec }| Step { name: step.into(), usec })
                    .collect(),
                state: self.state(),
                changes: context.changes,
            }),
            Err(error) => {
                context.fail(&error);
                Err(DoorError::failed(context.messages))
            }
        }
    }

    /// Does long work beside the event loop. The context comes back with what was said meanwhile.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        mut context: OperationContext,
        work: impl FnOnce(&Zone, &mut OperationContext) -> Result<T, zone_engine::Error> + Send + 'static,
    ) -> (OperationContext, Result<T, OpError>) {
        let zone = Arc::clone(&self.zone);
        let operation = context.operation;
        let spare = self.context(operation, Reporter::silent());
        let current = Arc::clone(&context.current);
        let working = blocking::run(move || {
            let result = work(&zone, &mut context);
            (context, result)
        });
        let done = tokio::select! {
            done = working => done,
            () = current.abandoned() => {
                return (spare, Err(zone_engine::Error::Abandoned(current.step().unwrap_or("start")).into()));
            }
        };
        self.refresh();
        let (context, result) = match done {
            Ok((context, result)) => (context, result.map_err(OpError::from)),
            Err(lost) => (spare, Err(lost.into())),
        };
        if result.as_ref().is_err_and(OpError::is_stuck) && self.status().exists() {
            self.stuck.set(self.status().uniqid);
        }
        (context, result)
    }
}

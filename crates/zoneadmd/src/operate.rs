//! The door's side of the daemon: takes its turn, looks at the table, has it done, tells the truth.

use crate::daemon::Daemon;
use crate::errand::{Errand, OpError};
use crate::journal::{Intent, Journal};
use crate::matrix::{Action, Decision, decide};
use crate::turn;
use crate::zone::Zone;
use std::rc::Rc;
use tokio::sync::broadcast;
use zone_config::bootargs::BootArgs;
use zone_config::lastexit::{How, LastExit};
use zone_console::Notice;
use zone_door::{Caller, DoorError, Event, Handler, OpResult, Operation, Reporter, Request, Uniqid};
use zsched::wire::Phase;

/// What stands behind the door.
#[derive(Debug)]
pub(crate) struct Door(pub(crate) Rc<Daemon>);

impl Handler for Door {
    fn status(&self) -> zone_door::Status {
        let daemon = &self.0;
        let status = daemon.status();
        let config = daemon.zone.config();
        let entry = daemon.zone.entry().ok();
        let alive = matches!(status.phase, Phase::Ready | Phase::Running | Phase::Stopping);
        zone_door::Status {
            zone: daemon.name().to_string(),
            state: daemon.state(),
            uniqid: status.exists().then_some(Uniqid(status.uniqid)),
            uuid: entry.as_ref().and_then(|entry| entry.uuid).map(|uuid| uuid.to_string()),
            brand: config.as_ref().map_or_else(|| "???".into(), |config| config.brand.clone()),
            zonepath: entry.map_or_else(|| "???".into(), |entry| entry.zonepath.display().to_string()),
            pid: alive.then_some(status.pid),
            since: status.exists().then_some(status.since),
            restarts: status.restarts(),
            operation: daemon.operation.get(),
            step: daemon.operation.get().and_then(|_| daemon.current().step()),
            waiting: daemon.operation.get().and_then(|_| daemon.current().waiting()),
            last_exit: daemon.last_exit.borrow().clone().map(Into::into),
            consoles: daemon.console.clients().iter().map(console).collect(),
        }
    }

    async fn operate(
        &self,
        request: Request,
        caller: Caller,
        reporter: Reporter,
    ) -> Result<OpResult, DoorError> {
        operate(&self.0, request, caller, reporter).await
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.0.events.subscribe()
    }
}

fn console(client: &zone_console::server::ClientInfo) -> zone_door::Console {
    let since = client.since.duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    zone_door::Console { pid: client.pid, uid: client.uid, since, read_only: client.read_only }
}

async fn operate(
    daemon: &Rc<Daemon>,
    request: Request,
    caller: Caller,
    reporter: Reporter,
) -> Result<OpResult, DoorError> {
    let operation = request.operation();
    daemon.called.set(true);
    let force = matches!(request, Request::Halt { force: true, .. });
    let halts = daemon.halts.count();
    if operation == Operation::Halt {
        daemon.halts.ask();
    }
    let turn = turn::take(daemon, operation, force, &reporter).await?;
    if let (Operation::Halt, Some(failed)) = (operation, daemon.halts.joined(halts, force)) {
        return Err(failed);
    }
    daemon.refresh();
    let state = daemon.state();
    if let Request::Reboot { uniqid: Some(given), .. } = &request {
        let present = daemon.status();
        if Uniqid(present.uniqid) != *given {
            return Err(DoorError::stale_uniqid(present.exists().then_some(Uniqid(present.uniqid)), *given));
        }
    }
    let action = match decide(operation, state) {
        Decision::Invalid => return Err(DoorError::invalid_state(operation, state)),
        Decision::Already(message) => {
            return Ok(OpResult { messages: vec![message.into()], timings: Vec::new(), state });
        }
        Decision::Do(action) => action,
    };
    let args = BootArguments::of(daemon, &request)?;
    tracing::info!("{operation} asked for by process {} of user {}", caller.pid, caller.uid);
    if action == Action::Shutdown {
        return crate::shutdown::shutdown(daemon, turn, request, caller, reporter).await;
    }
    zone_fail::pass!("door.asked");
    let running = daemon.begin(operation);
    let current = daemon.current();
    if force {
        current.force();
    }
    let (errand, result) = perform(daemon, action, args, daemon.errand(operation, reporter)).await;
    zone_fail::pass!("door.done");
    let succeeded = result.is_ok();
    let result = finish(daemon, errand, result);
    if operation == Operation::Halt {
        daemon.halts.note(current.is_forced(), &result);
    }
    drop((running, turn));
    crate::audit::record(daemon, operation, Some(caller), succeeded);
    result
}

/// The answer: the messages, or what went wrong.
pub(crate) fn finish(
    daemon: &Daemon,
    mut errand: Errand,
    result: Result<(), OpError>,
) -> Result<OpResult, DoorError> {
    match result {
        Ok(()) => Ok(OpResult { messages: errand.messages, timings: errand.timings, state: daemon.state() }),
        Err(error) => {
            errand.fail(&error);
            Err(DoorError::failed(errand.messages))
        }
    }
}

async fn perform(
    daemon: &Rc<Daemon>,
    action: Action,
    args: BootArguments,
    mut errand: Errand,
) -> (Errand, Result<(), OpError>) {
    if matches!(action, Action::ReadyBoot | Action::Boot | Action::Reboot) {
        args.tell(daemon, &mut errand);
    }
    if !matches!(action, Action::Halt | Action::NoteUninstalling | Action::Shutdown) {
        daemon.prepare_console().await;
    }
    match action {
        Action::Ready => {
            let (errand, result) = daemon.work(errand, Zone::ready_or_undo).await;
            if result.is_ok() {
                daemon.notice(Notice::Readied);
            }
            (errand, result)
        }
        Action::HaltReady => {
            let (errand, result) = daemon
                .work(errand, |zone, errand| {
                    let last = zone.halt(errand, Some(How::Halted))?;
                    zone.ready_or_undo(errand).map(|()| last)
                })
                .await;
            daemon.notice(if result.is_ok() { Notice::Readied } else { Notice::Halted });
            (errand, result.map(|last| daemon.remember(last)))
        }
        Action::ReadyBoot | Action::Boot => {
            daemon.notice(Notice::Booting { args: args.text.clone() });
            let ready = action == Action::ReadyBoot;
            let (errand, result) =
                daemon.work(errand, move |zone, errand| zone.boot_or_undo(errand, &args, ready)).await;
            if result.is_err() {
                daemon.notice(Notice::BootFailed);
            }
            (errand, result)
        }
        Action::Reboot => {
            daemon.notice(Notice::Rebooting { args: args.text.clone() });
            let (errand, result) = daemon
                .work(errand, move |zone, errand| zone.reboot(errand, How::Rebooted, &args.parsed, 0))
                .await;
            if result.is_err() {
                daemon.notice(Notice::BootFailed);
            }
            (errand, result.map(|last| daemon.remember(last)))
        }
        Action::Halt => {
            let (errand, result) =
                daemon.work(errand, |zone, errand| zone.halt(errand, Some(How::Halted))).await;
            (
                errand,
                result.map(|last| {
                    daemon.remember(last);
                    daemon.notice(Notice::Halted);
                }),
            )
        }
        Action::NoteUninstalling => {
            daemon.notice(Notice::Uninstalling);
            daemon.uninstalling.set(true);
            (errand, Ok(()))
        }
        // Taken care of before: it gives its turn back while it waits.
        Action::Shutdown => (errand, Ok(())),
    }
}

/// The arguments of a boot: as given, else as configured.
#[derive(Debug, Default)]
pub(crate) struct BootArguments {
    pub(crate) text: String,
    pub(crate) parsed: BootArgs,
}

impl BootArguments {
    pub(crate) fn of(daemon: &Daemon, request: &Request) -> Result<Self, DoorError> {
        if !matches!(request, Request::Boot { .. } | Request::Reboot { .. } | Request::Shutdown { .. }) {
            return Ok(Self::default());
        }
        let given = request.bootargs();
        let text = if given.is_empty() {
            let config = zone_config::ZoneConfig::load(daemon.layout(), daemon.name());
            config.map(|config| config.bootargs).unwrap_or_default()
        } else {
            given.to_owned()
        };
        let parsed = BootArgs::parse(&text).map_err(|_| DoorError::boot_args_too_long())?;
        Ok(Self { text, parsed })
    }

    /// Says what of them means nothing; they boot all the same.
    pub(crate) fn tell(&self, daemon: &Daemon, errand: &mut Errand) {
        if !self.parsed.invalid.is_empty() {
            daemon.notice(Notice::BadArgs { args: self.parsed.invalid.join(" ") });
        }
        if let Some(warning) = self.parsed.warning() {
            errand.say(warning);
        }
    }
}

impl Zone {
    /// Makes the zone ready, or leaves nothing.
    fn ready_or_undo(&self, errand: &mut Errand) -> Result<(), OpError> {
        self.insist(errand, Self::ready_once)
    }

    fn ready_once(&self, errand: &mut Errand) -> Result<(), OpError> {
        let mut journal = Journal::open(&self.layout, &self.name)?;
        journal.begin(&Intent::to(errand.operation, ""))?;
        match self.ready(errand, 0) {
            Ok(_) => {
                journal.end_or_say(errand);
                Ok(())
            }
            Err(error) => {
                self.undo(errand);
                Err(error)
            }
        }
    }

    /// Boots the zone, making it ready before if need be; or leaves it installed.
    fn boot_or_undo(&self, errand: &mut Errand, args: &BootArguments, ready: bool) -> Result<(), OpError> {
        let mut ready = ready;
        self.insist(errand, |zone, errand| {
            let booted = zone.boot_once(errand, args, ready);
            // What was ready before has gone.
            ready = true;
            booted
        })
    }

    fn boot_once(&self, errand: &mut Errand, args: &BootArguments, ready: bool) -> Result<(), OpError> {
        let mut journal = Journal::open(&self.layout, &self.name)?;
        journal.begin(&Intent::to(errand.operation, &args.text))?;
        let made = if ready { self.ready(errand, 0).map(|_| ()) } else { Ok(()) };
        match made.and_then(|()| self.boot(errand, &args.parsed)) {
            Ok(_) => {
                journal.end_or_say(errand);
                Ok(())
            }
            Err(error) => {
                self.undo(errand);
                Err(error)
            }
        }
    }

    /// Halts the zone and boots it. The journal holds the intent until it is through, so that a
    /// reboot survives the daemon.
    pub(crate) fn reboot(
        &self,
        errand: &mut Errand,
        how: How,
        args: &BootArgs,
        restarts: u32,
    ) -> Result<Option<LastExit>, OpError> {
        // What the first attempt has ended is what was rebooted.
        let mut last = None;
        self.insist(errand, |zone, errand| zone.reboot_once(errand, how, args, restarts, &mut last))?;
        Ok(last)
    }

    fn reboot_once(
        &self,
        errand: &mut Errand,
        how: How,
        args: &BootArgs,
        restarts: u32,
        last: &mut Option<LastExit>,
    ) -> Result<(), OpError> {
        let words: Vec<String> = args
            .init
            .iter()
            .flat_map(|init| ["-i".to_owned(), init.clone()])
            .chain(args.args.iter().cloned())
            .collect();
        let uniqid = self.keeper().status()?.uniqid;
        let begun = Intent::to(Operation::Reboot, &words.join(" "));
        let mut journal = Journal::open(&self.layout, &self.name)?;
        journal.begin(&Intent { uniqid, how: Some(how), number: restarts, ..begun })?;
        if let Some(ended) = self.halt(errand, Some(how))? {
            last.get_or_insert(ended);
        }
        match self.ready(errand, restarts).and_then(|_| self.boot(errand, args)) {
            Ok(_) => {
                journal.end_or_say(errand);
                Ok(())
            }
            Err(error) => {
                // Now it is a halt that has to be carried on.
                errand.operation = Operation::Halt;
                self.undo(errand);
                Err(error)
            }
        }
    }
}

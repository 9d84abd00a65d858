//! The door's side of the daemon: takes the operation lock, looks at the table, has the work done, tells the truth.

use crate::daemon::Daemon;
use crate::error::OpError;
use crate::init_lasts::init_lasts;
use crate::matrix::{Action, Decision, decide};
use crate::oom;
use crate::operation_lock;
use crate::shutdown;
use crate::shutdown_state::Then;
use crate::slot::OperationLock;
use crate::upcall;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::time::timeout;
use zone_config::config::MacProfile;
use zone_config::lastexit::How;
use zone_config::{State, ZoneConfig};
use zone_console::Notice;
use zone_door::{Caller, DoorError, Event, Handler, OpResult, Operation, Reporter, Request, Uniqid};
use zone_engine::Given;
use zone_engine::NoSnapshot;
use zone_engine::OperationContext;
use zone_engine::Zone;
use zone_engine::bootargs::{Asked, BootArguments, Platform};
use zone_locale::Locale;
use zone_net::Interface;
use zone_net::record::Record;
use zone_sys::Chain;
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
        let under_way = daemon.under_way();
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
            restarts: status.restarts,
            operation: under_way.as_ref().map(|(operation, _)| *operation),
            step: under_way.as_ref().and_then(|(_, current)| current.step().map(str::to_owned)),
            waiting: under_way.as_ref().and_then(|(_, current)| current.waiting()),
            last_exit: daemon.last_exit.borrow().clone().map(Into::into),
            consoles: daemon.console.clients().iter().map(console).collect(),
            nets: alive.then(|| nets(daemon)),
            readiness: daemon.readiness_of(&status),
        }
    }

    async fn operate(
        &self,
        request: Request,
        caller: Caller,
        reporter: Reporter,
    ) -> Result<OpResult, DoorError> {
        // What is in the log and in the audit by now is English.
        let locale = Locale::parse(request.locale());
        let words = |text: &str| zone_locale::translate(locale, text).into_owned();
        let done = operate(&self.0, request, caller, reporter).await;
        done.map(|mut result| {
            result.messages.iter_mut().for_each(|message| *message = words(message));
            result
        })
        .map_err(|error| error.worded(words))
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.0.events.subscribe()
    }
}

fn console(client: &zone_console::server::ClientInfo) -> zone_door::Console {
    let since = client.since.duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    zone_door::Console { pid: client.pid, uid: client.uid, since, read_only: client.read_only }
}

/// The nets that the zone was brought up with. What cannot be read of them is for the next halt to say.
fn nets(daemon: &Daemon) -> Vec<zone_door::Net> {
    let record = Record::load(&daemon.zone.layout, daemon.name()).ok().flatten().unwrap_or_default();
    let net = |net: Interface| zone_door::Net {
        mode: net.attachment.mode().to_owned(),
        global_nic: net.attachment.global_nic().map(str::to_owned),
        physical: net.inside,
        mac_addr: net.mac.to_string(),
        address: net.addresses.iter().map(ToString::to_string).collect(),
    };
    record.interfaces.into_iter().map(net).collect()
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
    let lock = operation_lock::take(daemon, operation, force, &reporter).await?;
    if let (Operation::Halt, Some(failed)) = (operation, daemon.halts.joined(halts, force)) {
        return Err(failed);
    }
    upcall::refresh(daemon).await;
    let lock = if operation == Operation::Boot { after_end(daemon, lock).await } else { lock };
    let state = daemon.state();
    if let Some(given) = request.uniqid() {
        let present = daemon.status();
        if Uniqid(present.uniqid) != given {
            return Err(DoorError::stale_uniqid(present.exists().then_some(Uniqid(present.uniqid)), given));
        }
    }
    if !daemon.status().exists() && state != State::ShuttingDown {
        // Whatever became of the index: a zone that is up can be halted.
        daemon.zone.entry().map_err(|error| unknown(&error))?;
    }
    let action = match decide(operation, state) {
        // What is left of a zone that lost its keeper is not booted; it has to be halted.
        Decision::Already(_) if !daemon.status().exists() && state == State::ShuttingDown => {
            return Err(DoorError::invalid_state(operation, state));
        }
        Decision::Invalid => return Err(DoorError::invalid_state(operation, state)),
        Decision::Already(message) if operation == Operation::Boot && state > State::Running => {
            return Err(on_its_way_down(daemon, message, state));
        }
        Decision::Already(message) => {
            let messages = vec![message.into()];
            return Ok(OpResult { messages, timings: Vec::new(), state, changes: None });
        }
        Decision::Do(action) => action,
    };
    let args = arguments(daemon, action, &request)?;
    crate::log::is_asked_by(caller.uid);
    tracing::info!("{operation} asked for by process {} of user {}", caller.pid, caller.uid);
    if let (Action::Shutdown, Request::Shutdown { timeout, reboot, .. }) = (action, &request) {
        let then = if *reboot { Then::Boot(args) } else { Then::Nothing };
        return orderly(daemon, lock, *timeout, then, caller, reporter).await;
    }
    let context = daemon.context(operation, reporter);
    if let (Action::Apply, Request::Apply { dry_run, config, base, .. }) = (action, request) {
        let config = config.map(|text| Given { text, base });
        return apply(daemon, lock, config, dry_run, caller, context).await;
    }
    run(daemon, lock, action, args, force, caller, context).await
}

/// Tells of a zone that is booted, as the table has it, and will not stay so: who asked for a boot has not got what they want.
fn on_its_way_down(daemon: &Daemon, message: &str, state: State) -> DoorError {
    let zone = daemon.name();
    DoorError::failed(vec![format!(
        "{message}, but it is {state}: it can be booted again when its last process has ended; \
         \"zoneadm -z {zone} halt\" tells what it waits for."
    )])
}

/// Gives a zone that is up what is configured, or a configuration that somebody gives, under the lock.
async fn apply(
    daemon: &Rc<Daemon>,
    lock: OperationLock<'_>,
    given: Option<Given>,
    dry_run: bool,
    caller: Caller,
    mut context: OperationContext,
) -> Result<OpResult, DoorError> {
    zone_fail::pass!("door.asked");
    let had = crate::audit::limits(daemon);
    let running = daemon.slot.begin(Operation::Apply);
    context.current = daemon.slot.current();
    let work = move |zone: &Zone, context: &mut _| zone.apply(context, given.as_ref(), dry_run);
    let (context, result) = daemon.work(context, work).await;
    oom::look(daemon, &daemon.status());
    daemon.watches.addresses.forget();
    daemon.nets.notify_one();
    zone_fail::pass!("door.done");
    let succeeded = result.is_ok();
    let result = daemon.answer(context, result);
    drop((running, lock));
    if !dry_run {
        crate::audit::record_limits(daemon, &had, Some(caller), succeeded);
        crate::audit::record(daemon, Operation::Apply, Some(caller), succeeded);
    }
    result
}

/// Gives the lock back for as long as the end of a first process has not been dealt with: what comes of it may be a halt or
/// another boot.
async fn after_end<'a>(daemon: &'a Rc<Daemon>, lock: OperationLock<'a>) -> OperationLock<'a> {
    const PATIENCE: Duration = Duration::from_secs(30);
    let ended = daemon.status();
    if ended.phase != Phase::Down || daemon.stuck.is(ended.uniqid) {
        return lock;
    }
    drop(lock);
    let mut changes = daemon.changes();
    let _ = timeout(PATIENCE, changes.wait_for(|now| now.uniqid != ended.uniqid)).await;
    let lock = daemon.slot.lock().await;
    daemon.refresh();
    lock
}

/// Does `action` under the lock, and answers whoever asked for it.
async fn run(
    daemon: &Rc<Daemon>,
    lock: OperationLock<'_>,
    action: Action,
    args: BootArguments,
    force: bool,
    caller: Caller,
    mut context: OperationContext,
) -> Result<OpResult, DoorError> {
    let operation = context.operation;
    zone_fail::pass!("door.asked");
    let running = daemon.slot.begin(operation);
    let current = daemon.slot.current();
    if force {
        current.force();
    }
    context.current = Arc::clone(&current);
    let (mut context, mut result) = perform(daemon, action, args, context).await;
    zone_fail::pass!("door.done");
    if result.is_ok() && matches!(action, Action::ReadyBoot | Action::Boot | Action::Reboot) {
        result = init_lasts(daemon, &mut context).await;
    }
    let succeeded = result.is_ok();
    let result = daemon.answer(context, result);
    if operation == Operation::Halt {
        daemon.halts.note(current.is_forced(), &result);
    }
    drop((running, lock));
    crate::audit::record(daemon, operation, Some(caller), succeeded);
    result
}

/// Shuts the zone down and does what follows. A boot that did not follow by itself is made here, unless somebody has asked
/// for a halt meanwhile.
async fn orderly(
    daemon: &Rc<Daemon>,
    lock: OperationLock<'_>,
    timeout: Option<u32>,
    then: Then,
    caller: Caller,
    reporter: Reporter,
) -> Result<OpResult, DoorError> {
    let halts = daemon.halts.asked();
    let mut context = daemon.context(Operation::Shutdown, reporter.clone());
    if let Then::Boot(args) = &then {
        let (checked, result) = preflight(daemon, context, args).await;
        context = checked;
        if result.is_err() {
            return daemon.answer(context, result);
        }
    }
    let followed = shutdown::shutdown(daemon, lock, timeout, then, caller, (&mut context, &reporter)).await?;
    let Then::Boot(args) = followed else { return daemon.answer(context, Ok(())) };
    let lock = operation_lock::take(daemon, Operation::Boot, false, &reporter).await?;
    daemon.refresh();
    if daemon.status().phase == Phase::Running {
        return daemon.answer(context, Ok(()));
    }
    if daemon.halts.asked() != halts {
        return daemon.answer(context, Err(OpError::Halted));
    }
    match decide(Operation::Boot, daemon.state()) {
        Decision::Do(action) => {
            context.operation = Operation::Boot;
            run(daemon, lock, action, args, false, caller, context).await
        }
        Decision::Invalid => Err(DoorError::invalid_state(Operation::Boot, daemon.state())),
        Decision::Already(message) => {
            context.say(message);
            daemon.answer(context, Ok(()))
        }
    }
}

/// Says on the console, and to whoever asked, what of the boot arguments means nothing; the zone boots all the same.
fn tell(daemon: &Daemon, args: &BootArguments, context: &mut OperationContext) {
    if !args.parsed.invalid.is_empty() {
        daemon.notice(Notice::BadArgs { args: args.parsed.invalid.join(" ") });
    }
    if let Some(warning) = args.parsed.warning() {
        context.say(warning);
    }
    if args.writable {
        let config = ZoneConfig::load(daemon.layout(), daemon.name());
        if config.is_ok_and(|config| config.file_mac_profile == MacProfile::None) {
            context.say("WARNING: its file-mac-profile is none, and -w changes nothing");
        } else {
            daemon.notice(Notice::Writable);
        }
    }
}

fn unknown(error: &NoSnapshot) -> DoorError {
    DoorError::failed(vec![format!("failed to get zone state: {}", Chain(error))])
}

/// Checks that the zone could boot again, before it is taken down for that.
async fn preflight(
    daemon: &Daemon,
    context: OperationContext,
    args: &BootArguments,
) -> (OperationContext, Result<(), OpError>) {
    let args = args.clone();
    daemon.work(context, move |zone, context| zone.preflight(context, &args)).await
}

/// The arguments of the boot that an action makes, if it makes one.
fn arguments(daemon: &Daemon, action: Action, request: &Request) -> Result<BootArguments, DoorError> {
    let platform = match action {
        Action::Boot => Platform::Present,
        Action::ReadyBoot | Action::Reboot | Action::Shutdown => Platform::New,
        Action::Ready | Action::HaltReady | Action::Halt | Action::NoteUninstalling | Action::Apply => {
            return Ok(BootArguments::default());
        }
    };
    let (args, writable) = (Some(request.bootargs().to_owned()), request.is_writable());
    let args = daemon.zone.boot_arguments(Asked { args, once: None, writable }, platform);
    let args = args.map_err(|_| DoorError::boot_args_too_long())?;
    if args.writable && action == Action::Boot {
        return Err(ready_read_only(daemon));
    }
    Ok(args)
}

/// The mounts of a zone that is ready are made.
fn ready_read_only(daemon: &Daemon) -> DoorError {
    let name = daemon.name();
    DoorError::failed(vec![format!(
        "zone is ready, and its root is what it was made ready with: 'zoneadm -z {name} halt' first, then 'boot -w'"
    )])
}

async fn perform(
    daemon: &Rc<Daemon>,
    action: Action,
    args: BootArguments,
    mut context: OperationContext,
) -> (OperationContext, Result<(), OpError>) {
    if !matches!(action, Action::Halt | Action::NoteUninstalling | Action::Shutdown) {
        daemon.prepare_console().await;
    }
    match action {
        Action::Ready => {
            let (context, result) = daemon.work(context, Zone::ready_or_undo).await;
            if result.is_ok() {
                daemon.notice(Notice::Readied);
            }
            (context, result)
        }
        Action::HaltReady => {
            let (context, result) = daemon
                .work(context, |zone, context| {
                    zone.preflight(context, &BootArguments::default())?;
                    let last = zone.halt(context, Some(How::Halted))?;
                    zone.ready_or_undo(context).map(|()| last)
                })
                .await;
            match &result {
                Ok(_) => daemon.notice(Notice::Readied),
                Err(_) if daemon.status().exists() => {}
                Err(_) => daemon.notice(Notice::Halted),
            }
            (context, result.map(|last| daemon.remember(last)))
        }
        Action::ReadyBoot | Action::Boot => {
            daemon.notice(Notice::Booting { args: args.text.clone() });
            tell(daemon, &args, &mut context);
            let ready = action == Action::ReadyBoot;
            let (context, result) = daemon
                .work(context, move |zone, context| zone.boot_or_undo(context, &args.asked(), ready))
                .await;
            if result.is_err() {
                daemon.notice(Notice::BootFailed);
            }
            (context, result)
        }
        Action::Reboot => {
            let (checked, result) = preflight(daemon, context, &args).await;
            if result.is_err() {
                return (checked, result);
            }
            context = checked;
            daemon.notice(Notice::Rebooting { args: args.text.clone() });
            tell(daemon, &args, &mut context);
            let (context, result) = daemon
                .work(context, move |zone, context| zone.reboot(context, How::Rebooted, args.asked(), 0))
                .await;
            if result.is_err() {
                daemon.notice(Notice::BootFailed);
            }
            (context, result.map(|last| daemon.remember(last)))
        }
        Action::Halt => {
            let (context, result) =
                daemon.work(context, |zone, context| zone.halt(context, Some(How::Halted))).await;
            (
                context,
                result.map(|last| {
                    daemon.remember(last);
                    daemon.notice(Notice::Halted);
                }),
            )
        }
        Action::NoteUninstalling => {
            daemon.notice(Notice::Uninstalling);
            daemon.uninstalling.set(true);
            (context, Ok(()))
        }
        // Taken care of before: the one gives the lock back while it waits, the other has nothing to do with a boot.
        Action::Shutdown | Action::Apply => (context, Ok(())),
    }
}

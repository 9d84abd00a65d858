//! The orderly way down: init is asked, and has a time limit. Meanwhile others have their turn, and
//! when time is up the zone is halted, and that is said.

use crate::blocking;
use crate::daemon::Daemon;
use crate::error::{CommandFailed, NotAsked, OpError};
use crate::external;
use crate::operation_lock;
use crate::shutdown_state::Then;
use crate::slot::OperationLock;
use rustix::io::Errno;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use zone_config::lastexit::How;
use zone_config::{Snapshot, ZoneConfig};
use zone_console::Notice;
use zone_door::{Caller, DoorError, Operation, Reporter};
use zone_engine::OperationContext;
use zone_engine::Zone;
use zone_engine::journal::{Intent, Journal};
use zone_platform::Spec;
use zone_platform::orderly::{self, Orderly};
use zone_sys::Chain;
use zsched::client::ClientError;
use zsched::wire::{Phase, Status};

/// Asks init to shut the zone down and waits for its end; halts the zone when that takes too long. A second caller joins the
/// first. Gives back what is to follow for this caller; the zone has been booted already unless that failed.
pub(crate) async fn shutdown(
    daemon: &Rc<Daemon>,
    lock: OperationLock<'_>,
    timeout: Option<u32>,
    then: Then,
    caller: Caller,
    (context, reporter): (&mut OperationContext, &Reporter),
) -> Result<Then, DoorError> {
    let status = daemon.status();
    let configured = daemon.zone.config().unwrap_or_else(ZoneConfig::defaults).shutdown_timeout;
    let limit = timeout.map_or(configured, u64::from);
    let first = daemon.shutdown.begin(status.uniqid, then.clone());
    context.current = daemon.shutdown.current().unwrap_or_default();
    if !first {
        context.say("shutdown already in progress");
    }
    // A boot that one who joins asks for is to follow whoever carries on.
    if (first || matches!(then, Then::Boot(_)))
        && let Err(error) = note(daemon, &status, limit, &then)
    {
        context.warn(&format!("{}; a daemon that died now would not carry on", Chain(&error)));
    }
    zone_fail::pass!("shutdown.noted");
    // The zone's own end needs the lock, and what is asked here concerns this incarnation only.
    drop(lock);
    let result = see_through(daemon, status, limit, first, (context, reporter)).await;
    crate::audit::record(daemon, Operation::Shutdown, Some(caller), result.is_ok());
    result.map(|()| then)
}

/// A shutdown whose daemon has died: this one asks init again.
pub(crate) async fn carry_on(daemon: Rc<Daemon>, status: Status, limit: u64) {
    let reporter = Reporter::silent();
    let mut context = daemon.context(Operation::Shutdown, reporter.clone());
    let result = see_through(&daemon, status, limit, true, (&mut context, &reporter)).await;
    crate::audit::record(&daemon, Operation::Shutdown, None, result.is_ok());
}

/// Writes down what init is going to be asked for: its end must not be taken for a failure of its own by
/// a daemon that knows nothing of it.
fn note(daemon: &Daemon, status: &Status, limit: u64, then: &Then) -> Result<(), zone_engine::Error> {
    let number = u32::try_from(limit).unwrap_or(u32::MAX);
    let (up, args) = match then {
        Then::Nothing => (false, ""),
        Then::Boot(args) => (true, args.given.as_deref().unwrap_or_default()),
    };
    let begun = Intent::to(Operation::Shutdown, args);
    let intent = Intent { uniqid: status.uniqid, how: Some(How::Shutdown), number, up, ..begun };
    Journal::open(daemon.layout(), daemon.name())?.begin(&intent)
}

/// Waits for init, which is asked before if need be, and halts the zone when that takes too long.
async fn see_through(
    daemon: &Rc<Daemon>,
    status: Status,
    limit: u64,
    ask_it: bool,
    (context, reporter): (&mut OperationContext, &Reporter),
) -> Result<(), DoorError> {
    let deadline = Instant::now() + Duration::from_secs(limit);
    let asked = if ask_it {
        reporter.step("ask init");
        context.current.enter("ask init");
        // A command in the zone is ended at the deadline itself, with words of its own.
        match timeout_at(deadline + LISTENING, ask(daemon, status, deadline)).await {
            Ok(asked) => asked,
            Err(_) => Err(NotAsked::Late(limit).into()),
        }
    } else {
        Ok(false)
    };
    if let Err(error) = &asked {
        context.say(format!("{}; the zone is halted without its help", Chain(error)));
    } else {
        reporter.step(format!("waiting up to {limit} seconds for init"));
        context.current.enter("wait for init");
    }
    zone_fail::pass!("shutdown.asked");
    let gone = match asked {
        Ok(true) => gone_when_repeated(daemon, &status, deadline).await,
        Ok(false) => gone(daemon, &status, deadline).await,
        Err(_) => false,
    };
    let result = if gone {
        context.say("zone was shut down by its init");
        Ok(())
    } else {
        if asked.is_ok() {
            context.say(format!("zone did not shut down within {limit} seconds; halting it"));
        }
        zone_fail::pass!("shutdown.late");
        escalate(daemon, &status, reporter).await
    };
    zone_fail::pass!("shutdown.over");
    daemon.shutdown.end(status.uniqid);
    result
}

/// Asks init, and again until it can hear: an init that has only just been started has no handler yet,
/// and the kernel drops what a namespace's first process has no handler for (pid_namespaces(7)). Gives back whether the
/// request is to be repeated until the zone ends.
async fn ask(daemon: &Rc<Daemon>, status: Status, deadline: Instant) -> Result<bool, OpError> {
    let refusals_end = Instant::now() + REFUSING;
    loop {
        match ask_once(daemon, status, deadline).await {
            Ok(Asked::Heard) => return Ok(false),
            Ok(Asked::Delivered) => return Ok(true),
            Ok(Asked::NotYet) => tokio::time::sleep(LISTENING).await,
            // Its control channel may not be there yet.
            Err(error) if is_refusal(&error) && Instant::now() < refusals_end => {
                tokio::time::sleep(BACKOFF).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether a command ran in the zone and failed; one that cannot be executed will not do better later.
fn is_refusal(error: &OpError) -> bool {
    let OpError::Shutdown(NotAsked::Command { source: CommandFailed::Status { status, .. }, .. }) = error
    else {
        return false;
    };
    status.code().is_some_and(|code| !matches!(code, 126 | 127))
}

async fn ask_once(daemon: &Rc<Daemon>, status: Status, deadline: Instant) -> Result<Asked, OpError> {
    let zone = Arc::clone(&daemon.zone);
    blocking::run(move || ask_init(&zone, &status, deadline)).await?
}

/// Waits for the end as [`gone`] does, and repeats the request meanwhile, with a backoff: this init loses what it is told
/// while it starts.
async fn gone_when_repeated(daemon: &Rc<Daemon>, status: &Status, deadline: Instant) -> bool {
    let mut backoff = BACKOFF;
    while Instant::now() < deadline {
        if gone(daemon, status, deadline.min(Instant::now() + backoff)).await {
            return true;
        }
        backoff = (backoff * 2).min(MOST_BACKOFF);
        if let Err(error) = ask_once(daemon, *status, deadline).await {
            tracing::debug!("could not repeat the request to init: {}", Chain(&error));
        }
    }
    gone(daemon, status, deadline).await
}

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Init has the request for certain, or is gone.
    Heard,
    /// Init was told, and may have lost it.
    Delivered,
    /// Init would not notice.
    NotYet,
}

/// How long to wait before looking again whether init listens. Nothing tells when it does.
const LISTENING: Duration = Duration::from_millis(50);
/// For how long a command in the zone that fails is tried again.
const REFUSING: Duration = Duration::from_secs(10);
/// The first wait before a request is repeated; each one doubles, up to [`MOST_BACKOFF`].
const BACKOFF: Duration = Duration::from_millis(500);
/// The longest wait before a request is repeated.
const MOST_BACKOFF: Duration = Duration::from_secs(8);

/// Waits until the incarnation of `status` is no more.
async fn gone(daemon: &Rc<Daemon>, status: &Status, deadline: Instant) -> bool {
    let mut changes = daemon.changes();
    let end = changes.wait_for(|now| now.uniqid != status.uniqid);
    timeout_at(deadline, end).await.is_ok()
}

/// Time is up: halts the incarnation, unless it has gone meanwhile.
async fn escalate(daemon: &Rc<Daemon>, status: &Status, reporter: &Reporter) -> Result<(), DoorError> {
    let _lock = operation_lock::take(daemon, Operation::Halt, false, reporter).await?;
    daemon.refresh();
    if daemon.status().uniqid != status.uniqid {
        return Ok(());
    }
    let _running = daemon.slot.begin(Operation::Shutdown);
    let then = daemon.shutdown.take_then(status.uniqid);
    if let Then::Boot(args) = then {
        daemon.prepare_console().await;
        let context = daemon.context(Operation::Reboot, reporter.clone());
        let work = move |zone: &Zone, context: &mut _| zone.reboot(context, How::Halted, args.asked(), 0);
        let (context, result) = daemon.work(context, work).await;
        return daemon.answer(context, result.map(|last| daemon.remember(last))).map(|_| ());
    }
    let context = daemon.context(Operation::Shutdown, reporter.clone());
    let (context, result) = daemon.work(context, |zone, context| zone.halt(context, Some(How::Halted))).await;
    let result = result.map(|last| {
        daemon.remember(last);
        daemon.notice(Notice::Halted);
    });
    daemon.answer(context, result).map(|_| ())
}

/// Asks init to shut the zone down, in the way that this init understands.
fn ask_init(zone: &Zone, status: &Status, deadline: Instant) -> Result<Asked, OpError> {
    let asked = zone.keeper().fds();
    let (now, fds) = match asked {
        Ok(found) => found,
        Err(ClientError::Refused { .. }) => return Ok(Asked::Heard),
        Err(ClientError::NotRunning) => {
            zone.ensure_keeper().map_err(zone_engine::KeeperError::of_operation)?;
            return Ok(Asked::NotYet);
        }
        Err(e) => return Err(e.into()),
    };
    if now.uniqid != status.uniqid {
        return Ok(Asked::Heard);
    }
    let snapshot =
        Snapshot::load(&zone.layout, &zone.name).map_err(|e| zone_engine::Error::Snapshot(e.into()))?;
    let spec = Spec::of(&snapshot);
    let requests = orderly::requests(&spec, &spec.process.init);
    let told = if requests.repeat { Asked::Delivered } else { Asked::Heard };
    match requests.halt {
        Orderly::Signal(number) if !listens(now.pid, number) => Ok(Asked::NotYet),
        Orderly::Signal(number) => match zone_sys::pidfd::send_signal(&fds.pidfd, number) {
            Ok(()) => Ok(told),
            Err(e) if e.errno() == Errno::SRCH => Ok(Asked::Heard),
            Err(e) => Err(NotAsked::Signal(e).into()),
        },
        Orderly::Command(words) => match run_inside(zone, &words, deadline) {
            // A request that works may well take down the command that made it.
            Err(_) if is_gone(zone, status) => Ok(Asked::Heard),
            ran => ran.map(|()| told),
        },
    }
}

/// Whether the incarnation of `status` has ended.
fn is_gone(zone: &Zone, status: &Status) -> bool {
    zone.keeper().status().is_ok_and(|now| now.uniqid != status.uniqid || now.phase == Phase::Down)
}

/// Runs a command in the zone, by zlogin: what enters a zone must be small, and is there already.
pub(crate) fn run_inside(zone: &Zone, words: &[String], deadline: Instant) -> Result<(), OpError> {
    let zlogin = zone_config::Layout::program("zlogin");
    let mut command = Command::new(&zlogin);
    command.arg("-R").arg(zone.layout.root()).arg("-Q").arg(zone.name.as_str()).args(words);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).env_clear();
    let limit = deadline.saturating_duration_since(Instant::now());
    let ran = external::run(command, limit).map_err(CommandFailed::from).and_then(|output| {
        let said = String::from_utf8_lossy(&output.stderr);
        let stderr = || said.chars().filter(|c| !c.is_control()).take(200).collect();
        let status = output.status;
        if status.success() { Ok(()) } else { Err(CommandFailed::Status { status, stderr: stderr() }) }
    });
    ran.map_err(|source| NotAsked::Command { command: words.join(" "), source }.into())
}

/// Whether a process would notice a signal: it has a handler, or holds the signal back to read it
/// (signalfd), or sits in sigtimedwait(2), during which `/proc` shows neither. When that cannot be
/// told, yes.
fn listens(pid: i32, number: i32) -> bool {
    let Ok(text) = zone_sys::proc::text(format!("/proc/{pid}/status")) else { return true };
    let mask = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(u64::MAX)
    };
    let waits = || {
        let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
        call.split(' ').next().and_then(|number| number.parse().ok()) == Some(zone_sys::signal::WAIT_SYSCALL)
    };
    (mask("SigCgt:") | mask("SigBlk:")) & (1 << (number - 1)) != 0 || waits()
}

//! The orderly way down: init is asked, and has a time limit. Meanwhile others have their turn, and
//! when time is up the zone is halted, and that is said.

use crate::daemon::Daemon;
use crate::errand::{Errand, OpError};
use crate::external;
use crate::journal::{Intent, Journal};
use crate::operate::{BootArguments, finish};
use crate::turn;
use rustix::io::Errno;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::MutexGuard;
use tokio::time::{Instant, timeout_at};
use zone_config::Snapshot;
use zone_config::lastexit::How;
use zone_console::Notice;
use zone_door::{Caller, DoorError, OpResult, Operation, Reporter, Request};
use zone_platform::orderly::{self, Orderly};
use zsched::client::ClientError;
use zsched::wire::{Phase, Status};

/// Shuts the zone down, and boots it again if so asked. A second caller joins the first.
pub(crate) async fn shutdown(
    daemon: &Rc<Daemon>,
    turn: MutexGuard<'_, ()>,
    request: Request,
    caller: Caller,
    reporter: Reporter,
) -> Result<OpResult, DoorError> {
    let Request::Shutdown { timeout, reboot, .. } = &request else {
        return Err(DoorError::failed(Vec::new()));
    };
    let args = BootArguments::of(daemon, &request)?;
    let status = daemon.status();
    let halts = daemon.halts.asked();
    let configured = daemon.zone.config().map_or(60, |config| config.shutdown_timeout);
    let limit = timeout.map_or(configured, u64::from);
    let mut errand = daemon.errand(Operation::Shutdown, reporter.clone());
    let joined = daemon.shutting_down.replace(Some(status.uniqid)) == Some(status.uniqid);
    if *reboot || !joined {
        daemon.comes_back.replace(reboot.then(|| args.parsed.clone()));
    }
    if joined {
        errand.say("shutdown already in progress");
    } else if let Err(error) = note(daemon, &status, limit, *reboot, &args) {
        errand.warn(&format!("{}; a daemon that died now would not carry on", crate::errand::render(&error)));
    }
    zone_fail::pass!("shutdown.noted");
    // The zone's own end needs its turn, and what is asked here concerns this incarnation only.
    drop(turn);
    let result = see_through(daemon, status, limit, !joined, &mut errand).await;
    crate::audit::record(daemon, Operation::Shutdown, Some(caller), result.is_ok());
    result?;
    if *reboot {
        boot(daemon, halts, args, errand, caller, reporter).await
    } else {
        finish(daemon, errand, Ok(()))
    }
}

/// A shutdown whose daemon has died: this one asks init again.
pub(crate) async fn carry_on(daemon: Rc<Daemon>, status: Status, limit: u64) {
    let mut errand = daemon.errand(Operation::Shutdown, Reporter::silent());
    let result = see_through(&daemon, status, limit, true, &mut errand).await;
    crate::audit::record(&daemon, Operation::Shutdown, None, result.is_ok());
}

/// Writes down what init is going to be asked for: its end must not be taken for a failure of its own by
/// a daemon that knows nothing of it.
fn note(daemon: &Daemon, status: &Status, limit: u64, up: bool, args: &BootArguments) -> Result<(), OpError> {
    let number = u32::try_from(limit).unwrap_or(u32::MAX);
    let begun = Intent::to(Operation::Shutdown, &args.text);
    let intent = Intent { uniqid: status.uniqid, how: Some(How::Shutdown), number, up, ..begun };
    Journal::open(daemon.layout(), daemon.name())?.begin(&intent)
}

/// Waits for init, which is asked before if need be, and halts the zone when that takes too long.
async fn see_through(
    daemon: &Rc<Daemon>,
    status: Status,
    limit: u64,
    ask_it: bool,
    errand: &mut Errand,
) -> Result<(), DoorError> {
    let reporter = errand.reporter.clone();
    let deadline = Instant::now() + Duration::from_secs(limit);
    let asked = if ask_it {
        reporter.step("ask init");
        // A command in the zone is ended at the deadline itself, with words of its own.
        match timeout_at(deadline + LISTENING, ask(daemon, status, deadline)).await {
            Ok(asked) => asked,
            Err(_) => Err(OpError::Orderly(format!("init could not be asked within {limit} seconds"))),
        }
    } else {
        Ok(())
    };
    if let Err(error) = &asked {
        errand.say(format!("{}; the zone is halted without its help", crate::errand::render(error)));
    } else {
        reporter.step(format!("waiting up to {limit} seconds for init"));
    }
    zone_fail::pass!("shutdown.asked");
    let gone = asked.is_ok() && gone(daemon, &status, deadline).await;
    let result = if gone {
        errand.say("zone was shut down by its init");
        Ok(())
    } else {
        if asked.is_ok() {
            errand.say(format!("zone did not shut down within {limit} seconds; halting it"));
        }
        zone_fail::pass!("shutdown.late");
        escalate(daemon, &status, &reporter).await
    };
    zone_fail::pass!("shutdown.over");
    if daemon.shutting_down.get() == Some(status.uniqid) {
        daemon.shutting_down.set(None);
    }
    result
}

/// Asks init, and again until it can hear: an init that has only just been started has no handler yet,
/// and the kernel drops what a namespace's first process has no handler for (pid_namespaces(7)).
async fn ask(daemon: &Rc<Daemon>, status: Status, deadline: Instant) -> Result<(), OpError> {
    loop {
        let zone = Arc::clone(&daemon.zone);
        let asked = tokio::task::spawn_blocking(move || zone.ask(&status, deadline)).await;
        match asked.unwrap_or_else(|panic| Err(OpError::Orderly(format!("internal error: {panic}"))))? {
            Asked::Heard => return Ok(()),
            Asked::NotYet => tokio::time::sleep(LISTENING).await,
        }
    }
}

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Init has the request, or is gone.
    Heard,
    /// Init would not notice.
    NotYet,
}

/// How long to wait before looking again whether init listens. Nothing tells when it does.
const LISTENING: Duration = Duration::from_millis(50);

/// Waits until the incarnation of `status` is no more.
async fn gone(daemon: &Rc<Daemon>, status: &Status, deadline: Instant) -> bool {
    let mut changes = daemon.changes();
    let end = changes.wait_for(|now| now.uniqid != status.uniqid);
    timeout_at(deadline, end).await.is_ok()
}

/// Time is up: halts the incarnation, unless it has gone meanwhile.
async fn escalate(daemon: &Rc<Daemon>, status: &Status, reporter: &Reporter) -> Result<(), DoorError> {
    let _turn = turn::take(daemon, Operation::Halt, false, reporter).await?;
    daemon.refresh();
    if daemon.status().uniqid != status.uniqid {
        return Ok(());
    }
    let _running = daemon.begin(Operation::Shutdown);
    if let Some(args) = daemon.comes_back.take() {
        daemon.prepare_console().await;
        let errand = daemon.errand(Operation::Reboot, reporter.clone());
        let work = daemon.work(errand, move |zone, errand| zone.reboot(errand, How::Halted, &args, 0));
        let (errand, result) = work.await;
        return finish(daemon, errand, result.map(|last| daemon.remember(last))).map(|_| ());
    }
    let errand = daemon.errand(Operation::Shutdown, reporter.clone());
    let (errand, result) = daemon.work(errand, |zone, errand| zone.halt(errand, Some(How::Halted))).await;
    finish(
        daemon,
        errand,
        result.map(|last| {
            daemon.remember(last);
            daemon.notice(Notice::Halted);
        }),
    )
    .map(|_| ())
}

/// The second half of `shutdown -r`: waits for the boot that follows the end, and makes one if that failed; not if somebody
/// has halted the zone since there had been `halts`.
async fn boot(
    daemon: &Rc<Daemon>,
    halts: u64,
    args: BootArguments,
    errand: Errand,
    caller: Caller,
    reporter: Reporter,
) -> Result<OpResult, DoorError> {
    drop(turn::take(daemon, Operation::Boot, false, &reporter).await?);
    daemon.refresh();
    if daemon.status().phase == Phase::Running {
        return finish(daemon, errand, Ok(()));
    }
    if daemon.halts.asked() != halts {
        return finish(
            daemon,
            errand,
            Err(OpError::Orderly("the zone was halted meanwhile; it is not booted".into())),
        );
    }
    let request = Request::Boot { bootargs: args.text, locale: String::new() };
    let door = crate::operate::Door(Rc::clone(daemon));
    let booted = Box::pin(zone_door::Handler::operate(&door, request, caller, reporter)).await?;
    let messages = errand.messages.into_iter().chain(booted.messages).collect();
    let timings = errand.timings.into_iter().chain(booted.timings).collect();
    Ok(OpResult { messages, timings, state: booted.state })
}

impl crate::zone::Zone {
    /// Asks init to shut the zone down, in the way that this init understands.
    fn ask(&self, status: &Status, deadline: Instant) -> Result<Asked, OpError> {
        let asked = self.keeper().fds();
        let (now, fds) = match asked {
            Ok(found) => found,
            Err(ClientError::Refused { .. }) => return Ok(Asked::Heard),
            Err(ClientError::NotRunning) => {
                self.revive().map_err(|error| OpError::Revive(Box::new(error)))?;
                return Ok(Asked::NotYet);
            }
            Err(e) => return Err(e.into()),
        };
        if now.uniqid != status.uniqid {
            return Ok(Asked::Heard);
        }
        let snapshot =
            Snapshot::load(&self.layout, &self.name).map_err(|e| OpError::Snapshot(Box::new(e)))?;
        match orderly::requests(&snapshot, snapshot.config.init(&snapshot.brand)).halt {
            Orderly::Signal(number) if !listens(now.pid, number) => Ok(Asked::NotYet),
            Orderly::Signal(number) => match zone_sys::pidfd::send_signal(&fds.pidfd, number) {
                Ok(()) => Ok(Asked::Heard),
                Err(e) if e.errno() == Errno::SRCH => Ok(Asked::Heard),
                Err(e) => {
                    Err(OpError::Orderly(format!("could not signal init: {}", crate::errand::render(&e))))
                }
            },
            Orderly::Command(words) => match self.run_inside(&words, deadline) {
                // A request that works may well take down the command that made it.
                Err(_) if self.is_gone(status) => Ok(Asked::Heard),
                ran => ran.map(|()| Asked::Heard),
            },
        }
    }

    /// Whether the incarnation of `status` has ended.
    fn is_gone(&self, status: &Status) -> bool {
        self.keeper().status().is_ok_and(|now| now.uniqid != status.uniqid || now.phase == Phase::Down)
    }

    /// Runs a command in the zone, by zlogin: what enters a zone must be small, and is there already.
    fn run_inside(&self, words: &[String], deadline: Instant) -> Result<(), OpError> {
        let zlogin = zone_config::Layout::program("zlogin");
        let mut command = Command::new(&zlogin);
        command.arg("-R").arg(self.layout.root()).arg("-Q").arg(self.name.as_str()).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).env_clear();
        let failed =
            |why: String| OpError::Orderly(format!("could not run '{}' in the zone: {why}", words.join(" ")));
        let limit = deadline.saturating_duration_since(Instant::now());
        let output = external::run(command, limit).map_err(|e| failed(crate::errand::render(&e)))?;
        if output.status.success() {
            return Ok(());
        }
        let text: String =
            String::from_utf8_lossy(&output.stderr).chars().filter(|c| !c.is_control()).take(200).collect();
        Err(failed(format!("{}: {text}", output.status)))
    }
}

/// Whether a process would notice a signal: it has a handler, or holds the signal back to read it
/// (signalfd), or sits in sigtimedwait(2), during which `/proc` shows neither. When that cannot be
/// told, yes.
fn listens(pid: i32, number: i32) -> bool {
    let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/status")) else { return true };
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

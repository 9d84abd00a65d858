//! The operations that nobody at the door asked for: those that the zone's own end asks for, and those that carry on or undo what
//! another daemon began. Whoever calls holds the operation lock.

use crate::blocking;
use crate::daemon::Daemon;
use crate::error::OpError;
use rustix::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use zone_config::lastexit::How;
use zone_console::Notice;
use zone_console::sanitize::harmless;
use zone_door::{Operation, Reporter};
use zone_engine::OperationContext;
use zone_engine::Zone;
use zone_engine::bootargs::{Asked, Platform};
use zone_engine::journal::Intent;
use zone_platform::reboot;
use zone_sys::Chain;

/// Halts the zone, whose first process has ended as `how` says.
pub(crate) async fn halt(daemon: &Rc<Daemon>, how: How) {
    let (_, result) = run(daemon, Operation::Halt, move |zone, context| zone.halt(context, Some(how))).await;
    match result {
        Ok(last) => {
            daemon.remember(last);
            daemon.notice(Notice::Halted);
            crate::audit::record_end(daemon, how);
        }
        Err(error) => tracing::error!("{}", Chain(&error)),
    }
}

/// Halts and boots: a reboot that the zone asked for, or a restart of its init (a PID namespace dies
/// with its first process, so that is a new incarnation too).
pub(crate) async fn again(daemon: &Rc<Daemon>, how: How, asked: Asked, restarts: u32) {
    let args = daemon.zone.boot_arguments(asked, Platform::New).unwrap_or_default();
    daemon.notice(Notice::Rebooting { args: args.text.clone() });
    if args.once.is_some() && !args.parsed.invalid.is_empty() {
        daemon.notice(Notice::BadArgs { args: args.parsed.invalid.join(" ") });
    }
    if args.writable {
        daemon.notice(Notice::Writable);
    }
    daemon.prepare_console().await;
    let work = move |zone: &Zone, context: &mut _| zone.reboot(context, how, args.asked(), restarts);
    let (_, result) = run(daemon, Operation::Reboot, work).await;
    crate::audit::record(daemon, Operation::Reboot, None, result.is_ok());
    match result {
        Ok(last) => daemon.remember(last),
        Err(error) => {
            tracing::error!("{}", Chain(&error));
            daemon.notice(Notice::BootFailed);
        }
    }
}

/// Gives what the zone's own root has asked of the reboot with which incarnation `uniqid` has ended: the arguments that it has left, for
/// that one boot. What is not fit is told, and the boot goes on with those of before.
pub(crate) async fn asked_inside(daemon: &Rc<Daemon>, uniqid: u64) -> Asked {
    let zone = Arc::clone(&daemon.zone);
    let read = blocking::run(move || {
        let Some(run) = zone.run_directory(uniqid) else { return Ok(Asked::default()) };
        let once = reboot::arguments(run.as_fd()).map_err(|unfit| Chain(&unfit).to_string())?;
        if once.is_none() {
            return Ok(Asked::default());
        }
        let asked = Asked { once, ..Asked::default() };
        let args = zone.boot_arguments(asked.clone(), Platform::New);
        let args = args.map_err(|error| Chain(&error).to_string())?;
        zone.check_named_init(&args).map_err(|error| Chain(&error).to_string())?;
        Ok(asked)
    });
    let read = read.await.unwrap_or_else(|error| Err(Chain(&error).to_string()));
    zone_fail::pass!("upcall.arguments");
    read.unwrap_or_else(|why: String| {
        tracing::warn!(
            "the zone reboots without the arguments that it has left for that: {}",
            harmless(&why)
        );
        Asked::default()
    })
}

/// Does `work` under the name of `operation`.
async fn run<T: Send + 'static>(
    daemon: &Rc<Daemon>,
    operation: Operation,
    work: impl FnOnce(&Zone, &mut OperationContext) -> Result<T, zone_engine::Error> + Send + 'static,
) -> (OperationContext, Result<T, OpError>) {
    let _running = daemon.slot.begin(operation);
    daemon.work(daemon.context(operation, Reporter::silent()), work).await
}

/// Takes away what is left of the zone; `how` is what is written down of its end, if that is known.
pub(crate) async fn undo(daemon: &Rc<Daemon>, how: Option<How>) {
    let _running = daemon.slot.begin(Operation::Halt);
    let context = daemon.context(Operation::Halt, Reporter::silent());
    let (_, result) = daemon.work(context, move |zone, context| zone.halt(context, how)).await;
    match result {
        Ok(last) => daemon.remember(last),
        Err(error) => tracing::error!("{}", Chain(&error)),
    }
}

/// Carries on a reboot that a dead daemon has begun.
pub(crate) async fn finish_reboot(daemon: &Rc<Daemon>, intent: Intent) {
    tracing::warn!("a reboot was interrupted; carrying on");
    let asked = Asked { args: intent.given(), once: intent.once, writable: intent.writable };
    again(daemon, intent.how.unwrap_or(How::Rebooted), asked, intent.number).await;
}

/// Puts in force what a dead daemon has begun to, or takes it back.
pub(crate) async fn finish_apply(daemon: &Rc<Daemon>) {
    tracing::warn!("a change of the zone was interrupted; carrying on");
    let (context, result) = run(daemon, Operation::Apply, Zone::finish_apply).await;
    daemon.nets.notify_one();
    context.messages.iter().for_each(|message| tracing::info!("{message}"));
    crate::audit::record(daemon, Operation::Apply, None, result.is_ok());
    if let Err(error) = result {
        tracing::error!("{}", Chain(&error));
    }
}

/// Removes what is left of a zone that is no more: it was ready when its zsched died.
pub(crate) async fn clear_away(daemon: &Rc<Daemon>) {
    if !daemon.status().exists() && daemon.layout().snapshot(daemon.name()).exists() {
        undo(daemon, None).await;
    }
}

//! The subcommands, one file each.

mod apply;
mod attach;
mod boot;
mod clone;
mod console;
mod cp;
mod detach;
mod events;
mod halt;
pub(crate) mod install;
mod log;
mod mark;
mod ps;
mod ready;
mod reboot;
pub(crate) mod relocate;
mod renew;
mod set;
mod shutdown;
pub(crate) mod stat;
mod uninstall;
pub(crate) mod verify;
mod wait;

use crate::access;
use crate::cli::{Cli, Verb};
use crate::context::{Context, Selection};
use crate::message::Outcome;
use crate::{daemon, list, many};

/// Does what the command line says.
pub(crate) fn run(cli: &Cli) -> Outcome {
    let cx = Context::new(cli)?;
    if let Some(choice) = cx.choice.as_ref().filter(|_| !cli.verb.only_looks()) {
        return many::run(&cx, choice, &cli.verb);
    }
    if let Some(done) = access::instead(&cx, &cli.verb) {
        return done;
    }
    match &cli.verb {
        Verb::List(args) => list::run(&cx, args),
        Verb::Status(args) => list::status::run(&cx, args),
        Verb::Cp(args) => cp::run(&cx, args),
        Verb::Ps(args) => ps::run(&cx, *args),
        Verb::Stat(args) => stat::run(&cx, args),
        Verb::Events(args) => events::run(&cx, *args),
        Verb::Verify => verify::run(&cx),
        Verb::Install(args) => recorded(&cx, "install", || install::run(&cx, args)),
        Verb::Uninstall(args) => recorded(&cx, "uninstall", || uninstall::run(&cx, *args)),
        Verb::Detach(args) => recorded(&cx, "detach", || detach::run(&cx, *args)),
        Verb::Attach(args) => recorded(&cx, "attach", || attach::run(&cx, *args)),
        Verb::Clone(args) => recorded(&cx, "clone", || clone::run(&cx, args)),
        Verb::Move(args) => recorded(&cx, "move", || relocate::run(&cx, args)),
        Verb::Ready => ready::run(&cx),
        Verb::Boot(args) => boot::run(&cx, args),
        Verb::Reboot(args) => reboot::run(&cx, args),
        Verb::Apply(args) => apply::run(&cx, *args),
        Verb::Set(args) => set::run(&cx, args),
        Verb::Halt(args) => halt::run(&cx, *args),
        Verb::Log(args) => log::run(&cx, args),
        Verb::Wait(args) => wait::run(&cx, *args),
        Verb::Shutdown(args) => shutdown::run(&cx, args),
        Verb::RenewDaemon(args) => renew::run(&cx, *args),
        Verb::Mark(args) => recorded(&cx, "mark", || mark::run(&cx, args)),
        Verb::Console(args) => console::run(&cx, args),
    }
}

/// Does what no daemon does, and records it for the host's audit.
fn recorded(cx: &Context, op: &str, act: impl FnOnce() -> Outcome) -> Outcome {
    let entry = || match cx.select().ok() {
        Some(Selection::Zone(entry)) => Some(entry),
        _ => None,
    };
    // Only a zone that is installed has a uuid, be it before or after.
    let before = entry();
    let done = act();
    if let Some(before) = before.filter(|_| rustix::process::geteuid().is_root()) {
        let after = entry().and_then(|entry| entry.uuid);
        let uuid = before.uuid.or(after).map(|uuid| uuid.to_string());
        let machine = zone_audit::Machine { zone: before.name.as_str(), uuid, pid: 0 };
        let asker = daemon::behalf().map_or_else(zone_audit::Asker::own, Into::into);
        zone_audit::control(&machine, op, "asked", Some(asker), done.is_ok());
    }
    done
}

//! The subcommands, one file each.

mod apply;
mod boot;
mod console;
mod halt;
pub(crate) mod install;
mod mark;
mod ready;
mod reboot;
mod renew;
mod set;
mod shutdown;
mod uninstall;
pub(crate) mod verify;

use crate::cli::{Cli, Verb};
use crate::context::Context;
use crate::list;
use crate::message::Outcome;

/// Does what the command line says.
pub(crate) fn run(cli: &Cli) -> Outcome {
    let cx = Context::new(cli)?;
    match &cli.verb {
        Verb::List(args) => list::run(&cx, *args),
        Verb::Verify => verify::run(&cx),
        Verb::Install(args) => install::run(&cx, args),
        Verb::Uninstall(args) => uninstall::run(&cx, *args),
        Verb::Ready => ready::run(&cx),
        Verb::Boot(args) => boot::run(&cx, args),
        Verb::Reboot(args) => reboot::run(&cx, args),
        Verb::Apply(args) => apply::run(&cx, *args),
        Verb::Set(args) => set::run(&cx, args),
        Verb::Halt(args) => halt::run(&cx, *args),
        Verb::Shutdown(args) => shutdown::run(&cx, args),
        Verb::RenewDaemon(args) => renew::run(&cx, *args),
        Verb::Mark(args) => mark::run(&cx, args),
        Verb::Console(args) => console::run(&cx, args),
    }
}

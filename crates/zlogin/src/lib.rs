//! `zlogin`: enters a zone, with a login, with a command, or at its console.
//!
//! | module | is |
//! |---|---|
//! | `cli`, `options` | the command line as it is typed, and what it means |
//! | `target` | which zone, and whether it can be entered |
//! | `users`, `guest`, `plan` | who enters, and what is executed; asked inside the zone |
//! | `language` | the caller's locale, if the zone has it |
//! | `inside` | a command that runs in a zone, of this process or of zone-access |
//! | `host` | the same for zone-access |
//! | `command` | `zlogin ZONE COMMAND...`, and a login without a terminal: three pipes |
//! | `login` | `zlogin ZONE`: a terminal |
//! | `console` | `zlogin -C ZONE` |
//! | `screen`, `escape`, `stdio`, `flow` | the caller's terminal, its escape character, its input and output |
#![forbid(unsafe_code)]

mod cli;
mod command;
mod console;
mod escape;
mod exit;
mod flow;
mod guest;
pub mod host;
mod inside;
mod language;
mod login;
mod options;
mod plan;
mod screen;
mod signals;
mod stdio;
mod target;
mod users;

use exit::{Failure, Outcome};
use options::Mode;
use std::process::ExitCode;

/// The command line, for whoever makes pages and completions of it.
#[must_use]
pub fn command() -> clap::Command {
    <cli::Cli as clap::CommandFactory>::command()
}

/// Runs the program with the arguments of this process, and gives the status to exit with.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(code) = zone_fail::ask(zone_platform::failpoints) {
        return code;
    }
    run().map_or_else(Failure::report, ExitCode::from)
}

fn run() -> Outcome {
    let options = cli::read(std::env::args_os())?;
    match &options.mode {
        Mode::Console(console) => console::run(&options, console),
        Mode::Login(user) if options.around.terminal.unwrap_or_else(|| screen::terminal().is_some()) => {
            login::run(&options, user)
        }
        Mode::Login(user) => command::script(&options, user),
        Mode::Command { user, no_input, words }
            if options.around.terminal.unwrap_or_else(|| !no_input && screen::all_terminals()) =>
        {
            login::command(&options, user, words)
        }
        Mode::Command { user, no_input, words } => command::run(&options, user, *no_input, words),
    }
}

//! Enters a zone: with a login, with a command, or at its console.
//!
//! | module | is |
//! |---|---|
//! | `options` | the command line |
//! | `target` | which zone, and whether it can be entered |
//! | `users`, `plan` | who enters, and what is executed; asked inside the zone |
//! | `command` | `zlogin ZONE COMMAND...`: three pipes |
//! | `login` | `zlogin ZONE`: a terminal |
//! | `console` | `zlogin -C ZONE` |
//! | `screen`, `escape`, `stdio`, `flow` | the caller's terminal, its escape character, its input and output |
#![forbid(unsafe_code)]

mod command;
mod console;
mod escape;
mod exit;
mod flow;
mod login;
mod options;
mod plan;
mod screen;
mod signals;
mod stdio;
mod target;
mod users;

use exit::Failure;
use options::{Action, Mode};
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = zone_fail::ask(zone_platform::failpoints) {
        return code;
    }
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let outcome = match options::parse(&args) {
        Ok(Action::Print(text)) => {
            exit::print(&text);
            Ok(0)
        }
        Ok(Action::Enter(options)) => match &options.mode {
            Mode::Console(console) => console::run(&options, console),
            Mode::Login(user) => login::run(&options, user),
            Mode::Command { user, no_input, args } => command::run(&options, user, *no_input, args),
        },
        Err(usage) => Err(Failure::Usage(usage)),
    };
    outcome.map_or_else(Failure::report, ExitCode::from)
}

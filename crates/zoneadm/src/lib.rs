//! `zoneadm`: installs zones, starts and stops them, lists them.
#![forbid(unsafe_code)]

mod access;
mod choice;
mod cli;
mod context;
mod daemon;
mod exit;
mod hints;
mod list;
mod live;
mod many;
mod message;
mod output;
mod processes;
mod sanity;
mod steps;
mod table;
mod time;
mod verbs;
mod work;

use std::process::ExitCode;

use clap::CommandFactory;

use cli::Cli;
use exit::Exit;

/// The command line, for whoever makes pages and completions of it.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Tells whether a verb, by its name, is for zones in this state: what `--all` means, and what completions offer.
#[must_use]
pub fn is_for(verb: &str, state: zone_config::State) -> bool {
    many::is_for(verb, state)
}

/// Runs the program with the arguments of this process, and gives the status to exit with.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(code) = verbs::install::run_as_worker() {
        return code;
    }
    if let Some(code) = zone_fail::ask(zone_platform::failpoints) {
        return code;
    }
    let exit = match zone_locale::help::parse::<Cli>(std::env::args_os()) {
        Ok(cli) => match verbs::run(&cli) {
            Ok(()) => Exit::Ok,
            Err(failure) => failure.report(),
        },
        Err(error) => {
            // Help is an "error" of clap's that goes to standard output; that nobody reads it is no failure.
            if error.exit_code() == 0 {
                let _ = error.print();
                Exit::Ok
            } else {
                hints::report(&error);
                Exit::Usage
            }
        }
    };
    exit.into()
}

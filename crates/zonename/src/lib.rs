//! Prints the name of the zone one is in: `global` on the host.
#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser};
use zone_config::here;
use zone_sys::Chain;

/// Print the name of the zone one is in
#[derive(Parser)]
#[command(
    name = "zonename",
    version,
    about,
    after_help = "Prints 'global' on the host.\n\nExample:\n  test \"$(zonename)\" = global && echo on the host"
)]
struct Args {}

/// The command line, for whoever makes pages and completions of it.
#[must_use]
pub fn command() -> clap::Command {
    Args::command()
}

/// Runs the program with the arguments of this process, and gives the status to exit with.
#[must_use]
pub fn main() -> ExitCode {
    if let Err(error) = zone_locale::help::parse::<Args>(std::env::args_os()) {
        if error.exit_code() == 0 {
            error.exit();
        }
        // What clap says begins with "error: ", where all else here begins with who says it.
        let text = error.render().to_string();
        eprint!("zonename: {}", zone_locale::here(text.strip_prefix("error: ").unwrap_or(&text)));
        return ExitCode::from(2);
    }
    let name = here::zone().unwrap_or_else(|| here::GLOBAL.to_owned());
    match writeln!(std::io::stdout(), "{name}").context("cannot write to standard output") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("zonename: {}", zone_locale::here(&Chain(error.as_ref()).to_string()));
            ExitCode::FAILURE
        }
    }
}

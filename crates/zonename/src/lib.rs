//! Prints the name of the zone one is in: `global` on the host.
#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser};
use zone_config::here;

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
    let Args {} = zone_locale::help::parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let name = here::zone().unwrap_or_else(|| here::GLOBAL.to_owned());
    match writeln!(std::io::stdout(), "{name}").context("cannot write to standard output") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("zonename: {}", zone_locale::here(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

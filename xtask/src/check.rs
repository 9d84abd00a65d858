//! `cargo xtask check`: what takes less than a minute, to run before each commit.

use crate::{say, sh, units};
use anyhow::Result;
use std::process::ExitCode;

/// Runs it. Fails at the first thing that is wrong.
pub(crate) fn run() -> Result<ExitCode> {
    format_and_lints()?;
    say::title("Unit tests");
    let count = units::run(None, None, false)?;
    println!();
    println!("{count}");
    Ok(if count.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks that the code is formatted and that no lint has anything to say.
pub(crate) fn format_and_lints() -> Result<()> {
    cargo("Format", &["fmt", "--all", "--check"], &[])?;
    cargo("Lints", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])
}

/// Runs cargo with these words, and with these variables in its environment.
pub(crate) fn cargo(title: &str, words: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    say::title(title);
    let mut command = sh::cargo();
    command.args(words).envs(variables.iter().copied());
    say::command(&sh::line(&command));
    sh::run(&mut command)
}

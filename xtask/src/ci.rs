//! `cargo xtask ci`: everything that CI checks, in the order in which it is cheapest to fail.

use crate::{say, sh, test};
use anyhow::Result;
use clap::Parser;
use std::process::ExitCode;

/// Runs it. The closing line is that of the tests.
pub(crate) fn run() -> Result<ExitCode> {
    check("Format", &["fmt", "--all", "--check"])?;
    check("Lints", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    if sh::which("cargo-deny").is_some() {
        check("Dependencies", &["deny", "check", "licenses", "bans", "sources"])?;
    } else {
        say::title("Dependencies");
        say::note("SKIPPED: cargo-deny is not installed (cargo install cargo-deny --locked)");
    }
    test::run(&All::parse_from(["test"]).args)
}

/// The tests with no option set.
#[derive(Parser)]
struct All {
    #[command(flatten)]
    args: test::Args,
}

fn check(title: &str, words: &[&str]) -> Result<()> {
    say::title(title);
    let mut command = sh::cargo();
    command.args(words);
    say::command(&sh::line(&command));
    sh::run(&mut command)
}

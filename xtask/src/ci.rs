//! `cargo xtask ci`: everything that CI checks, in the order in which it is cheapest to fail.

use crate::{bench, check, say, sh, test, vm};
use anyhow::Result;
use clap::Parser;
use std::process::ExitCode;

/// Runs it. The closing line is that of the tests, those in virtual machines with them.
pub(crate) fn run() -> Result<ExitCode> {
    check::format_and_lints()?;
    // Broken links, and what rustdoc cannot read. Private items are documented too, so links to them are no mistake.
    let documentation = ["doc", "--workspace", "--no-deps", "--document-private-items"];
    check::cargo(
        "Documentation",
        &documentation,
        &[("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links")],
    )?;
    if sh::which("cargo-deny").is_some() {
        check::cargo("Dependencies", &["deny", "check", "licenses", "bans", "sources"], &[])?;
    } else {
        say::title("Dependencies");
        say::note("SKIPPED: cargo-deny is not installed (cargo install cargo-deny --locked)");
    }
    let here = test::count(&All::parse_from(["test", "--skip-nothing"]).args)?;
    let here = here.and(bench::count()?);
    Ok(test::close(here.and(vm::count()?)))
}

/// The tests, all of them.
#[derive(Parser)]
struct All {
    #[command(flatten)]
    args: test::Args,
}

//! `cargo xtask bench`: figures, each beside the floor and beside other managers, in one run.

mod boot;
mod floor;
mod peers;
mod stats;
mod worker;

use anyhow::Result;
use std::process::ExitCode;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Starting and stopping a zone
    Boot(boot::Args),
    /// Does on request what is measured, in a process that is small
    #[command(hide = true)]
    Worker,
}

/// Measures.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.what {
        What::Boot(args) => boot::run(args)?,
        What::Worker => worker::serve()?,
    }
    Ok(ExitCode::SUCCESS)
}

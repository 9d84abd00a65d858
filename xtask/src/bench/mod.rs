//! `cargo xtask bench`: figures, each beside the floor and beside other managers, in one run.

mod boot;
mod console;
mod floor;
mod net;
mod peers;
mod restart;
mod stage;
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
    /// Many zones on one bridge, and how much goes through a zone's link
    Net(net::Args),
    /// From the death of a daemon to the next one's answer, for one zone and for many at once
    Restart(restart::Args),
    /// The console: how much text it passes on, and how quickly it answers
    Console(console::Args),
    /// Plays a part in the measurement of consoles
    #[command(hide = true)]
    Agent {
        /// The part that it plays.
        role: console::Role,
        /// The socket to meet at.
        socket: Option<String>,
    },
    /// Does on request what is measured, in a process that is small
    #[command(hide = true)]
    Worker,
}

/// Measures.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.what {
        What::Boot(args) => boot::run(args)?,
        What::Net(args) => net::run(args)?,
        What::Restart(args) => restart::run(args)?,
        What::Console(args) => console::run(args)?,
        What::Agent { role, socket } => console::play(*role, socket.as_deref())?,
        What::Worker => worker::serve()?,
    }
    Ok(ExitCode::SUCCESS)
}

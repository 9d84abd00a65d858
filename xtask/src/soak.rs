//! `cargo xtask soak`: zones that live through commands and deaths, for as long as one likes.

use crate::{dist, paths, say, sh, zones};
use anyhow::Result;
use std::process::{Command, ExitCode};

/// How to soak.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask soak --minutes 30             a seed of its own, printed at the start
  cargo xtask soak --seed 7 --minutes 30    the same plan again")]
pub(crate) struct Args {
    /// Decides what is done to each zone, and what goes wrong meanwhile [default: the time]
    #[arg(long)]
    seed: Option<u64>,
    /// For how long
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// How many zones
    #[arg(long, default_value_t = 4)]
    zones: usize,
}

/// Soaks. Fails when something was seen that must never be.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    sh::require_root("soak", "boots zones")?;
    let place = paths::target().join("zones-soak");
    dist::debug()?;
    let bin = zones::copy_programs(&place)?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let seed = args.seed.unwrap_or(now.as_secs());
    say::title(&format!("{} zones, {} minutes, seed {seed}", args.zones, args.minutes));
    let mut suite = Command::new(bin.join("zones-suite"));
    suite.env("RUST_BACKTRACE", "0").arg("--dir").arg(&place);
    suite.args(["--soak", &seed.to_string(), "--minutes", &args.minutes.to_string()]);
    suite.args(["--zones", &args.zones.to_string()]);
    let status = sh::status(&mut suite)?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

//! `cargo xtask test`: the unit tests, the zones suite, and one closing line over both.

use crate::arch::Arch;
use crate::count::Count;
use crate::{guests, needs, say, sh, units, zones};
use anyhow::Result;
use std::num::NonZeroUsize;
use std::process::ExitCode;

/// What to test.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only the unit tests
    #[arg(long, conflicts_with_all = ["zones", "guests"])]
    units: bool,
    /// Only the zones suite, without the guests
    #[arg(long)]
    zones: bool,
    /// Only the zones suite's tests with real guests
    #[arg(long, conflicts_with = "zones")]
    guests: bool,
    /// Make and boot every guest there is, not only the three usual ones (adds some ten minutes)
    #[arg(long)]
    all_guests: bool,
    /// Only the unit tests and the core of the zones suite: what to run after each change
    #[arg(long, conflicts_with_all = ["units", "zones", "guests", "all_guests"])]
    quick: bool,
    /// How many tests of the zones suite to run at the same time [default: four times the number of processors]
    #[arg(long, short, value_name = "NUMBER")]
    jobs: Option<NonZeroUsize>,
    /// A test that cannot be run here has failed
    #[arg(long)]
    skip_nothing: bool,
    /// Only the tests whose name contains this
    filter: Option<String>,
}

/// Runs it. Fails when a test fails.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    Ok(close(count(args)?))
}

/// Prints the closing line; fails when something failed, or nothing was tried.
pub(crate) fn close(count: Count) -> ExitCode {
    say::failures();
    println!("\n{count}");
    if count.failed == 0 && count.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the tests.
pub(crate) fn count(args: &Args) -> Result<Count> {
    let everything = !args.units && !args.zones && !args.guests;
    let mut count = Count::default();
    let python = zones::python();
    if everything || args.units {
        say::title("Unit tests");
        // Those that need root do nothing for anybody else, who could install nothing either.
        if sh::is_root() {
            needs::provide(&[&needs::UNITS])?;
        }
        count = count.and(units::run(args.filter.as_deref(), python.as_deref(), args.skip_nothing)?);
    }
    if !args.units {
        sh::require_root("test", "boots zones")?;
        say::title("What the zones suite needs");
        let guests = !args.zones && !args.quick;
        needs::provide(&[&needs::SUITE, if guests { &needs::GUESTS } else { &[] }])?;
        if guests {
            guests::make(if args.all_guests { &guests::ALL } else { &guests::USUAL }, Arch::here())?;
        }
        say::title("Zones suite");
        let selection = match args {
            Args { quick: true, .. } => zones::Selection::Core,
            Args { zones: true, .. } => zones::Selection::WithoutGuests,
            Args { guests: true, .. } => zones::Selection::OnlyGuests,
            _ => zones::Selection::All,
        };
        let filter = args.filter.as_deref();
        count = count.and(zones::run(&zones::Suite {
            selection,
            filter,
            python: python.as_deref(),
            jobs: args.jobs,
        })?);
    }
    Ok(count)
}

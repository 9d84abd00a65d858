//! `cargo xtask test`: the unit tests, the zones suite, and one closing line over both.

use crate::{guests, needs, say, sh, units, zones};
use anyhow::Result;
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
    /// Only the tests whose name contains this
    filter: Option<String>,
}

/// How many tests went how.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    /// Held.
    pub(crate) passed: usize,
    /// Did not.
    pub(crate) failed: usize,
    /// Were not tried.
    pub(crate) skipped: usize,
}

impl Count {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

/// Runs it. Fails when a test fails.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let everything = !args.units && !args.zones && !args.guests;
    let mut count = Count::default();
    let python = zones::python();
    if everything || args.units {
        say::title("Unit tests");
        count = count.and(units::run(args.filter.as_deref(), python.as_deref())?);
    }
    if !args.units {
        sh::require_root("test", "boots zones")?;
        say::title("What the zones suite needs");
        needs::provide(&[&needs::SUITE, if args.zones { &[] } else { &needs::GUESTS }])?;
        if !args.zones {
            guests::make(if args.all_guests { &guests::ALL } else { &guests::USUAL })?;
        }
        say::title("Zones suite");
        let selection = match (args.zones, args.guests) {
            (true, _) => zones::Selection::WithoutGuests,
            (_, true) => zones::Selection::OnlyGuests,
            _ => zones::Selection::All,
        };
        count = count.and(zones::run(selection, args.filter.as_deref(), python.as_deref())?);
    }
    println!();
    println!("{} passed, {} failed, {} skipped", count.passed, count.failed, count.skipped);
    Ok(if count.failed == 0 && count.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

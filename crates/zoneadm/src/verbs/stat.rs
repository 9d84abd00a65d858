//! `zoneadm stat`: what zones that are up use of the machine, by intervals.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::thread;
use std::time::Duration;

use columns::{COLUMNS, NAME, fitting};
use source::{Counting, Told};
pub(crate) use terminal::Shown;
use used::{Report, count, report};

use crate::cli::watch::StatArgs;
use crate::context::Context;
use crate::message::{Failure, Outcome};
use crate::output::Output;
use crate::sanity;
use crate::table::{Table, width};

mod columns;
mod screen;
mod source;
mod terminal;
mod used;

pub(crate) fn run(cx: &Context, args: &StatArgs) -> Outcome {
    sanity::only_root_here("see what zones use")?;
    let interval = Duration::from_secs(args.interval);
    if is_for_a_person(args) {
        return terminal::run(&mut Counting::begin(cx, interval)?).map(drop);
    }
    let mut before = count(cx)?;
    let mut left = args.count;
    while left != Some(0) {
        thread::sleep(interval);
        let now = count(cx)?;
        print(&report(&before, &now), args)?;
        before = now;
        left = left.map(|left| left - 1);
    }
    Ok(())
}

/// Shows on a screen what another `zoneadm stat --json` writes into a pipe, which counts for who may not count.
pub(crate) fn show(told: File) -> Outcome<Shown> {
    terminal::run(&mut Told::by(told))
}

/// Whether somebody sits there and looks, at a terminal that can be drawn on.
pub(crate) fn is_for_a_person(args: &StatArgs) -> bool {
    let can_draw = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
    let asked = !args.json && !args.plain && args.count.is_none();
    asked && can_draw && io::stdout().is_terminal() && io::stdin().is_terminal()
}

fn print(report: &Report, args: &StatArgs) -> Outcome {
    let mut out = Output::new();
    if args.json {
        let text = serde_json::to_string(report).map_err(Failure::general)?;
        out.line(&text)?;
        return out.end();
    }
    out.line(&report.time)?;
    let width = width(args.width);
    let fit = u16::try_from(width.unwrap_or(usize::MAX)).unwrap_or(u16::MAX);
    let columns: Vec<_> = fitting(fit, NAME).into_iter().map(|at| &COLUMNS[at]).collect();
    let mut table = Table::new(columns.iter().map(|column| column.head()));
    for used in &report.zones {
        table.row(columns.iter().map(|column| (column.cell)(used)).collect(), None);
    }
    for line in table.lines(width) {
        out.line(line.trim_end())?;
    }
    out.end()
}

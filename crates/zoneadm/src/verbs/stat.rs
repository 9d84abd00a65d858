//! `zoneadm stat`: what zones that are up use of the machine, by intervals.

use std::io::{self, IsTerminal as _};
use std::thread;
use std::time::Duration;

use used::{Report, bytes, count, number, percent, report};

use crate::cli::watch::StatArgs;
use crate::context::Context;
use crate::message::{Failure, Outcome};
use crate::output::Output;
use crate::sanity;
use crate::table::{self, Table, terminal_width, text};

mod screen;
mod terminal;
mod used;

pub(crate) fn run(cx: &Context, args: &StatArgs) -> Outcome {
    sanity::only_root_here("see what zones use")?;
    let interval = Duration::from_secs(args.interval);
    if is_for_a_person(args) {
        return terminal::run(cx, interval);
    }
    let mut before = count(cx)?;
    let mut left = args.count;
    while left != Some(0) {
        thread::sleep(interval);
        let now = count(cx)?;
        print(&report(&before, &now), args.json)?;
        before = now;
        left = left.map(|left| left - 1);
    }
    Ok(())
}

/// Whether somebody sits there and looks, at a terminal that can be drawn on.
fn is_for_a_person(args: &StatArgs) -> bool {
    let can_draw = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
    let asked = !args.json && !args.plain && args.count.is_none();
    asked && can_draw && io::stdout().is_terminal() && io::stdin().is_terminal()
}

fn print(report: &Report, json: bool) -> Outcome {
    let mut out = Output::new();
    if json {
        let text = serde_json::to_string(report).map_err(Failure::general)?;
        out.line(&text)?;
        return out.end();
    }
    out.line(&report.time)?;
    let heads = [
        text("ZONE", 12),
        table::number("%CPU", 6),
        table::number("MEMORY", 11),
        table::number("OF", 11),
        table::number("SWAP", 11),
        table::number("LWPS", 6),
        table::number("OF", 6),
        table::number("%WAIT-CPU", 6),
        table::number("%WAIT-MEM", 6),
        table::number("%WAIT-IO", 6),
    ];
    let mut table = Table::new(heads);
    for used in &report.zones {
        let wait = |name| percent(used.wait(name));
        let cells = vec![
            used.zone.clone(),
            percent(used.cpu_percent),
            bytes(used.memory_bytes),
            bytes(used.memory_limit),
            bytes(used.swap_bytes),
            number(used.lwps),
            number(used.lwps_limit),
            wait("cpu"),
            wait("memory"),
            wait("io"),
        ];
        table.row(cells, None);
    }
    for line in table.lines(terminal_width()) {
        out.line(line.trim_end())?;
    }
    out.end()
}

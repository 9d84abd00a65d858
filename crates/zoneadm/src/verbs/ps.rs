//! `zoneadm ps`: the processes of a zone, as the host sees them.

use serde::Serialize;
use zone_sys::stdio::terminal_columns;

use crate::cli::watch::PsArgs;
use crate::context::Context;
use crate::live;
use crate::message::{Failure, Outcome};
use crate::output::Output;
use crate::processes::{self, Process};
use crate::sanity;
use crate::table::{Table, begin, number, text};

/// A process, and whose it is.
#[derive(Serialize)]
struct Of<'a> {
    zone: &'a str,
    #[serde(flatten)]
    process: &'a Process,
}

pub(crate) fn run(cx: &Context, args: PsArgs) -> Outcome {
    sanity::only_root_here("list the processes of a zone")?;
    let mut found = Vec::new();
    for zone in cx.named_or_all("ps operation is invalid for the global zone; ps(1) lists its processes")? {
        let status = live::ask(&cx.layout, &zone).map_err(Failure::of(&zone))?;
        match status.map(|status| status.pid).filter(|&pid| pid != 0) {
            Some(first) => found.push((processes::of(&cx.layout, &zone, first), zone)),
            None if cx.names_one() => return Err(Failure::text(&zone, "not running")),
            None => {}
        }
    }
    let all = || {
        found
            .iter()
            .flat_map(|(all, zone)| all.iter().map(move |process| Of { zone: zone.as_str(), process }))
    };
    let mut out = Output::new();
    if args.json {
        out.json(&all().collect::<Vec<_>>())?;
        return out.end();
    }
    let heads = [
        text("ZONE", 8),
        number("PID", 7),
        number("IN ZONE", 7),
        text("USER", 5),
        text("S", 1),
        number("THREADS", 3),
        number("RSS", 9),
        number("CPU", 8),
        text("COMMAND", 1),
    ];
    let mut table = Table::new(heads);
    for Of { zone, process } in all() {
        let or_none = |number: Option<String>| number.unwrap_or_else(|| "-".to_owned());
        table.row(
            vec![
                zone.to_owned(),
                process.pid.to_string(),
                or_none(process.zone_pid.map(|pid| pid.to_string())),
                or_none(process.uid.map(|uid| uid.to_string())),
                process.state.to_string(),
                process.threads.to_string(),
                indicatif::HumanBytes(process.rss_bytes).to_string(),
                seconds(process.cpu_usec),
                process.command.clone(),
            ],
            None,
        );
    }
    let width = terminal_columns();
    for line in table.lines(width) {
        // What does not fit is of the command, and there are other means to see all of it.
        let line = line.trim_end();
        out.line(width.map_or(line, |width| begin(line, width)))?;
    }
    out.end()
}

/// Time of CPUs, as ps(1) has it.
fn seconds(usec: u64) -> String {
    let seconds = usec / 1_000_000;
    format!("{}:{:02}.{:02}", seconds / 60, seconds % 60, usec / 10_000 % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_in_minutes() {
        assert_eq!(seconds(0), "0:00.00");
        assert_eq!(seconds(61_234_567), "1:01.23");
    }
}

//! `zoneadm stat`: what zones that are up use of the machine, by intervals.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use zone_config::ZoneName;
use zone_platform::cgroup::{Bounded, Usage};

use crate::cli::watch::StatArgs;
use crate::context::Context;
use crate::live;
use crate::message::{Failure, Outcome};
use crate::output::Output;
use crate::sanity;
use crate::table::{Table, number, terminal_width, text};
use crate::time;

/// What a zone has used in an interval. Percent are of one CPU, or of the interval; what this host does not count is null.
#[derive(Debug, Serialize)]
struct Used {
    zone: String,
    cpu_percent: Option<f64>,
    memory_bytes: Option<u64>,
    memory_limit: Option<u64>,
    swap_bytes: Option<u64>,
    lwps: Option<u64>,
    lwps_limit: Option<u64>,
    /// Of "cpu", "memory" and "io": how much of the interval some of its threads had to wait.
    waits_percent: BTreeMap<&'static str, f64>,
}

/// One interval.
#[derive(Debug, Serialize)]
struct Report {
    time: String,
    zones: Vec<Used>,
}

/// What was counted, and when.
type Counted = BTreeMap<ZoneName, (Instant, Usage)>;

pub(crate) fn run(cx: &Context, args: &StatArgs) -> Outcome {
    sanity::only_root_here("see what zones use")?;
    let interval = Duration::from_secs(args.interval);
    let mut before = count(cx)?;
    let mut left = args.count;
    while left != Some(0) {
        thread::sleep(interval);
        let now = count(cx)?;
        let zones = now.iter().map(|(zone, now)| used(zone, before.get(zone), now)).collect();
        print(&Report { time: time::local(time::now()), zones }, args.json)?;
        before = now;
        left = left.map(|left| left - 1);
    }
    Ok(())
}

/// Counts for the zones that were named, or all, as far as they are up.
fn count(cx: &Context) -> Outcome<Counted> {
    let zones = cx.named_or_all("stat operation is invalid for the global zone.")?;
    let mut counted = Counted::new();
    for zone in zones {
        let live = live::ask_among_others(&cx.layout, &zone).map_err(Failure::of(&zone))?;
        match (live, Usage::of(&cx.layout, &zone)) {
            (Some(_), Some(usage)) => drop(counted.insert(zone, (Instant::now(), usage))),
            (None, _) if cx.names_one() => return Err(Failure::text(&zone, "not running")),
            (Some(_), None) if cx.names_one() => {
                return Err(Failure::text(
                    &zone,
                    "this host counts nothing for it; it has no cgroup of version 2",
                ));
            }
            _ => {}
        }
    }
    Ok(counted)
}

fn used(zone: &ZoneName, before: Option<&(Instant, Usage)>, (at, now): &(Instant, Usage)) -> Used {
    let elapsed = before.map(|(since, _)| at.duration_since(*since).as_secs_f64()).filter(|&secs| secs > 0.0);
    // Both are counters of one boot of the zone; after another they begin anew.
    let percent = |before: u64, now: u64| {
        let usec = Duration::from_micros(now.checked_sub(before).unwrap_or(now)).as_secs_f64();
        elapsed.map(|elapsed| (usec / elapsed * 1000.0).round() / 10.0)
    };
    let earlier = before.map(|(_, usage)| usage);
    let cpu = now.cpu_usec.zip(earlier.and_then(|usage| usage.cpu_usec));
    let waits = now.pressure.iter().filter_map(|(name, pressure)| {
        let earlier = earlier?.pressure.iter().find(|(other, _)| other == name)?.1.some_usec;
        Some((*name, percent(earlier, pressure.some_usec)?))
    });
    let limit = |bounded: Option<Bounded>| bounded.and_then(|bounded| bounded.limit);
    let used = |bounded: Option<Bounded>| bounded.map(|bounded| bounded.used);
    Used {
        zone: zone.to_string(),
        cpu_percent: cpu.and_then(|(now, before)| percent(before, now)),
        memory_bytes: used(now.memory),
        memory_limit: limit(now.memory),
        swap_bytes: used(now.swap),
        lwps: used(now.threads),
        lwps_limit: limit(now.threads),
        waits_percent: waits.collect(),
    }
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
        number("%CPU", 6),
        number("MEMORY", 11),
        number("OF", 11),
        number("SWAP", 11),
        number("LWPS", 6),
        number("OF", 6),
        number("%WAIT-CPU", 6),
        number("%WAIT-MEM", 6),
        number("%WAIT-IO", 6),
    ];
    let mut table = Table::new(heads);
    let none = || "-".to_owned();
    let bytes =
        |bytes: Option<u64>| bytes.map_or_else(none, |bytes| indicatif::HumanBytes(bytes).to_string());
    let count = |count: Option<u64>| count.map_or_else(none, |count| count.to_string());
    let percent = |percent: Option<f64>| percent.map_or_else(none, |percent| format!("{percent:.1}"));
    for used in &report.zones {
        let wait = |name| percent(used.waits_percent.get(name).copied());
        let cells = vec![
            used.zone.clone(),
            percent(used.cpu_percent),
            bytes(used.memory_bytes),
            bytes(used.memory_limit),
            bytes(used.swap_bytes),
            count(used.lwps),
            count(used.lwps_limit),
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

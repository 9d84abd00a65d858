//! What zones have used between two moments.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use zone_config::ZoneName;
use zone_platform::cgroup::{Bounded, Usage};

use crate::context::Context;
use crate::live;
use crate::message::{Failure, Outcome};
use crate::time;

/// What a zone has used in an interval. Percent are of one CPU, or of the interval; what this host does not count is null.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Used {
    pub(super) zone: String,
    pub(super) cpu_percent: Option<f64>,
    pub(super) memory_bytes: Option<u64>,
    pub(super) memory_limit: Option<u64>,
    pub(super) swap_bytes: Option<u64>,
    pub(super) lwps: Option<u64>,
    pub(super) lwps_limit: Option<u64>,
    /// Of "cpu", "memory" and "io": how much of the interval some of its threads had to wait.
    pub(super) waits_percent: BTreeMap<String, f64>,
}

impl Used {
    /// How much of the interval it waited for this, in percent.
    pub(super) fn wait(&self, what: &str) -> Option<f64> {
        self.waits_percent.get(what).copied()
    }
}

/// One interval.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) time: String,
    pub(super) zones: Vec<Used>,
}

/// What was counted, and when.
pub(super) type Counted = BTreeMap<ZoneName, (Instant, Usage)>;

/// Tells what was used between two counts.
pub(super) fn report(before: &Counted, now: &Counted) -> Report {
    let zones = now.iter().map(|(zone, now)| used(zone, before.get(zone), now)).collect();
    Report { time: time::local(time::now()), zones }
}

/// Counts for the zones that were named, or all, as far as they are up.
pub(super) fn count(cx: &Context) -> Outcome<Counted> {
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
        Some(((*name).to_owned(), percent(earlier, pressure.some_usec)?))
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

/// What this host does not count.
const NONE: &str = "-";

/// Writes a size for people.
pub(super) fn bytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| NONE.to_owned(), |bytes| indicatif::HumanBytes(bytes).to_string())
}

/// Writes a number.
pub(super) fn number(number: Option<u64>) -> String {
    number.map_or_else(|| NONE.to_owned(), |number| number.to_string())
}

/// Writes a share.
pub(super) fn percent(percent: Option<f64>) -> String {
    percent.map_or_else(|| NONE.to_owned(), |percent| format!("{percent:.1}"))
}

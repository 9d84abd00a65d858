//! What a zone that is up uses of the machine, and its limits.

use std::collections::BTreeMap;

use indicatif::HumanBytes;
use serde::Serialize;
use zone_config::{Layout, ZoneName};
use zone_platform::cgroup::{Bounded, Pressure, Usage};

use crate::time;

/// What a zone uses. What this host does not count for zones is null, and so is a limit that there is not. Bytes and microseconds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Limits {
    memory: Option<Use>,
    swap: Option<Use>,
    /// How many processes were killed for want of memory, since the boot.
    oom_kills: Option<u64>,
    lwps: Option<Use>,
    lwps_refused: Option<u64>,
    cpu: Cpu,
    /// For "cpu", "memory" and "io": how long its threads had to wait.
    pressure: BTreeMap<&'static str, Waits>,
}

/// What is used, and the most that may be.
#[derive(Clone, Debug, Serialize)]
struct Use {
    used: u64,
    limit: Option<u64>,
}

/// The CPUs.
#[derive(Clone, Debug, Serialize)]
struct Cpu {
    /// How many CPUs' time it may have.
    limit: Option<f64>,
    shares: Option<u64>,
    used_usec: Option<u64>,
    /// How long its limit has made it wait.
    throttled_usec: Option<u64>,
    /// Those that it shares with nobody, as in "2-3".
    dedicated: Option<String>,
    /// Why it shares them by now.
    dedicated_lost: Option<String>,
}

/// Some of those that wanted to run had to wait, or all of them: since the boot, and in percent of the last ten seconds.
#[derive(Clone, Debug, Serialize)]
struct Waits {
    some_usec: u64,
    full_usec: u64,
    some_avg10: f64,
    full_avg10: f64,
}

impl Limits {
    /// Reads what a zone uses; `None` if it has no cgroup.
    pub(super) fn of(layout: &Layout, zone: &ZoneName) -> Option<Self> {
        let usage = Usage::of(layout, zone)?;
        let of = |bounded: Option<Bounded>| bounded.map(|Bounded { used, limit }| Use { used, limit });
        Some(Self {
            memory: of(usage.memory),
            swap: of(usage.swap),
            oom_kills: usage.oom_kills,
            lwps: of(usage.threads),
            lwps_refused: usage.threads_refused,
            cpu: Cpu {
                limit: usage.cpu_limit.map(hundredths),
                shares: usage.cpu_shares,
                used_usec: usage.cpu_usec,
                throttled_usec: usage.throttled_usec,
                dedicated: usage.own_cpus,
                dedicated_lost: usage.own_cpus_lost,
            },
            pressure: usage
                .pressure
                .into_iter()
                .map(|(name, pressure)| (name, Waits::of(pressure)))
                .collect(),
        })
    }

    /// Memory in use, in bytes.
    pub(super) fn memory_used(&self) -> Option<u64> {
        self.memory.as_ref().map(|memory| memory.used)
    }

    /// How many threads there are.
    pub(super) fn lwps_used(&self) -> Option<u64> {
        self.lwps.as_ref().map(|lwps| lwps.used)
    }

    /// What is used and the limits, each with what it is of, for people.
    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        let bytes = |number: u64| HumanBytes(number).to_string();
        let of = |used: &Use, form: &dyn Fn(u64) -> String| match used.limit {
            Some(limit) => format!("{} of {}", form(used.used), form(limit)),
            None => format!("{}, no limit", form(used.used)),
        };
        let mut lines = Vec::new();
        if let Some(memory) = &self.memory {
            let killed = self.oom_kills.and_then(killed).map_or_else(String::new, |note| format!("; {note}"));
            lines.push(("memory", format!("{}{killed}", of(memory, &bytes))));
        }
        if let Some(swap) = self.swap.as_ref().filter(|swap| swap.used > 0 || swap.limit.is_some()) {
            lines.push(("swap", of(swap, &bytes)));
        }
        if let Some(lwps) = &self.lwps {
            let refused = self.lwps_refused.filter(|&refused| refused > 0);
            let refused = refused.map_or_else(String::new, |count| format!("; {count} were refused"));
            lines.push(("lwps", format!("{}{refused}", of(lwps, &|number| number.to_string()))));
        }
        let used = self.cpu.used_usec.map(|usec| format!("{} used", time::lasting(usec / 1_000_000)));
        let limit = self.cpu.limit.map(|limit| format!("at most {limit} CPUs"));
        let own = self.cpu.dedicated.as_ref().map(|cpus| format!("CPUs of its own: {cpus}"));
        let cpu: Vec<String> = used.into_iter().chain(limit).chain(own).collect();
        if !cpu.is_empty() {
            lines.push(("cpu", cpu.join(", ")));
        }
        let waits = self.pressure.iter().map(|(name, waits)| format!("{name} {:.2} %", waits.some_avg10));
        let waits: Vec<String> = waits.collect();
        if !waits.is_empty() {
            lines.push(("pressure", format!("{}, of the last 10 s", waits.join(", "))));
        }
        lines
    }

    /// How many processes were killed for want of memory.
    pub(super) fn oom_kills(&self) -> Option<u64> {
        self.oom_kills
    }
}

/// What is to be said in a table of so many processes that were killed for want of memory.
pub(super) fn killed(oom_kills: u64) -> Option<String> {
    match oom_kills {
        0 => None,
        1 => Some("1 process killed for want of memory".to_owned()),
        many => Some(format!("{many} processes killed for want of memory")),
    }
}

impl Waits {
    fn of(pressure: Pressure) -> Self {
        let Pressure { some_usec, full_usec, some_avg10, full_avg10 } = pressure;
        Self { some_usec, full_usec, some_avg10: hundredths(some_avg10), full_avg10: hundredths(full_avg10) }
    }
}

fn hundredths(number: u64) -> f64 {
    // Small numbers, which a float has exactly enough room for.
    f64::from(u32::try_from(number).unwrap_or(u32::MAX)) / 100.0
}

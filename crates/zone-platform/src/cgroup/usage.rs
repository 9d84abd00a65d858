//! What a zone uses of the machine, and how often it came to its limits, as the kernel's files of its cgroup tell it.

use std::collections::BTreeMap;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, openat};
use zone_config::layout::InstallationId;
use zone_config::{Layout, ZoneName};

use super::{Places, Tree, ZONE, cpus, mounted, path_of, read, read_open};

/// What a zone uses. A part without its controller on this host is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Memory, in bytes.
    pub memory: Option<Bounded>,
    /// The host's swap space, in bytes.
    pub swap: Option<Bounded>,
    /// How many processes of the zone were killed for want of memory.
    pub oom_kills: Option<u64>,
    /// How many threads there are, of how many allowed.
    pub threads: Option<Bounded>,
    /// How many threads were refused.
    pub threads_refused: Option<u64>,
    /// The limit of the CPUs' time, in hundredths of a CPU.
    pub cpu_limit: Option<u64>,
    /// The share of the CPUs.
    pub cpu_shares: Option<u64>,
    /// The time of CPUs that was used, in microseconds.
    pub cpu_usec: Option<u64>,
    /// How long its threads have waited for its limit, in microseconds.
    pub throttled_usec: Option<u64>,
    /// The CPUs that it shares with nobody, as the kernel lists them.
    pub own_cpus: Option<String>,
    /// What the kernel says of the partition, if it holds no more.
    pub own_cpus_lost: Option<String>,
    /// How long its threads had to wait: for `cpu`, `memory` and `io`.
    pub pressure: Vec<(&'static str, Pressure)>,
}

/// What is used, and the most that may be; none is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounded {
    /// What is used now.
    pub used: u64,
    /// The most that may be.
    pub limit: Option<u64>,
}

/// Pressure stall information (the kernel's psi.rst): microseconds since the zone's boot, and hundredths of a percent of the last ten
/// seconds, in which some or all of those who wanted to run had to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Microseconds, of some.
    pub some_usec: u64,
    /// Microseconds, of all.
    pub full_usec: u64,
    /// Hundredths of a percent, of some.
    pub some_avg10: u64,
    /// Hundredths of a percent, of all.
    pub full_avg10: u64,
}

impl Usage {
    /// Reads what a zone uses; `None` if it has no cgroup.
    #[must_use]
    pub fn of(layout: &Layout, zone: &ZoneName) -> Option<Self> {
        let tree = Tree::find(layout.id(), zone).ok()?;
        let dir = tree.open(ZONE).ok()??;
        let around = tree.around().ok()?;
        let own = dir.as_fd();
        let (cpu, threads) = (flat(own, "cpu.stat"), flat(own, "pids.events"));
        let pressure = [("cpu", "cpu.pressure"), ("memory", "memory.pressure"), ("io", "io.pressure")];
        let partition = if tree.apart { read(around.as_fd(), cpus::PARTITION).ok() } else { None };
        Some(Self {
            memory: bounded(own, "memory.current", "memory.max"),
            swap: bounded(own, "memory.swap.current", "memory.swap.max"),
            oom_kills: killed(&flat(own, EVENTS)),
            threads: bounded(own, "pids.current", "pids.max"),
            threads_refused: threads.get("max").copied(),
            cpu_limit: read(own, "cpu.max").ok().and_then(|text| cpu_limit(&text)),
            cpu_shares: read(around.as_fd(), "cpu.weight").ok().and_then(|text| text.trim().parse().ok()),
            cpu_usec: cpu.get("usage_usec").copied(),
            throttled_usec: cpu.get("throttled_usec").copied(),
            own_cpus: partition
                .as_ref()
                .and_then(|_| Some(read(around.as_fd(), "cpuset.cpus.effective").ok()?.trim().to_owned())),
            own_cpus_lost: partition
                .map(|state| state.trim().to_owned())
                .filter(|state| state != cpus::HOLDS),
            pressure: pressure
                .into_iter()
                .filter_map(|(name, file)| Some((name, Pressure::parse(&read(own, file).ok()?))))
                .collect(),
        })
    }
}

/// Tells how many processes of zones were killed for want of memory since their boots, and nothing else of them. What is the same for
/// all zones of an installation is found once.
#[derive(Debug)]
pub struct OomKills {
    installation: InstallationId,
    /// Where cgroup2 is mounted; none on a host where it does not count memory.
    mount: Option<OwnedFd>,
}

impl OomKills {
    /// Looks whether they are counted.
    #[must_use]
    pub fn open(layout: &Layout) -> Self {
        let counts = |mount: &OwnedFd| {
            let controllers = read(mount.as_fd(), "cgroup.controllers");
            controllers.is_ok_and(|names| names.split_whitespace().any(|name| name == "memory"))
        };
        let mount = mounted().ok().map(|(mount, _)| mount).filter(counts);
        Self { installation: layout.id(), mount }
    }

    /// Reads how many of a zone's were killed; `None` if that is not counted.
    #[must_use]
    pub fn of(&self, zone: &ZoneName) -> Option<u64> {
        let mount = self.mount.as_ref()?;
        let Places { usual, apart } = Places::of(self.installation, zone);
        let open = |names: &[String]| {
            let path = path_of(names).join(ZONE).join(EVENTS);
            openat(mount, path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).ok()
        };
        let mut found = apart.into_iter().chain(usual).filter_map(|names| open(&names));
        match (found.next(), found.next()) {
            (Some(events), None) => killed(&pairs(&read_open(&events).ok()?)),
            (None, _) => None,
            // What is left of an earlier life is in one of them: which it is takes more looking.
            _ => {
                let tree = Tree::find(self.installation, zone).ok()?;
                killed(&flat(tree.open(ZONE).ok()??.as_fd(), EVENTS))
            }
        }
    }
}

/// The file that tells what a cgroup's limits of memory have done.
const EVENTS: &str = "memory.events";

fn killed(events: &BTreeMap<String, u64>) -> Option<u64> {
    events.get("oom_kill").copied()
}

impl Pressure {
    fn parse(text: &str) -> Self {
        let value = |kind: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(' '))?;
            line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        };
        let total = |kind| value(kind, "total").and_then(|total| total.parse().ok()).unwrap_or_default();
        // The kernel prints two digits behind the point.
        let average = |kind| {
            value(kind, "avg10").and_then(|text| text.replace('.', "").parse().ok()).unwrap_or_default()
        };
        Self {
            some_usec: total("some"),
            full_usec: total("full"),
            some_avg10: average("some"),
            full_avg10: average("full"),
        }
    }
}

fn bounded(dir: BorrowedFd<'_>, used: &str, limit: &str) -> Option<Bounded> {
    let number = |file| read(dir, file).ok().map(|text| text.trim().parse::<u64>().ok());
    Some(Bounded { used: number(used)??, limit: number(limit).flatten() })
}

/// Reads lines of a word and a number.
pub(super) fn flat(dir: BorrowedFd<'_>, file: &str) -> BTreeMap<String, u64> {
    pairs(&read(dir, file).unwrap_or_default())
}

fn pairs(text: &str) -> BTreeMap<String, u64> {
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs.filter_map(|(word, number)| Some((word.to_owned(), number.parse().ok()?))).collect()
}

/// Hundredths of a CPU, from `QUOTA PERIOD`.
fn cpu_limit(text: &str) -> Option<u64> {
    let (quota, period) = text.trim().split_once(' ')?;
    quota.parse::<u64>().ok()?.checked_mul(100)?.checked_div(period.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_read() {
        let text = "some avg10=1.50 avg60=0.00 avg300=0.00 total=12\nfull avg10=0.07 avg60=0.00 avg300=0.00 total=3\n";
        let wanted = Pressure { some_usec: 12, full_usec: 3, some_avg10: 150, full_avg10: 7 };
        assert_eq!(Pressure::parse(text), wanted);
        assert_eq!(cpu_limit("50000 100000\n"), Some(50));
        assert_eq!(cpu_limit("max 100000\n"), None);
    }
}

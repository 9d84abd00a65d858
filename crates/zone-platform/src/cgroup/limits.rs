//! The limits of a zone, as the kernel's files of its cgroup say them.
//!
//! They stand on a cgroup that is delegated to the zone's root, and are not among what is delegated: who owns the directory
//! may not write them.

use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use zone_config::ZoneConfig;
use zone_config::limits::{cpu_list, cpus, size, whole_cpus};

use super::{BOUNDS, CgroupError, io, write};
use crate::spec::CgroupSpec;

/// A limit: the property that asks for it, the controller that obeys, the kernel's file, what that says without one, and what a
/// configuration comes to.
struct Limit {
    property: &'static str,
    controller: &'static str,
    file: &'static str,
    none: &'static str,
    value: fn(&ZoneConfig) -> Option<String>,
}

/// Limits on the zone's own cgroup.
const OWN: [Limit; 5] = [
    Limit {
        property: "capped-memory.physical",
        controller: "memory",
        file: "memory.max",
        none: "max",
        value: |config| physical(config).map(|bytes| bytes.to_string()),
    },
    Limit {
        property: "capped-memory.physical",
        controller: "memory",
        file: "memory.high",
        none: "max",
        value: |config| physical(config).map(|bytes| (bytes - margin(bytes)).to_string()),
    },
    Limit {
        property: "capped-memory.swap",
        controller: "memory",
        file: "memory.swap.max",
        none: "max",
        value: |config| size(config.capped_memory.first()?.swap.as_deref()?).map(|bytes| bytes.to_string()),
    },
    Limit {
        property: "capped-cpu.ncpus",
        controller: "cpu",
        file: "cpu.max",
        none: "max",
        // A hundredth of a CPU is a hundredth of the period.
        value: |config| {
            let time = cpus(&config.capped_cpu.first()?.ncpus)? * PERIOD / 100;
            Some(format!("{time} {PERIOD}"))
        },
    },
    Limit {
        property: "max-lwps or max-processes",
        controller: "pids",
        file: "pids.max",
        none: "max",
        // The kernel counts threads only. Where the fewer bound holds, both do.
        value: |config| Some(config.max_lwps.into_iter().chain(config.max_processes).min()?.to_string()),
    },
];

/// Limits that are shares beside those of other zones.
const BESIDE: [Limit; 1] = [Limit {
    property: "cpu-shares",
    controller: "cpu",
    file: "cpu.weight",
    none: "100",
    value: |config| config.cpu_shares.map(|shares| shares.to_string()),
}];

/// The period in which a zone's time of CPUs is counted, in microseconds: the kernel's own.
const PERIOD: u64 = 100_000;

/// How much of a zone's memory is kept free for its own good: a thirty-second part, and 32 MiB at most.
///
/// Above `memory.high` whoever asks for memory first frees some, and waits if that does not help; only at `memory.max` something is
/// killed. Without a margin a zone that reads files lives at its end, where what cannot be freed in that moment is killed for. It
/// is small, because the kernel makes who is above it wait the longer the further, and a hog without swap shall meet its end
/// within a second or two rather than crawl there.
fn margin(bytes: u64) -> u64 {
    (bytes / 32).min(32 << 20)
}

fn physical(config: &ZoneConfig) -> Option<u64> {
    size(config.capped_memory.first()?.physical.as_deref()?)
}

/// Reads what a configuration asks for. Words that are none were refused when they were set, and are nothing here.
pub(crate) fn asked(config: &ZoneConfig) -> CgroupSpec {
    let of = |limits: &[Limit]| {
        let asked = limits.iter().filter_map(|limit| Some((limit.file.to_owned(), (limit.value)(config)?)));
        asked.collect::<Vec<_>>()
    };
    let always = BOUNDS.map(|(file, bound)| (file.to_owned(), bound.to_owned()));
    CgroupSpec {
        bounds: always.into_iter().chain(of(&OWN)).collect(),
        beside: of(&BESIDE),
        cpus: config.dedicated_cpu.first().and_then(|own| {
            let number = own.ncpus.as_deref().and_then(whole_cpus);
            number.or_else(|| cpu_list(own.cpus.as_deref()?))
        }),
        io: config.io.iter().map(io::asked).collect(),
    }
}

/// Lists the limits that are asked for and that nothing on this host obeys, whose cgroup2 has these controllers.
pub(super) fn missing(spec: &CgroupSpec, controllers: &str) -> Vec<CgroupError> {
    let files = || spec.bounds.iter().chain(&spec.beside).map(|(file, _)| file.as_str());
    let asked = OWN.iter().chain(&BESIDE).filter(|limit| files().any(|file| file == limit.file));
    let has = |limit: &&Limit| controllers.split_whitespace().any(|name| name == limit.controller);
    let mut missing: Vec<_> = asked.filter(|limit| !has(limit)).collect();
    missing.dedup_by_key(|limit| limit.property);
    let missing = missing.into_iter().map(|limit| (limit.property, limit.controller));
    let others = [("dedicated-cpu", "cpuset", spec.cpus.is_some()), ("io", "io", !spec.io.is_empty())];
    let lacks = |controller: &str| !controllers.split_whitespace().any(|name| name == controller);
    let others = others.into_iter().filter(|(_, controller, asked)| *asked && lacks(controller));
    missing
        .chain(others.map(|(property, controller, _)| (property, controller)))
        .map(|(property, controller)| CgroupError::NoController { property, controller })
        .collect()
}

/// Takes away the limits of a zone's own cgroup that are not among the bounds.
pub(super) fn clear(dir: BorrowedFd<'_>, spec: &CgroupSpec) -> Result<(), Errno> {
    reset(dir, &OWN, &spec.bounds)
}

/// Gives the zone the usual share where none is asked for.
pub(super) fn clear_beside(dir: BorrowedFd<'_>, spec: &CgroupSpec) -> Result<(), Errno> {
    reset(dir, &BESIDE, &spec.beside)
}

fn reset(dir: BorrowedFd<'_>, limits: &[Limit], asked: &[(String, String)]) -> Result<(), Errno> {
    for limit in limits.iter().filter(|limit| !asked.iter().any(|(file, _)| file == limit.file)) {
        match write(dir, limit.file, limit.none) {
            // Without the controller there is nothing to take away.
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn words_come_to_what_the_kernel_reads() {
        let text = "zonepath = \"/z\"\ncpu-shares = 200\nmax-lwps = 500\n[[capped-memory]]\nphysical = \"1G\"\nswap = \"512M\"\n[[capped-cpu]]\nncpus = \"1.5\"\n";
        let spec = asked(&ZoneConfig::parse(text, Path::new("f")).unwrap());
        let value = |name: &str| {
            let all = spec.bounds.iter().chain(&spec.beside);
            all.clone().find(|(file, _)| file == name).map(|(_, value)| value.as_str())
        };
        assert_eq!(value("memory.max"), Some("1073741824"));
        // A thirty-second part of it, which is 32 MiB here.
        assert_eq!(value("memory.high"), Some("1040187392"));
        assert_eq!((margin(64 << 20), margin(1 << 40)), (2 << 20, 32 << 20));
        assert_eq!(value("memory.swap.max"), Some("536870912"));
        assert_eq!(value("cpu.max"), Some("150000 100000"));
        assert_eq!(value("pids.max"), Some("500"));
        assert_eq!(value("cpu.weight"), Some("200"));
        assert_eq!(missing(&spec, "cpu io memory pids").len(), 0);
        let said: Vec<_> = missing(&spec, "cpu pids").iter().map(ToString::to_string).collect();
        assert!(
            said.len() == 2 && said[0].starts_with("capped-memory.physical needs the controller 'memory'"),
            "{said:?}"
        );
        assert_eq!(asked(&ZoneConfig::defaults()), CgroupSpec::default());
    }

    #[test]
    fn of_threads_and_processes_the_fewer_bound_holds() {
        for (text, most) in [
            ("max-processes = 50\n", "50"),
            ("max-lwps = 60\n", "60"),
            ("max-lwps = 60\nmax-processes = 50\n", "50"),
            ("max-lwps = 40\nmax-processes = 50\n", "40"),
        ] {
            let config = ZoneConfig::parse(&format!("zonepath = \"/z\"\n{text}"), Path::new("f")).unwrap();
            assert!(asked(&config).bounds.contains(&("pids.max".to_owned(), most.to_owned())), "{text}");
        }
    }
}

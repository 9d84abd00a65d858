//! The limits of a zone, as the kernel's files of its cgroup say them.
//!
//! They stand on a cgroup that is delegated to the zone's root, and are not among what is delegated: who owns the directory
//! may not write them.

use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use zone_config::ZoneConfig;
use zone_config::limits::{cpus, size};

use super::{BOUNDS, CgroupError, write};
use crate::spec::CgroupSpec;

/// A limit: the property that asks for it, the controller that obeys, the kernel's file, and what that says without one.
struct Limit {
    property: &'static str,
    controller: &'static str,
    file: &'static str,
    none: &'static str,
}

/// Limits on the zone's own cgroup.
const OWN: [Limit; 4] = [
    Limit { property: "capped-memory.physical", controller: "memory", file: "memory.max", none: "max" },
    Limit { property: "capped-memory.swap", controller: "memory", file: "memory.swap.max", none: "max" },
    Limit { property: "capped-cpu.ncpus", controller: "cpu", file: "cpu.max", none: "max" },
    Limit { property: "max-lwps", controller: "pids", file: "pids.max", none: "max" },
];

/// Limits that are shares beside those of other zones.
const BESIDE: [Limit; 1] =
    [Limit { property: "cpu-shares", controller: "cpu", file: "cpu.weight", none: "100" }];

/// The period in which a zone's time of CPUs is counted, in microseconds: the kernel's own.
const PERIOD: u64 = 100_000;

/// Reads what a configuration asks for. Words that are none were refused when they were set, and are nothing here.
pub(crate) fn asked(config: &ZoneConfig) -> CgroupSpec {
    let memory = config.capped_memory.first();
    let bytes = |word: &Option<String>| word.as_deref().and_then(size).map(|bytes| bytes.to_string());
    let physical = memory.and_then(|memory| bytes(&memory.physical));
    let swap = memory.and_then(|memory| bytes(&memory.swap));
    // A hundredth of a CPU is a hundredth of the period.
    let time = config.capped_cpu.first().and_then(|capped| cpus(&capped.ncpus));
    let time = time.map(|hundredths| format!("{} {PERIOD}", hundredths * PERIOD / 100));
    let threads = config.max_lwps.map(|most| most.to_string());
    let own = OWN.iter().zip([physical, swap, time, threads]);
    let always = BOUNDS.map(|(file, bound)| (file.to_owned(), bound.to_owned()));
    let asked = own.filter_map(|(limit, value)| Some((limit.file.to_owned(), value?)));
    let shares = config.cpu_shares.map(|shares| (BESIDE[0].file.to_owned(), shares.to_string()));
    CgroupSpec { bounds: always.into_iter().chain(asked).collect(), beside: shares.into_iter().collect() }
}

/// Lists the limits that are asked for and that nothing on this host obeys, whose cgroup2 has these controllers.
pub(super) fn missing(spec: &CgroupSpec, controllers: &str) -> Vec<CgroupError> {
    let files = || spec.bounds.iter().chain(&spec.beside).map(|(file, _)| file.as_str());
    let asked = OWN.iter().chain(&BESIDE).filter(|limit| files().any(|file| file == limit.file));
    let has = |limit: &&Limit| controllers.split_whitespace().any(|name| name == limit.controller);
    let missing = asked.filter(|limit| !has(limit));
    missing
        .map(|limit| CgroupError::NoController { property: limit.property, controller: limit.controller })
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
}

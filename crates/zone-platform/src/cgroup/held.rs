//! How much memory a zone holds that the kernel could take from it by killing alone.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rustix::fd::{AsFd, BorrowedFd};
use zone_config::ZoneName;

use super::usage::flat;
use super::{CgroupError, Tree, ZONE, read};
use crate::spec::CgroupSpec;

/// The limit of memory, and the one below at which it is freed.
const MAX: &str = "memory.max";
const HIGH: &str = "memory.high";

/// Refuses a limit of memory that the zone, which lives and has the limit `now`, could only be held to by killing its processes.
pub(super) fn look(
    tree: &Tree,
    zone: &ZoneName,
    now: Option<u64>,
    new: &CgroupSpec,
) -> Result<(), CgroupError> {
    match tree.open(ZONE)? {
        Some(dir) => look_in(dir.as_fd(), zone, now, new),
        None => Ok(()),
    }
}

fn look_in(
    dir: BorrowedFd<'_>,
    zone: &ZoneName,
    now: Option<u64>,
    new: &CgroupSpec,
) -> Result<(), CgroupError> {
    let Some(wanted) = limit(new) else { return Ok(()) };
    if now.is_some_and(|now| now <= wanted) {
        return Ok(());
    }
    let held = held(&flat(dir, "memory.stat"), swap(dir, number(new, "memory.swap.max")));
    if held < wanted {
        return Ok(());
    }
    Err(CgroupError::Held { zone: zone.clone(), wanted: mebibytes(wanted), held: mebibytes(held) })
}

/// Leaves out of the bounds of a zone that lives a limit of memory that it could only be held to by killing, and says so: nobody has looked
/// where a change is taken back, or where is mended what another has taken away, and the zone may have grown since somebody did.
pub(super) fn bearable<'a>(
    dir: BorrowedFd<'_>,
    zone: &ZoneName,
    bounds: &'a CgroupSpec,
) -> (Cow<'a, CgroupSpec>, Option<CgroupError>) {
    // What the kernel has, whatever anybody thinks that it has: not a number is none.
    let now = read(dir, MAX).ok().and_then(|text| text.trim().parse().ok());
    let Err(held) = look_in(dir, zone, now, bounds) else { return (Cow::Borrowed(bounds), None) };
    let mut others = bounds.clone();
    others.bounds.retain(|(file, _)| file != MAX && file != HIGH);
    (Cow::Owned(others), Some(held))
}

/// The limit of memory that is asked for.
pub(super) fn limit(spec: &CgroupSpec) -> Option<u64> {
    number(spec, MAX)
}

fn number(spec: &CgroupSpec, name: &str) -> Option<u64> {
    spec.bounds.iter().find(|(file, _)| file == name)?.1.parse().ok()
}

/// Rounds up.
fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// How much more of the zone's memory the host's swap space takes, which the zone can have so much of.
fn swap(dir: BorrowedFd<'_>, most: Option<u64>) -> u64 {
    let used = read(dir, "memory.swap.current").ok().and_then(|text| text.trim().parse::<u64>().ok());
    let own = most.unwrap_or(u64::MAX).saturating_sub(used.unwrap_or_default());
    let host = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    own.min(swap_free(&host))
}

/// The swap space that is free, from the text of /proc/meminfo, in bytes.
fn swap_free(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("SwapFree:"));
    let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or_default() << 10
}

/// What cannot be written to where it came from, as the pages of files can: what processes have, what is in memory only, as `/run` and
/// `/dev/shm` are, less what swap space takes of that; and what the kernel has for the zone.
fn held(stat: &BTreeMap<String, u64>, swap: u64) -> u64 {
    let sum = |names: &[&str]| names.iter().filter_map(|name| stat.get(*name)).sum::<u64>();
    let own = sum(&["kernel_stack", "pagetables", "slab_unreclaimable", "percpu", "sock"]);
    sum(&["anon", "shmem"]).saturating_sub(swap) + own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_that_has_grown_keeps_the_limit_that_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let cgroup = super::super::open_dir(rustix::fs::CWD, dir.path()).unwrap();
        let has = |max: &str, anon: u64| {
            std::fs::write(dir.path().join(MAX), max).unwrap();
            std::fs::write(dir.path().join("memory.stat"), format!("shmem 0\nanon {anon}\n")).unwrap();
        };
        let bound = |file: &str, value: u64| (file.to_owned(), value.to_string());
        // It may have no swap space, however much the host has.
        let bounds = vec![bound(MAX, 64 << 20), bound(HIGH, 62 << 20), bound("memory.swap.max", 0)];
        let wanted = CgroupSpec { bounds, ..CgroupSpec::default() };
        let zone: ZoneName = "web".parse().unwrap();
        let files = || {
            let (bounds, held) = bearable(cgroup.as_fd(), &zone, &wanted);
            let files: Vec<_> = bounds.bounds.iter().map(|(file, _)| file.clone()).collect();
            (files.join(" "), held.map(|held| held.to_string()))
        };
        let all = ("memory.max memory.high memory.swap.max".to_owned(), None);
        has("134217728\n", 20 << 20);
        assert_eq!(files(), all);
        // No more than it could hold at the limit that it has, which may be the same.
        has("67108864\n", 64 << 20);
        assert_eq!(files(), all);
        for max in ["134217728\n", "max\n"] {
            has(max, 100 << 20);
            let (left, said) = files();
            assert_eq!(left, "memory.swap.max");
            let said = said.unwrap();
            assert!(
                said.starts_with("capped-memory.physical of 64 MiB is less than the 100 MiB that"),
                "{said}"
            );
        }
    }

    #[test]
    fn files_can_be_given_back_and_processes_cannot() {
        let stat = |pairs: &[(&str, u64)]| pairs.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        let of =
            stat(&[("anon", 50), ("file", 1000), ("shmem", 30), ("slab_reclaimable", 9), ("pagetables", 2)]);
        assert_eq!(held(&of, 0), 82);
        assert_eq!(held(&of, 60), 22);
        assert_eq!(held(&of, 1000), 2);
        assert_eq!(held(&BTreeMap::new(), 0), 0, "without the controller nothing is known");
        assert_eq!(swap_free("MemTotal: 5 kB\nSwapFree:        12 kB\n"), 12 << 10);
        assert_eq!((swap_free(""), mebibytes(1), mebibytes(2 << 20)), (0, 1, 2));
    }
}

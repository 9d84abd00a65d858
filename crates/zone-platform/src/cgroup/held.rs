//! How much memory a zone holds that the kernel could take from it by killing alone.

use std::collections::BTreeMap;

use rustix::fd::{AsFd, BorrowedFd};
use zone_config::ZoneName;

use super::usage::flat;
use super::{CgroupError, Tree, ZONE, read};
use crate::spec::CgroupSpec;

/// Refuses a limit of memory that the zone, which lives, could only be held to by killing its processes.
pub(super) fn look(
    tree: &Tree,
    zone: &ZoneName,
    old: &CgroupSpec,
    new: &CgroupSpec,
) -> Result<(), CgroupError> {
    let Some(wanted) = limit(new, "memory.max") else { return Ok(()) };
    if limit(old, "memory.max").is_some_and(|now| now <= wanted) {
        return Ok(());
    }
    let Some(dir) = tree.open(ZONE)? else { return Ok(()) };
    let held = held(&flat(dir.as_fd(), "memory.stat"), swap(dir.as_fd(), limit(new, "memory.swap.max")));
    if held < wanted {
        return Ok(());
    }
    Err(CgroupError::Held { zone: zone.clone(), wanted: mebibytes(wanted), held: mebibytes(held) })
}

fn limit(spec: &CgroupSpec, name: &str) -> Option<u64> {
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

//! What a program passes when nothing is wrong, turned into the places at which it is to be killed; and whether a
//! zone has noticed.

use super::{Status, Zone, started_at};
use std::collections::BTreeMap;
use std::fs;

/// A point, and at which of its passages the program is to be killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The point.
    pub point: String,
    /// Counted from 1.
    pub passage: usize,
}

/// The places in `passed`, in its order: of a point that is passed often the first passage, one in the middle, and the
/// last one. What is in between is the same again.
#[must_use]
pub fn places(passed: &[String]) -> Vec<Place> {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for point in passed {
        *times.entry(point).or_default() += 1;
    }
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut places = Vec::new();
    for point in passed {
        let (passage, all) =
            (seen.entry(point).or_default(), times.get(point.as_str()).copied().unwrap_or(0));
        *passage += 1;
        if [1, all.div_ceil(2), all].contains(passage) {
            places.push(Place { point: point.clone(), passage: *passage });
        }
    }
    places
}

/// What tells the first process of a zone from any other that there ever was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pid: i32,
    started: Option<u64>,
    uniqid: Option<String>,
    boot: String,
}

impl Zone<'_> {
    /// Who its first process is; nobody below ready.
    #[track_caller]
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        identity(&self.status())
    }
}

/// Who the first process is of a zone whose status this is.
#[must_use]
pub fn identity(status: &Status) -> Option<Identity> {
    let pid = status.pid?;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Some(Identity { pid, started: started_at(pid), uniqid: status.uniqid.clone(), boot })
}

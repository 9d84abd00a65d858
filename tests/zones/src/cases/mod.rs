//! The tests, a file per subject.

use crate::harness::Case;

mod zonecfg;

/// All tests, in the order in which they run: the simple before what stands on it.
pub fn all() -> impl Iterator<Item = Case> {
    let groups: &[&[Case]] = &[zonecfg::CASES];
    groups.iter().copied().flatten().copied()
}

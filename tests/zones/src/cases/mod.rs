//! The tests, a file per subject.

use crate::harness::Case;

mod daemon;
mod install;
mod list;
mod matrix;
mod restart;
mod together;
mod uninstall;
mod zonecfg;

/// All tests, in the order in which they run: the simple before what stands on it.
pub fn all() -> impl Iterator<Item = Case> {
    let groups: &[&[Case]] = &[
        zonecfg::CASES,
        list::CASES,
        install::CASES,
        uninstall::CASES,
        matrix::CASES,
        daemon::CASES,
        restart::CASES,
        together::CASES,
    ];
    groups.iter().copied().flatten().copied()
}

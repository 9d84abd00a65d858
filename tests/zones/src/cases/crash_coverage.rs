//! After all of the crash suite: nobody has forgotten a point.

use crate::harness::{Lab, cases, is_crash, skip};
use std::collections::BTreeSet;

cases![every_point_is_one_at_which_somebody_died: 60 last];

fn every_point_is_one_at_which_somebody_died(lab: &Lab) {
    let mut points = lab.points();
    points.retain(|point| !point.is_call());
    let faults = lab.faults();
    let own = CASES[0].name();
    let all = super::all().map(|case| case.name()).filter(|name| is_crash(name) && *name != own);
    let others: BTreeSet<_> = all.collect();
    if !others.is_subset(&faults.ran) {
        skip("only a part of the crash suite was run");
    }
    let died: BTreeSet<_> = faults.deaths.into_iter().collect();
    let listed: BTreeSet<_> = points.iter().map(crate::harness::Point::with_program).collect();
    let unknown: Vec<_> = died.difference(&listed).collect();
    assert!(unknown.is_empty(), "not in the list of crates/zone-fail/src/list.rs: {unknown:?}");
    let wanted =
        points.iter().filter(|point| point.except.is_empty()).map(crate::harness::Point::with_program);
    let forgotten: Vec<_> = wanted.filter(|point| !died.contains(point)).collect();
    assert!(forgotten.is_empty(), "no test of the crash suite has killed a program at: {forgotten:#?}");
    let needless = points.iter().filter(|point| !point.except.is_empty());
    let needless: Vec<_> = needless.filter(|point| died.contains(&point.with_program())).collect();
    assert!(needless.is_empty(), "an exception that is none: {needless:?}");
}

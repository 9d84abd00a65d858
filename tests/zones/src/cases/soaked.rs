//! A soak that is short enough for every run of the suite. The long one is `cargo xtask soak`.

use crate::harness::{Lab, LabSpec, cases};
use crate::soak::{Soak, run};
use std::time::Duration;

cases![three_zones_for_a_while: 240];

fn three_zones_for_a_while(lab: &Lab) {
    let spec = LabSpec { dir: lab.path("soaked"), ..lab.spec().clone() };
    crate::harness::make_dir(&spec.dir, 0o755);
    let soak = Soak { seed: 20_261_122, time: Duration::from_secs(15), least: 20, zones: 3 };
    let report = run(soak, &spec).unwrap_or_else(|e| panic!("{e}"));
    eprintln!("{report}");
    let log = std::fs::read_to_string(spec.dir.join("soak.log")).unwrap_or_default();
    let last: Vec<&str> = log.lines().rev().take(60).collect();
    assert!(report.wrong.is_empty(), "{report}\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
    assert!(report.steps >= 20 && report.faults > 0 && report.looks > 10 && report.lines > 0, "{report}");
}

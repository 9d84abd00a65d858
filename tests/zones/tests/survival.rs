//! The table in docs/survival.md promises what tests have seen: every test that it names must exist, and every row
//! must name one.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn every_row_has_a_test_and_every_test_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("docs/survival.md")).unwrap();
    let cases: BTreeSet<String> = zones_suite::cases::all().map(|case| case.name()).collect();
    let mut rows = 0;
    for line in text.lines().filter(|line| line.starts_with("| ") && !line.contains("| seen by |")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        assert_eq!(cells.len(), 5, "five columns: {line}");
        let named: Vec<&str> = cells[4].split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test is named: {line}");
        for name in named {
            let known = match name.split_once(".rs::") {
                Some((file, test)) => std::fs::read_to_string(root.join(format!("{file}.rs")))
                    .is_ok_and(|source| source.contains(&format!("fn {test}("))),
                // A script for virtual machines; that each of them is run is a test of xtask's.
                None if name.starts_with("tests/host/") => root.join(name).is_file(),
                None => cases.contains(name),
            };
            assert!(known, "there is no test {name}: {line}");
        }
        rows += 1;
    }
    assert!(rows > 20, "the table was not found");
}

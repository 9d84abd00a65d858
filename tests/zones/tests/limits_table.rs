//! The table in docs/limits.md promises what the kernel was seen to do: each limit of the schema has a row, each row says when a
//! change takes effect, and each test that it names exists and sets the limit.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use zone_config::schema::{Applies, GLOBALS, Property, RESOURCES};

/// The resources that bound something.
const BOUNDS: [&str; 4] = ["capped-memory", "capped-cpu", "dedicated-cpu", "io"];

/// What a row is about: names as the schema has them, and when a change of each takes effect.
fn meant(words: &[&str]) -> Vec<(String, Applies)> {
    let resource = RESOURCES.iter().find(|resource| resource.name == words[0]);
    let (prefix, rows, words) = match resource {
        Some(resource) => (format!("{}.", resource.name), resource.properties, &words[1..]),
        None => (String::new(), GLOBALS, words),
    };
    let is_meant = |row: &&Property| words.is_empty() || words.contains(&row.name);
    let found: Vec<_> = rows.iter().filter(is_meant).collect();
    assert!(!found.is_empty() && found.len() >= words.len(), "the schema does not have all of {words:?}");
    found.iter().map(|row| (format!("{prefix}{}", row.name), row.applies)).collect()
}

#[test]
fn every_limit_has_a_row_and_every_row_a_test_that_sets_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join("docs/limits.md")).unwrap();
    let cases: BTreeSet<String> = zones_suite::cases::all().map(|case| case.name()).collect();
    let mut told = BTreeSet::new();
    let table = text.lines().skip_while(|line| !line.ends_with("| seen to bind |"));
    for line in table.skip(2).take_while(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        assert_eq!(cells.len(), 5, "five columns: {line}");
        let names: Vec<&str> = cells[0].split('`').skip(1).step_by(2).collect();
        for (name, applies) in meant(&names) {
            let said = match applies {
                Applies::Live => "live",
                _ => "next boot",
            };
            assert_eq!(cells[3], said, "when a change of {name} takes effect");
            told.insert(name);
        }
        let tests: Vec<&str> = cells[4].split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test is named: {line}");
        for test in tests {
            let source = match test.split_once("::") {
                Some((subject, _)) if cases.contains(test) => {
                    root.join(format!("tests/zones/src/cases/{subject}.rs"))
                }
                _ => root.join(test),
            };
            let source = fs::read_to_string(&source).unwrap_or_else(|error| panic!("{test}: {error}"));
            for name in &names {
                let sets = [format!("set {name}="), format!("add {name};")];
                assert!(sets.iter().any(|set| source.contains(set)), "{test} does not set {name}");
            }
        }
    }
    let bounds = RESOURCES.iter().filter(|resource| BOUNDS.contains(&resource.name));
    let of_resources = bounds.flat_map(|resource| {
        resource.properties.iter().map(move |row| (format!("{}.{}", resource.name, row.name), row))
    });
    let is_bound = |row: &&Property| row.name.starts_with("max-") || row.name == "cpu-shares";
    let of_zones = GLOBALS.iter().filter(is_bound).map(|row| (row.name.to_owned(), row));
    for (name, _) in of_resources.chain(of_zones).filter(|(_, row)| !row.foreign) {
        assert!(told.contains(&name), "{name} has no row");
    }
}

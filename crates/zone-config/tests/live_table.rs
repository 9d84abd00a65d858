//! The table in docs/live.md says of each property and resource when a change applies, as the schema does.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use zone_config::schema::{Applies, GLOBALS, Property, RESOURCES};

/// What has no meaning on Linux is told of as one, and by no name.
fn has_meaning(row: &Property) -> bool {
    !row.foreign && row.pending.is_none()
}

/// What a row of the table has to name: properties of the zone and resources by their names, and behind a resource of which not all
/// applies alike `RESOURCE.PROPERTY`.
fn due(applies: Applies) -> BTreeSet<String> {
    let is_due = |row: &&Property| row.applies == applies && has_meaning(row);
    let mut names: BTreeSet<String> = GLOBALS.iter().filter(is_due).map(|row| row.name.to_owned()).collect();
    for resource in RESOURCES {
        let key = resource.property(resource.key).unwrap();
        if !is_due(&key) {
            continue;
        }
        names.insert(resource.name.to_owned());
        let others = resource.properties.iter().filter(|row| *row != key);
        if resource.properties.iter().any(|row| has_meaning(row) && row.applies != applies) {
            names.extend(others.filter(is_due).map(|row| format!("{}.{}", resource.name, row.name)));
        }
    }
    names
}

/// What a cell of the table names.
fn named(cell: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for part in cell.split("; ") {
        let words: Vec<&str> = part.split('`').skip(1).step_by(2).collect();
        let resource = words.first().filter(|name| part.contains(&format!("`{name}`:")));
        for word in &words {
            names.insert(match resource {
                Some(resource) if resource != word => format!("{resource}.{word}"),
                _ => (*word).to_owned(),
            });
        }
    }
    names
}

#[test]
fn each_row_names_what_applies_so() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/live.md");
    let text = fs::read_to_string(page).unwrap();
    for (title, applies) in
        [("at once", Applies::AtOnce), ("live", Applies::Live), ("never", Applies::Sealed)]
    {
        let row = text.lines().find(|line| line.starts_with(&format!("| {title} | "))).unwrap();
        let cell = row.trim_matches('|').split(" | ").last().unwrap();
        assert_eq!(named(cell), due(applies), "{title}");
    }
    assert!(text.contains("| next boot | a zone that runs keeps what it has | all others |\n"));
}

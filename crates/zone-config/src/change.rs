//! What differs between two configurations of a zone, and what of it a zone that lives can be given.
//!
//! The schema says of each property when it applies. A resource is added and removed as its key applies.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::document::{Document, Instance, Properties};
use crate::hash::fnv1a;
use crate::schema::{Applies, GLOBALS, Property, RESOURCES, Resource, SECRET};
use crate::value::Value;

/// What is done to come from one configuration to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A resource is added.
    Add,
    /// A resource is removed.
    Remove,
    /// A property is set, or is no more.
    Modify,
}

impl Action {
    /// All of them, in the order of the interface file of the door.
    pub const ALL: [Self; 3] = [Self::Add, Self::Remove, Self::Modify];
}

/// One difference between two configurations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What is done.
    pub action: Action,
    /// The resource by its type and key; of a property of the zone none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The property, when one is modified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
    /// What it was, as `info` shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it is to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// When it applies.
    pub applies: Applies,
}

impl Change {
    /// Names what is changed, for a list: `net eth0`, `bootargs`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.resource.as_deref().or(self.property.as_deref()).unwrap_or_default()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (&self.resource, &self.property) {
            (Some(resource), Some(property)) => format!("{resource} {property}"),
            _ => self.name().to_owned(),
        };
        match (self.action, &self.to) {
            (Action::Add, _) => write!(f, "Adding {what}"),
            (Action::Remove, _) => write!(f, "Removing {what}"),
            (Action::Modify, Some(to)) => write!(f, "Modifying {what}={to}"),
            (Action::Modify, None) => write!(f, "Clearing {what}"),
        }
    }
}

/// Names what is changed, each once, in the order of the changes.
pub fn names<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for change in changes {
        if !names.contains(&change.name()) {
            names.push(change.name());
        }
    }
    names
}

/// Says line by line what is done and what waits; in the words of Solaris, as far as it has some.
#[must_use]
pub fn lines(changes: &[Change], dry_run: bool) -> Vec<String> {
    let (live, later): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.applies == Applies::Live);
    let mut lines: Vec<String> = live.iter().map(|change| format!("Checking: {change}")).collect();
    for change in later {
        let waits = match change.applies {
            Applies::Sealed => "cannot be: the zone is installed",
            _ => "waits until the zone boots next",
        };
        lines.push(format!("{change} {waits}"));
    }
    match (live.is_empty(), dry_run) {
        (true, _) if changes.is_empty() => lines.push("It has what is configured".to_owned()),
        (true, _) => lines.push("Nothing to apply".to_owned()),
        (false, true) => lines.push("Nothing was changed, for this was only a trial".to_owned()),
        (false, false) => lines.push("Applied the changes".to_owned()),
    }
    lines
}

/// Gives a word that tells a configuration from what it was before and will be: whoever edits it names the one that was read.
#[must_use]
pub fn version(document: &Document) -> String {
    fnv1a(document.to_toml().as_bytes()).to_string()
}

/// Names a property that is sealed once the zone is installed, and that the two do not have alike.
#[must_use]
pub fn sealed(before: &Document, now: &Document) -> Option<&'static str> {
    let rows = Document::stored_globals().filter(|row| row.applies == Applies::Sealed);
    let mut changed = rows.filter(|row| before.globals.effective(row) != now.globals.effective(row));
    changed.next().map(|row| row.name)
}

/// Lists what differs. What counts at once is nothing that a zone would have to be given, and is left out.
#[must_use]
pub fn between(live: &Document, wanted: &Document) -> Vec<Change> {
    let mut changes = modified(GLOBALS, None, &live.globals, &wanted.globals);
    for resource in RESOURCES {
        let lone = |action, one: &Instance| Change {
            action,
            resource: Some(named(one)),
            property: None,
            from: None,
            to: None,
            applies: of_key(resource),
        };
        let gone = live.of(resource.name).filter(|one| find(wanted, one).is_none());
        changes.extend(gone.map(|one| lone(Action::Remove, one)));
        for one in wanted.of(resource.name) {
            match find(live, one) {
                None => changes.push(lone(Action::Add, one)),
                Some(was) => {
                    let name = named(one);
                    changes.extend(modified(resource.properties, Some(&name), &was.values, &one.values));
                }
            }
        }
    }
    changes.retain(|change| change.applies != Applies::AtOnce);
    changes
}

/// Gives the configuration that a zone has which lives with one and has been given what it can have of the other.
#[must_use]
pub fn merged(live: &Document, wanted: &Document) -> Document {
    let globals = merge(GLOBALS, &live.globals, &wanted.globals);
    let mut resources = Vec::new();
    for one in &wanted.resources {
        match find(live, one) {
            Some(was) => {
                let values = merge(one.resource.properties, &was.values, &one.values);
                resources.push(Instance { resource: one.resource, values });
            }
            None if is_given(of_key(one.resource)) => resources.push(one.clone()),
            None => {}
        }
    }
    for (at, was) in live.resources.iter().enumerate() {
        if find(wanted, was).is_none() && !is_given(of_key(was.resource)) {
            // As near to its place as there is one: the first net and the first port are something.
            resources.insert(at.min(resources.len()), was.clone());
        }
    }
    Document { globals, resources, ..Document::default() }
}

/// Whether a zone that lives can have it before it boots anew.
fn is_given(applies: Applies) -> bool {
    matches!(applies, Applies::Live | Applies::AtOnce)
}

fn of_key(resource: &Resource) -> Applies {
    resource.property(resource.key).map_or(Applies::NextBoot, |key| key.applies)
}

/// The resource that is the same one in another document.
fn find<'a>(document: &'a Document, one: &Instance) -> Option<&'a Instance> {
    document.of(one.resource.name).find(|other| one.resource.single || other.key() == one.key())
}

fn named(one: &Instance) -> String {
    match one.key() {
        Some(key) if !one.resource.single => format!("{} {key}", one.resource.name),
        _ => one.resource.name.to_owned(),
    }
}

fn modified(
    rows: &[Property],
    resource: Option<&str>,
    live: &Properties,
    wanted: &Properties,
) -> Vec<Change> {
    let text = |row: &Property, value: Option<Value>| match row.secret {
        true => value.map(|_| SECRET.to_owned()),
        false => value.map(|value| value.to_string()),
    };
    let rows = rows.iter().filter(|row| live.effective(row) != wanted.effective(row));
    let change = |row: &Property| Change {
        action: Action::Modify,
        resource: resource.map(str::to_owned),
        property: Some(row.name.to_owned()),
        from: text(row, live.effective(row)),
        to: text(row, wanted.effective(row)),
        applies: row.applies,
    };
    rows.map(change).collect()
}

fn merge(rows: &'static [Property], live: &Properties, wanted: &Properties) -> Properties {
    let mut merged = live.clone();
    for row in rows.iter().filter(|row| is_given(row.applies)) {
        match wanted.get(row.name) {
            Some(value) => merged.set(row, value.clone()),
            None => merged.clear(row),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn document(toml: &str) -> Document {
        Document::parse(&format!("zonepath = \"/z\"\n{toml}"), Path::new("f")).unwrap()
    }

    fn told(live: &str, wanted: &str) -> Vec<String> {
        between(&document(live), &document(wanted)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_differs_is_told_in_words() {
        assert!(told("", "").is_empty());
        assert!(told("autoboot = true", "").is_empty(), "nothing has to be given to the zone");
        assert_eq!(told("bootargs = \"-v\"", ""), ["Modifying bootargs="]);
        assert_eq!(told("", "cpu-shares = 200"), ["Modifying cpu-shares=200"]);
        assert_eq!(told("cpu-shares = 200", ""), ["Clearing cpu-shares"]);
        assert_eq!(
            told(
                "",
                "[[capped-memory]]\nphysical = \"1G\"\n[[fs]]\ndir = \"/a\"\nspecial = \"x\"\ntype = \"tmpfs\""
            ),
            ["Adding fs /a", "Adding capped-memory"]
        );
        let memory = |rest: &str| format!("[[capped-memory]]\n{rest}");
        assert_eq!(
            told(&memory("physical = \"1G\""), &memory("physical = \"2G\"\nswap = \"1G\"")),
            ["Modifying capped-memory physical=2G", "Modifying capped-memory swap=1G"]
        );
        assert_eq!(told(&memory("swap = \"1G\""), ""), ["Removing capped-memory"]);
        let changes = between(&document(""), &document("bootargs = \"-v\"\ncpu-shares = 2"));
        assert_eq!(names(&changes), ["bootargs", "cpu-shares"]);
        assert_eq!(changes[0].applies, Applies::NextBoot);
        assert_eq!((changes[1].applies, changes[1].to.as_deref()), (Applies::Live, Some("2")));
    }

    #[test]
    fn what_is_done_and_what_waits_is_told_apart() {
        let both = between(&document(""), &document("hostname = \"x\"\nmax-lwps = 7"));
        assert_eq!(
            lines(&both, false),
            [
                "Checking: Modifying max-lwps=7",
                "Modifying hostname=x waits until the zone boots next",
                "Applied the changes"
            ]
        );
        assert_eq!(lines(&both[1..], true).last().unwrap(), "Nothing was changed, for this was only a trial");
        assert_eq!(lines(&both[..1], false).last().unwrap(), "Nothing to apply");
        assert_eq!(lines(&[], true), ["It has what is configured"]);
    }

    #[test]
    fn a_configuration_that_was_changed_is_of_another_version() {
        assert_eq!(version(&document("max-lwps = 7")), version(&document("max-lwps = 7")));
        assert_ne!(version(&document("max-lwps = 7")), version(&document("max-lwps = 8")));
    }

    #[test]
    fn what_is_merged_has_no_more_differences_that_a_live_zone_can_be_given() {
        let live = document(
            "bootargs = \"-v\"\ncpu-shares = 200\n[[capped-memory]]\nphysical = \"1G\"\n[[attr]]\nname = \"a\"\ntype = \"int\"\nvalue = \"1\"",
        );
        let wanted = document(
            "hostname = \"x\"\nmax-lwps = 100\n[[capped-memory]]\nswap = \"1G\"\n[[attr]]\nname = \"b\"\ntype = \"int\"\nvalue = \"1\"",
        );
        let merged = merged(&live, &wanted);
        let left: Vec<_> = between(&merged, &wanted).iter().map(ToString::to_string).collect();
        assert_eq!(left, ["Modifying bootargs=", "Modifying hostname=x"]);
        let given: Vec<_> = between(&live, &merged).iter().map(ToString::to_string).collect();
        assert_eq!(
            given,
            [
                "Clearing cpu-shares",
                "Modifying max-lwps=100",
                "Clearing capped-memory physical",
                "Modifying capped-memory swap=1G"
            ]
        );
        assert_eq!(merged.of("attr").count(), 1, "what counts at once is what is wanted");
        assert_eq!(super::merged(&merged, &wanted), merged);
    }
}

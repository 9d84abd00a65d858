//! What a commit tells beside what it does.

use std::path::Path;

use zone_config::document::Document;
use zone_config::schema::{self, Applies, GLOBALS, Property, RESOURCES};
use zone_config::{Snapshot, ZoneConfig, change};

use super::{Current, Session};
use crate::talk::Talk;

impl Session {
    /// Tells what a zone that is up does not have yet, and how it gets it.
    pub(super) fn tell_of_a_live_zone(&self, talk: &mut Talk<'_>) {
        let Some(name) = &self.disk.name else { return };
        // A zone has one from ready to halt.
        let Ok(snapshot) = Snapshot::load(&self.layout, name) else { return };
        let Some((_, document)) = &self.saved else { return };
        let changes = change::between(&snapshot.config.to_document(), document);
        let of = |live: bool| {
            change::names(changes.iter().filter(|change| (change.applies == Applies::Live) == live))
                .join(", ")
        };
        let (live, later) = (of(true), of(false));
        let live = (!live.is_empty()).then(|| format!("'zoneadm -z {name} apply' gives it {live}"));
        let later = (!later.is_empty()).then(|| format!("what waits until it boots next is {later}"));
        let told: Vec<_> = live.into_iter().chain(later).collect();
        if !told.is_empty() {
            talk.note(&format!("note: the zone is up; {}", told.join("; ")));
        }
    }

    /// Tells of what is set anew and that nothing acts on yet, and in one line of all that has no meaning on Linux.
    pub(super) fn tell_pending(&mut self, talk: &mut Talk<'_>) {
        let left_out = std::mem::take(&mut self.left_out);
        let Current::Here(editor) = &self.current else { return };
        let mut foreign = Vec::new();
        // All of what was created is set anew.
        let saved = self.saved.as_ref().map(|(_, saved)| saved).filter(|_| !self.anew);
        for (name, row) in fresh(saved, &editor.document) {
            if let (Some(pending), Some(_)) = (row.pending, schema::global(&name)) {
                talk.note(&format!("note: {name} is kept, but {pending}"));
            } else if row.foreign && !foreign.contains(&name) {
                foreign.push(name);
            }
        }
        // A document that was verified has all that it must have.
        let idle = |document: &Document| {
            let config = ZoneConfig::from_document(document, Path::new(""));
            config.map(|config| config.idle_names()).unwrap_or_default()
        };
        let before = saved.map(idle).unwrap_or_default();
        foreign.extend(idle(&editor.document).into_iter().filter(|name| !before.contains(name)));
        // Once for all resources of a type.
        for resource in RESOURCES {
            let set = |document: &Document, row: &Property| {
                document.of(resource.name).any(|one| one.values.effective(row) != row.default_value())
            };
            for row in resource.properties {
                if let Some(pending) = row.pending
                    && set(&editor.document, row)
                    && !saved.is_some_and(|saved| set(saved, row))
                {
                    talk.note(&format!("note: {} of {} is kept, but {pending}", row.name, resource.name));
                }
            }
        }
        let kept = (!foreign.is_empty())
            .then(|| format!("kept, but without a meaning on Linux: {}", foreign.join(", ")));
        let lost = (!left_out.is_empty())
            .then(|| format!("left out, for there is nothing like it here: {}", left_out.join(", ")));
        let told: Vec<_> = kept.into_iter().chain(lost).collect();
        if !told.is_empty() {
            self.note_once(format!("note: {}", told.join("; ")), talk);
        }
    }

    /// Tells what this session has not told yet.
    pub(super) fn note_once(&mut self, note: String, talk: &mut Talk<'_>) {
        if !self.said.contains(&note) {
            talk.note(&note);
            self.said.insert(note);
        }
    }
}

/// What is set anew in a document: each property, with its name for people.
fn fresh(before: Option<&Document>, now: &Document) -> Vec<(String, &'static Property)> {
    let mut fresh = Vec::new();
    for row in GLOBALS {
        let value = now.globals.effective(row);
        let was = before.and_then(|before| before.globals.effective(row));
        if value != row.default_value() && value != was {
            fresh.push((row.name.to_owned(), row));
        }
    }
    for instance in &now.resources {
        let mut others = before.iter().flat_map(|before| before.of(instance.resource.name));
        let was = others.find(|other| other.key() == instance.key());
        for row in instance.resource.properties {
            let value = instance.values.effective(row);
            if value == row.default_value() || value == was.and_then(|was| was.values.effective(row)) {
                continue;
            }
            let name = match (row.name == instance.resource.key, instance.key()) {
                (true, Some(key)) => format!("{} {key}", instance.resource.name),
                _ => format!("{} {}", instance.resource.name, row.name),
            };
            fresh.push((name, row));
        }
    }
    fresh
}

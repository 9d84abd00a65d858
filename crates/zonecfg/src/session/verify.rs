//! What `verify` and a commit look at: the configuration in hand as a whole, and beside those of the other zones as they are saved.

use std::path::Path;

use zone_config::document::Problem;
use zone_config::idmap::{self, IdMapError};
use zone_config::{Index, ZoneName, across, order};

use super::{Current, Session, above_configured};
use crate::error::Failure;
use crate::talk::Talk;

impl Session {
    /// Verifies the configuration in hand, and tells what it has in common with other zones' as often as it is asked.
    ///
    /// # Errors
    /// [`Failure::Verify`] with all that is wrong; when a resource is open, or the index cannot be read.
    pub(super) fn verify(&mut self, talk: &mut Talk<'_>) -> Result<(), Failure> {
        for note in self.verified()? {
            talk.note(&note);
            self.said.insert(note);
        }
        Ok(())
    }

    /// Verifies the configuration in hand, and gives what is worth a note all the same.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub(super) fn verified(&mut self) -> Result<Vec<String>, Failure> {
        let editor = self.editor()?;
        if editor.open().is_some() {
            return Err(Failure::ResourceOpen);
        }
        let (zone, mut problems) = (editor.zone.clone(), editor.document.verify());
        let beside = self.depends(&zone)?.into_iter().chain(self.zonepaths()?);
        let (fine, bad): (Vec<_>, Vec<_>) = beside.partition(|(_, harmless)| *harmless);
        problems.extend(bad.into_iter().map(|(problem, _)| problem));
        if !problems.is_empty() {
            return Err(Failure::Verify { zone, problems });
        }
        // What runs is looked at beside what runs, by its daemon.
        if self.live.is_some() {
            return Ok(Vec::new());
        }
        let told = fine.iter().map(|(problem, _)| problem.to_string()).chain(self.shared(&zone)?);
        Ok(told.map(|what| format!("note: {what}")).collect())
    }

    /// What is wrong with the zones that the edited one depends on, and whether it boots all the same.
    fn depends(&self, zone: &ZoneName) -> Result<Vec<(Problem, bool)>, Failure> {
        let Current::Here(editor) = &self.current else { return Ok(Vec::new()) };
        let depends = editor.document.globals.list("depends");
        if depends.is_empty() {
            return Ok(Vec::new());
        }
        let found = order::check(&self.layout, &Index::load(&self.layout)?, zone, depends);
        let problem = |reason: String| Problem { resource: None, property: "depends", reason };
        Ok(found.iter().map(|error| (problem(error.to_string()), error.is_harmless())).collect())
    }

    /// The zones whose zonepaths meet that of the edited one. One that has files keeps its zonepath, so that it can still be edited.
    fn zonepaths(&self) -> Result<Vec<(Problem, bool)>, Failure> {
        let Current::Here(editor) = &self.current else { return Ok(Vec::new()) };
        let Some(path) = editor.document.globals.text("zonepath") else { return Ok(Vec::new()) };
        let sealed = self.live.is_some() || above_configured(self.disk.state).is_some();
        let found = across::zonepaths(&self.layout, &self.own_names(), Path::new(path))?;
        let problem = |other: zone_config::Entry| Problem {
            resource: None,
            property: "zonepath",
            reason: format!(
                "overlaps the zonepath of zone {}, {}: give one of the two another",
                other.name,
                other.zonepath.display()
            ),
        };
        Ok(found.into_iter().map(|other| (problem(other), sealed)).collect())
    }

    /// What other zones name, too, or have.
    fn shared(&self, zone: &ZoneName) -> Result<Vec<String>, Failure> {
        let Current::Here(editor) = &self.current else { return Ok(Vec::new()) };
        let index = Index::load(&self.layout)?;
        let shared = across::look(&self.layout, &index, &self.own_names(), &editor.document);
        let mut told: Vec<String> = shared.iter().map(ToString::to_string).collect();
        // Edited by hand: no zone is given what another has.
        if let Err(error @ IdMapError::Overlap { .. }) = idmap::lookup(&self.layout, zone) {
            told.push(error.to_string());
        }
        Ok(told)
    }

    /// The names on disk that are not another zone's: the one it has, is to have, or had until it was deleted.
    fn own_names(&self) -> Vec<&ZoneName> {
        let edited = match &self.current {
            Current::Here(editor) => Some(&editor.zone),
            _ => None,
        };
        let deleted = self.plan.delete.as_ref().map(|(name, _)| name);
        self.disk.name.iter().chain(edited).chain(deleted).collect()
    }
}

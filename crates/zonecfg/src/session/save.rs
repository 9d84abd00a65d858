//! What is to be done to the disk, and doing it. What could not be done leaves the session with all that it had.

use zone_config::document::Document;
use zone_config::store::{self, Base};
use zone_config::{Index, State, ZoneName, change, hostboot};

use super::{Current, Session, above_configured};
use crate::error::Failure;
use crate::live;
use crate::talk::{Answer, Talk};

/// What was on disk when the session began, or is since it last saved.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    /// The name, when there is an index line or a file.
    pub(super) name: Option<ZoneName>,
    /// The state in the index.
    pub(super) state: Option<State>,
    /// The version of the configuration, when it could be understood.
    pub(super) version: Option<String>,
}

/// What is to be done to the disk.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Remove this zone's configuration; with force if so.
    pub(super) delete: Option<(ZoneName, bool)>,
    /// Save a configuration.
    save: Option<Save>,
}

/// A configuration that is to be saved.
#[derive(Debug)]
struct Save {
    /// The name that the zone has.
    from: ZoneName,
    /// The name that it is to have.
    to: ZoneName,
    document: Document,
    /// What is written over.
    base: Base,
}

impl Session {
    /// Verifies what is in hand, and saves it at once or notes that it is to be saved.
    ///
    /// # Errors
    /// When it does not verify or cannot be saved; it is then as unsaved as before.
    pub(super) fn commit(&mut self, talk: &mut Talk<'_>) -> Result<(), Failure> {
        let notes = self.verified()?;
        if self.live.is_none() {
            self.tell_pending(talk);
            notes.into_iter().for_each(|note| self.note_once(note, talk));
        }
        let editor = self.editor()?;
        let (to, document) = (editor.zone.clone(), editor.document.clone());
        let to_be_deleted = self.plan.delete.as_ref().map(|(name, _)| name);
        let is_ours = self.disk.name.as_ref() == Some(&to) || to_be_deleted == Some(&to);
        if !is_ours && Index::load(&self.layout)?.get(&to).is_some() {
            return Err(Failure::NameInUse(to));
        }
        let from = self.disk.name.clone().unwrap_or_else(|| to.clone());
        let base = self.base();
        self.plan.save = Some(Save { from, to: to.clone(), document: document.clone(), base });
        let before = (self.saved.replace((to, document)), std::mem::take(&mut self.anew));
        if self.live.is_none() {
            self.tell_of_a_live_zone(talk);
        }
        let done = if self.at_once { self.apply(talk) } else { Ok(()) };
        if done.is_err() {
            (self.saved, self.anew) = before;
        }
        done
    }

    /// What a save of what is in hand may write over.
    fn base(&self) -> Base {
        match (&self.plan.save, &self.disk) {
            (Some(earlier), _) if !self.anew => earlier.base.clone(),
            (_, Disk { name: None, .. }) => Base::Nothing,
            (_, Disk { version: Some(version), .. }) if !self.anew => Base::Version(version.clone()),
            _ => Base::Any,
        }
    }

    /// Deletes the zone at once, or notes that it is to be deleted.
    ///
    /// # Errors
    /// When it may not be deleted, when nobody says that it shall be, or when it cannot be; the session has then what it had.
    pub(super) fn delete(&mut self, force: bool, talk: &mut Talk<'_>) -> Result<(), Failure> {
        self.global_scope("delete")?;
        let Some(zone) =
            self.disk.name.clone().or_else(|| self.plan.save.as_ref().map(|save| save.to.clone()))
        else {
            return Err(Failure::NoSuchZone(self.zone.clone(), self.meant()));
        };
        if self.layout.snapshot(&zone).exists() && !hostboot::is_over(&self.layout, &zone) {
            return Err(Failure::Up(zone));
        }
        // Before anything is asked or promised; it is looked at again when it is done.
        store::may_delete(&self.layout, &zone)?;
        if above_configured(self.disk.state).is_some() && !force {
            return Err(Failure::NotConfigured(zone));
        }
        if !force {
            match talk.ask(&format!("Are you sure you want to delete zone {zone}"))? {
                Answer::Yes => {}
                Answer::No => return Ok(()),
                Answer::Nobody => return Err(Failure::NobodyToAsk("delete")),
            }
        }
        self.plan = Plan { delete: self.disk.name.clone().map(|name| (name, force)), save: None };
        let disk = std::mem::take(&mut self.disk);
        let current = std::mem::replace(&mut self.current, Current::None);
        let (saved, anew) = (self.saved.take(), std::mem::take(&mut self.anew));
        let done = if self.at_once { self.apply(talk) } else { Ok(()) };
        if done.is_err() {
            (self.disk, self.current, self.saved, self.anew) = (disk, current, saved, anew);
        }
        done
    }

    /// Makes real what was planned.
    ///
    /// # Errors
    /// When it cannot be; nothing is planned any more.
    pub(super) fn apply(&mut self, talk: &mut Talk<'_>) -> Result<(), Failure> {
        let Plan { delete, save } = std::mem::take(&mut self.plan);
        if self.dry_run {
            return Ok(());
        }
        if let Some((zone, force)) = delete
            && let Some(range) = store::delete(&self.layout, &zone, force)?
        {
            talk.note(&format!(
                "note: the ids {} to {} stay reserved for a zone named {zone}: files that have them may still be on a disk.",
                range.base,
                range.base + (range.count - 1)
            ));
        }
        if let (Some(Save { document, .. }), Some(base)) = (&save, &mut self.live) {
            live::give(&self.layout, &self.zone, document, base, talk)?;
            *base = live::version(document)?;
            return Ok(());
        }
        if let Some(Save { from, to, document, base }) = save {
            store::save(&self.layout, &from, &to, &document, &base)?;
            let state = self.disk.state.or(Some(State::Configured));
            self.disk = Disk { name: Some(to.clone()), state, version: Some(change::version(&document)) };
            self.zone = to;
        }
        Ok(())
    }
}

//! What is saved, and when.
//!
//! A session works on a copy in memory. `commit` verifies it and either saves at once (with a person at a terminal)
//! or notes what is to be saved when the whole command line or file has succeeded: what failed half-way
//! has changed nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use zone_config::brand::{Brand, BrandError};
use zone_config::command::{Command, Term};
use zone_config::config::ConfigError;
use zone_config::document::Document;
use zone_config::snapshot::SnapshotError;
use zone_config::{Index, Layout, Settings, Snapshot, State, ZoneName, change, hostboot, store};

use zone_sys::Chain;

use crate::editor::{EditError, Editor};
use crate::error::Failure;
use crate::talk::{Answer, Talk};
use crate::{help, import, show};
use save::{Disk, Plan};

mod access;
mod create;
mod edit;
mod hints;
mod save;
mod told;
mod verify;

/// Whether the session goes on after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The session goes on with the next command.
    Next,
    /// The session is over.
    Quit,
}

/// A session on one zone.
#[derive(Debug)]
pub struct Session {
    layout: Layout,
    /// The name it was begun with, for when there is no configuration.
    zone: ZoneName,
    current: Current,
    /// What was committed last, or read from disk.
    saved: Option<(ZoneName, Document)>,
    disk: Disk,
    plan: Plan,
    /// Whether what is in hand was created, and is not what was saved with changes.
    anew: bool,
    /// Whether a commit is saved at once.
    at_once: bool,
    /// The version of what the zone has that runs, when that is what is edited.
    live: Option<String>,
    /// What a configuration of another system has that the one in hand has not; a commit tells of it.
    left_out: Vec<String>,
    /// The notes that a commit does not repeat.
    said: BTreeSet<String>,
    read_only: bool,
    dry_run: bool,
}

/// The configuration in hand.
#[derive(Debug)]
enum Current {
    /// There is none yet.
    None,
    /// The one on disk cannot be understood: it can be deleted or created anew.
    Broken(Failure),
    /// It is being edited.
    Here(Box<Editor>),
}

impl Session {
    /// Begins a session; `at_once` when a person is there and expects `commit` to save.
    ///
    /// # Errors
    /// When the index cannot be read. A configuration that makes no sense is told by the first command that needs it.
    pub fn begin(
        layout: Layout,
        zone: ZoneName,
        at_once: bool,
        talk: &mut Talk<'_>,
    ) -> Result<Self, Failure> {
        let index = Index::load(&layout)?;
        for problem in index.problems() {
            talk.note(&format!("WARNING: {problem}"));
        }
        let state = index.get(&zone).map(|entry| entry.state);
        let (current, saved) = match (store::load(&layout, &zone), state) {
            (Ok(document), _) => {
                let editor = Editor::new(zone.clone(), document.clone(), above_configured(state));
                (Current::Here(Box::new(editor)), Some((zone.clone(), document)))
            }
            (Err(ConfigError::NoSuchZone(_)), None) => (Current::None, None),
            (Err(ConfigError::NoSuchZone(_)), Some(_)) => {
                let missing = Failure::FileMissing { zone: zone.clone(), path: layout.config(&zone) };
                (Current::Broken(missing), None)
            }
            (Err(error), _) => (Current::Broken(error.into()), None),
        };
        let there = !matches!(current, Current::None);
        let version = saved.as_ref().map(|(_, document)| change::version(document));
        let disk = Disk { name: there.then(|| zone.clone()), state, version };
        Ok(Self::new(layout, zone, current, saved, disk, at_once))
    }

    /// Makes a session in which nothing was done yet.
    fn new(
        layout: Layout,
        zone: ZoneName,
        current: Current,
        saved: Option<(ZoneName, Document)>,
        disk: Disk,
        at_once: bool,
    ) -> Self {
        let read_only = !access::can_write(&layout);
        Self {
            layout,
            zone,
            current,
            saved,
            disk,
            plan: Plan::default(),
            anew: false,
            at_once,
            live: None,
            left_out: Vec::new(),
            said: BTreeSet::new(),
            read_only,
            dry_run: false,
        }
    }

    /// Begins a session on what a zone has that runs.
    ///
    /// # Errors
    /// When it does not run, or what it has cannot be read.
    pub fn begin_live(layout: Layout, zone: ZoneName, at_once: bool) -> Result<Self, Failure> {
        let snapshot = match Snapshot::load(&layout, &zone) {
            Err(SnapshotError::Missing { .. }) => return Err(Failure::NotRunning(zone)),
            Ok(_) if hostboot::is_over(&layout, &zone) => return Err(Failure::NotRunning(zone)),
            loaded => loaded?,
        };
        let document = snapshot.config.to_document();
        let live = Some(change::version(&document));
        let state = Some(State::Installed);
        let current = Current::Here(Box::new(Editor::new(zone.clone(), document.clone(), state)));
        let disk = Disk { name: Some(zone.clone()), state, version: None };
        let saved = Some((zone.clone(), document));
        Ok(Self { live, ..Self::new(layout, zone, current, saved, disk, at_once) })
    }

    /// From now on saves nothing: what would be is checked, and no more.
    pub fn save_nothing(&mut self) {
        self.dry_run = true;
    }

    /// Whether nothing can be saved, for want of access.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// What a person is prompted with.
    pub fn prompt(&self) -> String {
        match &self.current {
            Current::Here(editor) => match editor.open() {
                Some(open) => format!("zonecfg:{}:{}> ", editor.zone, open.resource.name),
                None => format!("zonecfg:{}> ", editor.zone),
            },
            _ => format!("zonecfg:{}> ", self.zone),
        }
    }

    /// The zone, by the name it has on disk or was to have.
    pub fn zone(&self) -> &ZoneName {
        &self.zone
    }

    /// Whether there is a configuration to work on.
    pub fn has_zone(&self) -> bool {
        !matches!(self.current, Current::None)
    }

    /// Does one command.
    ///
    /// # Errors
    /// [`Failure`]; the configuration in hand and the disk are as they were before the command.
    pub fn execute(&mut self, command: &Command, talk: &mut Talk<'_>) -> Result<Flow, Failure> {
        self.check_access(command)?;
        if self.live.is_some() && matches!(command, Command::Create { .. } | Command::Delete { .. }) {
            let (zone, command) = (self.zone.clone(), command.name());
            return Err(Failure::NotOfALiveZone { zone, command });
        }
        match command {
            Command::Create { force, template } => self.create(*force, template, talk)?,
            Command::Add { what, value } => self.editor()?.add(what, value.as_ref())?,
            Command::Set { property, value } => self.set(property, value)?,
            Command::Clear { property } => self.editor()?.clear(property)?,
            Command::Remove { force, what, qualifiers, value } => {
                let editor = self.editor()?;
                let removed = editor.remove(what, qualifiers, value.as_ref(), *force);
                if !matches!(removed, Err(EditError::Many(_))) {
                    removed?;
                } else if talk.ask(&format!("Are you sure you want to remove ALL '{what}' resources"))?
                    == Answer::Yes
                {
                    editor.remove(what, qualifiers, value.as_ref(), true)?;
                } else if !talk.person {
                    removed?;
                }
            }
            Command::Select { resource, qualifiers } => self.editor()?.select(resource, qualifiers)?,
            Command::End => self.editor()?.end()?,
            Command::Cancel => self.editor()?.cancel()?,
            Command::Info { json, what, qualifiers } => {
                show::info(talk.out, self.editor()?, *json, what.as_deref(), qualifiers)?;
            }
            Command::Export { json, file } => {
                let layout = self.layout.clone();
                let editor = self.editor()?;
                // What is wrong with the host's settings is no reason to show nothing.
                let usual = Settings::load(&layout).ok().map(|all| all.zonepath(&layout, &editor.zone));
                let text = show::export(editor, *json, usual.as_deref());
                match file {
                    Some(path) => fs::write(path, text)
                        .map_err(|source| Failure::Export { path: PathBuf::from(path), source })?,
                    None => talk.out.write_all(text.as_bytes())?,
                }
            }
            Command::Edit => self.edit(talk)?,
            Command::Verify => self.verify(talk)?,
            Command::Commit => self.commit(talk)?,
            Command::Revert { force } => self.revert(*force, talk)?,
            Command::Delete { force } => self.delete(*force, talk)?,
            Command::Exit { force } => return self.exit(*force, talk),
            Command::Help { topic } => talk.help(&help::about(topic.as_deref())?)?,
        }
        Ok(Flow::Next)
    }

    /// Ends a command line or file: saves what was committed, and what was changed since if it verifies.
    ///
    /// # Errors
    /// When a resource is open, when the configuration does not verify, or when it cannot be saved.
    pub fn finish(&mut self, talk: &mut Talk<'_>) -> Result<(), Failure> {
        match &self.current {
            Current::Here(editor) if editor.open().is_some() => return Err(Failure::ResourceOpen),
            Current::Here(_) if self.is_dirty() => self.commit(talk)?,
            _ => {}
        }
        self.apply(talk)
    }

    /// Ends a session: as [`Self::finish`], but a person may say to leave what cannot be saved.
    ///
    /// # Errors
    /// When there is something that cannot be saved, and nobody who says to leave all the same.
    pub fn exit(&mut self, force: bool, talk: &mut Talk<'_>) -> Result<Flow, Failure> {
        let failure = match self.finish(talk) {
            Ok(()) => return Ok(Flow::Quit),
            Err(failure) if !self.at_once => return Err(failure),
            Err(failure) => failure,
        };
        let question = match failure {
            Failure::ResourceOpen => "Resource incomplete; really quit",
            _ => "Configuration not saved; really quit",
        };
        talk.note(&Chain(&failure).to_string());
        if force {
            return Ok(Flow::Quit);
        }
        match talk.ask(question)? {
            Answer::Yes => Ok(Flow::Quit),
            Answer::No => Ok(Flow::Next),
            Answer::Nobody => Err(Failure::NotSaved),
        }
    }

    /// Sets a property. A brand that only illumos or Solaris has becomes the one here that is like it, so that their command files are
    /// gone through to the end; the commit tells of it.
    fn set(&mut self, property: &str, value: &Term) -> Result<(), Failure> {
        let editor = self.editor()?;
        let brand = match value {
            Term::Word(word) if property == "brand" && editor.open().is_none() => word,
            _ => return Ok(editor.set(property, value)?),
        };
        let unknown = matches!(Brand::load(brand), Err(BrandError::Unknown { .. }));
        let here = import::brand(brand).filter(|_| unknown);
        editor.set(property, &Term::Word(here.unwrap_or(brand).to_owned()))?;
        // Of the brands that were set the last one counts.
        self.left_out.retain(|told| !import::is_brand_told(told));
        self.left_out.extend(here.map(|here| import::brand_told(brand, here)));
        Ok(())
    }

    fn check_access(&self, command: &Command) -> Result<(), Failure> {
        let changes = matches!(
            command,
            Command::Create { .. }
                | Command::Add { .. }
                | Command::Set { .. }
                | Command::Clear { .. }
                | Command::Remove { .. }
                | Command::Commit
                | Command::Edit
                | Command::Revert { .. }
                | Command::Delete { .. }
        );
        if changes && self.read_only {
            return Err(Failure::ReadOnly { zone: self.zone.clone(), command: command.name() });
        }
        Ok(())
    }

    fn editor(&mut self) -> Result<&mut Editor, Failure> {
        if matches!(self.current, Current::None) {
            return Err(Failure::NoSuchZone(self.zone.clone(), self.meant()));
        }
        match &mut self.current {
            Current::Here(editor) => Ok(editor),
            Current::None => Err(Failure::NoSuchZone(self.zone.clone(), String::new())),
            Current::Broken(why) => Err(Failure::Broken(Chain(why).to_string())),
        }
    }

    fn is_dirty(&self) -> bool {
        match (&self.current, &self.saved) {
            (Current::Here(_), _) if self.anew => true,
            (Current::Here(editor), Some((zone, document))) => {
                editor.zone != *zone || editor.document != *document
            }
            (Current::Here(_), None) => true,
            _ => false,
        }
    }

    fn global_scope(&self, command: &'static str) -> Result<(), Failure> {
        match &self.current {
            Current::Here(editor) if editor.open().is_some() => Err(EditError::GlobalOnly(command).into()),
            _ => Ok(()),
        }
    }

    fn revert(&mut self, force: bool, talk: &mut Talk<'_>) -> Result<(), Failure> {
        if self.global_scope("revert").is_err() {
            return Err(Failure::RevertInResource);
        }
        let sealed = above_configured(self.disk.state);
        let Some((zone, document)) = self.saved.clone() else {
            return Err(Failure::NothingSaved(self.zone.clone()));
        };
        if !self.is_dirty() {
            return Err(Failure::NothingToRevert);
        }
        if !force {
            match talk.ask("Are you sure you want to revert")? {
                Answer::Yes => {}
                Answer::No => return Ok(()),
                Answer::Nobody => return Err(Failure::NobodyToAsk("revert")),
            }
        }
        self.current = Current::Here(Box::new(Editor::new(zone, document, sealed)));
        self.anew = false;
        self.left_out.clear();
        Ok(())
    }
}

fn above_configured(state: Option<State>) -> Option<State> {
    state.filter(|state| *state > State::Configured)
}

#[cfg(test)]
mod tests;

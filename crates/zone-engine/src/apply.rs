//! Giving a zone that is up what is configured by now: all that can be given to it is, or nothing.
//!
//! What the zone has and what it is given are both on disk until the last of it is in force, so that the next daemon can go
//! on from wherever this one was killed. What fails in its midst is taken back, and the error of that is told besides.

use crate::context::OperationContext;
use crate::error::{Error, NoSnapshot};
use crate::journal::{Intent, Journal};
use crate::zone::Zone;
use rustix::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use zone_config::Operation;
use zone_config::document::Document;
use zone_config::schema::Applies;
use zone_config::{Snapshot, ZoneConfig, change, store};
use zone_platform::{CHECK, Change, Spec, update_steps};

/// A configuration that somebody gives for as long as the zone is up.
#[derive(Debug)]
pub struct Given {
    /// What it says, as TOML.
    pub text: String,
    /// The version of what it was made from.
    pub base: Option<String>,
}

impl Zone {
    /// Puts in force what is configured, or what is `given`, and can be in a zone that is up, and tells what differed; only tells,
    /// if `dry_run`.
    ///
    /// # Errors
    /// What keeps it from being put in force; the zone has then what it had.
    pub fn apply(
        &self,
        context: &mut OperationContext,
        given: Option<&Given>,
        dry_run: bool,
    ) -> Result<(), Error> {
        self.retry(context, |zone, context| zone.apply_once(context, given, dry_run))
    }

    fn apply_once(
        &self,
        context: &mut OperationContext,
        given: Option<&Given>,
        dry_run: bool,
    ) -> Result<(), Error> {
        let live = Snapshot::load(&self.layout, &self.name).map_err(|error| Error::Snapshot(error.into()))?;
        let has = live.config.to_document();
        let wanted = match given {
            None => self.configured()?,
            Some(given) => wanted(given, &has)?,
        };
        let changes = change::between(&has, &wanted);
        if given.is_some() {
            refuse_what_waits(&changes)?;
        }
        context.changes = Some(changes);
        let merged = change::merged(&has, &wanted);
        // What is changed now must also go together with what waits.
        let problems = merged.verify();
        if !problems.is_empty() {
            return Err(Error::Together(problems));
        }
        let config = ZoneConfig::from_document(&merged, &self.layout.config(&self.name))
            .map_err(|error| Error::Snapshot(error.into()))?;
        let next = Snapshot { config, ..live.clone() };
        let (old, new) = (Spec::of(&live), Spec::of(&next));
        let first = self.first()?;
        let current = Arc::clone(&context.current);
        let goes_on = |waiting: &str| {
            current.wait_for(waiting);
            !current.is_cancelled() && !current.is_abandoned()
        };
        let mut change = Change::new(&self.layout, first.as_fd(), &old, &new).waiting(&goes_on);
        self.check(context, &mut change)?;
        if dry_run {
            return Ok(());
        }
        let mut journal = Journal::open(&self.layout, &self.name)?;
        let uniqid = self.keeper().status()?.uniqid;
        journal.begin(&Intent { uniqid, ..Intent::to(Operation::Apply, "") })?;
        next.save_next(&self.layout).map_err(Error::NextSnapshot)?;
        zone_fail::pass!("apply.noted");
        self.carry_out(context, journal, change)
    }

    /// Goes on with what a dead daemon was about to put in force; if that cannot be any more, takes it back.
    ///
    /// # Errors
    /// What was in the way; the zone has then what it had, as far as the messages do not say otherwise.
    pub fn finish_apply(&self, context: &mut OperationContext) -> Result<(), Error> {
        self.retry(context, Self::finish_apply_once)
    }

    fn finish_apply_once(&self, context: &mut OperationContext) -> Result<(), Error> {
        let mut journal = Journal::open(&self.layout, &self.name)?;
        let next = Snapshot::load_next(&self.layout, &self.name).map_err(Error::NextSnapshot)?;
        let Some(next) = next else {
            // Nothing was begun, or all was through.
            journal.end_or_say(context);
            return Ok(());
        };
        let live = Snapshot::load(&self.layout, &self.name).map_err(|error| Error::Snapshot(error.into()))?;
        let (old, new) = (Spec::of(&live), Spec::of(&next));
        let first = self.first()?;
        let mut change = Change::new(&self.layout, first.as_fd(), &old, &new);
        if let Err(error) = self.check(context, &mut change) {
            return self.take_back(context, journal, &old, &new, &first, error);
        }
        self.carry_out(context, journal, change)
    }

    /// Runs the checks of what is to be changed.
    fn check(&self, context: &mut OperationContext, change: &mut Change<'_>) -> Result<(), Error> {
        let (old, new) = change.specs();
        if old != new {
            self.reach(context, new)?;
        }
        context.make(CHECK, |_| change.check().map_err(Error::NotApplied))
    }

    /// Changes the zone, step by step, and puts what it has by then in the place of what it had.
    fn carry_out(
        &self,
        context: &mut OperationContext,
        mut journal: Journal,
        mut change: Change<'_>,
    ) -> Result<(), Error> {
        let done = update_steps().try_for_each(|step| {
            let Some(update) = step.update else { return Ok(()) };
            context.update(step.name, |_| Ok((update.make)(&mut change)?))
        });
        let done = done.and_then(|()| {
            context.alive()?;
            Snapshot::commit_next(&self.layout, &self.name).map_err(Error::NextSnapshot)
        });
        change.warnings().iter().for_each(|warning| context.say(format!("WARNING: {warning}")));
        match done {
            Ok(()) => {
                zone_fail::pass!("apply.done");
                journal.end_or_say(context);
                Ok(())
            }
            // Whoever took over deals with what there is.
            Err(error @ Error::Abandoned(_)) => Err(error),
            Err(error) => {
                let (old, new) = change.specs();
                let first = change.first().try_clone_to_owned().map_err(Error::Descriptor)?;
                self.take_back(context, journal, old, new, &first, error)
            }
        }
    }

    /// Gives the zone back what it had, and says what of that failed, too; `error` is why.
    fn take_back(
        &self,
        context: &mut OperationContext,
        mut journal: Journal,
        old: &Spec,
        new: &Spec,
        first: &OwnedFd,
        error: Error,
    ) -> Result<(), Error> {
        let mut back = Change::new(&self.layout, first.as_fd(), new, old);
        for update in update_steps().filter_map(|step| step.update) {
            if let Err(failed) = (update.make)(&mut back) {
                context.warn(&format!("not all was taken back: {}", zone_sys::Chain(&failed)));
            }
        }
        back.warnings().iter().for_each(|warning| context.say(format!("WARNING: {warning}")));
        zone_fail::pass!("apply.back");
        Snapshot::remove_next(&self.layout, &self.name).map_err(Error::NextSnapshot)?;
        journal.end_or_say(context);
        Err(error)
    }

    /// The configuration that the zone would boot with.
    fn configured(&self) -> Result<Document, Error> {
        let loaded = store::load(&self.layout, &self.name).map_err(NoSnapshot::from);
        loaded
            .and_then(|document| checked(&document, &self.layout.config(&self.name)))
            .map_err(Error::Configured)
    }

    /// The zone's first process, as a pidfd.
    fn first(&self) -> Result<OwnedFd, Error> {
        Ok(self.keeper().fds()?.1.pidfd)
    }
}

/// Understands a configuration that was given.
fn wanted(given: &Given, has: &Document) -> Result<Document, Error> {
    let origin = Path::new("the given configuration");
    let parsed = Document::parse(&given.text, origin).map_err(|error| NoSnapshot::Config(error.into()));
    let wanted = parsed.and_then(|document| checked(&document, origin)).map_err(Error::Configured)?;
    // Who asks again because the answer was lost has what it asked for.
    let known = given.base.as_ref().is_none_or(|base| *base == change::version(has));
    if known || wanted == *has { Ok(wanted) } else { Err(Error::Stale) }
}

/// Looks whether a configuration is one, and gives it without what is as it would be anyway.
fn checked(document: &Document, origin: &Path) -> Result<Document, NoSnapshot> {
    let problems = document.verify();
    if !problems.is_empty() {
        return Err(NoSnapshot::Invalid(problems));
    }
    Ok(ZoneConfig::from_document(document, origin)?.to_document())
}

/// Nothing that is given until the zone boots next can wait for that.
fn refuse_what_waits(changes: &[change::Change]) -> Result<(), Error> {
    let names = change::names(changes.iter().filter(|change| change.applies != Applies::Live));
    if names.is_empty() { Ok(()) } else { Err(Error::NotLive(names.join(", "))) }
}

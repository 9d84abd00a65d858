//! The context of one operation on its way through the steps: what is told meanwhile, what it took, how it can be called off.

use crate::current::Current;
use crate::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use zone_config::Operation;
use zone_config::change::Change;
use zone_console::sanitize::harmless;

/// Whoever is told what an operation is at.
pub trait Observer: fmt::Debug + Send {
    /// A step of the operation begins.
    fn step(&self, operation: Operation, step: &'static str);

    /// A sentence for the person who waits.
    fn message(&self, text: String);
}

/// Tells nobody.
impl Observer for () {
    fn step(&self, _: Operation, _: &'static str) {}

    fn message(&self, _: String) {}
}

/// What a step took.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Its name.
    pub step: &'static str,
    /// How long it took, in microseconds.
    pub usec: u64,
}

/// One operation.
#[derive(Debug)]
pub struct OperationContext {
    /// Which operation it is; an undo makes another of it.
    pub operation: Operation,
    /// Who is told of it while it runs.
    pub observer: Box<dyn Observer>,
    /// The handle by which it is watched and called off.
    pub current: Arc<Current>,
    /// For the one who asked.
    pub messages: Vec<String>,
    /// What the steps took.
    pub timings: Vec<Timing>,
    /// What an apply has found to differ.
    pub changes: Option<Vec<Change>>,
}

impl OperationContext {
    /// Makes the context of an operation that nobody watches.
    #[cfg(test)]
    pub fn silent(operation: Operation) -> Self {
        Self {
            operation,
            observer: Box::new(()),
            current: Arc::default(),
            messages: Vec::new(),
            timings: Vec::new(),
            changes: None,
        }
    }

    /// Takes a step that only makes things: not if the operation has been called off.
    pub fn make<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.current.is_cancelled() {
            return Err(Error::Cancelled(name));
        }
        self.step(name, work)
    }

    /// Takes a step.
    pub fn step<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.take("step", name, work)
    }

    /// Takes a step of the platform in a change of a zone that lives.
    pub fn update<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.take("update", name, work)
    }

    /// Takes a step, whose point in the list of failpoints is of that group.
    fn take<T>(
        &mut self,
        group: &'static str,
        name: &'static str,
        work: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.alive()?;
        self.current.enter(name);
        self.observer.step(self.operation, name);
        let start = Instant::now();
        let result = work(self);
        let usec = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        tracing::debug!("step {name} took {usec} microseconds");
        self.timings.push(Timing { step: name, usec });
        self.alive()?;
        zone_fail::pass(group, name);
        result
    }

    /// Whether it is still this context's business: one that hung and was left behind must not touch anything any more.
    pub fn alive(&self) -> Result<(), Error> {
        if self.current.is_abandoned() {
            return Err(Error::Abandoned(self.current.step().unwrap_or("start")));
        }
        Ok(())
    }

    /// Says that something went wrong that is no reason to stop.
    pub fn warn(&mut self, text: &str) {
        let text = harmless(text);
        tracing::warn!("{text}");
        self.messages.push(format!("WARNING: {text}"));
    }

    /// Says something to the one who asked, and to the log.
    pub fn say(&mut self, text: impl Into<String>) {
        let text = harmless(&text.into()).into_owned();
        tracing::info!("{text}");
        self.messages.push(text);
    }

    /// Notes what went wrong, for the one who asked and for the log.
    pub fn fail(&mut self, error: &(dyn std::error::Error + 'static)) {
        let text = harmless(&zone_sys::Chain(error).to_string()).into_owned();
        tracing::error!("{text}");
        self.messages.push(text);
    }
}

//! The context of one operation on its way through the steps: what is told meanwhile, what it took, how it can be called off.

use crate::current::Current;
use crate::error::OpError;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::broadcast;
use zone_console::sanitize::harmless;
use zone_door::{Change, Event, Operation, Reporter, Step};

/// One operation.
#[derive(Debug)]
pub(crate) struct OperationContext {
    pub(crate) operation: Operation,
    pub(crate) reporter: Reporter,
    pub(crate) current: Arc<Current>,
    pub(crate) events: broadcast::Sender<Event>,
    /// For the one who asked.
    pub(crate) messages: Vec<String>,
    /// What the steps took.
    pub(crate) timings: Vec<Step>,
    /// What an apply has found to differ.
    pub(crate) changes: Option<Vec<Change>>,
}

impl OperationContext {
    /// Makes the context of an operation that nobody watches.
    #[cfg(test)]
    pub(crate) fn silent(operation: Operation) -> Self {
        Self {
            operation,
            reporter: Reporter::silent(),
            current: Arc::default(),
            events: broadcast::Sender::new(1),
            messages: Vec::new(),
            timings: Vec::new(),
            changes: None,
        }
    }

    /// Takes a step that only makes things: not if the operation has been called off.
    pub(crate) fn make<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut Self) -> Result<T, OpError>,
    ) -> Result<T, OpError> {
        if self.current.is_cancelled() {
            return Err(OpError::Cancelled(name));
        }
        self.step(name, work)
    }

    /// Takes a step.
    pub(crate) fn step<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut Self) -> Result<T, OpError>,
    ) -> Result<T, OpError> {
        self.take("step", name, work)
    }

    /// Takes a step of the platform in a change of a zone that lives.
    pub(crate) fn update<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut Self) -> Result<T, OpError>,
    ) -> Result<T, OpError> {
        self.take("update", name, work)
    }

    /// Takes a step, whose point in the list of failpoints is of that group.
    fn take<T>(
        &mut self,
        group: &'static str,
        name: &'static str,
        work: impl FnOnce(&mut Self) -> Result<T, OpError>,
    ) -> Result<T, OpError> {
        self.alive()?;
        self.current.enter(name);
        self.reporter.step(name);
        let _ = self.events.send(Event::Step { operation: self.operation, step: name.into() });
        let start = Instant::now();
        let result = work(self);
        let usec = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        tracing::debug!("step {name} took {usec} microseconds");
        self.timings.push(Step { name: name.into(), usec });
        self.alive()?;
        zone_fail::pass(group, name);
        result
    }

    /// Whether it is still this context's business: one that hung and was left behind must not touch anything any more.
    pub(crate) fn alive(&self) -> Result<(), OpError> {
        if self.current.is_abandoned() {
            return Err(OpError::Abandoned(self.current.step().unwrap_or("start")));
        }
        Ok(())
    }

    /// Says that something went wrong that is no reason to stop.
    pub(crate) fn warn(&mut self, text: &str) {
        let text = harmless(text);
        tracing::warn!("{text}");
        self.messages.push(format!("WARNING: {text}"));
    }

    /// Says something to the one who asked, and to the log.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        let text = harmless(&text.into()).into_owned();
        tracing::info!("{text}");
        self.messages.push(text);
    }

    /// Notes what went wrong, for the one who asked and for the log.
    pub(crate) fn fail(&mut self, error: &OpError) {
        let text = harmless(&zone_sys::Chain(error).to_string()).into_owned();
        tracing::error!("{text}");
        self.messages.push(text);
    }
}

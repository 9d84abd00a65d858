//! One operation on its way through the steps: what is told meanwhile, what it took, how it can be
//! called off, and what can go wrong.

use crate::current::Current;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::broadcast;
use zone_door::{Event, Operation, Reporter, Step};

/// Why an operation came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpError {
    #[error("the operation was called off by a halt, before step '{0}'")]
    Cancelled(String),
    #[error("unable to create snapshot")]
    Snapshot(#[source] Box<dyn Error + Send + Sync>),
    #[error("the zone's configuration is not right: {0}")]
    Config(String),
    #[error(transparent)]
    Platform(#[from] zone_platform::PlatformError),
    #[error("{root}{target}: {what}")]
    Mount { root: String, target: String, what: &'static str, source: rustix::io::Errno },
    #[error(transparent)]
    Keeper(#[from] zsched::client::ClientError),
    #[error(transparent)]
    Init(Box<dyn Error + Send + Sync>),
    #[error(
        "could not execute {init} in the zone: it, or the interpreter it needs, is missing or no program for \
         this machine; correct the zone's init property, or boot with -i"
    )]
    Exec { init: String, source: rustix::io::Errno },
    #[error("{0}")]
    BootArgs(&'static str),
    #[error("could not keep the journal")]
    Journal(#[source] zone_config::file::FileError),
    #[error("destroying snapshot")]
    DestroySnapshot(#[source] Box<dyn Error + Send + Sync>),
    #[error(
        "unable to shutdown zone: step '{step}' still waits {seconds} seconds after SIGKILL: {}",
        zone_platform::holders::sentence(.holders)
    )]
    Stuck { step: &'static str, seconds: u64, holders: Vec<zone_platform::holders::Holder> },
    #[error("could not wait for the zone's first process")]
    Wait(#[source] rustix::io::Errno),
    #[error("step '{0}' hangs in the kernel and was left behind by 'halt -F'")]
    Abandoned(String),
    #[error("zsched has died and could not be replaced")]
    Revive(#[source] Box<dyn Error + Send + Sync>),
    #[error("unable to shutdown zone: {0}")]
    Orderly(String),
}

impl OpError {
    /// Whether processes that would not die are all that is wrong.
    pub(crate) fn is_stuck(&self) -> bool {
        use zone_platform::{PlatformError, cgroup::CgroupError};
        matches!(self, Self::Stuck { .. } | Self::Platform(PlatformError::Cgroup(CgroupError::Alive { .. })))
    }
}

/// An error with its causes, in one line.
pub(crate) fn render(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        // Transparent wrappers repeat what they wrap.
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}

/// One operation.
#[derive(Debug)]
pub(crate) struct Errand {
    pub(crate) operation: Operation,
    pub(crate) reporter: Reporter,
    pub(crate) current: Arc<Current>,
    pub(crate) events: broadcast::Sender<Event>,
    /// For the one who asked.
    pub(crate) messages: Vec<String>,
    /// What the steps took.
    pub(crate) timings: Vec<Step>,
}

impl Errand {
    /// Takes a step that only makes things: not if the operation has been called off.
    pub(crate) fn make<T>(
        &mut self,
        name: &str,
        work: impl FnOnce(&mut Self) -> Result<T, OpError>,
    ) -> Result<T, OpError> {
        if self.current.is_cancelled() {
            return Err(OpError::Cancelled(name.into()));
        }
        self.step(name, work)
    }

    /// Takes a step.
    pub(crate) fn step<T>(
        &mut self,
        name: &str,
        work: impl FnOnce(&mut Self) -> Result<T, OpError>,
    ) -> Result<T, OpError> {
        self.alive()?;
        self.current.enter(name);
        self.reporter.step(name);
        let _ = self.events.send(Event::Step { operation: self.operation, step: name.into() });
        let start = Instant::now();
        let result = work(self);
        let usec = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.timings.push(Step { name: name.into(), usec });
        self.alive()?;
        zone_fail::pass("step", name);
        result
    }

    /// Whether it is still this errand's business: one that hung and was left behind must not touch anything any more.
    pub(crate) fn alive(&self) -> Result<(), OpError> {
        if self.current.is_abandoned() {
            return Err(OpError::Abandoned(self.current.step().unwrap_or_default()));
        }
        Ok(())
    }

    /// Says that something went wrong that is no reason to stop.
    pub(crate) fn warn(&mut self, text: &str) {
        tracing::warn!("{text}");
        self.messages.push(format!("WARNING: {text}"));
    }

    /// Says something to the one who asked, and to the log.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        let text = text.into();
        tracing::info!("{text}");
        self.messages.push(text);
    }

    /// Notes what went wrong, for the one who asked and for the log.
    pub(crate) fn fail(&mut self, error: &OpError) {
        let text = render(error);
        tracing::error!("{text}");
        self.messages.push(text);
    }
}

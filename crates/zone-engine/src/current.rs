//! The operation that runs, as others see and reach it: where it is, what it waits for, and how it is called off, hurried up or
//! left behind.

use crate::sync::lock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long a halt that was hurried up still waits for processes: those that die at all have died by then.
pub const GRACE: Duration = Duration::from_secs(2);

/// What the daemon shows of a running operation, and what others tell it.
#[derive(Debug, Default)]
pub struct Current {
    /// Who is told of each step, beside the operation's observer.
    told: Option<fn(&'static str)>,
    step: Mutex<Option<&'static str>>,
    waiting: Mutex<Option<String>>,
    cancelled: AtomicBool,
    forced: OnceLock<Instant>,
    abandoned: AtomicBool,
    left: Notify,
}

impl Current {
    /// The handle of an operation each of whose steps `told` is told of.
    #[must_use]
    pub fn telling(told: fn(&'static str)) -> Self {
        Self { told: Some(told), ..Self::default() }
    }

    /// The step that it is at.
    pub fn step(&self) -> Option<&'static str> {
        *lock(&self.step)
    }

    /// What holds that step up.
    pub fn waiting(&self) -> Option<String> {
        lock(&self.waiting).clone()
    }

    /// Describes the step and what holds it up, for whoever waits for the operation.
    pub fn described(&self) -> Option<String> {
        let step = self.step()?;
        Some(self.waiting().map_or_else(|| step.to_owned(), |waiting| format!("{step}, {waiting}")))
    }

    /// A step begins.
    pub fn enter(&self, step: &'static str) {
        *lock(&self.step) = Some(step);
        if let Some(told) = self.told {
            told(step);
        }
        *lock(&self.waiting) = None;
    }

    /// Notes what holds the step up; whether that is news.
    pub fn wait_for(&self, what: &str) -> bool {
        let mut waiting = lock(&self.waiting);
        let news = waiting.as_deref() != Some(what);
        *waiting = Some(what.to_owned());
        news
    }

    /// Calls a bring-up off; it ends before its next step.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// Whether it was called off.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Has a halt wait no longer than it must.
    pub fn force(&self) {
        let _ = self.forced.set(Instant::now());
    }

    /// Whether it is to wait no longer than it must.
    pub fn is_forced(&self) -> bool {
        self.forced.get().is_some()
    }

    /// Whether all the time is over that a forced halt gives to processes.
    pub fn is_out_of_grace(&self, grace: Duration) -> bool {
        self.forced.get().is_some_and(|since| since.elapsed() >= grace)
    }

    /// Leaves it behind: its thread hangs in the kernel, and must do nothing more when it comes back.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        self.left.notify_one();
    }

    /// Whether it was left behind.
    pub fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    /// Waits until it is left behind.
    pub async fn abandoned(&self) {
        self.left.notified().await;
    }
}

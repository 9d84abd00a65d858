//! What happened, in order: the first thing that somebody reads who wants to know why a soak failed.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::Soak;

/// Shared by all threads of a soak.
#[derive(Debug)]
pub(super) struct Book {
    file: Mutex<File>,
    began: Instant,
    deadline: Instant,
    /// How many steps there are to be whatever time they take.
    least: usize,
    over: AtomicBool,
    pub(super) steps: AtomicUsize,
    pub(super) faults: AtomicUsize,
    pub(super) looks: AtomicUsize,
    pub(super) lines: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

impl Book {
    /// A new one, in the file at `path`, of a soak of this kind.
    pub(super) fn open(path: &Path, soak: &Soak) -> std::io::Result<Self> {
        let began = Instant::now();
        Ok(Self {
            file: Mutex::new(File::create(path)?),
            began,
            deadline: began + soak.time,
            least: soak.least,
            over: AtomicBool::new(false),
            steps: AtomicUsize::new(0),
            faults: AtomicUsize::new(0),
            looks: AtomicUsize::new(0),
            lines: AtomicUsize::new(0),
            wrong: Mutex::default(),
        })
    }

    /// Writes a line down.
    pub(super) fn note(&self, zone: &str, text: &str) {
        let at = self.began.elapsed().as_secs_f64();
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk is no reason to stop; the soak finds out soon enough.
        let _ = writeln!(file, "{at:10.4} {zone:<6} {text}");
    }

    /// Something is wrong: nobody begins another step.
    pub(super) fn wrong(&self, zone: &str, text: &str) {
        self.note(zone, &format!("WRONG: {text}"));
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).push(format!("zone '{zone}': {text}"));
        self.over.store(true, Ordering::Relaxed);
    }

    /// All that was wrong.
    pub(super) fn all_wrong(&self) -> Vec<String> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether to stop: the time is over and enough was done, or something is wrong.
    pub(super) fn is_over(&self) -> bool {
        let is_enough = || self.steps.load(Ordering::Relaxed) >= self.least;
        self.over.load(Ordering::Relaxed) || (Instant::now() >= self.deadline && is_enough())
    }

    /// All zones are done; who watches them may stop, too.
    pub(super) fn close(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Whether who watches the zones may stop.
    pub(super) fn is_closed(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

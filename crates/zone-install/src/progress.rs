//! Telling how far a long operation has come, and stopping it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Error;

/// What is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// The source is being measured.
    Measuring,
    /// Files are being copied.
    Copying,
    /// An archive is being unpacked.
    Unpacking,
    /// `debootstrap` runs; [`Progress::current`] is its last `I:` line.
    Debootstrapping,
    /// What was written is being put on the disk.
    Syncing,
    /// Files are being deleted.
    Removing,
}

/// How far it has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// What is going on.
    pub phase: Phase,
    /// Bytes done: of file contents when copying or removing, of the (compressed) archive when unpacking.
    pub done_bytes: u64,
    /// What `done_bytes` will be at the end, where that is known.
    pub total_bytes: Option<u64>,
    /// Entries done (files, directories, links; lines for debootstrap).
    pub entries: u64,
    /// What `entries` will be at the end, where that is known.
    pub total_entries: Option<u64>,
    /// The entry at hand, relative to the root; when removing, its whole path. Empty between entries.
    pub current: &'a Path,
}

/// Called with each step. It is called often (once an entry, and once a MiB of a big file), so it should
/// only draw when it has not drawn for a while.
pub type Reporter<'a> = dyn FnMut(Progress<'_>) + 'a;

/// How an operation is to be carried out.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Raise it (from a signal handler's thread, say) and the operation ends with [`Error::Interrupted`]
    /// before its next entry.
    pub cancel: Arc<AtomicBool>,
}

impl Options {
    /// # Errors
    /// [`Error::Interrupted`] when the cancel flag is up.
    pub(crate) fn check(&self, phase: Phase) -> Result<(), Error> {
        check(&self.cancel, phase)
    }
}

fn check(cancel: &AtomicBool, phase: Phase) -> Result<(), Error> {
    if cancel.load(Ordering::Relaxed) { Err(Error::Interrupted { phase }) } else { Ok(()) }
}

/// Counts, reports and notices the cancel flag.
pub(crate) struct Meter<'a> {
    report: &'a mut Reporter<'a>,
    cancel: &'a AtomicBool,
    phase: Phase,
    done: u64,
    total: Option<u64>,
    entries: u64,
    total_entries: Option<u64>,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(phase: Phase, options: &'a Options, report: &'a mut Reporter<'a>) -> Self {
        Self { report, cancel: &options.cancel, phase, done: 0, total: None, entries: 0, total_entries: None }
    }

    /// Starts another phase; the counts begin anew.
    pub(crate) fn phase(&mut self, phase: Phase, bytes: Option<u64>, entries: Option<u64>) {
        self.phase = phase;
        self.done = 0;
        self.entries = 0;
        self.total = bytes;
        self.total_entries = entries;
        self.tell(Path::new(""));
    }

    /// One entry begins.
    pub(crate) fn entry(&mut self, current: &Path) -> Result<(), Error> {
        self.check()?;
        self.entries += 1;
        self.tell(current);
        Ok(())
    }

    /// So many entries are done in all.
    pub(crate) fn reached(&mut self, entries: u64, current: &Path) -> Result<(), Error> {
        self.check()?;
        self.entries = entries;
        self.tell(current);
        Ok(())
    }

    /// So many more bytes are done.
    pub(crate) fn add(&mut self, bytes: u64, current: &Path) -> Result<(), Error> {
        self.set(self.done.saturating_add(bytes), current)
    }

    /// So many bytes are done in all.
    pub(crate) fn set(&mut self, bytes: u64, current: &Path) -> Result<(), Error> {
        self.check()?;
        self.done = bytes;
        self.tell(current);
        Ok(())
    }

    /// So many bytes are done in all; the next entry reports it.
    pub(crate) fn at(&mut self, bytes: u64) {
        self.done = bytes;
    }

    /// # Errors
    /// [`Error::Interrupted`] when the cancel flag is up.
    pub(crate) fn check(&self) -> Result<(), Error> {
        check(self.cancel, self.phase)
    }

    fn tell(&mut self, current: &Path) {
        (self.report)(Progress {
            phase: self.phase,
            done_bytes: self.done,
            total_bytes: self.total,
            entries: self.entries,
            total_entries: self.total_entries,
            current,
        });
    }
}

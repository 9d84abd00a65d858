//! What is shown to whoever only looks ([`zsched::shown`]), and what of it has changed.

use rustix::fd::OwnedFd;
use zsched::shown;
use zsched::wire::Status;

/// The file in which it is shown, if there is one.
#[derive(Debug)]
pub(crate) struct Window {
    file: Option<OwnedFd>,
    /// What is in it.
    shown: Option<Status>,
}

impl Window {
    /// An empty one, in the file on which this process has its lock.
    pub(crate) fn new(file: Option<OwnedFd>) -> Self {
        Self { file, shown: None }
    }

    /// Shows how things stand. What cannot be shown is to be asked for, and is tried again at the next occasion.
    #[inline(never)]
    pub(crate) fn show(&mut self, status: &Status) {
        let Some(file) = &self.file else { return };
        if self.shown.as_ref() == Some(status) {
            return;
        }
        let shown = zone_fail::fail!("status.show").and_then(|()| shown::show(file, status));
        self.shown = shown.is_ok().then_some(*status);
        if self.shown.is_some() {
            zone_fail::pass!("status.shown");
        } else {
            // What was true before is not shown any longer, either.
            let _ = shown::clear(file);
        }
    }
}

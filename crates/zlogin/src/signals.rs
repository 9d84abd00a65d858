//! The signals that the program hears while a session runs.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::process::Signal;
use zone_sys::signal;

/// Signals as a descriptor.
#[derive(Debug)]
pub(crate) struct Signals(OwnedFd);

impl Signals {
    /// Holds back `signals` from now on.
    ///
    /// # Errors
    /// What `signalfd(2)` says.
    pub(crate) fn catch(signals: &[Signal]) -> zone_sys::Result<Self> {
        let numbers: Vec<signal::Number> = signals.iter().map(|signal| signal.as_raw()).collect();
        signal::as_fd(&numbers).map(Self)
    }

    /// Holds back all that comes from a terminal, or tells of it.
    ///
    /// # Errors
    /// What `signalfd(2)` says.
    pub(crate) fn of_a_terminal() -> zone_sys::Result<Self> {
        Self::catch(&[
            Signal::INT,
            Signal::TERM,
            Signal::HUP,
            Signal::QUIT,
            Signal::WINCH,
            Signal::TSTP,
            Signal::CONT,
        ])
    }

    /// The next one, if there is one.
    pub(crate) fn next(&self) -> Option<Signal> {
        // What cannot be read will not be read the next time either; there is no more to it.
        let (number, _) = signal::read(&self.0).ok().flatten()?;
        Signal::from_named_raw(number)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

//! What the two processes inside have in common: how a step fails, and the command's ends of its streams.

use rustix::fd::OwnedFd;
use rustix::io::Errno;

use super::report::{Report, Stage};

/// The outcome of a step: what it gives, or what is to be reported.
pub(super) type Step<T> = Result<T, Report>;

/// Makes an error a report of the failed `stage`; for `map_err`.
pub(super) fn at<E: Into<std::io::Error>>(stage: Stage) -> impl Fn(E) -> Report {
    move |error| {
        let errno = Errno::from_io_error(&error.into()).unwrap_or(Errno::IO);
        Report::Failed(stage, errno)
    }
}

/// The command's ends of its input and output; one descriptor three times if it is a terminal.
pub(super) enum Far {
    /// The zone's side of a pty.
    Terminal(OwnedFd),
    /// Input, output and errors.
    Pipes([OwnedFd; 3]),
}

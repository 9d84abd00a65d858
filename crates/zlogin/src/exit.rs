//! How the program ends.

use crate::stdio::Stream;
use rustix::io::Errno;
use std::process::ExitCode;
use zone_console::sanitize::harmless;
use zone_platform::enter::{End, EnterError};
use zone_sys::Chain;

/// The command line makes no sense.
pub(crate) const USAGE: u8 = 2;
/// The zone could not be entered, or went down, or the near end of a relay failed.
pub(crate) const FAILED: u8 = 1;
/// The command is there and could not be executed, as shells have it.
const NOT_EXECUTABLE: u8 = 126;
/// There is no such command, as shells have it.
const NOT_FOUND: u8 = 127;

/// Why there is no session, or no more.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line makes no sense, and what does.
    Usage(String),
    /// All that was asked for is done: help was printed.
    Done,
    /// Anything else, as it is to be told.
    Error(anyhow::Error),
    /// The command could not be executed.
    Execute(EnterError, Errno),
    /// It has been told.
    Told,
    /// It has been told, and this is the status to exit with.
    With(u8),
}

/// The exit status, or why it is not one of the session's.
pub(crate) type Outcome = Result<u8, Failure>;

/// The caller's own end of a stream failed: what came from the zone is lost, or what was for it.
#[derive(Debug, thiserror::Error)]
#[error("could not {} {stream}", .stream.verb())]
pub(crate) struct NearEnd {
    pub(crate) stream: Stream,
    pub(crate) source: Errno,
}

impl Failure {
    /// A failure that a text tells.
    pub(crate) fn text(text: impl std::fmt::Display) -> Self {
        Self::Error(anyhow::Error::msg(text.to_string()))
    }

    /// Tells it, and with which status to exit.
    pub(crate) fn report(self) -> ExitCode {
        let (error, status) = match self {
            Self::Done => return ExitCode::SUCCESS,
            Self::Usage(text) => {
                say(&text);
                return ExitCode::from(USAGE);
            }
            Self::Told => return ExitCode::from(FAILED),
            Self::With(status) => return ExitCode::from(status),
            Self::Error(error) => (error, FAILED),
            Self::Execute(error, errno) => (anyhow::Error::new(error), not_executed(errno)),
        };
        say(&reason(&error));
        ExitCode::from(status)
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// The exit status of a command that could not be executed.
pub(crate) fn not_executed(errno: Errno) -> u8 {
    let found = !matches!(errno, Errno::NOENT | Errno::NOTDIR);
    if found { NOT_EXECUTABLE } else { NOT_FOUND }
}

/// Renders an error with its causes in one line.
pub(crate) fn reason(error: &anyhow::Error) -> String {
    Chain(error.as_ref()).to_string()
}

/// A zone that could not be entered.
pub(crate) fn not_entered(zone: &str, error: EnterError) -> Failure {
    match error {
        EnterError::Execute { source, .. } => Failure::Execute(error, source),
        error => Failure::Error(anyhow::Error::new(error).context(format!("could not enter zone {zone}"))),
    }
}

/// The exit status that says how the command ended.
pub(crate) fn status(end: End) -> u8 {
    u8::try_from(end.code()).unwrap_or(u8::MAX)
}

/// Prints on standard output. That nobody reads it is the reader's choice and no failure.
///
/// # Errors
/// [`NearEnd`] when it could not be written.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    use std::io::{ErrorKind, Write};
    let text = zone_locale::here(text);
    let mut stdout = std::io::stdout().lock();
    let written = match zone_sys::stdio::was_closed(1) {
        true => Err(Errno::BADF.into()),
        false => stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()),
    };
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let source = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            Err(NearEnd { stream: Stream::Output, source }.into())
        }
        _ => Ok(()),
    }
}

/// Prints one message on standard error, in the language of whoever called, filtered: parts of it may have been chosen inside a zone.
pub(crate) fn say(text: &str) {
    use std::io::Write;
    // In one piece, whoever else writes there. Nobody listens: then nobody misses it.
    let line = format!("{}\n", harmless(&zone_locale::here(&format!("zlogin: {text}"))));
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_for_people() {
        let error = anyhow::Error::new(NearEnd { stream: Stream::Output, source: Errno::NOSPC });
        assert_eq!(reason(&error), "could not write to standard output: No space left on device");
        let error = anyhow::Error::new(std::io::Error::from_raw_os_error(2)).context("x (os error y)");
        assert_eq!(reason(&error), "x (os error y): No such file or directory");
    }
}

//! How the program ends.

use rustix::io::Errno;
use std::process::ExitCode;
use zone_platform::enter::{End, EnterError};

/// The command line makes no sense.
const USAGE: u8 = 2;
/// The zone could not be entered, or went down.
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
    /// Anything else, as it is to be told.
    Error(anyhow::Error),
    /// The command could not be executed.
    Execute(EnterError, Errno),
    /// It has been told.
    Told,
}

/// The exit status, or why it is not one of the session's.
pub(crate) type Outcome = Result<u8, Failure>;

impl Failure {
    /// A failure that a text tells.
    pub(crate) fn text(text: impl std::fmt::Display) -> Self {
        Self::Error(anyhow::Error::msg(text.to_string()))
    }

    /// Tells it, and with which status to exit.
    pub(crate) fn report(self) -> ExitCode {
        let (error, status) = match self {
            Self::Usage(text) => {
                say(&text);
                return ExitCode::from(USAGE);
            }
            Self::Told => return ExitCode::from(FAILED),
            Self::Error(error) => (error, FAILED),
            Self::Execute(error, errno) => {
                let found = !matches!(errno, Errno::NOENT | Errno::NOTDIR);
                (anyhow::Error::new(error), if found { NOT_EXECUTABLE } else { NOT_FOUND })
            }
        };
        say(&format!("{error:#}"));
        ExitCode::from(status)
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
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

/// Prints on standard output.
pub(crate) fn print(text: &str) {
    use std::io::Write;
    // Nobody reads it: that is the reader's choice and no failure.
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Says one thing on standard error.
pub(crate) fn say(text: &str) {
    use std::io::Write;
    // Nobody listens: then nobody misses it.
    let _ = writeln!(std::io::stderr().lock(), "zlogin: {text}");
}

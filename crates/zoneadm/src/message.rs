//! What the program says on standard error, and failures that say it.

use std::fmt::{self, Display};
use std::io::{self, Write as _};

pub(crate) use zone_console::sanitize::harmless;

use zone_sys::Chain;

use crate::exit::Exit;

/// How a verb ended that did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line makes no sense.
    Usage(String),
    /// The same, and that has been said.
    Unusable,
    /// It could not be done; about a zone if `zone` names one.
    Error {
        /// The zone it is about.
        zone: Option<String>,
        /// Why, with its sources.
        error: anyhow::Error,
    },
    /// It could not be done, and everything about that has been said.
    Told,
    /// Nobody reads our output any more. That is the reader's choice and no failure.
    Unread,
}

/// The result of a verb.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A command line that names no zone, for what is done to one.
    pub(crate) fn no_zone() -> Self {
        Self::Usage("no zone specified".to_owned())
    }

    /// A failure that is about no one zone.
    pub(crate) fn general(error: impl Into<anyhow::Error>) -> Self {
        Self::Error { zone: None, error: error.into() }
    }

    /// A failure about `zone`; for `map_err`.
    pub(crate) fn of<E: Into<anyhow::Error>>(zone: &(impl Display + ?Sized)) -> impl FnOnce(E) -> Self {
        move |error| Self::Error { zone: Some(zone.to_string()), error: error.into() }
    }

    /// A failure about `zone` that is fully said by `text`.
    pub(crate) fn text(zone: &(impl Display + ?Sized), text: impl Display) -> Self {
        Self::Error { zone: Some(zone.to_string()), error: anyhow::Error::msg(text.to_string()) }
    }

    /// Says it, and tells with which status to exit.
    pub(crate) fn report(&self) -> Exit {
        match self {
            Self::Usage(text) => {
                say(format_args!("zoneadm: {text}"));
                return Exit::Usage;
            }
            Self::Error { zone: Some(zone), error } => warn_zone(zone, Chain(error.as_ref())),
            Self::Error { zone: None, error } => warn(Chain(error.as_ref())),
            Self::Unusable => return Exit::Usage,
            Self::Told => {}
            Self::Unread => return Exit::Ok,
        }
        Exit::Error
    }
}

/// Says something about the whole.
pub(crate) fn warn(text: impl Display) {
    say(format_args!("zoneadm: {text}"));
}

/// Says something about a zone.
pub(crate) fn warn_zone(zone: &(impl Display + ?Sized), text: impl Display) {
    say(format_args!("zoneadm: zone '{zone}': {text}"));
}

/// Passes on what the zone's daemon says: each line, with the zone it is about.
pub(crate) fn relay(zone: &(impl Display + ?Sized), text: &str) {
    for line in text.lines() {
        say(format_args!("zone '{zone}': {line}"));
    }
}

/// Writes one line to standard error, in the language of whoever called, filtered whether that is a terminal or a file that is shown on one
/// later: part of what we print was chosen inside a zone (names of files, boot arguments). That nobody reads
/// it is nothing to fail for.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    let text = line.to_string();
    let _ = writeln!(io::stderr().lock(), "{}", harmless(&zone_locale::here(&text)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        assert_eq!(Failure::Usage(String::new()).report(), Exit::Usage);
        assert_eq!(Failure::Told.report(), Exit::Error);
        assert_eq!(Failure::Unread.report(), Exit::Ok);
    }
}

//! What the kernel answered, in its own words where it has any.

use std::fmt;

use rustix::io::Errno;

/// A request that the kernel refused, or an answer that could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("could not {what}{object}{}", if *.within { " in the zone" } else { "" })]
pub struct Error {
    /// What was asked for, as an imperative: "add the address ".
    pub(super) what: &'static str,
    /// What it was asked for: a link, an address.
    pub(super) object: String,
    /// Whether that is in another network namespace than the caller's.
    pub(super) within: bool,
    /// Keeps what the kernel answered, or why there is no answer.
    #[source]
    pub(super) cause: Cause,
}

/// Holds the kernel's answer to a request that it refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Gives the error number, as errno(3) has it.
    pub errno: Errno,
    /// What the kernel says beside it (its extended acknowledgement).
    pub text: Option<String>,
}

impl Error {
    /// The error number that the kernel gave.
    #[must_use]
    pub fn errno(&self) -> Errno {
        self.cause.errno
    }

    /// What the kernel said in words, if it did.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.cause.text.as_deref()
    }
}

impl From<Errno> for Cause {
    fn from(errno: Errno) -> Self {
        Self { errno, text: None }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", zone_sys::Chain(&self.errno))?;
        match &self.text {
            Some(text) => write!(f, " ({text})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Cause {}

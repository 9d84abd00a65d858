//! What can go wrong with a console.

use rustix::io::Errno;
use std::io;

/// Why something about a console failed. The kernel's answer is the source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed.
    #[error("console: {operation} failed")]
    System {
        /// The call, or what it was made for.
        operation: &'static str,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// The ring cannot be used.
    #[error("the console's kept output cannot be used")]
    Ring(#[from] zone_ring::Error),
}

impl Error {
    pub(crate) fn system(operation: &'static str, source: impl Into<io::Error>) -> Self {
        Self::System { operation, source: source.into() }
    }

    /// The kernel's answer, where there was one.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::System { source, .. } => source.raw_os_error().map(Errno::from_raw_os_error),
            Self::Ring(zone_ring::Error::Io { errno, .. }) => Some(*errno),
            Self::Ring(_) => None,
        }
    }
}

//! What can go wrong with a ring.

use rustix::io::Errno;
use std::fmt;

/// Why a ring could not be made, opened, read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A system call on the ring's file failed.
    Io {
        /// The call that failed, by name.
        operation: &'static str,
        /// Its errno, the source of this error.
        errno: Errno,
    },
    /// The file is shorter than its header says.
    TooShort,
    /// Neither slot of the header is whole: no ring of this version.
    NotARing,
    /// No ring can have areas of these sizes.
    Sizes {
        /// Bytes asked for the first part.
        first_cap: u64,
        /// Bytes asked for the newest part.
        newest_cap: u64,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { operation, .. } => write!(f, "console ring: {operation} failed"),
            Self::TooShort => f.write_str("console ring: the file is shorter than its header says"),
            Self::NotARing => f.write_str("console ring: the file has no whole header of this version"),
            Self::Sizes { first_cap, newest_cap } => write!(
                f,
                "console ring: {first_cap} and {newest_cap} bytes are not allowed: the newest part takes \
                 8 KiB to 64 MiB, the first part up to 64 MiB"
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { errno, .. } => Some(errno),
            _ => None,
        }
    }
}

//! Paths as seen inside a zone, and why one is refused.

use std::fmt;
use std::str::FromStr;

use crate::Failed;

/// An absolute path inside a zone that is spelt in the only way it can be: no empty, `.` or `..` component and no
/// slash at the end. It is not `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Canonical(Vec<String>);

impl Canonical {
    /// The components, of which there is at least one.
    #[must_use]
    pub fn components(&self) -> &[String] {
        &self.0
    }

    /// Whether `other` is this path or above it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// A path that the program itself spells right.
    pub(crate) fn fixed(path: &'static str) -> Self {
        Self(path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect())
    }
}

impl FromStr for Canonical {
    type Err = Refusal;

    fn from_str(path: &str) -> Result<Self, Refusal> {
        let bad = || Refusal::NotCanonical(path.to_owned());
        let parts: Vec<String> =
            path.strip_prefix('/').ok_or_else(bad)?.split('/').map(str::to_owned).collect();
        let odd = |part: &String| part.is_empty() || part == "." || part == ".." || part.contains('\0');
        if parts.iter().any(odd) { Err(bad()) } else { Ok(Self(parts)) }
    }
}

impl fmt::Display for Canonical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| write!(f, "/{part}"))
    }
}

/// What is wrong with one component of a path. The paths are those of the host.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Somebody may have put it there to lead us elsewhere.
    #[error("{0} is a symlink")]
    Symlink(String),
    /// Something else is where a directory must be.
    #[error("{0} is not a directory")]
    NotDirectory(String),
    /// A directory is where a file must be.
    #[error("{0} is a directory")]
    Directory(String),
    /// `..`, `//` and the like, or a relative path.
    #[error(
        "{0:?} is not a canonical path: write it absolute, without '.', '..', '//' and a slash at the end"
    )]
    NotCanonical(String),
    /// Longer than the kernel takes.
    #[error("pathname {0} is too long")]
    TooLong(String),
    /// It is missing where nothing can be made.
    #[error("{0} does not exist and the file system there is read-only")]
    ReadOnly(String),
    /// It is missing.
    #[error("{0} does not exist")]
    Missing(String),
    /// More symlinks than the kernel would follow.
    #[error("{0}: too many symlinks")]
    Loop(String),
    /// A call to the system failed.
    #[error(transparent)]
    Failed(#[from] Failed),
}

/// A path of a zone that cannot be what it is to be. The paths are those of the host.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// Nothing can be mounted there.
    #[error("{path} is not a valid mount point")]
    MountPoint {
        /// The mount point that was asked for.
        path: String,
        /// Which component, and why.
        #[source]
        source: Refusal,
    },
    /// An init that is not there, or a path to it that leads nowhere.
    #[error(
        "could not stat {path}: correct the zone's init property, or boot with -i and the path of its init"
    )]
    NoInit {
        /// The path at which init was looked for.
        path: String,
        /// Which component, and why.
        #[source]
        source: Refusal,
    },
    /// An init that no one may execute.
    #[error(
        "{0} is not executable: no regular file with an execute permission, so it cannot be the zone's init"
    )]
    NotExecutable(String),
}

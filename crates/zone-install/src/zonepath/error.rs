//! Why a path may not be a zonepath, and what was seen or changed on the way.

use std::path::{Path, PathBuf};

use crate::error::shown;

/// Why a path may not be a zonepath. The texts are the reference's, with the remedy behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ZonepathError {
    /// It does not begin with `/`.
    #[error("{} is not an absolute path.", shown(.0))]
    NotAbsolute(PathBuf),
    /// It is `/`, which holds the global zone.
    #[error("/ is the global zone's and cannot be a zonepath.")]
    Global,
    /// It has `.`, `..`, `//` or a `/` at its end, or goes through a symbolic link.
    #[error("{} is not a canonical path; set zonepath to {}.", shown(path), shown(canonical))]
    NotCanonical {
        /// The path as it was given.
        path: PathBuf,
        /// What it stands for.
        canonical: PathBuf,
    },
    /// It, or a parent, is something else than a directory.
    #[error("{} is not a directory.", shown(.0))]
    NotADirectory(PathBuf),
    /// It, or a parent, belongs to somebody else.
    #[error(
        "{path} is not owned by root; choose another zonepath, or run chown 0:0 {path} if nobody else uses it.",
        path = shown(.0)
    )]
    NotOwnedByRoot(PathBuf),
    /// The zonepath lets others in.
    #[error("{} must be mode 0700 (it is {mode:04o}); {}.", shown(path), close(path, *.mode))]
    Mode {
        /// The zonepath that is too open.
        path: PathBuf,
        /// The mode that it has, permission bits alone.
        mode: u32,
    },
    /// It has something in it, and is not closed to others as a zonepath is.
    #[error(
        "{path} has files in it and is {}: a zonepath belongs to its zone alone; {}.",
        open_to(*.uid, *.mode),
        close(path, *.mode),
        path = shown(path)
    )]
    InUse {
        /// The directory that was to be the zonepath.
        path: PathBuf,
        /// Its owner, by user id.
        uid: u32,
        /// Its mode, permission bits alone.
        mode: u32,
    },
    /// It has a root, or another thing that a zone has in its zonepath, from before.
    #[error(
        "{path} is there already, of another zone or of an earlier one; nothing was changed. Move it out of the \
         zonepath first (mv {path} ELSEWHERE); a zone of brand linux can then have it (install -p -d ELSEWHERE).",
        path = shown(.0)
    )]
    Leftover(PathBuf),
    /// Others can rename or replace what is below this parent.
    #[error(
        "{path} must not be {whose} writable; choose another zonepath, or run chmod go-w {path}.",
        path = shown(path)
    )]
    ParentWritable {
        /// The parent that others may write to.
        path: PathBuf,
        /// `group` or `world`.
        whose: &'static str,
    },
    /// It is on a network file system.
    #[error("Zonepath {} is on an NFS mounted file system; a local file system must be used.", shown(.0))]
    Network(PathBuf),
    /// The mount forbids what every zone needs.
    #[error(
        "{} is on a file system mounted {option}; remount it without that option, or choose another zonepath.",
        shown(path)
    )]
    MountOption {
        /// The zonepath that is on such a mount.
        path: PathBuf,
        /// `nosuid`, `noexec` or `ro`.
        option: &'static str,
    },
    /// It is, contains or lies in another zone's zonepath.
    #[error("{zone} zonepath ({}) and {other} zonepath ({}) overlap.", shown(path), shown(other_path))]
    Overlap {
        /// The zone that is looked at, by name.
        zone: String,
        /// The zonepath of this one.
        path: PathBuf,
        /// The zone that has it already, by name.
        other: String,
        /// The zonepath of the other one.
        other_path: PathBuf,
    },
    /// A system call failed.
    #[error("could not verify zonepath {}: cannot {doing}", shown(path))]
    Io {
        /// The operation, as a verb phrase.
        doing: &'static str,
        /// The path it was done to.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// Something worth telling that stops nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// There is nothing at the path yet; the directories above it were checked.
    #[error("WARNING: {} does not exist, so it could not be verified.", shown(.0))]
    Missing(PathBuf),
    /// It will be gone after the next boot of the machine.
    #[error("WARNING: {} is on a temporary file system.", shown(.0))]
    Temporary(PathBuf),
}

/// What [`prepare`](super::make::prepare) repaired, in the reference's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Repair {
    /// The owner was somebody else.
    #[error("{}: changing owner to root.", shown(.0))]
    Owner(PathBuf),
    /// The mode was another.
    #[error("{}: changing permissions to 0700.", shown(.0))]
    Permissions(PathBuf),
}

/// Tells the owner and the mode of a directory that is not closed to others.
fn open_to(uid: u32, mode: u32) -> String {
    match uid {
        0 => format!("open to others (mode {mode:04o})"),
        uid => format!("another user's (uid {uid}, mode {mode:04o})"),
    }
}

/// Tells the remedy for a mode. A directory that everybody works in is nobody's to close.
fn close(path: &Path, mode: u32) -> String {
    let path = shown(path);
    if mode & 0o1022 == 0 {
        format!(
            "if {path} is the zone's alone, run chown 0:0 {path} and chmod 0700 {path}, else choose another"
        )
    } else {
        format!("others work in {path}, so choose another zonepath, such as {path}/NAME")
    }
}

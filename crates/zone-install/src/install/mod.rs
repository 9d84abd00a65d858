//! Filling `ZONEPATH/root` from a directory, an archive, or a Debian mirror.
//!
//! All three want a [prepared](crate::zonepath::prepare) zonepath whose `root` is missing or empty, and end
//! with everything on the disk (`syncfs(2)`). After an error the zonepath holds a part of the root: the zone
//! is `incomplete`, and [`remove`](crate::remove) clears it.

mod archive;
mod contents;
mod debootstrap;
mod directory;
pub(crate) mod target;

use std::path::PathBuf;

pub use archive::{Worker, decompress_worker, from_archive, from_archive_apart};
pub use debootstrap::{Debootstrap, debootstrap};
pub use directory::from_directory;

/// What was put there, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Files, directories, links and pipes made.
    pub entries: u64,
    /// Bytes of file contents written (or shared, by reflink).
    pub bytes: u64,
    /// Of `entries`: further names of a file made before.
    pub hard_links: u64,
    /// Character and block devices left out: a zone gets its own `/dev`.
    pub devices_skipped: u64,
    /// Sockets left out: they mean nothing without the process that listened.
    pub sockets_skipped: u64,
    /// Extended attributes left out, because they belong to the other machine or the file system has none.
    pub xattrs_skipped: u64,
    /// Entries whose owner or group is not below [`Summary::IDS`]: inside the zone they are nobody's.
    pub foreign_owners: u64,
    /// Mount points in the source directory that were not entered, relative to it; they are empty here.
    pub mounts_skipped: Vec<PathBuf>,
}

impl Summary {
    /// How many user and group ids a zone has.
    pub const IDS: u32 = 65536;
}

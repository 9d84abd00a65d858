//! Filling `ZONEPATH/root` from a directory, an archive, or a Debian mirror.
//!
//! A source is opened first ([`Archive::open`], [`Directory::open`], [`Debootstrap::check`]), so that whatever can
//! be wrong with it is known before anything is made. All three then want a
//! [prepared](crate::zonepath::prepare) zonepath whose `root` is missing or empty, and end with everything on the
//! disk (`syncfs(2)`). After an error the zonepath holds a part of the root: the zone is `incomplete`, and
//! [`remove`](crate::remove) clears it.

pub(crate) mod acl;
mod archive;
mod contents;
mod debootstrap;
mod directory;
pub(crate) mod target;

use std::path::PathBuf;

pub use archive::{Archive, Worker, decompress_worker, from_archive};
pub use debootstrap::{Debootstrap, debootstrap};
pub(crate) use directory::all_of;
pub use directory::{Directory, from_directory};
pub(crate) use target::LOST_FOUND;

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
    /// What entries had beside contents, owner, mode and time, and have not any more.
    pub left: Left,
    /// Behind the end of the archive there was something else than padding, which was not looked at.
    pub rest: bool,
    /// Entries whose owner or group is not below [`Summary::IDS`]: inside the zone they are nobody's.
    pub foreign_owners: u64,
    /// Mount points in the source directory that were not entered, relative to it; they are empty here.
    pub mounts_skipped: Vec<PathBuf>,
}

impl Summary {
    /// How many user and group ids a zone has.
    pub const IDS: u32 = 65536;
}

/// Counts of what entries had in the source and do not have in the zone's root.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Left {
    /// Extended attributes that belong to the machine they came from: labels, hashes, an overlay's own.
    pub xattrs: u64,
    /// Extended attributes that the file system of the zonepath has no place for.
    pub unsupported: u64,
    /// Access control lists that name users or groups that the root's own `/etc/passwd` and `/etc/group` do not
    /// have, or that are of a kind that Linux has not.
    pub acls: u64,
    /// Entries with file flags (immutable, append-only and others, chattr(1)).
    pub flags: u64,
}

impl std::ops::AddAssign for Left {
    fn add_assign(&mut self, other: Self) {
        self.xattrs += other.xattrs;
        self.unsupported += other.unsupported;
        self.acls += other.acls;
        self.flags += other.flags;
    }
}

//! Copying trees of files between two processes of which neither trusts the other: one on the host, one in a zone.
//!
//! ```text
//! [`send`]                         [`receive`]
//!   reads one side's files   ──►     writes the other's
//!   Directory, File, Link ...        Fine, Have, From(part), Refused
//! ```
//!
//! Each side touches its own files only, by descriptors and by names of one component: what the other says is a name, a
//! number or bytes, and a name that leads anywhere ends the copy. The receiver opens what it walks by
//! [`zone_sys::path::beneath_mounted`], so no link that somebody puts in its way is followed.
//!
//! A file is written under a name of its own in the directory where it is going to be, and renamed when it is whole: nobody
//! sees half of it. What was interrupted stays there, and the next copy of the same file (by its name, its size and the time
//! of its last change) goes on at its end if what is there are the first bytes of it; one that is there with this size and
//! time is left alone. That holds over a power loss, too: a file gets its time when its bytes are on the disk.
//!
//! What comes along is contents, names, links as links, times, and the permissions of a file less the umask of the receiver.
//! What does not: owners (a file is its receiver's), set-user-id, set-group-id and sticky bits, capabilities, ACLs and other
//! attributes, and what is neither file, directory nor link.
#![forbid(unsafe_code)]

mod partial;
mod receive;
mod send;
mod unsettled;
mod wire;

pub use receive::{Target, receive};
pub use send::{Source, send};

use rustix::io::Errno;

/// The most directories below one another.
const MOST_DEPTH: usize = 256;

/// How it is going; what both sides learn of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A file is going to be copied, of which so many bytes are there already.
    Begins {
        /// Its path from where the copy began.
        path: &'a [u8],
        /// Its size.
        size: u64,
        /// What of it was there.
        there: u64,
    },
    /// So many more bytes are.
    Bytes(u64),
    /// A file was copied.
    Copied,
    /// A file is there as it is here.
    Unchanged,
    /// It could not be read.
    Unread {
        /// Its path from where the copy began.
        path: &'a [u8],
        /// Why not.
        errno: Errno,
    },
    /// It could not be written.
    Unwritten {
        /// Its path from where the copy began.
        path: &'a [u8],
        /// Why not.
        errno: Errno,
    },
    /// It is a device, a pipe or a socket, and is left out.
    LeftOut {
        /// Its path from where the copy began.
        path: &'a [u8],
    },
}

/// Hears how it is going.
pub type Watch<'a> = dyn FnMut(Event<'_>) + 'a;

/// Why a copy was broken off.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The other side has gone.
    #[error("the process on the other side has ended before all was copied")]
    Gone,
    /// The pipe to it failed.
    #[error("could not speak with the process on the other side")]
    Pipe(#[source] Errno),
    /// It says what makes no sense.
    #[error("the process on the other side does not keep to the protocol ({0})")]
    Protocol(&'static str),
    /// The contents of a file could not be written.
    #[error("could not write {}", String::from_utf8_lossy(.path))]
    Write {
        /// Its path from where the copy began.
        path: Vec<u8>,
        /// What the kernel answered.
        #[source]
        source: Errno,
    },
}

/// Where in the tree a side is.
#[derive(Debug, Default)]
struct Path(Vec<Vec<u8>>);

impl Path {
    fn with(&self, name: &[u8]) -> Vec<u8> {
        let mut path = self.0.join(&b'/');
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        path
    }
}

#[cfg(test)]
mod tests;

//! Putting an operating system under a zonepath, and taking it away again.
//!
//! A zone's files live in its *zonepath*, a directory of root's that nobody else may enter; its root file
//! system is `ZONEPATH/root`. Files there have ordinary owners (0 to 65535): the mapping to the zone's own ids
//! is the mount's business, not this crate's.
//!
//! * [`zonepath`]: may this directory be a zonepath? Making it one.
//! * [`install`]: filling the root of a zone of brand `linux` from a directory, an archive or a Debian mirror.
//! * [`identity`]: making what was copied a machine of its own.
//! * [`sparse`]: the private part of a zone of brand `sparse`.
//! * [`relocate`]: taking it all to another place.
//! * [`remove`]: taking it all away.
//!
//! Nothing here knows the zone's state or its configuration. The caller marks the zone `incomplete` before an
//! install or a removal and `installed` or `configured` after it, so that an interruption leaves a zone that
//! [`remove`] can clear.
//!
//! Everything in a root is reached by file descriptors below the root's own (`openat2(2)`, Linux 5.6); statx
//! mount ids are not needed, since `RESOLVE_NO_XDEV` tells mounts apart.
//!
//! # Example
//!
//! ```no_run
//! use std::path::Path;
//! use zone_install::{install, progress::{Options, Progress}, remove, zonepath};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let path = Path::new("/var/lib/zones/web");
//! for warning in zonepath::check_vacant("web", path, &[("db", Path::new("/var/lib/zones/db"))])? {
//!     eprintln!("{warning}");
//! }
//! let archive = install::Archive::open(Path::new("debian.tar.zst"), None)?;
//! for repair in zonepath::prepare(path)?.repairs {
//!     eprintln!("{repair}");
//! }
//! // A signal handler's thread raises `options.cancel` to stop whatever is going on.
//! let options = Options::default();
//! let mut report = |progress: Progress<'_>| eprint!("\r{} entries", progress.entries);
//! let summary = archive.unpack(path, &options, &mut report)?;
//! eprintln!("\n{} entries, {} devices left out", summary.entries, summary.devices_skipped);
//!
//! let plan = remove::plan(path, false, &options, &mut report)?;
//! let removed = remove::execute(&plan, remove::Fixed::Refuse, &options, &mut report)?;
//! if let Some(left) = removed.left {
//!     eprintln!("{left}");
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod error;
pub mod identity;
pub mod install;
pub mod mounts;
pub mod owners;
pub mod progress;
pub mod relocate;
pub mod remove;
pub mod sparse;
#[cfg(test)]
mod testing;
mod tree;
pub mod zonepath;

pub use error::Error;

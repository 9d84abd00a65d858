//! The limits of the daemon's own process, which must not be those of whoever typed a command.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many open files as the kernel gives to its first process, soft and hard.
const FILES: (u64, u64) = (1024, 4096);
/// With fewer open files nobody could be served.
const NEEDED: u64 = 128;

/// A limit that the host does not let the daemon raise.
#[derive(Debug, thiserror::Error)]
#[error("the limit of open files is {0}, and {NEEDED} are needed: raise it ('ulimit -n 1024') and try again")]
pub(crate) struct TooFewFiles(u64);

/// Raises what a caller may have lowered so far that the daemon could not work: the number of open files, and the size of a
/// file, of which the console's kept output is one.
///
/// # Errors
/// [`TooFewFiles`] without the right to raise a hard limit that is too low.
pub(crate) fn raise() -> Result<(), TooFewFiles> {
    let size = getrlimit(Resource::Fsize);
    if setrlimit(Resource::Fsize, Rlimit { current: None, maximum: None }).is_err() {
        // A write beyond the hard limit fails, and says so.
        let _ = setrlimit(Resource::Fsize, Rlimit { current: size.maximum, ..size });
    }
    let files = getrlimit(Resource::Nofile);
    let at_least = |limit: Option<u64>, floor: u64| limit.map(|limit| limit.max(floor));
    let raised =
        Rlimit { current: at_least(files.current, FILES.0), maximum: at_least(files.maximum, FILES.1) };
    if setrlimit(Resource::Nofile, raised).is_err() {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files });
    }
    match getrlimit(Resource::Nofile).current {
        Some(current) if current < NEEDED => Err(TooFewFiles(current)),
        _ => Ok(()),
    }
}

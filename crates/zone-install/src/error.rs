//! What can go wrong, in one sentence each.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::progress::Phase;

/// Why an install or an uninstall stopped.
///
/// `Display` is one sentence that names the thing, the place and, where there is one, the remedy. It never
/// repeats the source: print the chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The cancel flag was raised.
    #[error("{}", interrupted(*.phase))]
    Interrupted {
        /// What was going on.
        phase: Phase,
    },
    /// `ENOSPC` or `EDQUOT`, or only the part of the disk that is kept for root was left.
    #[error(
        "no space left on the file system of {} while writing {}; free some space, then uninstall -F and \
         install again",
        shown(place),
        shown(entry)
    )]
    NoSpace {
        /// The directory that was being filled.
        place: PathBuf,
        /// The entry that did not fit, relative to `place`.
        entry: PathBuf,
    },
    /// The owners, modes and attributes of directories, which are set last, take more memory than an install may.
    #[error(
        "the directories of {} up to {}, with their names and attributes, take more than 256 MiB of memory; install it without some of them",
        shown(place),
        shown(entry)
    )]
    TooMany {
        /// The directory that was being filled.
        place: PathBuf,
        /// The directory that was one too many, relative to `place`.
        entry: PathBuf,
    },
    /// A system call failed.
    #[error("cannot {doing} {}", shown(path))]
    Io {
        /// The operation, as a verb phrase that a path follows.
        doing: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The zone root exists and has something in it.
    #[error("{} is there already and is not empty; nothing of it was changed", shown(.0))]
    RootNotEmpty(PathBuf),
    /// The source directory and the zonepath contain one another.
    #[error(
        "the source {} and the zonepath {} contain one another; choose a source outside the zonepath",
        shown(source_dir),
        shown(zonepath)
    )]
    SourceOverlaps {
        /// The directory given as the source.
        source_dir: PathBuf,
        /// The zonepath that one of the two is in.
        zonepath: PathBuf,
    },
    /// The file is no archive we read.
    #[error("{} is {found}; give a .tar, .tar.gz, .tar.xz or .tar.zst archive", shown(archive))]
    NotAnArchive {
        /// The file that was given as the source.
        archive: PathBuf,
        /// What it is instead.
        found: &'static str,
    },
    /// An entry, or a hard link's target, would be outside the zone's root.
    #[error(
        "entry '{}' of {} would leave the zone's root: {why}; make the archive again without it",
        shown(entry),
        shown(archive)
    )]
    Leaves {
        /// The archive that is unpacked.
        archive: PathBuf,
        /// The name in the archive, as it stands there.
        entry: PathBuf,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// A parent of an entry cannot be entered.
    #[error("cannot enter {}: {obstacle}; make the archive again without what is below it", shown(path))]
    Blocked {
        /// The parent, in the zone's root.
        path: PathBuf,
        /// What is there.
        obstacle: Obstacle,
    },
    /// A directory with something in it was to be replaced with something that is no directory.
    #[error(
        "{} is a directory with entries in it, and a later entry of that name is none; make the archive again \
         with one of the two",
        shown(.0)
    )]
    NotReplaced(PathBuf),
    /// A name is longer than the kernel takes.
    #[error(
        "entry '{}' of {} has {what}, and Linux takes no more; make the archive again without it",
        shown(entry),
        shown(archive)
    )]
    TooLong {
        /// The archive that is unpacked.
        archive: PathBuf,
        /// The name in the archive, as it stands there.
        entry: PathBuf,
        /// What is too long, and for which limit.
        what: &'static str,
    },
    /// An entry makes no sense.
    #[error(
        "entry '{}' of {} {why}; the archive is damaged or was not made for this",
        shown(entry),
        shown(archive)
    )]
    Malformed {
        /// The archive that is unpacked.
        archive: PathBuf,
        /// The name in the archive; empty before the first.
        entry: PathBuf,
        /// What is wrong with it, as a verb phrase.
        why: &'static str,
    },
    /// The archive ends inside an entry.
    #[error("{} ends in the middle of '{}'; it was cut short, fetch it again", shown(archive), shown(entry))]
    Truncated {
        /// The archive that is unpacked.
        archive: PathBuf,
        /// The entry that is not whole.
        entry: PathBuf,
    },
    /// The archive could not be read or decompressed.
    #[error("cannot read {} after '{}'; it may be damaged, fetch it again", shown(archive), shown(entry))]
    Archive {
        /// The archive that is unpacked.
        archive: PathBuf,
        /// The last entry that was begun.
        entry: PathBuf,
        /// What the decompressor or the disk said.
        source: io::Error,
    },
    /// `debootstrap` is not on this machine.
    #[error(
        "debootstrap is not installed; install the package 'debootstrap' (apt-get install debootstrap) and try again"
    )]
    NoDebootstrap,
    /// A value given for debootstrap would be taken for something else.
    #[error("'{value}' is not a {what}; {allowed}")]
    BadValue {
        /// `suite`, `mirror` or `package name`.
        what: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// debootstrap ended with an error.
    #[error("debootstrap of {suite} failed ({status}): {said}; the whole log is {}", shown(log))]
    Debootstrap {
        /// The Debian or Ubuntu release that was asked for.
        suite: String,
        /// Exit status or signal, in words.
        status: String,
        /// Its last error or warning line.
        said: String,
        /// debootstrap's own log file.
        log: PathBuf,
    },
    /// File systems are still mounted below the zonepath. The list is the reference's form: a line each.
    #[error("These file-systems are mounted on subdirectories of {}:{}", shown(zonepath), indented(mounts))]
    MountsBelow {
        /// The zonepath that was to be removed.
        zonepath: PathBuf,
        /// The mount points, each with its whole path.
        mounts: Vec<PathBuf>,
    },
    /// Files are immutable or append-only, and were not to be made removable.
    #[error(
        "{} immutable or append-only (chattr(1)) in {}, and nothing was removed: {}; uninstall -F removes them, too",
        counted(*.count),
        shown(zonepath),
        listed(paths, *.count)
    )]
    Immutable {
        /// The zonepath that was to be removed.
        zonepath: PathBuf,
        /// Some of them.
        paths: Vec<PathBuf>,
        /// How many there are.
        count: u64,
    },
    /// The file system of another zonepath has no place for what entries have.
    #[error(
        "the file system of {} has no place for {xattrs} extended attributes and {flags} file flags (chattr(1)) of the zone; \
         choose a zonepath on another one",
        shown(zonepath)
    )]
    NotKept {
        /// The zonepath that was to be filled.
        zonepath: PathBuf,
        /// How many extended attributes.
        xattrs: u64,
        /// How many entries with file flags.
        flags: u64,
    },
    /// Something is on a read-only file system, such as a snapshot that a zone has made in its root.
    #[error(
        "cannot {doing} {}: {} is read-only; if it is a subvolume of btrfs, run: btrfs property set {} ro false",
        shown(path),
        shown(top),
        shown(top)
    )]
    ReadOnly {
        /// The operation, as a verb phrase that a path follows.
        doing: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// The directory from which on everything is read-only.
        top: PathBuf,
    },
    /// The kernel keeps a file immutable or append-only.
    #[error("cannot remove {}: it is immutable or append-only, and that cannot be cleared", shown(path))]
    StaysFixed {
        /// The file that is left.
        path: PathBuf,
        /// Why it could not be cleared.
        source: io::Error,
    },
    /// The zonepath is not something that may be emptied.
    #[error("{} cannot be removed: {why}", shown(zonepath))]
    NotRemovable {
        /// The zonepath that was to be removed.
        zonepath: PathBuf,
        /// Which rule it breaks, with the remedy.
        why: &'static str,
    },
}

/// Why a directory of a zone's root cannot be entered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// It is a link, and where it leads there is nothing. A link never leads out of the root.
    #[error("it is a symbolic link to '{}', and that is not in the zone's root", shown(.0))]
    Dangling(PathBuf),
    /// Its links lead in a circle.
    #[error("its symbolic links lead in a circle")]
    Loop,
    /// It is a file.
    #[error("it is not a directory")]
    NotADirectory,
}

impl Error {
    /// An [`Error::Io`].
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        Self::Io { doing, path: path.into(), source: source.into() }
    }
}

/// True of the errors that mean "the disk, or the user's share of it, is full".
pub(crate) fn is_full(error: &io::Error) -> bool {
    error
        .raw_os_error()
        .is_some_and(|code| code == Errno::NOSPC.raw_os_error() || code == Errno::DQUOT.raw_os_error())
}

/// A path fit for a message: names come out of archives and zones, so control characters (a terminal would
/// obey them) are escaped and an endless name is cut.
pub(crate) fn shown(path: &Path) -> String {
    const LONGEST: usize = 300;
    let mut text = String::new();
    for (count, c) in path.to_string_lossy().chars().enumerate() {
        if count == LONGEST {
            text.push('…');
            break;
        }
        if c.is_control() {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    if text.is_empty() {
        text.push('.');
    }
    text
}

fn counted(count: u64) -> String {
    if count == 1 { "one file is".to_owned() } else { format!("{count} files are") }
}

/// Paths in a row, with how many more there are.
fn listed(paths: &[PathBuf], count: u64) -> String {
    let mut text = paths.iter().map(|path| shown(path)).collect::<Vec<_>>().join(", ");
    let more = count.saturating_sub(paths.len() as u64);
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

fn indented(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("\n  {}", shown(path))).collect()
}

fn interrupted(phase: Phase) -> &'static str {
    match phase {
        Phase::Removing => "the uninstall was interrupted; run uninstall -F again to finish it",
        _ => "the install was interrupted; run uninstall -F, then install again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_cannot_speak_to_the_terminal() {
        assert_eq!(shown(Path::new("a\x1b[2Jb\nc")), "a\\u{1b}[2Jb\\nc");
        assert!(shown(Path::new(&"x".repeat(9000))).chars().count() < 400);
        assert_eq!(shown(Path::new("")), ".");
    }

    #[test]
    fn mounts_are_listed_one_a_line() {
        let error = Error::MountsBelow {
            zonepath: "/zones/a".into(),
            mounts: vec!["/zones/a/root/x".into(), "/zones/a/root/y".into()],
        };
        assert_eq!(
            error.to_string(),
            "These file-systems are mounted on subdirectories of /zones/a:\n  /zones/a/root/x\n  /zones/a/root/y"
        );
    }
}

//! The cgroup in which those who enter a zone are born.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, fstat, mkdirat, openat};
use rustix::io::Errno;
use zone_sys::clone::{Clone, Cloned, Namespaces, SingleThreaded};

use super::EnterError;

/// The cgroup for those who come in where the zone's own cannot hold processes any more: an init that
/// has given controllers to the cgroups below it leaves none of its own ("no internal processes",
/// cgroups(7)). If the zone has made one of that name, a number is added.
const LEAF: &str = "zlogin";
/// How many names the zone may have taken.
const MOST_TAKEN: u32 = 64;

/// The cgroup that was found.
pub(super) enum Birthplace<'a> {
    /// The zone's own.
    Zone(BorrowedFd<'a>),
    /// A leaf of it.
    Leaf(OwnedFd),
}

/// Starts a process in the zone's cgroup, or in a leaf of it that belongs to the host's root.
///
/// The zone may freeze whatever cgroup it has made itself; the files of its topmost one, and of a leaf that was
/// made out here, but for those to which processes are written, are not its own.
///
/// # Errors
/// [`EnterError::Start`].
pub(super) fn spawn(
    proof: SingleThreaded,
    cgroup: BorrowedFd<'_>,
) -> Result<(Cloned, Birthplace<'_>), EnterError> {
    let into = |cgroup| Clone::new(Namespaces::empty()).into_cgroup(cgroup).spawn(proof);
    let refused = match into(cgroup) {
        Err(error) if matches!(error.errno(), Errno::BUSY | Errno::OPNOTSUPP) => error,
        outcome => return Ok((outcome.map_err(EnterError::Start)?, Birthplace::Zone(cgroup))),
    };
    let leaf = leaf(cgroup).map_err(|_| EnterError::Start(refused))?;
    let cloned = into(leaf.as_fd()).map_err(EnterError::Start)?;
    Ok((cloned, Birthplace::Leaf(leaf)))
}

/// Finds the leaf that the host's root has made, or makes one.
fn leaf(cgroup: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let own = rustix::process::geteuid().as_raw();
    for number in 0..MOST_TAKEN {
        let name = if number == 0 { LEAF.to_owned() } else { format!("{LEAF}-{number}") };
        match mkdirat(cgroup, &name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(cgroup, &name, flags, Mode::empty()) {
            Ok(leaf) if fstat(&leaf)?.st_uid == own => return Ok(leaf),
            // The zone's, or removed by the zone just now.
            Ok(_) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EXIST)
}

impl Birthplace<'_> {
    /// Whether who is born there is frozen, by this cgroup or by one above it. `false` if that cannot be read.
    pub(super) fn is_frozen(&self) -> bool {
        let cgroup = match self {
            Self::Zone(cgroup) => *cgroup,
            Self::Leaf(leaf) => leaf.as_fd(),
        };
        let mut text = [0; 256];
        let read = openat(cgroup, "cgroup.events", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .and_then(|events| rustix::io::read(&events, &mut text));
        text[..read.unwrap_or(0)].split(|&c| c == b'\n').any(|line| line == b"frozen 1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::chown;

    /// A zone may take the name; any directory is as good as a cgroup for that.
    #[test]
    fn a_leaf_of_the_zones_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let cgroup = std::fs::File::open(dir.path()).unwrap();
        let first = leaf(cgroup.as_fd()).unwrap();
        assert_eq!(fstat(&first).unwrap().st_ino, fstat(leaf(cgroup.as_fd()).unwrap()).unwrap().st_ino);
        if !rustix::process::geteuid().is_root() {
            return;
        }
        chown(dir.path().join("zlogin"), Some(70_000), Some(70_000)).unwrap();
        std::os::unix::fs::symlink("/", dir.path().join("zlogin-1")).unwrap();
        let next = leaf(cgroup.as_fd());
        assert!(next.is_err(), "a link is nothing that a cgroup has");
        std::fs::remove_file(dir.path().join("zlogin-1")).unwrap();
        let next = leaf(cgroup.as_fd()).unwrap();
        let there = openat(&cgroup, "zlogin-1", OFlags::PATH, Mode::empty()).unwrap();
        assert_eq!(fstat(&next).unwrap().st_ino, fstat(&there).unwrap().st_ino);
    }

    #[test]
    fn what_is_no_cgroup_is_not_frozen() {
        let dir = tempfile::tempdir().unwrap();
        let leaf = OwnedFd::from(std::fs::File::open(dir.path()).unwrap());
        let place = Birthplace::Leaf(leaf);
        assert!(!place.is_frozen());
        std::fs::write(dir.path().join("cgroup.events"), "populated 1\nfrozen 0\n").unwrap();
        assert!(!place.is_frozen());
        std::fs::write(dir.path().join("cgroup.events"), "populated 1\nfrozen 1\n").unwrap();
        assert!(place.is_frozen());
    }
}

//! What is in a zone's cgroup: the cgroups that the zone has made below, whose names may be any bytes, and the processes of all.

use std::ffi::CString;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Dir, FileType};
use rustix::io::Errno;
use zone_config::{Layout, ZoneName};

use super::{CgroupError, Tree, ZONE, open_dir, read};

/// As many processes as are looked at to name some: whoever has more has one cause for them all.
pub(super) const SOME: usize = 1000;
/// More processes than there can be (the kernel's `PID_MAX_LIMIT`), which may move while they are counted.
const ALL: usize = 1 << 22;
/// As many cgroups as are gone into: twice those that a zone can have at a time, for it may make some while others are looked at.
const MOST_CGROUPS: usize = 32_768;

/// The processes of a zone at some time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Their numbers on the host. One that moves in that moment may be there twice, or not at all.
    pub pids: Vec<i32>,
    /// Whether all were gone through that were there.
    pub complete: bool,
}

/// Lists processes of a zone, those of the cgroups that it made itself included; empty if it has no cgroup. These are enough to name
/// some: of a guest with more than a thousand it is not all.
///
/// # Errors
/// [`CgroupError`] when the cgroup cannot be opened.
pub fn processes(layout: &Layout, zone: &ZoneName) -> Result<Vec<i32>, CgroupError> {
    Ok(of(layout, zone, SOME)?.pids)
}

/// Lists all processes of a zone, and tells whether they are.
///
/// # Errors
/// As [`processes`].
pub fn all_processes(layout: &Layout, zone: &ZoneName) -> Result<Members, CgroupError> {
    of(layout, zone, ALL)
}

fn of(layout: &Layout, zone: &ZoneName, most: usize) -> Result<Members, CgroupError> {
    let dir = Tree::find(layout.id(), zone)?.open(ZONE)?;
    Ok(dir.map_or_else(|| Members { complete: true, ..Members::default() }, |dir| pids(dir.as_fd(), most)))
}

/// Lists the cgroups in a cgroup.
pub(super) fn children(dir: BorrowedFd<'_>) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type() == FileType::Directory && name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// Lists the processes in a cgroup and below it, and ends when there are more than `most`.
pub(super) fn pids(dir: BorrowedFd<'_>, most: usize) -> Members {
    let mut walk = Walk::default();
    walk.enter(open_dir(dir, c"."));
    while let Some((here, names)) = walk.levels.last_mut() {
        if walk.pids.len() > most || walk.cgroups > MOST_CGROUPS {
            walk.failed = true;
            break;
        }
        match names.pop() {
            Some(name) => {
                let child = open_dir(here.as_fd(), &name);
                walk.enter(child);
            }
            None => drop(walk.levels.pop()),
        }
    }
    Members { pids: walk.pids, complete: !walk.failed }
}

/// A way through a cgroup and those below it, the deepest first. It holds one descriptor a level, of which there are as many as the zone's
/// `cgroup.max.depth` allows, and none for a cgroup beside.
#[derive(Default)]
struct Walk {
    /// From the top to where it is, each with the names that are left in it.
    levels: Vec<(OwnedFd, Vec<CString>)>,
    cgroups: usize,
    pids: Vec<i32>,
    failed: bool,
}

impl Walk {
    /// Goes into a cgroup, if it could be opened.
    fn enter(&mut self, opened: Result<OwnedFd, Errno>) {
        if let Some(here) = self.known(opened) {
            // Not to be read is that of a threaded cgroup, whose processes its parent shows.
            let text = match read(here.as_fd(), "cgroup.procs") {
                Err(Errno::OPNOTSUPP) => None,
                other => self.known(other),
            };
            let numbers = text.iter().flat_map(|text| text.lines());
            self.pids.extend(numbers.filter_map(|line| line.parse::<i32>().ok()));
            let names = self.known(children(here.as_fd())).unwrap_or_default();
            self.cgroups += 1;
            self.levels.push((here, names));
        }
    }

    /// What a call has given. That a cgroup was removed meanwhile is no failure.
    fn known<T>(&mut self, result: Result<T, Errno>) -> Option<T> {
        self.failed |= matches!(&result, Err(errno) if !matches!(*errno, Errno::NOENT | Errno::NODEV));
        result.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, Mode, mkdirat};
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    /// A directory with such a file for each of these paths, in which stands the process of that place.
    fn tree(paths: &[&[u8]]) -> (tempfile::TempDir, OwnedFd) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("cgroup.procs"), "").unwrap();
        for (number, path) in paths.iter().enumerate() {
            let path = dir.path().join(Path::new(std::ffi::OsStr::from_bytes(path)));
            std::fs::create_dir_all(&path).unwrap();
            std::fs::write(path.join("cgroup.procs"), format!("{}\n", 100 + number)).unwrap();
        }
        let fd = open_dir(CWD, dir.path()).unwrap();
        (dir, fd)
    }

    #[test]
    fn processes_are_found_whatever_a_cgroup_is_called() {
        let (_dir, top) = tree(&[b"a", b"a/\xff", b"a/\xff/b", b"\xfe\n", b"z"]);
        let mut found = pids(top.as_fd(), ALL);
        found.pids.sort_unstable();
        assert_eq!(found, Members { pids: vec![100, 101, 102, 103, 104], complete: true });
        let some = pids(top.as_fd(), 2);
        assert_eq!((some.pids.len(), some.complete), (3, false));
    }

    #[test]
    fn many_cgroups_beside_each_other_take_no_descriptors() {
        let (_dir, top) = tree(&[]);
        // More than this process may open.
        let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(1024);
        let count = usize::try_from(most.min(8192)).unwrap() + 1;
        for number in 0..count {
            let name = number.to_string();
            mkdirat(&top, &name, Mode::from_raw_mode(0o755)).unwrap();
            let dir = open_dir(top.as_fd(), &name).unwrap();
            let file = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
            let file = rustix::fs::openat(&dir, "cgroup.procs", file, Mode::from_raw_mode(0o600)).unwrap();
            rustix::io::write(&file, format!("{}\n", number + 2).as_bytes()).unwrap();
        }
        let found = pids(top.as_fd(), ALL);
        assert_eq!((found.pids.len(), found.complete), (count, true));
    }
}

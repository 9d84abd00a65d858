//! Keeping a network namespace when nobody is in it any more.

use std::path::Path;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FsWord, Mode, OFlags, fstat, fstatfs};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree, unmount};

use super::NetError;

/// Keeps a network namespace by mounting it on a file, which is made. Idempotent; another one that is there is let go.
///
/// # Errors
/// Those of openat2(2), open_tree(2) and move_mount(2).
pub fn pin(netns: BorrowedFd<'_>, path: &Path) -> Result<(), NetError> {
    if let Some(there) = pinned(path)? {
        if same(there.as_fd(), netns).map_err(|errno| fail(path, errno))? {
            return Ok(());
        }
        unpin(path)?;
    }
    mount(netns, path).map_err(|errno| fail(path, errno))
}

/// Opens the network namespace that is kept at a path; `None` if there is none.
///
/// # Errors
/// Those of openat2(2).
pub fn pinned(path: &Path) -> Result<Option<OwnedFd>, NetError> {
    const NSFS: FsWord = 0x6e73_6673; // NSFS_MAGIC
    match zone_sys::path::unlinked(CWD, path, OFlags::RDONLY, Mode::empty()) {
        Ok(file) => {
            let kind = fstatfs(&file).map_err(|errno| fail(path, errno))?.f_type;
            Ok((kind == NSFS).then_some(file))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(fail(path, errno)),
    }
}

/// Lets go of the namespace that is kept at a path, and removes the file. Idempotent.
///
/// # Errors
/// Those of umount2(2) and unlink(2).
pub fn unpin(path: &Path) -> Result<(), NetError> {
    while pinned(path)?.is_some() {
        unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).map_err(|errno| fail(path, errno))?;
    }
    match rustix::fs::unlink(path) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(fail(path, errno)),
    }
}

fn mount(netns: BorrowedFd<'_>, path: &Path) -> Result<(), Errno> {
    let clone =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = open_tree(netns, "", clone)?;
    let file = zone_sys::path::unlinked(CWD, path, OFlags::RDONLY | OFlags::CREATE, Mode::RUSR)?;
    let here = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, "", file, "", here)
}

fn same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<bool, Errno> {
    let (one, other) = (fstat(one)?, fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

fn fail(path: &Path, source: Errno) -> NetError {
    NetError::Pin { path: path.to_owned(), source }
}

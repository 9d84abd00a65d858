//! How a path that somebody else may change is opened (openat2(2)): the one place that says what the kernel may follow.
//!
//! | function | symbolic links | other file systems | `..` and `/` |
//! |---|---|---|---|
//! | [`beneath`] | none | none | refused when they lead out |
//! | [`in_root`] | inside of the root | none | end at the root |
//! | [`in_root_unlinked`] | none | all that are mounted there | end at the root |
//! | [`in_root_at_hand`] | none | all that are mounted there | end at the root |
//! | [`unlinked`] | none | all that are mounted there | as they are |
//! | [`beneath_mounted`] | none | all that are mounted there | refused when they lead out |
//!
//! All of them open close-on-exec, allocate nothing for a path that is a C string, and give the kernel's own answer: `ELOOP` for a
//! link that is not followed, `EXDEV` for a way out. [`in_root_at_hand`] waits for no file system: where one would have to be asked the
//! answer is `EAGAIN`.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::path::Arg;

/// Opens what is below `dir` on its own file system, by no link.
///
/// # Errors
/// Those of openat2(2).
pub fn beneath(dir: impl AsFd, path: impl Arg, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    openat2(dir, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}

/// Opens a path as it is for a process whose root directory is `root`, by links that lead anywhere inside of it, on the root's
/// own file system.
///
/// # Errors
/// Those of openat2(2).
pub fn in_root(root: impl AsFd, path: impl Arg, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}

/// Opens a path as it is for a process whose root directory is `root`, by no link; file systems that are mounted on the way
/// are entered.
///
/// # Errors
/// Those of openat2(2).
pub fn in_root_unlinked(root: impl AsFd, path: impl Arg, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}

/// Opens a path as [`in_root_unlinked`] does, by what the kernel has in memory: a file system that does not answer holds nobody up.
///
/// # Errors
/// Those of openat2(2).
pub fn in_root_at_hand(root: impl AsFd, path: impl Arg, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve | ResolveFlags::CACHED)
}

/// Opens what is below `dir`, by no link; file systems that are mounted on the way are entered. `mode` is that of a file that
/// is made.
///
/// # Errors
/// Those of openat2(2).
pub fn beneath_mounted(dir: impl AsFd, path: impl Arg, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(dir, path, flags | OFlags::CLOEXEC, mode, resolve)
}

/// Opens a path from `dir`, or an absolute one, by no link. `mode` is that of a file that is made.
///
/// # Errors
/// Those of openat2(2).
pub fn unlinked(dir: impl AsFd, path: impl Arg, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    openat2(dir, path, flags | OFlags::CLOEXEC, mode, ResolveFlags::NO_SYMLINKS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, Mode, mkdirat, openat, symlinkat};

    #[test]
    fn each_way_follows_what_it_says_and_nothing_else() {
        let top = std::env::temp_dir().join(format!("zone-sys-path-{}", std::process::id()));
        std::fs::create_dir_all(top.join("root/inside")).unwrap();
        std::fs::create_dir_all(top.join("outside")).unwrap();
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let root = openat(CWD, top.join("root"), flags | OFlags::CLOEXEC, Mode::empty()).unwrap();
        symlinkat("/inside", &root, "link").unwrap();
        symlinkat("../outside", &root, "out").unwrap();
        mkdirat(&root, "outside", Mode::RWXU).unwrap();
        let inode = |fd: OwnedFd| rustix::fs::fstat(&fd).unwrap().st_ino;
        let of = |path: &str| inode(openat(CWD, top.join(path), flags, Mode::empty()).unwrap());
        assert_eq!(beneath(&root, "inside", flags).map(inode), Ok(of("root/inside")));
        assert_eq!(beneath(&root, "../outside", flags).map(inode), Err(Errno::XDEV));
        assert_eq!(beneath(&root, "link", flags).map(inode), Err(Errno::LOOP));
        assert_eq!(in_root(&root, "link", flags).map(inode), Ok(of("root/inside")));
        assert_eq!(
            in_root(&root, "out", flags).map(inode),
            Ok(of("root/outside")),
            "not the one above the root"
        );
        assert_eq!(in_root_unlinked(&root, "/inside", flags).map(inode), Ok(of("root/inside")));
        assert_eq!(in_root_unlinked(&root, "link", flags).map(inode), Err(Errno::LOOP));
        // What was looked up a moment ago is in memory, and a name that never was is not.
        assert_eq!(in_root_at_hand(&root, "/inside", flags).map(inode), Ok(of("root/inside")));
        assert_eq!(in_root_at_hand(&root, "never", flags).map(inode), Err(Errno::AGAIN));
        let none = Mode::empty();
        assert_eq!(unlinked(&root, "../outside", flags, none).map(inode), Ok(of("outside")));
        assert_eq!(unlinked(&root, "out/x", flags, none).map(inode), Err(Errno::LOOP));
        assert_eq!(beneath_mounted(&root, "inside", flags, none).map(inode), Ok(of("root/inside")));
        assert_eq!(beneath_mounted(&root, "link", flags, none).map(inode), Err(Errno::LOOP));
        assert_eq!(beneath_mounted(&root, "../outside", flags, none).map(inode), Err(Errno::XDEV));
        std::fs::remove_dir_all(&top).unwrap();
    }
}

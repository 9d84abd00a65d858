//! Help for the unit tests.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::progress::{Options, Progress};
use crate::zonepath;

/// A temporary directory with a prepared zonepath in it.
pub(crate) struct Ground {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) zonepath: PathBuf,
    pub(crate) root: PathBuf,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let zonepath = directory.path().join("zone");
        zonepath::prepare(&zonepath).unwrap();
        let root = zonepath.join("root");
        Self { directory, zonepath, root }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Everything in the temporary directory but what is below the zone's root.
    pub(crate) fn outside(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut waiting = vec![self.directory.path().to_owned()];
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                found.push(entry.path());
                if entry.file_type().unwrap().is_dir() && entry.path() != self.root {
                    waiting.push(entry.path());
                }
            }
        }
        found.sort();
        found
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        unmount_all(self.directory.path());
        if !is_root() {
            // Directories of a mode that forbids their owner to empty them.
            let _ = Command::new("chmod").args(["-R", "u+rwX"]).arg(self.directory.path()).status();
        }
    }
}

/// Takes away what a test has mounted, or the temporary directory could not be removed.
pub(crate) fn unmount_all(directory: &Path) {
    for point in crate::mounts::at_or_below(directory).unwrap_or_default().iter().rev() {
        let _ = rustix::mount::unmount(point, rustix::mount::UnmountFlags::DETACH);
    }
}

pub(crate) fn options() -> Options {
    Options::default()
}

pub(crate) fn silent(_: Progress<'_>) {}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Runs the named test once more in a mount namespace of its own, where it may mount what it likes. True in
/// there; false outside, where the caller has nothing left to do.
pub(crate) fn in_own_mounts(test: &str) -> bool {
    const INSIDE: &str = "ZONE_INSTALL_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    if is_root() {
        let status = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "--"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(INSIDE, "1")
            .status()
            .unwrap();
        assert!(status.success(), "{test} failed in its own mount namespace");
    } else {
        zone_testing::skip(test, "needs root");
    }
    false
}

/// Mounts a small tmpfs.
pub(crate) fn mount_tmpfs(at: &Path, options: &str) {
    let status =
        Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).status().unwrap();
    assert!(status.success());
}

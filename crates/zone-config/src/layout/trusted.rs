//! Whether a root of zones is in nobody else's hands.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::LayoutError;

const STICKY: u32 = 0o1000;
const OTHERS_WRITE: u32 = 0o022;

/// Checks the root and all above it, as it is spelt and as it is when symbolic links have been followed. What does not
/// exist, or cannot be looked at, is for whoever uses it to say.
///
/// Nothing that has been checked can be changed by anybody else afterwards, so there is no race to lose.
pub(super) fn check(origin: &'static str, root: &Path) -> Result<(), LayoutError> {
    // A program that a user runs has no more rights than the user.
    let us = rustix::process::geteuid().as_raw();
    let real = root.ancestors().find_map(|path| fs::canonicalize(path).ok());
    let all = root.ancestors().chain(real.iter().flat_map(|real| real.ancestors()));
    for path in all {
        let Ok(meta) = fs::symlink_metadata(path) else { continue };
        if meta.uid() != 0 && meta.uid() != us {
            return Err(LayoutError::Owner { origin, path: path.to_owned(), owner: meta.uid() });
        }
        if meta.is_symlink() {
            continue;
        }
        if !meta.is_dir() {
            return Err(LayoutError::NotDirectory { origin, path: path.to_owned() });
        }
        // In a sticky directory nobody can take away what is root's; but everybody could put `etc` into a root that is one.
        let is_root = path == root || Some(path) == real.as_deref() && root.exists();
        if meta.mode() & OTHERS_WRITE != 0 && (is_root || meta.mode() & STICKY == 0) {
            return Err(LayoutError::Writable { origin, path: path.to_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn only_roots_own_is_a_root() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let said = |path: &Path| check("-R", path).unwrap_err().to_string();
        let root = dir.path().join("above/root");
        fs::create_dir_all(&root).unwrap();
        check("-R", &root).unwrap();
        check("-R", &root.join("not/yet")).unwrap();
        for bad in [0o777, 0o775, 0o1777] {
            mode(&root, bad);
            assert!(
                said(&root).starts_with(&format!("-R: {} is writable by others", root.display())),
                "{bad:o}"
            );
        }
        mode(&root, 0o755);
        let above = root.parent().unwrap();
        mode(above, 0o777);
        assert!(said(&root).contains("above is writable"));
        mode(above, 0o1777);
        check("-R", &root).unwrap();
        // By another name it is the same root.
        let link = dir.path().join("link");
        symlink(&root, &link).unwrap();
        check("-R", &link).unwrap();
        mode(&root, 0o777);
        assert!(said(&link).contains("root is writable"));
        mode(&root, 0o755);
        let file = root.join("file");
        fs::write(&file, "").unwrap();
        assert!(said(&file).ends_with("file is not a directory"));
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&root, Some(1000), None).unwrap();
            assert!(said(&root).contains("root belongs to user 1000"));
        }
    }
}

//! Whether a root of zones is in nobody else's hands.

use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::LayoutError;
use crate::hostpath::{HostPath, HostPathError, is_trusted, is_writable};

/// Checks the root and all on the way to it, symbolic links and where they lead. What does not exist, or cannot be looked
/// at, is for whoever uses it to say.
///
/// Nothing that has been checked can be changed by anybody else afterwards, so there is no race to lose.
pub(super) fn check(origin: &'static str, root: &Path) -> Result<(), LayoutError> {
    let owner = |path: PathBuf, owner| LayoutError::Owner { origin, path, owner };
    let found = match HostPath::open_by_links(root) {
        Ok(found) => found,
        Err(HostPathError::Owner { at, owner: user, .. }) => return Err(owner(at, user)),
        Err(HostPathError::Writable { at, .. }) => return Err(LayoutError::Writable { origin, path: at }),
        Err(HostPathError::NotDirectory(path)) => return Err(LayoutError::NotDirectory { origin, path }),
        Err(
            HostPathError::Access { .. } | HostPathError::Symlink { .. } | HostPathError::NotCanonical(_),
        ) => return Ok(()),
    };
    let (path, stat) = (found.path().to_owned(), found.stat());
    // In a sticky directory nobody can take away what is root's; but everybody could put `etc` into a root that is one.
    match FileType::from_raw_mode(stat.st_mode) {
        _ if !is_trusted(stat.st_uid) => Err(owner(path, stat.st_uid)),
        FileType::Directory if found.missing().is_empty() && is_writable(stat.st_mode) => {
            Err(LayoutError::Writable { origin, path })
        }
        FileType::Directory => Ok(()),
        _ => Err(LayoutError::NotDirectory { origin, path }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
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
        // So it is by a link to a link; who can change the second one chooses the root.
        let (other, far) = (dir.path().join("other"), dir.path().join("far"));
        fs::create_dir(&other).unwrap();
        symlink(&root, other.join("link")).unwrap();
        symlink(other.join("link"), &far).unwrap();
        check("-R", &far).unwrap();
        mode(&other, 0o777);
        assert!(said(&far).contains("other is writable"));
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

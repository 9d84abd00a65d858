//! What of the host's programs only the host's root may read.
//!
//! A zone that has them reads all of it as its own root. There is nothing of the kind in what distributions ship, and to walk through
//! /usr takes longer than to boot, so it is `verify` that looks, for what an administrator has put there.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::Failed;

/// Read permission for everybody.
const OTHERS_READ: u32 = 0o004;
/// The bits of a program that runs as its owner or group; what it may do is no secret.
const SET_ID: u32 = 0o6000;

/// Finds files and directories of root's below `dir` that others may not read, on its file system and not below
/// `except`, in the order of their paths; of a directory that is one, nothing below is looked at.
///
/// # Errors
/// When a directory cannot be read; what vanishes meanwhile is not there.
pub(super) fn below(dir: &Path, except: &Path) -> Result<Vec<PathBuf>, Failed> {
    let device = fs::symlink_metadata(dir).map_err(Failed::to("look at", dir.display()))?.dev();
    let (mut found, mut left) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = left.pop() {
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Failed::to("read", dir.display())(error)),
        };
        for entry in entries {
            let entry = entry.map_err(Failed::to("read", dir.display()))?;
            let Ok(metadata) = entry.metadata() else { continue };
            let path = entry.path();
            // Files of an overlay have the device of the file system that they come from.
            if path == except || metadata.is_dir() && metadata.dev() != device {
                continue;
            }
            if is_secret(&metadata) {
                found.push(path);
            } else if metadata.is_dir() {
                left.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_secret(metadata: &Metadata) -> bool {
    let can_hold_one = metadata.is_dir() || metadata.is_file() && metadata.mode() & SET_ID == 0;
    can_hold_one && metadata.uid() == 0 && metadata.mode() & OTHERS_READ == 0
}

/// Says what was found, if anything was.
pub(super) fn warning(found: &[PathBuf]) -> Option<String> {
    let names: Vec<_> = found.iter().take(3).map(|path| path.display().to_string()).collect();
    let more = found.len() - names.len();
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    (!found.is_empty()).then(|| {
        format!(
            "the zone's root can read what only root may read on the host: {}{more} (keep it elsewhere, or below /usr/local, \
             where the zone reads what every user may)",
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::mode;

    #[test]
    fn what_only_root_may_read_is_found() {
        zone_testing::needs_root!();
        let lab = tempfile::tempdir().unwrap();
        let dir = lab.path();
        for sub in ["a", "a/closed", "local"] {
            fs::create_dir(dir.join(sub)).unwrap();
        }
        let files = [
            ("a/key", 0o600),
            ("a/group", 0o640),
            ("a/open", 0o644),
            ("a/su", 0o4750),
            ("a/closed/in", 0o600),
            ("local/x", 0o600),
        ];
        for (name, bits) in files {
            fs::write(dir.join(name), "").unwrap();
            mode(&dir.join(name), bits);
        }
        mode(&dir.join("a/closed"), 0o700);
        std::os::unix::fs::chown(dir.join("a/open"), Some(7), None).unwrap();
        std::os::unix::fs::symlink("/etc/shadow", dir.join("a/link")).unwrap();
        let found = below(dir, &dir.join("local")).unwrap();
        assert_eq!(found, ["a/closed", "a/group", "a/key"].map(|name| dir.join(name)));
    }

    #[test]
    fn the_first_three_are_named_and_the_others_counted() {
        let paths = ["/usr/a", "/usr/b", "/usr/c", "/usr/d", "/usr/e"].map(PathBuf::from);
        assert_eq!(warning(&[]), None);
        let said = warning(&paths).unwrap();
        assert!(said.contains("on the host: /usr/a, /usr/b, /usr/c and 2 more (keep"), "{said}");
        assert!(warning(&paths[..1]).unwrap().contains("on the host: /usr/a (keep"));
    }
}

//! Owners, modes and times of directories, which are set when everything is in them: writing into a directory changes its time, and its
//! mode may forbid it.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::Meta;

/// Bytes that may wait. A million directories with short names and few attributes are less.
const MOST: usize = 256 << 20;

/// What directories are to get, the last that was promised to each.
pub(super) struct Directories {
    /// By its name; with which promise it was.
    promised: HashMap<PathBuf, (u64, Meta)>,
    promises: u64,
    bytes: usize,
    most: usize,
}

impl Default for Directories {
    fn default() -> Self {
        Self { promised: HashMap::new(), promises: 0, bytes: 0, most: MOST }
    }
}

impl Directories {
    /// Remembers what a directory is to get, instead of what was promised to it before.
    pub(super) fn promise(&mut self, entry: &Path, meta: Meta) {
        self.forget(entry);
        self.bytes += weight(entry, &meta);
        self.promised.insert(entry.to_owned(), (self.promises, meta));
        self.promises += 1;
    }

    /// Tells whether more waits than an archive that nobody vouches for may have wait.
    pub(super) fn are_too_many(&self) -> bool {
        self.bytes > self.most
    }

    /// Forgets what was promised to a directory that is not there any more.
    pub(super) fn forget(&mut self, entry: &Path) {
        if let Some((_, meta)) = self.promised.remove(entry) {
            self.bytes -= weight(entry, &meta);
        }
    }

    /// Gives all promises, the last first.
    pub(super) fn last_first(self) -> impl Iterator<Item = (PathBuf, Meta)> {
        let mut promised: Vec<_> = self.promised.into_iter().collect();
        promised.sort_unstable_by_key(|(_, (promise, _))| Reverse(*promise));
        promised.into_iter().map(|(entry, (_, meta))| (entry, meta))
    }
}

fn weight(entry: &Path, meta: &Meta) -> usize {
    entry.as_os_str().len() + size_of::<(PathBuf, (u64, Meta))>() + meta.weight()
}

#[cfg(test)]
mod tests {
    use super::super::{Keeps, Target};
    use super::*;
    use crate::error::Error;

    #[test]
    fn a_directory_has_one_promise_the_last() {
        let mut directories = Directories::default();
        let mut meta = Meta::ours(0o700);
        meta.xattrs.push((b"user.big".to_vec(), vec![0; 60_000]));
        directories.promise(Path::new("a"), meta.clone());
        let once = directories.bytes;
        assert!(once > 60_000);
        directories.promise(Path::new("a"), meta);
        assert_eq!(directories.bytes, once);
        directories.promise(Path::new("b"), Meta::ours(0o711));
        directories.promise(Path::new("a"), Meta::ours(0o755));
        let all = directories.bytes;
        assert!(all < 1000, "{all}");
        directories.promise(Path::new("gone"), Meta::ours(0o700));
        directories.forget(Path::new("gone"));
        assert_eq!(directories.bytes, all);
        let names: Vec<_> = directories.last_first().map(|(entry, meta)| (entry, meta.mode)).collect();
        assert_eq!(names, [("a".into(), 0o755), ("b".into(), 0o711)]);
    }

    #[test]
    fn more_directories_than_memory_may_hold_end_the_install_of_an_archive_alone() {
        for refused in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let target = Target::open_for(dir.path(), Keeps::Files).unwrap();
            let mut target = if refused { target.unvouched() } else { target };
            target.directories.most = 1000;
            let mut make = |name: String| target.directory(Path::new(&name), Meta::ours(0o755));
            // The same one any number of times.
            (0..100).for_each(|_| make("same".to_owned()).unwrap());
            let made: Result<Vec<()>, Error> = (0..100).map(|number| make(number.to_string())).collect();
            assert_eq!(matches!(made, Err(Error::TooMany { .. })), refused, "{made:?}");
        }
    }
}

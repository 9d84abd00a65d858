//! Several files that are replaced one after the other, and put on the disk at once.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::thread;

use super::{FileError, parent, sync_dir, take_place, temporary, write_new};

/// What a file is to be next.
#[derive(Clone, Debug)]
pub struct Next {
    /// The file that is replaced.
    pub path: PathBuf,
    /// All that is in it then.
    pub contents: Vec<u8>,
    /// Its mode.
    pub mode: u32,
}

/// Replaces each of these files as [`replace`](super::replace) does, in this order: after a crash at any point none has its next
/// contents whose predecessors do not have theirs. The disk is waited for once for all contents, and once for each
/// directory, instead of twice for each file.
///
/// # Errors
/// When any step fails; no temporary file is left then, and those files that come first may have been replaced.
pub fn replace_all(files: &[Next]) -> Result<(), FileError> {
    let replaced = written(files).and_then(|contents| {
        at_once(&contents, |(file, path)| file.sync_all().map_err(FileError::new("sync", path)))?;
        drop(contents);
        zone_fail::pass!("file.written");
        for neighbours in files.chunk_by(|one, other| parent(&one.path) == parent(&other.path)) {
            for file in neighbours {
                take_place(&temporary(&file.path), &file.path)?;
                zone_fail::pass!("file.renamed");
            }
            // What comes next counts on these.
            sync_dir(parent(&neighbours[0].path))?;
        }
        Ok(())
    });
    if replaced.is_err() {
        for file in files {
            let _ = fs::remove_file(temporary(&file.path));
        }
    }
    replaced
}

/// The next contents, beside the files that they are for.
fn written(files: &[Next]) -> Result<Vec<(File, PathBuf)>, FileError> {
    let write = |file: &Next| {
        let temporary = temporary(&file.path);
        zone_fail::fail!("file.write")
            .map_err(|errno| FileError::new("write", &temporary)(io::Error::from(errno)))
            .and_then(|()| write_new(&temporary, &file.contents, file.mode))
            .map(|written| (written, temporary))
    };
    files.iter().map(write).collect()
}

/// Waits for all of these in threads of their own: the disk takes hardly longer for several than for one.
fn at_once<T: Sync>(
    things: &[T],
    wait: impl Fn(&T) -> Result<(), FileError> + Sync,
) -> Result<(), FileError> {
    let Some((first, others)) = things.split_first() else { return Ok(()) };
    let wait = &wait;
    thread::scope(|scope| {
        let begin = |thing| (thing, thread::Builder::new().spawn_scoped(scope, move || wait(thing)));
        let others: Vec<_> = others.iter().map(begin).collect();
        let first = wait(first);
        others.into_iter().fold(first, |result, (thing, thread)| {
            let waited = match thread {
                Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                // No more threads may be had: one after the other.
                Err(_) => wait(thing),
            };
            result.and(waited)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    fn next(path: PathBuf, contents: &str) -> Next {
        Next { path, contents: contents.into(), mode: 0o640 }
    }

    #[test]
    fn all_are_replaced_and_nothing_is_left_beside_them() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("below")).unwrap();
        let paths = ["one", "two", "below/three"].map(|name| dir.path().join(name));
        fs::write(&paths[0], "old").unwrap();
        replace_all(&paths.clone().map(|path| next(path, "new"))).unwrap();
        for path in &paths {
            assert_eq!(fs::read_to_string(path).unwrap(), "new");
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o640);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
        assert_eq!(fs::read_dir(dir.path().join("below")).unwrap().count(), 1);
        replace_all(&[]).unwrap();
    }

    #[test]
    fn where_one_cannot_be_written_none_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (there, missing) = (dir.path().join("there"), dir.path().join("missing/file"));
        fs::write(&there, "old").unwrap();
        let error = replace_all(&[next(there.clone(), "new"), next(missing, "new")]).unwrap_err();
        assert_eq!(error.operation, "create");
        assert_eq!(fs::read_to_string(&there).unwrap(), "old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn whoever_fails_first_is_told_and_all_are_waited_for() {
        let waited = std::sync::atomic::AtomicUsize::new(0);
        let wait = |nth: &usize| {
            waited.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            match nth {
                0 => Ok(()),
                _ => Err(FileError::new("sync", Path::new(&nth.to_string()))(io::Error::other("no"))),
            }
        };
        assert_eq!(at_once(&[0, 1, 2], wait).unwrap_err().path, Path::new("1"));
        assert_eq!(waited.into_inner(), 3);
        at_once(&[0, 0], |_| Ok(())).unwrap();
    }
}

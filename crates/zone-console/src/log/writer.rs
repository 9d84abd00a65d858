//! Writing the log.

use super::{LogError, LogLimits, file_name, io_error, open_dir, open_file};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, OFlags, fstat, renameat, unlinkat};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// A log that is open for writing.
#[derive(Debug)]
pub struct ConsoleLog {
    dir: OwnedFd,
    path: PathBuf,
    name: String,
    /// None after a rotation that found no new file.
    file: Option<OwnedFd>,
    len: u64,
    limits: LogLimits,
}

impl ConsoleLog {
    /// Opens the log `dir/name`, or begins it. It may block as long as the disk does.
    ///
    /// # Errors
    /// [`LogError::Unsafe`] when others could exchange the file; [`LogError::Io`] otherwise: `ENOENT`
    /// when there is no directory, `ELOOP` when the name is a symbolic link.
    pub fn open(dir: &Path, name: &str, limits: LogLimits) -> Result<Self, LogError> {
        let path = dir.to_owned();
        let dir = open_dir(dir)?;
        let mut log = Self { dir, path, name: name.to_owned(), file: None, len: 0, limits };
        log.reopen()?;
        Ok(log)
    }

    /// The bounds it was opened with.
    #[must_use]
    pub fn limits(&self) -> LogLimits {
        self.limits
    }

    /// Adds `bytes`, and begins a new file whenever the present one would grow beyond its limit. A
    /// file that somebody has removed is begun anew. It may block as long as the disk does.
    ///
    /// # Errors
    /// [`LogError::Io`] when not everything could be written.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), LogError> {
        if self.is_gone() {
            self.reopen()?;
        }
        let limit = usize::try_from(self.limits.bytes).unwrap_or(usize::MAX).max(1);
        for piece in bytes.chunks(limit) {
            if self.len > 0 && self.len + piece.len() as u64 > self.limits.bytes {
                self.rotate()?;
            }
            self.write(piece)?;
        }
        Ok(())
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), LogError> {
        while !bytes.is_empty() {
            let Some(file) = &self.file else {
                return Err(io_error("write", &self.path.join(&self.name), Errno::BADF));
            };
            match rustix::io::retry_on_intr(|| rustix::io::write(file, bytes)) {
                Ok(0) => return Err(io_error("write", &self.path.join(&self.name), Errno::NOSPC)),
                Ok(written) => {
                    self.len += written as u64;
                    bytes = &bytes[written..];
                }
                Err(e) => return Err(io_error("write", &self.path.join(&self.name), e)),
            }
        }
        Ok(())
    }

    /// Whether there is no file, or it has no name any more.
    fn is_gone(&self) -> bool {
        self.file.as_ref().is_none_or(|file| fstat(file).is_ok_and(|stat| stat.st_nlink == 0))
    }

    fn reopen(&mut self) -> Result<(), LogError> {
        self.file = None;
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
        let (file, len) = open_file(&self.dir, &self.path, &self.name, flags)?;
        self.file = Some(file);
        self.len = len;
        Ok(())
    }

    /// Every file grows one older, and the oldest goes.
    fn rotate(&mut self) -> Result<(), LogError> {
        let oldest = self.limits.files.max(1) - 1;
        let last = file_name(&self.name, oldest);
        match unlinkat(&self.dir, &last, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(e) => return Err(io_error("unlink", &self.path.join(last), e)),
        }
        for age in (0..oldest).rev() {
            let (from, to) = (file_name(&self.name, age), file_name(&self.name, age + 1));
            match renameat(&self.dir, &from, &self.dir, &to) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(e) => return Err(io_error("rename", &self.path.join(from), e)),
            }
        }
        self.reopen()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn limits(bytes: u64, files: u32) -> LogLimits {
        LogLimits { bytes, files, ..LogLimits::default() }
    }

    fn read(dir: &Path, name: &str) -> Option<String> {
        std::fs::read_to_string(dir.join(name)).ok()
    }

    #[test]
    fn rotates_by_size_and_count() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = ConsoleLog::open(dir.path(), "web", limits(10, 3)).unwrap();
        for piece in ["one ", "two ", "three ", "four ", "five ", "six "] {
            log.append(piece.as_bytes()).unwrap();
        }
        let files = ["web", "web.1", "web.2", "web.3"].map(|name| read(dir.path(), name));
        assert_eq!(files, [Some("six ".into()), Some("four five ".into()), Some("three ".into()), None]);
        let mode = std::fs::metadata(dir.path().join("web")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // Longer than a file may be: in pieces.
        log.append(b"abcdefghijklmnopqrstuvwxyz").unwrap();
        let files = ["web", "web.1", "web.2", "web.3"].map(|name| read(dir.path(), name));
        assert_eq!(
            files,
            [Some("uvwxyz".into()), Some("klmnopqrst".into()), Some("abcdefghij".into()), None]
        );
    }

    #[test]
    fn goes_on_with_the_file_that_is_there_and_with_one_file_only() {
        let dir = tempfile::tempdir().unwrap();
        ConsoleLog::open(dir.path(), "web", limits(10, 1)).unwrap().append(b"12345678").unwrap();
        let mut log = ConsoleLog::open(dir.path(), "web", limits(10, 1)).unwrap();
        log.append(b"90").unwrap();
        assert_eq!(read(dir.path(), "web").unwrap(), "1234567890");
        log.append(b"x").unwrap();
        assert_eq!(read(dir.path(), "web").unwrap(), "x");
    }

    #[test]
    fn a_file_that_was_removed_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = ConsoleLog::open(dir.path(), "web", limits(10, 2)).unwrap();
        log.append(b"one").unwrap();
        std::fs::remove_file(dir.path().join("web")).unwrap();
        log.append(b"two").unwrap();
        assert_eq!(read(dir.path(), "web").unwrap(), "two");
    }

    #[test]
    fn refuses_what_others_could_exchange() {
        let dir = tempfile::tempdir().unwrap();
        let open = |name| ConsoleLog::open(dir.path(), name, limits(10, 2));
        symlink("elsewhere", dir.path().join("link")).unwrap();
        assert!(matches!(open("link"), Err(LogError::Io { operation: "open", .. })));
        assert!(read(dir.path(), "elsewhere").is_none());
        std::fs::write(dir.path().join("file"), "").unwrap();
        std::fs::hard_link(dir.path().join("file"), dir.path().join("second")).unwrap();
        assert!(matches!(open("second"), Err(LogError::Unsafe { .. })));
        rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join("pipe"), rustix::fs::Mode::RUSR).unwrap();
        assert!(open("pipe").is_err());
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(open("web"), Err(LogError::Unsafe { .. })));
        assert!(ConsoleLog::open(&dir.path().join("none"), "web", limits(10, 2)).is_err());
    }
}

//! Reading the log: from its oldest file to its end, and on as it grows.

use super::{LogError, file_name, io_error, open_dir, open_file};
use crate::sanitize::{Filter, Purpose};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{OFlags, fstat};
use rustix::io::Errno;
use std::io::Write;
use std::path::{Path, PathBuf};

/// More files than a log will ever have.
const MAX_FILES: u32 = 1000;

/// For whom the log is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A pipe or a file: the bytes as they were said.
    Raw,
    /// A terminal: text, and nothing that it would obey.
    Terminal,
}

/// A log that is open for reading, while somebody else may write and rotate it.
#[derive(Debug)]
pub struct LogReader {
    dir: OwnedFd,
    path: PathBuf,
    name: String,
    filter: Option<Filter>,
}

impl LogReader {
    /// Opens the log `dir/name`.
    ///
    /// # Errors
    /// As [`super::ConsoleLog::open`].
    pub fn open(dir: &Path, name: &str, style: Style) -> Result<Self, LogError> {
        let filter = (style == Style::Terminal).then(|| Filter::new(Purpose::Log));
        Ok(Self { dir: open_dir(dir)?, path: dir.to_owned(), name: name.to_owned(), filter })
    }

    /// Writes all of the log to `out`, oldest first, and with `follow` what is added to it, until
    /// writing fails. No log yet is an empty one.
    ///
    /// # Errors
    /// [`LogError::Io`]; when `out` fails, the operation is `write` and the path that of the log.
    pub fn copy(&mut self, out: &mut dyn Write, follow: bool) -> Result<(), LogError> {
        // Watching comes first, so that nothing is missed between reading and waiting.
        let watch = if follow { Some(self.watch()?) } else { None };
        let mut current: Option<OwnedFd> = None;
        loop {
            if let Some(file) = &current {
                copy_rest(file, self.filter.as_mut(), out).map_err(|e| self.failed(e))?;
            }
            match self.after(current.as_ref())? {
                Some(next) => {
                    // What was added before it was renamed.
                    if let Some(file) = &current {
                        copy_rest(file, self.filter.as_mut(), out).map_err(|e| self.failed(e))?;
                    }
                    current = Some(next);
                }
                None => {
                    let Some(watch) = &watch else { break };
                    out.flush().map_err(|e| io_error("write", &self.path, e))?;
                    wait(watch).map_err(|e| io_error("inotify", &self.path, e))?;
                }
            }
        }
        if let Some(filter) = &mut self.filter {
            let mut last = Vec::new();
            filter.finish(&mut last);
            out.write_all(&last).map_err(|e| io_error("write", &self.path, e))?;
        }
        out.flush().map_err(|e| io_error("write", &self.path, e))
    }

    fn failed(&self, (operation, source): (&'static str, std::io::Error)) -> LogError {
        io_error(operation, &self.path.join(&self.name), source)
    }

    /// The file that was begun after `current`; the oldest if that is none or was removed.
    fn after(&self, current: Option<&OwnedFd>) -> Result<Option<OwnedFd>, LogError> {
        let seen = current.map(|file| fstat(file).map(|stat| (stat.st_dev, stat.st_ino)));
        let seen = seen.transpose().map_err(|e| io_error("fstat", &self.path, e))?;
        let (mut newer, mut missing) = (None, 0);
        for age in 0..MAX_FILES {
            let file = match open_file(&self.dir, &self.path, &file_name(&self.name, age), OFlags::RDONLY) {
                Ok((file, _)) => file,
                Err(LogError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                    // In the middle of a rotation one may be missing.
                    missing += 1;
                    if missing > 1 {
                        break;
                    }
                    continue;
                }
                Err(error) => return Err(error),
            };
            missing = 0;
            let stat = fstat(&file).map_err(|e| io_error("fstat", &self.path, e))?;
            if seen == Some((stat.st_dev, stat.st_ino)) {
                return Ok(newer);
            }
            newer = Some(file);
        }
        Ok(newer)
    }

    fn watch(&self) -> Result<OwnedFd, LogError> {
        let failed = |e: Errno| io_error("inotify", &self.path, e);
        let watch = inotify::init(CreateFlags::CLOEXEC).map_err(failed)?;
        let dir = format!("/proc/self/fd/{}", self.dir.as_raw_fd());
        let events = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO;
        inotify::add_watch(&watch, dir, events).map_err(failed)?;
        Ok(watch)
    }
}

fn copy_rest(
    file: &OwnedFd,
    mut filter: Option<&mut Filter>,
    out: &mut dyn Write,
) -> Result<(), (&'static str, std::io::Error)> {
    let mut buffer = vec![0; 64 << 10];
    let mut clean = Vec::new();
    loop {
        let len = rustix::io::retry_on_intr(|| rustix::io::read(file, &mut buffer))
            .map_err(|e| ("read", e.into()))?;
        if len == 0 {
            return Ok(());
        }
        let bytes = match &mut filter {
            None => &buffer[..len],
            Some(filter) => {
                clean.clear();
                filter.push(&buffer[..len], &mut clean);
                &clean
            }
        };
        out.write_all(bytes).map_err(|e| ("write", e))?;
    }
}

/// Waits until something happened in the directory. What it was, the files will tell.
fn wait(watch: &OwnedFd) -> Result<(), Errno> {
    let mut buffer = [0; 4096];
    rustix::io::retry_on_intr(|| rustix::io::read(watch, &mut buffer)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{ConsoleLog, LogLimits};
    use std::sync::mpsc;

    fn limits(bytes: u64) -> LogLimits {
        LogLimits { bytes, files: 4, ..LogLimits::default() }
    }

    fn read(dir: &Path, style: Style) -> String {
        let mut out = Vec::new();
        LogReader::open(dir, "web", style).unwrap().copy(&mut out, false).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn reads_all_files_oldest_first() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path(), Style::Raw), "");
        let mut log = ConsoleLog::open(dir.path(), "web", limits(10)).unwrap();
        for piece in ["one ", "\x1b[1mtwo\x1b[m ", "three\r\n", "four ", "five "] {
            log.append(piece.as_bytes()).unwrap();
        }
        // The third and oldest file that is left begins where the limits cut.
        let raw = read(dir.path(), Style::Raw);
        assert!("one \x1b[1mtwo\x1b[m three\r\nfour five ".ends_with(&raw) && raw.len() > 20, "{raw:?}");
        let mut log = ConsoleLog::open(dir.path(), "web", limits(1000)).unwrap();
        log.append(b"\x1b]0;evil\x07end\x07").unwrap();
        assert!(read(dir.path(), Style::Terminal).ends_with("three\nfour five end^G"));
        assert!(read(dir.path(), Style::Raw).ends_with("\x1b]0;evil\x07end\x07"));
    }

    /// Hands on what is written, and fails when nobody takes it any more.
    struct Tell(mpsc::Sender<Vec<u8>>);

    impl Write for Tell {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let sent = self.0.send(bytes.to_vec());
            sent.map(|()| bytes.len()).map_err(|_| std::io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn follows_through_rotations() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = ConsoleLog::open(dir.path(), "web", limits(10)).unwrap();
        log.append(b"before ").unwrap();
        let (sender, receiver) = mpsc::channel();
        let path = dir.path().to_owned();
        let follower = std::thread::spawn(move || {
            LogReader::open(&path, "web", Style::Raw).unwrap().copy(&mut Tell(sender), true)
        });
        let expect = |text: &str| {
            let mut got = String::new();
            while got.len() < text.len() {
                got += str::from_utf8(&receiver.recv().unwrap()).unwrap();
            }
            assert_eq!(got, text);
        };
        expect("before ");
        for n in 0..20 {
            let text = format!("line {n:02}\n");
            log.append(text.as_bytes()).unwrap();
            expect(&text);
        }
        drop(receiver);
        log.append(b"nobody reads this").unwrap();
        let end = follower.join().unwrap();
        assert!(matches!(end, Err(LogError::Io { operation: "write", .. })));
    }
}

//! The side that reads files.

use crate::wire::{Answer, CHUNK, Say, broken, errno, is_name, number};
use crate::{CopyError, Event, MOST_DEPTH, Path, Watch, partial};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, SeekFrom, Stat, fstat, openat, readlinkat, seek, statat,
};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;

/// A file or a directory that was opened to be copied.
#[derive(Debug)]
pub struct Source {
    fd: OwnedFd,
    stat: Stat,
    name: Vec<u8>,
}

impl Source {
    /// Opens what is at `path`, by links as well. A directory only if `all` that is in it is meant.
    ///
    /// # Errors
    /// Those of open(2); `EISDIR` for a directory, `EINVAL` for what is neither that nor a file.
    pub fn open(path: &std::path::Path, all: bool) -> Result<Self, Errno> {
        // What it is is known before it is opened: to open a device may do something.
        let looked = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let flags = match kind(&fstat(&looked)?) {
            FileType::Directory if all => OFlags::DIRECTORY,
            FileType::Directory => return Err(Errno::ISDIR),
            FileType::RegularFile => OFlags::empty(),
            _ => return Err(Errno::INVAL),
        };
        let fd = openat(CWD, path, READ | flags, Mode::empty())?;
        let stat = fstat(&fd)?;
        let text = path.as_os_str().as_bytes();
        let name = path.file_name().filter(|_| !text.ends_with(b"/.")).unwrap_or(OsStr::new("."));
        match kind(&stat) {
            FileType::Directory if all => {}
            FileType::RegularFile if is_name(name.as_bytes()) => {}
            _ => return Err(Errno::INVAL),
        }
        Ok(Self { fd, stat, name: name.as_bytes().to_vec() })
    }
}

/// How files are opened: not to be held up by a pipe, nor to get a terminal, that somebody put in their place.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Sends what was opened; of what could not be, that. Returns when the other side has all of it.
///
/// # Errors
/// [`CopyError`].
pub fn send(
    source: Result<Source, (Vec<u8>, Errno)>,
    from: impl Read,
    to: impl Write,
    watch: &mut Watch<'_>,
) -> Result<(), CopyError> {
    let mut sender = Sender { from, to, watch, path: Path::default(), buffer: vec![0; CHUNK] };
    match sender.all(source) {
        // It may have said why before it went.
        Err(CopyError::Gone) => match Answer::read(&mut sender.from) {
            Ok(Answer::Stop { errno: number, path }) => Err(CopyError::Write { path, source: errno(number) }),
            _ => Err(CopyError::Gone),
        },
        outcome => outcome,
    }
}

struct Sender<'a, 'w, R, W> {
    from: R,
    to: W,
    watch: &'a mut Watch<'w>,
    path: Path,
    buffer: Vec<u8>,
}

impl<R: Read, W: Write> Sender<'_, '_, R, W> {
    fn all(&mut self, source: Result<Source, (Vec<u8>, Errno)>) -> Result<(), CopyError> {
        match source {
            Ok(Source { fd, stat, name }) if kind(&stat) == FileType::Directory => {
                self.tree(fd, &stat, name)?;
            }
            Ok(Source { fd, stat, name }) => self.file(&fd, &stat, &name)?,
            Err((name, errno)) => self.unread(&name, errno)?,
        }
        match self.ask(&Say::Over)? {
            Answer::Fine => Ok(()),
            _ => Err(CopyError::Protocol("an answer that is none")),
        }
    }

    fn say(&mut self, say: &Say) -> Result<(), CopyError> {
        say.write(&mut self.to)
    }

    fn ask(&mut self, say: &Say) -> Result<Answer, CopyError> {
        self.say(say)?;
        self.to.flush().map_err(|error| broken(&error))?;
        match Answer::read(&mut self.from)? {
            Answer::Stop { errno: number, path } => Err(CopyError::Write { path, source: errno(number) }),
            answer => Ok(answer),
        }
    }

    /// Sends a directory and all that is in it, without calling itself: how deep it is is somebody else's choice.
    fn tree(&mut self, fd: OwnedFd, stat: &Stat, name: Vec<u8>) -> Result<(), CopyError> {
        let mut open = Vec::new();
        let Some(dir) = self.directory(fd, stat, name)? else { return Ok(()) };
        open.push(dir);
        while let Some(dir) = open.last_mut() {
            let entry = match dir.read() {
                None => {
                    open.pop();
                    self.path.0.pop();
                    self.say(&Say::Up)?;
                    continue;
                }
                Some(Err(errno)) => {
                    self.unread(b".", errno)?;
                    // What could not be read will not be read the next time either.
                    open.pop();
                    self.path.0.pop();
                    self.say(&Say::Up)?;
                    continue;
                }
                Some(Ok(entry)) => entry,
            };
            let name = entry.file_name().to_bytes().to_vec();
            if !is_name(&name) {
                continue;
            }
            let deep = open.len() >= MOST_DEPTH;
            let Some(dir) = open.last() else { break };
            let opened = dir.fd().and_then(|fd| Entry::open(&fd, &name));
            match opened {
                Ok(Entry::Directory(..)) if deep => self.unread(&name, Errno::NAMETOOLONG)?,
                Ok(Entry::Directory(fd, stat)) => open.extend(self.directory(fd, &stat, name)?),
                Ok(Entry::File(fd, stat)) => self.file(&fd, &stat, &name)?,
                Ok(Entry::Link(target)) => self.link(name, target)?,
                Ok(Entry::Other) => {
                    (self.watch)(Event::LeftOut { path: &self.path.with(&name) });
                    self.say(&Say::LeftOut { name })?;
                }
                // It has gone meanwhile, as files do.
                Err(Errno::NOENT) => {}
                Err(errno) => self.unread(&name, errno)?,
            }
        }
        Ok(())
    }

    /// Begins a directory; `None` if the other side cannot have it.
    fn directory(&mut self, fd: OwnedFd, stat: &Stat, name: Vec<u8>) -> Result<Option<Dir>, CopyError> {
        let dir = match Dir::new(fd) {
            Ok(dir) => dir,
            Err(errno) => return self.unread(&name, errno).map(|()| None),
        };
        match self.ask(&Say::Directory { name: name.clone(), mode: stat.st_mode })? {
            Answer::Fine => {
                self.path.0.push(name);
                Ok(Some(dir))
            }
            Answer::Refused(number) => {
                self.refused(&name, number);
                Ok(None)
            }
            _ => Err(CopyError::Protocol("an answer that is none")),
        }
    }

    fn link(&mut self, name: Vec<u8>, target: Vec<u8>) -> Result<(), CopyError> {
        match self.ask(&Say::Link { name: name.clone(), target })? {
            Answer::Fine => (self.watch)(Event::Copied),
            Answer::Have => (self.watch)(Event::Unchanged),
            Answer::Refused(number) => self.refused(&name, number),
            _ => return Err(CopyError::Protocol("an answer that is none")),
        }
        Ok(())
    }

    fn file(&mut self, fd: &OwnedFd, stat: &Stat, name: &[u8]) -> Result<(), CopyError> {
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        let time = (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or_default());
        match self.ask(&Say::File { name: name.to_vec(), mode: stat.st_mode, size, time })? {
            Answer::From { there, sum } if there <= size => {
                // What cannot be read to be compared cannot be read to be sent either, and that is said then.
                let is_ours = there > 0 && partial::sum(fd, there) == Ok(sum);
                let there = if is_ours { there } else { 0 };
                self.say(&Say::Begins(there))?;
                (self.watch)(Event::Begins { path: &self.path.with(name), size, there });
                self.path.0.push(name.to_vec());
                let read = seek(fd, SeekFrom::Start(there)).map(|_| size - there);
                let end = match read {
                    Ok(left) => self.contents(fd, left)?,
                    Err(errno) => Some(errno),
                };
                let answer = self.ask(&Say::End(end.map_or(0, number)))?;
                self.path.0.pop();
                match (answer, end) {
                    (Answer::Fine, _) => (self.watch)(Event::Copied),
                    (_, Some(errno)) => (self.watch)(Event::Unread { path: &self.path.with(name), errno }),
                    (Answer::Refused(number), None) => self.refused(name, number),
                    _ => return Err(CopyError::Protocol("an answer that is none")),
                }
            }
            Answer::Have => (self.watch)(Event::Unchanged),
            Answer::Refused(number) => self.refused(name, number),
            _ => return Err(CopyError::Protocol("an answer that is none")),
        }
        Ok(())
    }

    /// Sends as many bytes; gives what kept them from being read. One that has become shorter was changed meanwhile.
    fn contents(&mut self, fd: &OwnedFd, mut left: u64) -> Result<Option<Errno>, CopyError> {
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            match rustix::io::read(fd, &mut self.buffer[..most]) {
                Ok(0) => return Ok(Some(Errno::STALE)),
                Ok(count) => {
                    let bytes = self.buffer[..count].to_vec();
                    self.say(&Say::Bytes(bytes))?;
                    zone_fail::pass!("copy.sent");
                    left -= count as u64;
                    (self.watch)(Event::Bytes(count as u64));
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Ok(Some(errno)),
            }
        }
        Ok(None)
    }

    fn unread(&mut self, name: &[u8], errno: Errno) -> Result<(), CopyError> {
        (self.watch)(Event::Unread { path: &self.path.with(name), errno });
        self.say(&Say::Unread { name: name.to_vec(), errno: number(errno) })
    }

    fn refused(&mut self, name: &[u8], number: u32) {
        (self.watch)(Event::Unwritten { path: &self.path.with(name), errno: errno(number) });
    }
}

/// What was found in a directory.
enum Entry {
    Directory(OwnedFd, Stat),
    File(OwnedFd, Stat),
    Link(Vec<u8>),
    Other,
}

impl Entry {
    /// Opens what is there, by no link. What it is, the descriptor says: it may be exchanged all the time.
    fn open(dir: &impl AsFd, name: &[u8]) -> Result<Self, Errno> {
        let looked = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let flags = match kind(&looked) {
            FileType::Symlink => {
                return readlinkat(dir, name, Vec::new()).map(|target| Self::Link(target.into_bytes()));
            }
            FileType::Directory => OFlags::DIRECTORY,
            FileType::RegularFile => OFlags::empty(),
            _ => return Ok(Self::Other),
        };
        let fd = openat(dir, name, READ | OFlags::NOFOLLOW | flags, Mode::empty())?;
        let stat = fstat(&fd)?;
        Ok(match kind(&stat) {
            FileType::Directory => Self::Directory(fd, stat),
            FileType::RegularFile => Self::File(fd, stat),
            _ => Self::Other,
        })
    }
}

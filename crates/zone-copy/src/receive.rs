//! The side that writes files.

use crate::unsettled::{Unsettled, sync};
use crate::wire::{Answer, Say, Time, errno, number};
use crate::{CopyError, Event, MOST_DEPTH, Path, Watch, partial};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, SeekFrom, Stat, fchmod, flock, fstat,
    ftruncate, mkdirat, openat, readlinkat, renameat, seek, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use zone_sys::path::beneath_mounted;

/// Where the copy goes.
#[derive(Debug)]
pub struct Target {
    dir: OwnedFd,
    /// The name that it gets there; that of the source if none.
    name: Option<Vec<u8>>,
}

impl Target {
    /// A directory, or a name in one that is there; found by links as well.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open(path: &std::path::Path) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let of = |path: &std::path::Path| openat(CWD, path, flags, Mode::empty());
        let missing = match of(path) {
            Ok(dir) => return Ok(Self { dir, name: None }),
            Err(errno @ (Errno::NOENT | Errno::NOTDIR)) => errno,
            Err(errno) => return Err(errno),
        };
        let is_directory = path.as_os_str().as_bytes().ends_with(b"/");
        let Some(name) = path.file_name().filter(|_| !is_directory) else { return Err(missing) };
        let parent = path.parent().filter(|parent| *parent != std::path::Path::new(""));
        let dir = of(parent.unwrap_or(std::path::Path::new(".")))?;
        Ok(Self { dir, name: Some(name.as_bytes().to_vec()) })
    }
}

/// Receives what the other side sends, and puts it where it is to go; if there is no such place, what it sends is refused.
/// Returns when it has sent all, and all is on the disk.
///
/// # Errors
/// [`CopyError`].
pub fn receive(
    target: Result<Target, Errno>,
    from: impl Read,
    to: impl Write,
    watch: &mut Watch<'_>,
) -> Result<(), CopyError> {
    // There is no other way to ask for it.
    let umask = rustix::process::umask(Mode::empty());
    rustix::process::umask(umask);
    let (target, refused) = match target {
        Ok(target) => (Some(target), None),
        Err(errno) => (None, Some(errno)),
    };
    let mut receiver = Receiver {
        from,
        to,
        watch,
        path: Path::default(),
        open: Vec::new(),
        unsettled: Unsettled::default(),
        umask,
        begun: false,
    };
    let outcome = receiver.all(target.as_ref(), refused);
    if let Err(CopyError::Write { source, path }) = &outcome {
        let _ = Answer::Stop { errno: number(*source), path: path.clone() }.write(&mut receiver.to);
    }
    outcome
}

struct Receiver<'a, 'w, R, W> {
    from: R,
    to: W,
    watch: &'a mut Watch<'w>,
    path: Path,
    /// The directories that have begun, from the outermost on.
    open: Vec<Opened>,
    unsettled: Unsettled,
    umask: Mode,
    /// The first of all has come: there is but one that goes where the copy goes.
    begun: bool,
}

/// A directory that is being filled.
struct Opened {
    fd: OwnedFd,
    /// Its permissions at the end, if they have to be set then.
    mode: Option<Mode>,
    /// Names of parts that an earlier copy has left.
    parts: Vec<Vec<u8>>,
}

/// Who may be in the place of something.
enum There {
    Nothing,
    /// Something else than a directory.
    Something(Stat),
}

impl<R: Read, W: Write> Receiver<'_, '_, R, W> {
    fn all(&mut self, target: Option<&Target>, refused: Option<Errno>) -> Result<(), CopyError> {
        loop {
            let said = Say::read(&mut self.from)?;
            let answer = match (said, refused) {
                (Say::Over, _) if self.open.is_empty() => {
                    self.settle(target)?;
                    return Answer::Fine.write(&mut self.to);
                }
                (Say::Unread { name, errno: number }, _) => {
                    (self.watch)(Event::Unread { path: &self.path.with(&name), errno: errno(number) });
                    continue;
                }
                (Say::LeftOut { name }, _) => {
                    (self.watch)(Event::LeftOut { path: &self.path.with(&name) });
                    continue;
                }
                (Say::Up, _) => {
                    self.up()?;
                    continue;
                }
                (
                    Say::Directory { name, .. } | Say::File { name, .. } | Say::Link { name, .. },
                    Some(errno),
                ) => self.refuse(&name, errno),
                (Say::Directory { name, mode }, None) => self.directory(target, name, mode)?,
                (Say::File { name, mode, size, time }, None) => {
                    self.file(target, &name, &Wanted { mode: self.mode(mode), size, time })?
                }
                (Say::Link { name, target: to }, None) => self.link(target, &name, &to)?,
                (Say::Begins(_) | Say::Bytes(_) | Say::End(_) | Say::Over, _) => {
                    return Err(CopyError::Protocol("a message out of its order"));
                }
            };
            answer.write(&mut self.to)?;
        }
    }

    /// The permissions that a file of the sender's has here.
    fn mode(&self, mode: u32) -> Mode {
        Mode::from_raw_mode(mode & 0o777) & !self.umask
    }

    /// The name that something has here: the first one of all may get another.
    fn name_of(&mut self, target: Option<&Target>, name: &[u8]) -> Result<Vec<u8>, CopyError> {
        if !self.open.is_empty() {
            return if name == b"." {
                Err(CopyError::Protocol("a name that is none"))
            } else {
                Ok(name.to_vec())
            };
        }
        if std::mem::replace(&mut self.begun, true) {
            return Err(CopyError::Protocol("more than was asked for"));
        }
        Ok(target.and_then(|target| target.name.clone()).unwrap_or_else(|| name.to_vec()))
    }

    fn place<'a>(open: &'a [Opened], target: Option<&'a Target>) -> Result<&'a OwnedFd, CopyError> {
        let target = || target.map(|target| &target.dir);
        open.last().map(|dir| &dir.fd).or_else(target).ok_or(CopyError::Protocol("nowhere to put it"))
    }

    fn refuse(&mut self, name: &[u8], errno: Errno) -> Answer {
        (self.watch)(Event::Unwritten { path: &self.path.with(name), errno });
        Answer::Refused(number(errno))
    }

    fn directory(&mut self, target: Option<&Target>, sent: Vec<u8>, mode: u32) -> Result<Answer, CopyError> {
        let name = self.name_of(target, &sent)?;
        let dir = Self::place(&self.open, target)?;
        let deep = self.open.len() >= MOST_DEPTH;
        let mode = self.mode(mode);
        let opened = if deep { Err(Errno::NAMETOOLONG) } else { Opened::at(dir, &name, mode) };
        match opened {
            Ok(opened) => {
                self.open.push(opened);
                self.path.0.push(sent);
                Ok(Answer::Fine)
            }
            Err(errno) => Ok(self.refuse(&sent, errno)),
        }
    }

    fn up(&mut self) -> Result<(), CopyError> {
        let opened = self.open.pop().ok_or(CopyError::Protocol("a message out of its order"))?;
        let path = self.path.0.join(&b'/');
        if let Some(mode) = opened.mode
            && let Err(errno) = fchmod(&opened.fd, mode)
        {
            (self.watch)(Event::Unwritten { path: &path, errno });
        }
        self.path.0.pop();
        self.unsettled.directory(opened.fd, path)
    }

    /// Puts on the disk what is not there yet, the name of what was copied last of all.
    fn settle(&mut self, target: Option<&Target>) -> Result<(), CopyError> {
        self.unsettled.settle()?;
        let named = target.filter(|_| self.begun).map_or(Ok(()), |target| sync(&target.dir));
        named.map_err(|source| CopyError::Write { path: b".".to_vec(), source })
    }

    fn link(&mut self, target: Option<&Target>, sent: &[u8], to: &[u8]) -> Result<Answer, CopyError> {
        let name = self.name_of(target, sent)?;
        let dir = Self::place(&self.open, target)?;
        let make = || {
            if let There::Something(stat) = there(dir, &name)?
                && FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
                && readlinkat(dir, &name, Vec::new()).is_ok_and(|now| now.as_bytes() == to)
            {
                return Ok(Answer::Have);
            }
            let new = partial::other(&name);
            remove(dir, new.as_bytes())?;
            symlinkat(to, dir, &new)?;
            renameat(dir, &new, dir, &name).inspect_err(|_| {
                let _ = remove(dir, new.as_bytes());
            })?;
            Ok(Answer::Fine)
        };
        match make() {
            Ok(answer) => {
                let event = if answer == Answer::Have { Event::Unchanged } else { Event::Copied };
                (self.watch)(event);
                Ok(answer)
            }
            Err(errno) => Ok(self.refuse(sent, errno)),
        }
    }

    fn file(&mut self, target: Option<&Target>, sent: &[u8], wanted: &Wanted) -> Result<Answer, CopyError> {
        let name = self.name_of(target, sent)?;
        let dir = Self::place(&self.open, target)?;
        match there(dir, &name) {
            Ok(There::Something(stat)) if wanted.is_this(&stat) => {
                (self.watch)(Event::Unchanged);
                return Ok(Answer::Have);
            }
            Ok(_) => {}
            Err(errno) => return Ok(self.refuse(sent, errno)),
        }
        let part = partial::name(&name, wanted.size, wanted.time);
        let old = match self.open.last_mut() {
            Some(dir) => Ok(std::mem::take(&mut dir.parts)),
            None => parts(Self::place(&self.open, target)?),
        };
        let dir = Self::place(&self.open, target)?;
        let old = match old {
            Ok(old) => old,
            Err(errno) => return Ok(self.refuse(sent, errno)),
        };
        let of_this = partial::prefix(&name);
        let (stale, others): (Vec<_>, Vec<_>) =
            old.into_iter().partition(|old| old.starts_with(of_this.as_bytes()));
        for stale in stale.iter().filter(|stale| stale.as_slice() != part.as_bytes()) {
            let _ = remove(dir, stale);
        }
        let (file, there, sum) = match begin(dir, &part, wanted.size) {
            Ok(begun) => begun,
            Err(errno) => return Ok(self.refuse(sent, errno)),
        };
        if let Some(dir) = self.open.last_mut() {
            dir.parts = others;
        }
        Answer::From { there, sum }.write(&mut self.to)?;
        let from = match Say::read(&mut self.from)? {
            Say::Begins(from) if from == there || from == 0 => from,
            _ => return Err(CopyError::Protocol("a message out of its order")),
        };
        let path = self.path.with(sent);
        if from != there {
            let emptied = ftruncate(&file, 0).and_then(|()| seek(&file, SeekFrom::Start(0)));
            emptied.map_err(|source| CopyError::Write { path: path.clone(), source })?;
        }
        let size = wanted.size;
        (self.watch)(Event::Begins { path: &path, size, there: from });
        let unread = self.contents(&file, &path, size - from)?;
        let dir = Self::place(&self.open, target)?;
        if let Some(errno) = unread {
            let _ = remove(dir, part.as_bytes());
            (self.watch)(Event::Unread { path: &path, errno });
            return Ok(Answer::Refused(number(errno)));
        }
        if let Err(errno) = fchmod(&file, wanted.mode).and_then(|()| renameat(dir, &part, dir, &name)) {
            let _ = remove(dir, part.as_bytes());
            return Ok(self.refuse(sent, errno));
        }
        zone_fail::pass!("copy.named");
        self.unsettled.file(file, wanted.time, size - from, path)?;
        (self.watch)(Event::Copied);
        Ok(Answer::Fine)
    }

    /// Writes what comes of a file; gives what kept it from being read there.
    fn contents(&mut self, file: &OwnedFd, path: &[u8], mut left: u64) -> Result<Option<Errno>, CopyError> {
        loop {
            match Say::read(&mut self.from)? {
                Say::Bytes(bytes) if bytes.len() as u64 <= left => {
                    let mut rest = bytes.as_slice();
                    while !rest.is_empty() {
                        match rustix::io::write(file, rest) {
                            Ok(count) => rest = &rest[count..],
                            Err(Errno::INTR) => {}
                            Err(source) => {
                                return Err(CopyError::Write { path: path.to_vec(), source });
                            }
                        }
                    }
                    zone_fail::pass!("copy.part");
                    left -= bytes.len() as u64;
                    (self.watch)(Event::Bytes(bytes.len() as u64));
                }
                Say::End(0) if left == 0 => return Ok(None),
                Say::End(number) if number != 0 => return Ok(Some(errno(number))),
                _ => return Err(CopyError::Protocol("other contents than were announced")),
            }
        }
    }
}

/// What a file is to be.
struct Wanted {
    mode: Mode,
    size: u64,
    time: Time,
}

impl Wanted {
    /// Whether a file is that already, as far as can be seen.
    fn is_this(&self, stat: &Stat) -> bool {
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            && u64::try_from(stat.st_size) == Ok(self.size)
            && (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or_default()) == self.time
    }
}

impl Opened {
    /// Makes a directory if there is none, and opens it by no link.
    fn at(dir: &OwnedFd, name: &[u8], mode: Mode) -> Result<Self, Errno> {
        // Its owner must get on in it until it is full.
        let made = match mkdirat(dir, name, mode | Mode::RWXU) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(errno) => return Err(errno),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = beneath_mounted(dir, name, flags, Mode::empty())?;
        let mode = Some(mode).filter(|mode| made && !mode.contains(Mode::RWXU));
        let parts = if made { Vec::new() } else { parts(&fd)? };
        Ok(Self { fd, mode, parts })
    }
}

/// The parts that earlier copies have left in a directory.
fn parts(dir: &OwnedFd) -> Result<Vec<Vec<u8>>, Errno> {
    let names =
        Dir::read_from(dir)?.filter_map(Result::ok).map(|entry| entry.file_name().to_bytes().to_vec());
    Ok(names.filter(|name| partial::is_one(name)).collect())
}

/// What is in the place where something is to go; a directory is not replaced.
fn there(dir: &OwnedFd, name: &[u8]) -> Result<There, Errno> {
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(There::Nothing),
        Err(errno) => Err(errno),
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => Err(Errno::ISDIR),
        Ok(stat) => Ok(There::Something(stat)),
    }
}

/// Removes what is no directory, if it is there.
fn remove(dir: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    match unlinkat(dir, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        outcome => outcome,
    }
}

/// Opens the part of a file that is there, at its end, or a new one; gives its length and its sum. One that somebody else
/// has put there is not taken, nor one that another copy writes.
fn begin(dir: &OwnedFd, part: &str, size: u64) -> Result<(OwnedFd, u64, u64), Errno> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    if let Ok(file) = beneath_mounted(dir, part, flags, Mode::empty()) {
        let stat = fstat(&file)?;
        let length = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        let is_ours = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            && stat.st_uid == rustix::process::geteuid().as_raw()
            && stat.st_nlink == 1
            && stat.st_mode & 0o7777 == 0o600;
        if is_ours {
            lock(&file)?;
            // Until the lock was there it may have become the file.
            let is_there = statat(dir, part, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|now| (now.st_dev, now.st_ino) == (stat.st_dev, stat.st_ino));
            if is_there && length <= size {
                let sum = partial::sum(&file, length)?;
                seek(&file, SeekFrom::Start(length))?;
                return Ok((file, length, sum));
            }
        }
    }
    remove(dir, part.as_bytes())?;
    let new = flags | OFlags::CREATE | OFlags::EXCL;
    let mode = Mode::RUSR | Mode::WUSR;
    let file = beneath_mounted(dir, part, new, mode)?;
    lock(&file)?;
    // Whatever the umask.
    fchmod(&file, mode)?;
    Ok((file, 0, 0))
}

/// Keeps other copies from a part.
fn lock(part: &OwnedFd) -> Result<(), Errno> {
    match flock(part, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Err(Errno::BUSY),
        outcome => outcome,
    }
}

//! The program's own input and output, never waited for.
//!
//! `O_NONBLOCK` belongs to the open file, which a shell and its other children share: it must not be
//! set on what was inherited. So terminals and pipes are opened anew (`/proc/self/fd`), sockets have
//! a flag for each call, and on all else reading and writing does not wait.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::pty::ptsname;
use rustix::termios::isatty;

/// What can be written to a pipe at once when `poll(2)` says so (`PIPE_BUF`).
const ATOMIC: usize = 4096;

/// One of the program's own standard streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Input,
    Output,
    Errors,
}

impl Stream {
    /// What is done with it, as a verb after "could not".
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Input => "read",
            Self::Output | Self::Errors => "write to",
        }
    }
}

impl std::fmt::Display for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Input => "standard input",
            Self::Output => "standard output",
            Self::Errors => "standard error",
        })
    }
}

/// One end of something that flows.
#[derive(Debug)]
pub(crate) enum End {
    /// Ours, and non-blocking.
    Own(OwnedFd),
    /// Inherited: a socket.
    Socket(BorrowedFd<'static>),
    /// Inherited, and nothing that one waits for: a file on a disk.
    File(BorrowedFd<'static>),
    /// Inherited, and could not be opened anew: to be touched only when `poll(2)` says so, and then
    /// once.
    Waits(BorrowedFd<'static>),
    /// Closed when the program was started; in its place is now something that swallows all.
    Closed(BorrowedFd<'static>),
}

impl End {
    /// A descriptor that nobody else uses; it is made non-blocking.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn own(fd: OwnedFd) -> Result<Self, Errno> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(Self::Own(fd))
    }

    /// Standard input.
    pub(crate) fn stdin() -> Self {
        Self::inherited(rustix::stdio::stdin(), 0, OFlags::RDONLY)
    }

    /// Standard output.
    pub(crate) fn stdout() -> Self {
        Self::inherited(rustix::stdio::stdout(), 1, OFlags::WRONLY)
    }

    /// Standard error.
    pub(crate) fn stderr() -> Self {
        Self::inherited(rustix::stdio::stderr(), 2, OFlags::WRONLY)
    }

    fn inherited(fd: BorrowedFd<'static>, number: u8, access: OFlags) -> Self {
        if zone_sys::stdio::was_closed(number) {
            return Self::Closed(fd);
        }
        let kind = fstat(fd).map(|stat| FileType::from_raw_mode(stat.st_mode));
        match kind {
            Ok(FileType::Socket) => Self::Socket(fd),
            Ok(FileType::Fifo | FileType::CharacterDevice) => {
                let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
                let again = open(format!("/proc/self/fd/{number}"), flags, Mode::empty());
                again.map_or(Self::Waits(fd), Self::Own)
            }
            _ => Self::File(fd),
        }
    }

    /// Whether it may only be touched when `poll(2)` says so.
    pub(crate) fn waits(&self) -> bool {
        matches!(self, Self::Waits(_))
    }

    /// Reads what is there; 0 is the end. A terminal whose other side is gone has ended, too, and so has a
    /// connection of ours that broke off.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let outcome = match self {
            Self::Own(fd) => rustix::io::read(fd, &mut *buffer),
            Self::Socket(fd) => rustix::net::recv(fd, &mut *buffer, RecvFlags::DONTWAIT).map(|(n, _)| n),
            Self::File(fd) | Self::Waits(fd) => rustix::io::read(fd, &mut *buffer),
            Self::Closed(_) => Ok(0),
        };
        match outcome {
            Err(Errno::IO) if isatty(self) => Ok(0),
            Err(Errno::CONNRESET) if matches!(self, Self::Own(_)) => Ok(0),
            outcome => outcome,
        }
    }

    /// Whether an error in writing says no more than that who read it has left.
    pub(crate) fn has_no_reader(&self, error: Errno) -> bool {
        match error {
            Errno::PIPE => true,
            Errno::CONNRESET => matches!(self, Self::Own(_) | Self::Socket(_)),
            // On a manager it says something else: its other side may be opened again.
            Errno::IO => isatty(self) && ptsname(self, Vec::new()).is_err(),
            _ => false,
        }
    }

    /// Writes what there is room for.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        match self {
            Self::Own(fd) => rustix::io::write(fd, bytes),
            Self::Socket(fd) => rustix::net::send(fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
            Self::File(fd) => rustix::io::write(fd, bytes),
            Self::Waits(fd) => rustix::io::write(fd, &bytes[..bytes.len().min(ATOMIC)]),
            Self::Closed(_) => Err(Errno::BADF),
        }
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Own(fd) => fd.as_fd(),
            Self::Socket(fd) | Self::File(fd) | Self::Waits(fd) | Self::Closed(fd) => *fd,
        }
    }
}

//! The program's own input and output, never waited for.
//!
//! `O_NONBLOCK` belongs to the open file, which a shell and its other children share: it must not be
//! set on what was inherited. So terminals and pipes are opened anew (`/proc/self/fd`), sockets have
//! a flag for each call, and on all else reading and writing does not wait.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

/// What can be written to a pipe at once when `poll(2)` says so (`PIPE_BUF`).
const ATOMIC: usize = 4096;

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

    fn inherited(fd: BorrowedFd<'static>, number: i32, access: OFlags) -> Self {
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

    /// Reads what is there; 0 is the end. A terminal whose other side is gone has ended, too.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let outcome = match self {
            Self::Own(fd) => rustix::io::read(fd, &mut *buffer),
            Self::Socket(fd) => rustix::net::recv(fd, &mut *buffer, RecvFlags::DONTWAIT).map(|(n, _)| n),
            Self::File(fd) | Self::Waits(fd) => rustix::io::read(fd, &mut *buffer),
        };
        match outcome {
            Err(Errno::IO | Errno::CONNRESET) => Ok(0),
            outcome => outcome,
        }
    }

    /// Writes what there is room for.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        match self {
            Self::Own(fd) => rustix::io::write(fd, bytes),
            Self::Socket(fd) => rustix::net::send(fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
            Self::File(fd) => rustix::io::write(fd, bytes),
            Self::Waits(fd) => rustix::io::write(fd, &bytes[..bytes.len().min(ATOMIC)]),
        }
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Own(fd) => fd.as_fd(),
            Self::Socket(fd) | Self::File(fd) | Self::Waits(fd) => *fd,
        }
    }
}

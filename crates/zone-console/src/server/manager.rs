//! The manager side of the pty: what the guest says, and what it is told.

use crate::Error;
use crate::term::Size;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use std::io;
use std::task::{Context, Poll};
use tokio::io::unix::AsyncFd;

/// How often in a row a hung-up pty is opened again before it is given up.
const MAX_REVIVALS: u32 = 8;
/// One read of a pty gives at most this much; with less room left, a batch is full.
const ONE_READ: usize = 4096;

#[derive(Debug)]
pub(super) struct Manager {
    pty: AsyncFd<OwnedFd>,
    /// A subsidiary opened here because every other one was gone or hung up.
    held: Option<OwnedFd>,
    revivals: u32,
    lost: bool,
    /// Input that the pty has not taken yet, and how much of it is written.
    input: Vec<u8>,
    written: usize,
}

impl Manager {
    pub(super) fn new(pty: OwnedFd) -> Result<Self, Error> {
        Ok(Self { pty: watched(pty)?, held: None, revivals: 0, lost: false, input: Vec::new(), written: 0 })
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Reads what there is, up to the size of `buffer`: how much, and whether there may be more.
    pub(super) fn read_batch(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> (usize, bool) {
        let mut len = 0;
        while !self.lost {
            if buffer.len() - len < ONE_READ {
                return (len, true);
            }
            match self.poll_read(cx, &mut buffer[len..]) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => self.revive(io::ErrorKind::UnexpectedEof.into()),
                Poll::Ready(Ok(read)) => {
                    len += read;
                    self.revivals = 0;
                }
                Poll::Ready(Err(error)) => self.revive(error),
            }
        }
        (len, false)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = match self.pty.poll_read_ready(cx) {
                Poll::Ready(guard) => guard?,
                Poll::Pending => return Poll::Pending,
            };
            let hung_up = guard.ready().is_read_closed();
            if let Ok(result) = guard.try_io(|pty| {
                rustix::io::retry_on_intr(|| rustix::io::read(pty, &mut *buffer)).map_err(io::Error::from)
            }) {
                return Poll::Ready(result);
            }
            if hung_up {
                self.watch_anew()?;
            }
        }
    }

    /// The runtime takes a hangup for final and would call a pty ready for ever after.
    fn watch_anew(&mut self) -> io::Result<()> {
        let pty = self.pty.get_ref().try_clone()?;
        self.pty = watched(pty).map_err(io::Error::other)?;
        Ok(())
    }

    /// The pty gives EIO when every subsidiary is closed or was hung up, as happens whenever the
    /// leader of the guest's session ends. Opening one anew cures it.
    fn revive(&mut self, error: io::Error) {
        self.revivals += 1;
        let again = if self.revivals > MAX_REVIVALS {
            Err(Errno::IO.into())
        } else {
            rustix::pty::ioctl_tiocgptpeer(
                self.pty.get_ref(),
                OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
            )
            .map_err(io::Error::from)
            .and_then(|subsidiary| self.watch_anew().map(|()| subsidiary))
        };
        match again {
            Ok(subsidiary) => self.held = Some(subsidiary),
            Err(_) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the console's pty is lost");
                self.lost = true;
                self.forget_input();
            }
        }
    }

    /// Whether input still waits for the guest to read it.
    pub(super) fn is_choked(&self) -> bool {
        !self.input.is_empty()
    }

    /// What a former holder typed is none of the next one's business.
    pub(super) fn forget_input(&mut self) {
        self.input.clear();
        self.written = 0;
    }

    /// Passes input on as far as the pty takes it, and keeps the rest for [`Manager::push_input`].
    pub(super) fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) {
        if !self.lost {
            self.input.extend_from_slice(bytes);
            self.push_input(cx);
        }
    }

    /// Writes what waits. Registers for the moment when the pty takes more.
    pub(super) fn push_input(&mut self, cx: &mut Context<'_>) {
        while self.written < self.input.len() {
            let Poll::Ready(Ok(mut guard)) = self.pty.poll_write_ready(cx) else { return };
            let hung_up = guard.ready().is_write_closed();
            let rest = &self.input[self.written..];
            match guard.try_io(|pty| {
                match rustix::io::retry_on_intr(|| rustix::io::write(pty, rest)) {
                    // A pty without room may take nothing and not call it EAGAIN.
                    Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
                    other => other.map_err(io::Error::from),
                }
            }) {
                Ok(Ok(written)) => self.written += written,
                // Hung up: there is nobody to read it. Reading will find out and mend it.
                Ok(Err(_)) => break,
                Err(_) if hung_up => {
                    if self.watch_anew().is_err() {
                        break;
                    }
                }
                Err(_) => {}
            }
        }
        self.forget_input();
    }

    pub(super) fn resize(&self, size: Size) {
        if let Err(error) = size.apply(self.pty.get_ref()) {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "the console's window size cannot be set"
            );
        }
    }
}

/// `fd`, non-blocking and registered with the runtime.
#[expect(
    deprecated,
    reason = "its successor is unsafe to call; what that demands, that the descriptor is neither closed nor \
              replaced meanwhile, an OwnedFd that nobody can reach mutably gives"
)]
pub(super) fn watched(fd: OwnedFd) -> Result<AsyncFd<OwnedFd>, Error> {
    rustix::io::ioctl_fionbio(&fd, true).map_err(|e| Error::system("ioctl(FIONBIO)", e))?;
    AsyncFd::new(fd).map_err(|e| Error::system("epoll_ctl", e))
}

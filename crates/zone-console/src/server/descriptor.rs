//! A descriptor of the relay, in one task's hands.

use crate::Error;
use rustix::fd::OwnedFd;
use std::io;
use std::task::{Context, Poll};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A non-blocking descriptor that is always waited for to read, and to write only while it must be:
/// every byte that the other side takes out would wake us to say that there is room.
#[derive(Debug)]
pub(super) struct Descriptor {
    reading: AsyncFd<OwnedFd>,
    /// A duplicate, while the descriptor takes no more.
    writing: Option<AsyncFd<OwnedFd>>,
}

impl Descriptor {
    pub(super) fn new(fd: OwnedFd) -> Result<Self, Error> {
        rustix::io::ioctl_fionbio(&fd, true).map_err(|e| Error::system("ioctl(FIONBIO)", e))?;
        let reading = watch(fd, Interest::READABLE).map_err(|e| Error::system("epoll_ctl", e))?;
        Ok(Self { reading, writing: None })
    }

    pub(super) fn get(&self) -> &OwnedFd {
        self.reading.get_ref()
    }

    pub(super) fn into_inner(self) -> OwnedFd {
        self.reading.into_inner()
    }

    /// Reads with `call`, or registers for when that is possible. A result below `trickle` bytes is
    /// all there was: what comes later makes a new event, so there is no need to be told EAGAIN.
    pub(super) fn poll_read<R: Amount>(
        &mut self,
        cx: &mut Context<'_>,
        trickle: usize,
        mut call: impl FnMut(&OwnedFd) -> rustix::io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            let mut guard = match self.reading.poll_read_ready(cx) {
                Poll::Ready(guard) => guard?,
                Poll::Pending => return Poll::Pending,
            };
            let hung_up = guard.ready().is_read_closed();
            let result =
                guard.try_io(|fd| rustix::io::retry_on_intr(|| call(fd.get_ref())).map_err(io::Error::from));
            if let Ok(result) = result {
                if result.as_ref().is_ok_and(|amount| (1..trickle).contains(&amount.amount())) {
                    guard.clear_ready();
                }
                return Poll::Ready(result);
            }
            if hung_up {
                self.watch_anew()?;
            }
        }
    }

    /// Writes with `call`, or registers for when that is possible.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        mut call: impl FnMut(&OwnedFd) -> rustix::io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.writing.is_none() {
                match rustix::io::retry_on_intr(|| call(self.get())).map_err(io::Error::from) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.writing = Some(watch(self.get().try_clone()?, Interest::WRITABLE)?);
                    }
                    other => return Poll::Ready(other),
                }
            }
            let Some(writing) = &self.writing else { continue };
            let mut guard = match writing.poll_write_ready(cx) {
                Poll::Ready(guard) => guard?,
                Poll::Pending => return Poll::Pending,
            };
            let hung_up = guard.ready().is_write_closed();
            if let Ok(result) =
                guard.try_io(|fd| rustix::io::retry_on_intr(|| call(fd.get_ref())).map_err(io::Error::from))
            {
                return Poll::Ready(result);
            }
            if hung_up {
                self.writing = None;
            }
        }
    }

    /// Whether it took no more when last written to, and there is no news of that.
    pub(super) fn is_full(&self, cx: &mut Context<'_>) -> bool {
        self.writing.as_ref().is_some_and(|writing| writing.poll_write_ready(cx).is_pending())
    }

    /// Nothing is left to be written: no need to hear of room.
    pub(super) fn written(&mut self) {
        self.writing = None;
    }

    /// Takes note that there is something to read, leaves it, and registers for more. True: the
    /// other side has said its last.
    pub(super) fn poll_ignore(&self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.reading.poll_read_ready(cx).map_ok(|mut guard| {
            let ended = guard.ready().is_read_closed();
            guard.clear_ready();
            ended
        })
    }

    /// The runtime takes a hangup for final and would call a pty ready for ever after.
    pub(super) fn watch_anew(&mut self) -> io::Result<()> {
        self.reading = watch(self.get().try_clone()?, Interest::READABLE)?;
        Ok(())
    }
}

/// What a read gave, as far as waiting is concerned.
pub(super) trait Amount {
    /// Bytes, or 0 for what is not counted in bytes.
    fn amount(&self) -> usize;
}

impl Amount for usize {
    fn amount(&self) -> usize {
        *self
    }
}

impl Amount for OwnedFd {
    fn amount(&self) -> usize {
        0
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe to call; what that demands, that the descriptor is neither closed nor \
              replaced meanwhile, an OwnedFd that nobody can reach mutably gives"
)]
fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, interest)
}

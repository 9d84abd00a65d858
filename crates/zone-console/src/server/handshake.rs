//! A client that has connected and not said who it is.

use super::manager::watched;
use crate::ident::{Ident, LineReader};
use rustix::fd::OwnedFd;
use std::io;
use std::task::{Context, Poll};
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;
use zone_sys::unix::Peer;

#[derive(Debug)]
pub(super) struct Handshake {
    pub(super) socket: AsyncFd<OwnedFd>,
    pub(super) peer: Peer,
    /// When patience ends.
    pub(super) deadline: Instant,
    reader: LineReader,
}

/// What came of a handshake.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It hung up.
    Gone,
    /// It sent a line (`None`: not of the form), and this after it.
    Line(Option<Ident>, Vec<u8>),
}

impl Handshake {
    pub(super) fn new(socket: OwnedFd, deadline: Instant) -> Result<Self, crate::Error> {
        let peer =
            zone_sys::unix::peer(&socket).map_err(|e| crate::Error::system("getsockopt(SO_PEERCRED)", e))?;
        Ok(Self { socket: watched(socket)?, peer, deadline, reader: LineReader::default() })
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<Outcome> {
        loop {
            match poll_receive(&self.socket, cx, scratch) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Outcome::Gone),
                Poll::Ready(Ok(len)) => {
                    if let Some((ident, used)) = self.reader.push(&scratch[..len]) {
                        return Poll::Ready(Outcome::Line(ident, scratch[used..len].to_vec()));
                    }
                }
            }
        }
    }
}

/// Receives into `buffer`; 0 at the end of the stream.
pub(super) fn poll_receive(
    socket: &AsyncFd<OwnedFd>,
    cx: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    loop {
        let mut guard = match socket.poll_read_ready(cx) {
            Poll::Ready(guard) => guard?,
            Poll::Pending => return Poll::Pending,
        };
        if let Ok(result) = guard.try_io(|fd| {
            rustix::io::retry_on_intr(|| rustix::io::read(fd, &mut *buffer)).map_err(io::Error::from)
        }) {
            return Poll::Ready(result);
        }
    }
}

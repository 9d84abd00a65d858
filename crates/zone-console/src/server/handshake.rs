//! A client that has connected and not said who it is.

use super::descriptor::Descriptor;
use crate::ident::{Ident, LineReader};
use rustix::fd::OwnedFd;
use std::task::{Context, Poll};
use tokio::time::Instant;
use zone_sys::unix::Peer;

#[derive(Debug)]
pub(super) struct Handshake {
    pub(super) socket: Descriptor,
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
        Ok(Self { socket: Descriptor::new(socket)?, peer, deadline, reader: LineReader::default() })
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<Outcome> {
        loop {
            match self.socket.poll_read(cx, scratch.len(), |fd| rustix::io::read(fd, &mut *scratch)) {
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

//! A descriptor that is kept back, so that whoever connects to a process without any can be turned away in words.
//!
//! accept(2) takes a number before it looks at who waits. Without one a client can neither be served nor refused: it
//! stays in the queue, waits, and makes the listening socket readable all the time.

use crate::{Arg, Error, Result};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{SendFlags, SocketFlags, accept_with, send};

/// Keeps one descriptor back; empty while none was to be had.
#[derive(Debug)]
pub struct Reserve(Option<OwnedFd>);

impl Reserve {
    /// Keeps one back from now on, if there is one.
    #[must_use]
    pub fn new() -> Self {
        Self(set_aside())
    }

    /// Accepts who waits longest at `listener` with the number that was kept back, sends it `words`, hangs up and keeps
    /// the number back again. Waits for nobody: `EAGAIN` if nobody is there (any more).
    ///
    /// # Errors
    /// What `accept4(2)` says; what is wrong then is no want of numbers, or another thread took this one.
    pub fn turn_away(&mut self, listener: impl AsFd, words: &[u8]) -> Result<()> {
        let fail = |errno| Error::new("accept4", errno).arg(Arg::Fd(listener.as_fd().as_raw_fd()));
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        if poll(&mut [PollFd::new(&listener, PollFlags::IN)], Some(&now)).map_err(fail)? == 0 {
            return Err(fail(Errno::AGAIN));
        }
        self.0 = None;
        let turned = accept_with(&listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK);
        if let Ok(client) = &turned {
            // A few words have room in a socket that nothing was sent over; who has left already misses nothing.
            let _ = send(client, words, SendFlags::NOSIGNAL);
        }
        let turned = turned.map(drop);
        self.0 = set_aside();
        turned.map_err(fail)
    }
}

impl Default for Reserve {
    fn default() -> Self {
        Self::new()
    }
}

fn set_aside() -> Option<OwnedFd> {
    eventfd(0, EventfdFlags::CLOEXEC).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unix::{bind_in, connect_in};
    use rustix::net::{RecvFlags, SocketType, recv};

    #[test]
    fn who_is_turned_away_gets_the_words_and_then_the_end() {
        let dir = std::env::temp_dir().join(format!("zone-sys-reserve-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let listener = bind_in(&dir, "s", SocketType::SEQPACKET, 4).unwrap();
        let mut reserve = Reserve::new();
        assert_eq!(reserve.turn_away(&listener, b"full").unwrap_err().errno(), Errno::AGAIN);
        let client = connect_in(&dir, "s", SocketType::SEQPACKET).unwrap();
        let number = reserve.0.as_ref().map(AsRawFd::as_raw_fd);
        reserve.turn_away(&listener, b"full").unwrap();
        assert!(number.is_some() && reserve.0.is_some(), "it is taken back");
        let mut words = [0; 8];
        let (n, _) = recv(&client, &mut words, RecvFlags::empty()).unwrap();
        assert_eq!(&words[..n], b"full");
        assert_eq!(recv(&client, &mut words, RecvFlags::empty()).unwrap().0, 0);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}

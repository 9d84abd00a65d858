//! What was typed, on its way to the console.
//!
//! A connection that breaks off gives back what it did not take, for the next one. What it took is not
//! sent again, whether the daemon came to pass it on or not: nobody knows, and a line typed once must
//! not be carried out twice.

use crate::stdio::End;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use zone_console::frame::Frame;
use zone_console::term::Size;

/// Keys for one connection. New ones are only taken while none wait, so this is never more than one read
/// of them.
#[derive(Debug)]
pub(super) struct Keys {
    to: End,
    /// Frames, and how much of them is sent.
    out: Vec<u8>,
    sent: usize,
    /// The keys in the last data frame, and how many bytes of other frames stand behind it.
    typed: Vec<u8>,
    behind: usize,
    /// The connection takes no more. Reading from it tells why.
    broken: bool,
}

impl Keys {
    /// For a connection, beginning with what an earlier one did not take.
    pub(super) fn new(to: End, unsent: &[u8]) -> Self {
        let mut keys = Self { to, out: Vec::new(), sent: 0, typed: Vec::new(), behind: 0, broken: false };
        keys.type_in(unsent);
        keys
    }

    /// Whether all is sent, and more can be.
    pub(super) fn is_ready(&self) -> bool {
        !self.broken && self.sent == self.out.len()
    }

    pub(super) fn type_in(&mut self, keys: &[u8]) {
        if !keys.is_empty() {
            self.typed = keys.to_vec();
            self.behind = 0;
            self.queue(&Frame::Data(keys));
        }
    }

    pub(super) fn resize(&mut self, size: Size) {
        let before = self.out.len() - self.sent;
        self.queue(&Frame::Window(size));
        // What was sent is gone from the buffer by now.
        self.behind += self.out.len() - before;
    }

    fn queue(&mut self, frame: &Frame<'_>) {
        self.out.drain(..self.sent);
        self.sent = 0;
        frame.encode(&mut self.out);
    }

    /// What is to be waited for.
    pub(super) fn poll<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) -> bool {
        let waits = !self.broken && self.sent < self.out.len();
        if waits {
            fds.push(PollFd::new(&self.to, PollFlags::OUT));
        }
        waits
    }

    /// Takes what `poll(2)` said.
    pub(super) fn heard(&mut self, events: PollFlags) {
        self.broken |= events.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
    }

    /// Sends what is taken without waiting.
    pub(super) fn step(&mut self) {
        while !self.broken && self.sent < self.out.len() {
            match self.to.write(&self.out[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.broken = true,
            }
        }
    }

    /// The keys that the connection did not take.
    pub(super) fn unsent(mut self) -> Vec<u8> {
        let left = (self.out.len() - self.sent).saturating_sub(self.behind);
        self.typed.split_off(self.typed.len().saturating_sub(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::OwnedFd;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use zone_console::frame::Decoder;

    fn pair() -> (End, OwnedFd) {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        (End::own(ours).unwrap(), theirs)
    }

    fn numbered(count: u32) -> Vec<u8> {
        (0..count).flat_map(u32::to_le_bytes).collect()
    }

    /// Reads once, and adds the keys to `keys`.
    fn read(from: &OwnedFd, decoder: &mut Decoder, keys: &mut Vec<u8>) {
        let mut buffer = [0; 50_000];
        let count = rustix::io::read(from, &mut buffer).unwrap();
        let mut bytes = &buffer[..count];
        while let Some(frame) = decoder.next(&mut bytes).unwrap() {
            if let Frame::Data(part) = frame {
                keys.extend_from_slice(part);
            }
        }
    }

    #[test]
    fn what_a_connection_does_not_take_is_for_the_next() {
        let all = numbered(200_000);
        let (to, from) = pair();
        let mut keys = Keys::new(to, &[]);
        let mut given = 0;
        for piece in all.chunks(4096) {
            keys.type_in(piece);
            given += piece.len();
            keys.resize(Size { rows: 1, cols: 2 });
            keys.step();
            if !keys.is_ready() {
                break;
            }
        }
        assert!(given < all.len(), "a socket is bounded");
        let (mut taken, mut decoder) = (Vec::new(), Decoder::default());
        let unsent = keys.unsent();
        while taken.len() + unsent.len() < given {
            read(&from, &mut decoder, &mut taken);
        }
        taken.extend(&unsent);
        assert!(taken == all[..given]);
    }

    #[test]
    fn a_dead_connection_gives_all_back() {
        let (to, from) = pair();
        drop(from);
        let mut keys = Keys::new(to, b"ls");
        keys.resize(Size { rows: 1, cols: 2 });
        keys.step();
        assert!(!keys.is_ready());
        assert!(!keys.poll(&mut Vec::new()), "there is nothing to wait for");
        assert_eq!(keys.unsent(), b"ls");
        let (to, from) = pair();
        let mut keys = Keys::new(to, b"ls");
        keys.step();
        assert!(keys.is_ready());
        let (mut taken, mut decoder) = (Vec::new(), Decoder::default());
        read(&from, &mut decoder, &mut taken);
        assert_eq!(taken, b"ls");
        assert_eq!(keys.unsent(), b"");
    }
}

//! Bytes that flow from one descriptor to another through one buffer, as fast as both allow.

use crate::stdio::End;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

/// What is between the two at most: as much as a pipe holds.
const SIZE: usize = 64 * 1024;

/// How often a flow moves before others have their turn.
const TURNS: usize = 16;

/// Where the bytes come from.
#[derive(Debug)]
enum Source {
    End(End),
    /// From [`Flow::queue`].
    Hand,
    /// Nothing more comes.
    Closed,
}

/// One direction.
#[derive(Debug)]
pub(crate) struct Flow {
    from: Source,
    /// `None` when nothing more is taken.
    to: Option<End>,
    buffer: Vec<u8>,
    /// Where in the buffer what is still to be written starts.
    start: usize,
    /// When there is nothing to read, nothing more is waited for.
    last: bool,
    /// Whoever took it went away.
    unread: bool,
    /// What came is lost, or more could have come: why an end failed.
    failed: Option<Errno>,
    /// What `poll(2)` said of both ends.
    readable: bool,
    writable: bool,
}

impl Flow {
    /// From `from` to `to`.
    pub(crate) fn new(from: End, to: End) -> Self {
        Self::of(Source::End(from), to)
    }

    /// A flow into which everything is put with [`Self::queue`].
    pub(crate) fn by_hand(to: End) -> Self {
        Self::of(Source::Hand, to)
    }

    fn of(from: Source, to: End) -> Self {
        let (buffer, to) = (Vec::new(), Some(to));
        Self {
            from,
            to,
            buffer,
            start: 0,
            last: false,
            unread: false,
            failed: None,
            readable: false,
            writable: false,
        }
    }

    /// Nothing more is read, and what was read is not written.
    pub(crate) fn close(&mut self) {
        (self.from, self.to) = (Source::Closed, None);
        self.buffer.clear();
        self.start = 0;
    }

    /// What is there now is the last.
    pub(crate) fn finish(&mut self) {
        self.last = true;
        if matches!(self.from, Source::Hand) {
            self.from = Source::Closed;
        }
    }

    /// Whether nothing can flow any more.
    pub(crate) fn is_done(&self) -> bool {
        self.to.is_none()
    }

    /// Whether nobody takes any more what might still come.
    pub(crate) fn is_unread(&self) -> bool {
        self.to.is_none() && self.unread
    }

    /// Why an end failed, when one did for another reason than that nobody reads any more; asked once.
    pub(crate) fn take_failure(&mut self) -> Option<Errno> {
        self.failed.take()
    }

    /// Whether nothing waits to be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.buffer.len()
    }

    /// How much waits to be written, in bytes.
    pub(crate) fn waiting(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Puts `bytes` behind what waits to be written.
    pub(crate) fn queue(&mut self, bytes: &[u8]) {
        if self.to.is_some() {
            self.buffer.drain(..self.start);
            self.start = 0;
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// What is to be waited for: at most one entry for each end.
    pub(crate) fn poll<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        if let Some(from) = self.wanted() {
            fds.push(PollFd::new(from, PollFlags::IN));
        }
        // Without anything to write, its end is still noticed: a pipe that nobody reads says so.
        if let Some(to) = &self.to {
            let events = if self.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
            fds.push(PollFd::new(to, events));
        }
    }

    /// Takes what `poll(2)` said of the entries of [`Self::poll`].
    pub(crate) fn heard(&mut self, events: &mut impl Iterator<Item = PollFlags>) {
        let of_from = if self.wanted().is_some() { events.next() } else { None };
        let of_to = if self.to.is_some() { events.next() } else { None };
        self.readable = of_from.is_some_and(|events| !events.is_empty());
        self.writable = of_to.is_some_and(|events| events.contains(PollFlags::OUT));
        if of_to.is_some_and(|events| events.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL)) {
            self.unread = true;
            self.close();
        }
    }

    fn wanted(&self) -> Option<&End> {
        match &self.from {
            Source::End(from) if self.is_empty() && self.to.is_some() => Some(from),
            _ => None,
        }
    }

    /// Moves what can be moved without waiting.
    pub(crate) fn step(&mut self) {
        for _ in 0..TURNS {
            if !self.write() || !self.read() {
                return;
            }
        }
    }

    /// Writes; whether the buffer is empty then.
    fn write(&mut self) -> bool {
        while !self.is_empty() {
            let Some(to) = &self.to else { return false };
            if to.waits() && !std::mem::take(&mut self.writable) {
                return false;
            }
            match to.write(&self.buffer[self.start..]) {
                Ok(count) => self.start += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return false,
                Err(errno) => {
                    self.failed = Some(errno).filter(|errno| !to.has_no_reader(*errno));
                    self.unread = true;
                    self.close();
                    return false;
                }
            }
        }
        if matches!(self.from, Source::Closed) {
            // So that the other side learns of the end.
            self.to = None;
        }
        true
    }

    /// Reads into the empty buffer; whether there is something to write then.
    fn read(&mut self) -> bool {
        let Source::End(from) = &self.from else { return false };
        if from.waits() && !std::mem::take(&mut self.readable) && !self.last {
            return false;
        }
        self.buffer.resize(SIZE, 0);
        self.start = 0;
        let outcome = from.read(&mut self.buffer);
        self.buffer.truncate(outcome.unwrap_or(0));
        match outcome {
            Ok(1..) | Err(Errno::INTR) => return true,
            Err(Errno::AGAIN) if !self.last => return false,
            Err(errno) if errno != Errno::AGAIN => {
                self.failed = Some(errno);
                self.from = Source::Closed;
            }
            _ => self.from = Source::Closed,
        }
        // To write nothing is to pass on the end.
        self.write();
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::OwnedFd;
    use rustix::pipe::pipe;

    fn flow() -> (OwnedFd, Flow, OwnedFd) {
        let (source, input) = pipe().unwrap();
        let (output, sink) = pipe().unwrap();
        (input, Flow::new(End::own(source).unwrap(), End::own(sink).unwrap()), output)
    }

    fn read(fd: &OwnedFd) -> Vec<u8> {
        let mut buffer = vec![0; 1 << 20];
        let count = rustix::io::read(fd, &mut buffer).unwrap();
        buffer.truncate(count);
        buffer
    }

    #[test]
    fn bytes_and_their_end_are_passed_on() {
        let (input, mut flow, output) = flow();
        flow.step();
        assert!(!flow.is_done());
        rustix::io::write(&input, b"abc").unwrap();
        drop(input);
        flow.step();
        assert_eq!(read(&output), b"abc");
        flow.step();
        assert!(flow.is_done());
        assert_eq!(read(&output), b"", "the end");
    }

    #[test]
    fn a_stopped_reader_stops_nobody() {
        let (input, mut flow, output) = flow();
        let piece = [7_u8; 60_000];
        for _ in 0..2 {
            rustix::io::write(&input, &piece).unwrap();
            flow.step();
        }
        assert!(!flow.is_empty());
        let mut count = 0;
        drop(input);
        while !flow.is_done() {
            count += read(&output).len();
            flow.step();
        }
        assert_eq!(count + read(&output).len(), 120_000);
    }

    #[test]
    fn without_a_reader_it_is_over() {
        let (input, mut flow, output) = flow();
        drop(output);
        let mut fds = Vec::new();
        flow.poll(&mut fds);
        rustix::event::poll(&mut fds, None).unwrap();
        let events: Vec<_> = fds.iter().map(PollFd::revents).collect();
        flow.heard(&mut events.into_iter());
        assert!(flow.is_done());
        // And the writer learns it.
        assert_eq!(rustix::io::write(&input, b"x").unwrap_err(), Errno::PIPE);
    }

    #[test]
    fn what_cannot_be_written_is_a_failure() {
        let (source, input) = pipe().unwrap();
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut flow = Flow::new(End::own(source).unwrap(), End::own(full.into()).unwrap());
        rustix::io::write(&input, b"x").unwrap();
        flow.step();
        flow.step();
        assert!(flow.is_done() && flow.is_unread());
        assert_eq!(flow.take_failure(), Some(Errno::NOSPC));
        assert_eq!(flow.take_failure(), None, "it is said once");
    }

    #[test]
    fn what_cannot_be_read_is_a_failure() {
        let (output, sink) = pipe().unwrap();
        let directory = std::fs::File::open("/").unwrap();
        let mut flow = Flow::new(End::own(directory.into()).unwrap(), End::own(sink).unwrap());
        flow.step();
        assert!(flow.is_done());
        assert_eq!(flow.take_failure(), Some(Errno::ISDIR));
        assert_eq!(read(&output), b"", "who reads it learns of the end");
    }

    #[test]
    fn a_reader_that_leaves_is_none() {
        let (input, mut flow, output) = flow();
        rustix::io::write(&input, b"x").unwrap();
        drop(output);
        flow.step();
        flow.step();
        assert!(flow.is_unread());
        assert_eq!(flow.take_failure(), None);
    }

    #[test]
    fn the_last_is_what_is_there() {
        let (input, mut flow, output) = flow();
        rustix::io::write(&input, b"last").unwrap();
        flow.finish();
        flow.step();
        assert!(flow.is_done());
        assert_eq!(read(&output), b"last");
        drop(input);
    }
}

//! One attached client: a place in the output, and what it must be told in between.

use super::ClientInfo;
use super::descriptor::Descriptor;
use crate::Notice;
use crate::frame::{self, Decoder, End, Frame, MAX_DATA};
use crate::ident::{Answer, Ident, Position};
use crate::term::Size;
use rustix::event::{PollFd, PollFlags};
use rustix::fd::OwnedFd;
use rustix::net::{SendAncillaryBuffer, SendFlags, Shutdown};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};
use tokio::time::Instant;
use zone_locale::Locale;
use zone_ring::{Read, Ring};

/// Notices that may wait for a client that reads nothing; the oldest gives way.
const MAX_NOTICES: usize = 64;
/// How many pieces one client is sent before the others have their turn.
const PIECES: usize = 4;
/// What a socket may hold for a client: the bursts that it need not lose.
const SEND_BUFFER: usize = 512 << 10;

#[derive(Debug)]
pub(super) struct Client {
    socket: Descriptor,
    pub(super) info: ClientInfo,
    pub(super) gone: bool,
    pub(super) disconnect: bool,
    /// The size of its window, if it has told.
    pub(super) window: Size,
    /// It has typed ^S and not yet ^Q: it is sent nothing, while the guest goes on.
    pub(super) paused: bool,
    locale: Locale,
    /// It speaks frames.
    frames: Option<Decoder>,
    /// The offset in the ring of the next byte it gets.
    offset: u64,
    /// What lies before this was said before it came.
    replay_until: u64,
    /// A line or frame that was begun, and how much of it is sent.
    out: Vec<u8>,
    sent: usize,
    /// What to tell it when it has reached an offset.
    notices: VecDeque<(u64, Told)>,
    /// It is being disconnected: it gets nothing said after this offset, and has until then.
    closing: Option<(u64, Instant)>,
    /// It has sent something that was not read when the runtime said so.
    unread: bool,
}

#[derive(Debug)]
enum Told {
    Notice(String),
    End(End),
}

enum Progress {
    Sent,
    Blocked,
    Idle,
}

impl Client {
    /// A client that is admitted: it gets its `OK` and then the output from `start`.
    pub(super) fn new(
        socket: Descriptor,
        info: ClientInfo,
        ident: Ident,
        start: Position,
        replay_until: u64,
    ) -> Self {
        // A smaller buffer works too.
        let _ = rustix::net::sockopt::set_socket_send_buffer_size_force(socket.get(), SEND_BUFFER)
            .or_else(|_| rustix::net::sockopt::set_socket_send_buffer_size(socket.get(), SEND_BUFFER));
        let mut out = Answer::Ok.line().into_bytes();
        if ident.options.frames {
            Frame::Position(start).encode(&mut out);
        }
        Self {
            socket,
            info,
            gone: false,
            disconnect: ident.disconnect,
            window: Size::default(),
            paused: false,
            locale: Locale::parse(&ident.locale),
            frames: ident.options.frames.then(Decoder::default),
            offset: start.offset,
            replay_until,
            out,
            sent: 0,
            notices: VecDeque::new(),
            closing: None,
            unread: false,
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.closing.map(|(_, deadline)| deadline)
    }

    /// Whether the other end is closed, although we may not have read so far.
    pub(super) fn is_dead(&self) -> bool {
        let mut fds = [PollFd::new(self.socket.get(), PollFlags::empty())];
        let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
        let polled = rustix::event::poll(&mut fds, Some(&now));
        polled.is_ok() && fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
    }

    /// Tells it something once it has all the output before `at`.
    pub(super) fn tell(&mut self, at: u64, notice: &Notice) {
        if self.is_closing() {
            return;
        }
        if self.notices.len() == MAX_NOTICES {
            self.notices.pop_front();
        }
        self.notices.push_back((at, Told::Notice(notice.text(self.locale, self.disconnect))));
    }

    /// Disconnects it once it has all the output before `at`, at the latest at `deadline`.
    pub(super) fn close(&mut self, at: u64, end: End, deadline: Instant) {
        if !self.is_closing() {
            self.notices.push_back((at, Told::End(end)));
            self.closing = Some((at, deadline));
            self.paused = false;
        }
    }

    /// Receives what it sends; 0 at its end.
    pub(super) fn poll_input(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if std::mem::take(&mut self.unread)
            && let Ok(len) = rustix::io::read(self.socket.get(), &mut *buffer)
        {
            self.unread = len > 0;
            return Poll::Ready(Ok(len));
        }
        self.socket.poll_read(cx, buffer.len(), |fd| rustix::io::read(fd, &mut *buffer))
    }

    /// Leaves what it sends unread, since the guest takes no more, but notices when it dies.
    pub(super) fn ignore_input(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(ended) = self.socket.poll_ignore(cx) {
            self.unread = true;
            if !matches!(ended, Ok(false)) {
                self.gone |= self.is_dead();
                return;
            }
        }
    }

    /// Takes input apart: a plain client's is all for the guest.
    pub(super) fn next_input<'a>(&mut self, bytes: &mut &'a [u8]) -> Option<Frame<'a>> {
        match &mut self.frames {
            None if bytes.is_empty() => None,
            None => Some(Frame::Data(std::mem::take(bytes))),
            Some(decoder) => decoder.next(bytes).unwrap_or_else(|_| {
                self.gone = true;
                None
            }),
        }
    }

    /// Sends bytes that were just read and stand at `base`, if it has everything before them. What
    /// does not fit comes from the ring later.
    pub(super) fn offer(&mut self, cx: &mut Context<'_>, base: u64, mut bytes: &[u8]) {
        if self.paused || self.offset != base || !self.out.is_empty() || !self.notices.is_empty() || self.gone
        {
            return;
        }
        while !bytes.is_empty() {
            let before = self.offset;
            if !matches!(self.send_data(cx, bytes), Progress::Sent) {
                return;
            }
            let sent = usize::try_from(self.offset - before).unwrap_or(bytes.len());
            bytes = &bytes[sent..];
            if !self.out.is_empty() {
                return;
            }
        }
    }

    /// Sends what waits for it, as far as the socket takes it. True: there is more, and room.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>, ring: &Ring<OwnedFd>, scratch: &mut [u8]) -> bool {
        if self.paused {
            return false;
        }
        for _ in 0..PIECES {
            match self.flush_piece(cx, ring, scratch) {
                Progress::Sent => {}
                Progress::Blocked => return false,
                Progress::Idle => {
                    self.socket.written();
                    self.gone |= self.is_closing();
                    return false;
                }
            }
        }
        !self.gone
    }

    fn flush_piece(&mut self, cx: &mut Context<'_>, ring: &Ring<OwnedFd>, scratch: &mut [u8]) -> Progress {
        let end = self.closing.map_or(ring.total(), |(at, _)| at);
        let limit = self.notices.front().map_or(end, |(at, _)| *at);
        if self.gone || (self.out.is_empty() && self.notices.is_empty() && self.offset >= end) {
            return Progress::Idle;
        }
        if !self.out.is_empty() {
            return self.send_out(cx);
        }
        if self.offset >= limit {
            if let Some((_, told)) = self.notices.pop_front() {
                self.say(&told);
            }
            return Progress::Sent;
        }
        // Reading for a client that can take nothing would be in vain.
        if self.socket.is_full(cx) {
            return Progress::Blocked;
        }
        let left = usize::try_from(limit - self.offset).unwrap_or(usize::MAX);
        let most = left.min(scratch.len());
        match ring.read_from(self.offset, &mut scratch[..most]) {
            Ok(Read { lost: 0, len }) if len > 0 => self.send_data(cx, &scratch[..len]),
            Ok(Read { lost, .. }) if lost > 0 => {
                self.lose(lost.min(limit - self.offset));
                Progress::Sent
            }
            // Unreadable or not there: as good as lost, and no reason to try for ever.
            Ok(_) | Err(_) => {
                self.lose(limit - self.offset);
                Progress::Sent
            }
        }
    }

    fn lose(&mut self, bytes: u64) {
        self.offset += bytes;
        if self.frames.is_some() {
            Frame::Lost(bytes).encode(&mut self.out);
        }
        self.say(&Told::Notice(Notice::Lost { bytes }.text(self.locale, self.disconnect)));
    }

    fn say(&mut self, told: &Told) {
        match (told, self.frames.is_some()) {
            (Told::Notice(text), true) => Frame::Notice(text.as_str().into()).encode(&mut self.out),
            (Told::Notice(text), false) => self.out.extend(crate::notice::line(text)),
            (Told::End(end), true) => Frame::End(*end).encode(&mut self.out),
            (Told::End(_), false) => {}
        }
    }

    /// Sends bytes that stand at the client's offset, and moves it on.
    fn send_data(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Progress {
        if self.frames.is_none() {
            return match self.send(cx, &[IoSlice::new(bytes)]) {
                Some(sent) => {
                    self.offset += sent as u64;
                    Progress::Sent
                }
                None => Progress::Blocked,
            };
        }
        let (kind, most) = match self.replay_until.checked_sub(self.offset) {
            Some(old) if old > 0 => (b'R', usize::try_from(old).unwrap_or(usize::MAX)),
            _ => (b'D', usize::MAX),
        };
        let bytes = &bytes[..bytes.len().min(most).min(MAX_DATA)];
        let header = frame::header(kind, bytes.len());
        let Some(sent) = self.send(cx, &[IoSlice::new(&header), IoSlice::new(bytes)]) else {
            return Progress::Blocked;
        };
        self.offset += bytes.len() as u64;
        // A frame that was begun must be ended, whatever the ring still has by then.
        self.out.extend_from_slice(header.get(sent..).unwrap_or_default());
        self.out.extend_from_slice(bytes.get(sent.saturating_sub(header.len())..).unwrap_or_default());
        Progress::Sent
    }

    fn send_out(&mut self, cx: &mut Context<'_>) -> Progress {
        let out = std::mem::take(&mut self.out);
        let sent = self.send(cx, &[IoSlice::new(&out[self.sent..])]);
        self.out = out;
        let Some(sent) = sent else { return Progress::Blocked };
        self.sent += sent;
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
        Progress::Sent
    }

    /// `None`: the socket takes nothing now (and will wake us), or the client is gone.
    fn send(&mut self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Option<usize> {
        let sent = self.socket.poll_write(cx, |fd| {
            rustix::net::sendmsg(fd, parts, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)
        });
        match sent {
            Poll::Pending => None,
            Poll::Ready(Ok(sent)) => Some(sent),
            Poll::Ready(Err(_)) => {
                self.gone = true;
                None
            }
        }
    }

    /// Ends the connection so that the client can still read what it was sent.
    pub(super) fn hang_up(self) {
        hang_up(self.socket);
    }
}

/// Closes a socket. Unread input would turn the peer's end of file into ECONNRESET, so it is eaten.
pub(super) fn hang_up(socket: Descriptor) {
    let socket = socket.into_inner();
    let _ = rustix::net::shutdown(&socket, Shutdown::Both);
    let mut scratch = [0; 4096];
    for _ in 0..64 {
        if !matches!(rustix::io::read(&socket, &mut scratch), Ok(1..)) {
            break;
        }
    }
}

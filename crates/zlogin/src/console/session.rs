//! What goes to and fro while the connection lasts.

use super::keys::Keys;
use crate::escape::Escape;
use crate::exit::{Failure, NearEnd, reason};
use crate::flow::Flow;
use crate::screen::Raw;
use crate::signals::Signals;
use crate::stdio::{End as Stdio, Stream};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Signal, getpid, kill_process};
use std::fs::File;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;
use zone_console::client::Session as Frames;
use zone_console::frame::{End, Frame};
use zone_console::ident::Position;
use zone_console::record::Recorder;
use zone_console::sanitize::{Filter, Purpose, harmless};

/// What is shown but not yet taken, at most: then nothing more is read, and the daemon, which waits
/// for nobody, tells us what we missed.
const UNSHOWN: usize = 64 * 1024;

/// How a connection came to its end.
#[derive(Debug)]
pub(super) enum Over {
    /// The escape was typed.
    Escaped,
    /// We were told to end.
    Told(Signal),
    /// Nobody takes the output any more.
    Unread,
    /// The server ended it, there.
    Closed((End, Option<Position>)),
    /// It broke off, there.
    Broken(Option<Position>),
}

/// A recording in progress.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) recorder: Recorder<File>,
    pub(super) began: Instant,
}

/// The caller's side, which outlives connections. Dropped, the caller's terminal is what it was.
pub(super) struct Session {
    signals: Signals,
    escape: Escape,
    raw: Option<Raw>,
    /// Nothing that is typed is sent.
    watch: bool,
    record: Option<Record>,
    /// Why there is no recording any more.
    unrecorded: Option<std::io::Error>,
    /// `None` when it has ended, as a pipe or a file does.
    input: Option<Stdio>,
    output: Flow,
    /// For output from before, which must not make the terminal answer.
    filter: Option<Filter>,
    /// What was typed and no connection has taken.
    unsent: Vec<u8>,
}

/// What there is to do.
struct Woken {
    /// A signal has come.
    told: bool,
    /// The server has said something.
    ready: bool,
    /// Something was typed.
    typed: bool,
}

impl Session {
    pub(super) fn new(
        signals: Signals,
        escape: Escape,
        raw: Option<Raw>,
        watch: bool,
        record: Option<Record>,
    ) -> Self {
        let (input, output) = (Some(Stdio::stdin()), Flow::by_hand(Stdio::stdout()));
        Self {
            signals,
            escape,
            raw,
            watch,
            record,
            unrecorded: None,
            input,
            output,
            filter: None,
            unsent: Vec::new(),
        }
    }

    /// Shows a line that is not the zone's.
    pub(super) fn say(&mut self, line: &str) {
        self.output.queue(format!("\r\nzlogin: {}\r\n", harmless(&zone_locale::here(line))).as_bytes());
        self.output.step();
    }

    /// Why the recording ended before the session, if it did; asked once.
    pub(super) fn unrecorded(&mut self) -> Option<std::io::Error> {
        self.unrecorded.take()
    }

    /// Serves one connection to its end.
    pub(super) fn run(&mut self, connection: UnixStream) -> Result<Over, Failure> {
        let ours = connection.try_clone()?;
        let over = self.serve(OwnedFd::from(connection));
        // zone-access may have a copy until it sees that we are gone: the console is free now.
        let _ = ours.shutdown(Shutdown::Both);
        over
    }

    fn serve(&mut self, connection: OwnedFd) -> Result<Over, Failure> {
        let mut frames = Frames::default();
        let mut keys = Keys::new(Stdio::own(connection.try_clone()?)?, &std::mem::take(&mut self.unsent));
        keys.step();
        let connection = Stdio::own(connection)?;
        loop {
            let Woken { told, ready, typed } = self.wait(&connection, &mut keys)?;
            if told && let Some(signal) = self.hear(&mut keys) {
                return Ok(Over::Told(signal));
            }
            if ready && let Some(over) = self.take(&connection, &mut frames)? {
                self.unsent = keys.unsent();
                self.drain()?;
                return Ok(over);
            }
            if typed && let Some(over) = self.read(&mut keys)? {
                return Ok(over);
            }
            keys.step();
            self.output.step();
            self.written()?;
            if self.output.is_unread() {
                return Ok(Over::Unread);
            }
        }
    }

    /// Waits for something to do.
    fn wait(&mut self, connection: &Stdio, keys: &mut Keys) -> Result<Woken, Failure> {
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        let listens = self.output.waiting() < UNSHOWN;
        if listens {
            fds.push(PollFd::new(connection, PollFlags::IN));
        }
        let input = self.input.as_ref().filter(|_| keys.is_ready());
        fds.extend(input.map(|input| PollFd::new(input, PollFlags::IN)));
        let asks = input.is_some();
        // Its end is seen where it is read.
        let sends = keys.poll(&mut fds);
        self.output.poll(&mut fds);
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut events = fds.iter().map(PollFd::revents).collect::<Vec<_>>().into_iter();
        let told = events.next().is_some_and(|events| !events.is_empty());
        let ready = listens && events.next().is_some_and(|events| !events.is_empty());
        let typed = asks && events.next().is_some_and(|events| !events.is_empty());
        if sends {
            keys.heard(events.next().unwrap_or(PollFlags::empty()));
        }
        self.output.heard(&mut events);
        Ok(Woken { told, ready, typed })
    }

    /// Acts on signals; one that ends us is returned.
    fn hear(&mut self, keys: &mut Keys) -> Option<Signal> {
        while let Some(signal) = self.signals.next() {
            match (signal, &self.raw) {
                (Signal::WINCH, _) => self.resized(keys),
                (Signal::TSTP, raw) => {
                    raw.iter().for_each(Raw::leave);
                    let _ = kill_process(getpid(), Signal::STOP);
                }
                (Signal::CONT, raw) => raw.iter().for_each(Raw::again),
                (other, _) => return Some(other),
            }
        }
        None
    }

    fn resized(&mut self, keys: &mut Keys) {
        let Some(size) = super::size() else { return };
        if !self.watch {
            keys.resize(size);
        }
        self.recording(|record| record.recorder.resize(record.began.elapsed(), size));
    }

    /// Fails if what the zone said could not be written.
    fn written(&mut self) -> Result<(), Failure> {
        match self.output.take_failure() {
            Some(source) => Err(NearEnd { stream: Stream::Output, source }.into()),
            None => Ok(()),
        }
    }

    /// Takes what was typed; gives the end that it puts to the session, if it does.
    fn read(&mut self, keys: &mut Keys) -> Result<Option<Over>, Failure> {
        let Some(input) = &self.input else { return Ok(None) };
        let mut buffer = [0; 4096];
        let mut out = Vec::with_capacity(buffer.len());
        let escaped = match input.read(&mut buffer) {
            // A terminal ends when its other side is gone, and nobody looks on any more.
            Ok(0) if self.raw.is_some() => return Ok(Some(Over::Told(Signal::HUP))),
            // A pipe or a file has said all: what the zone answers is still to be shown.
            Ok(0) => {
                self.input = None;
                self.escape.finish(&mut out);
                false
            }
            Ok(count) => self.escape.filter(&buffer[..count], &mut out),
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(source) => return Err(NearEnd { stream: Stream::Input, source }.into()),
        };
        if !self.watch {
            keys.type_in(&out);
        }
        if let Some(help) = self.escape.take_help() {
            self.output.queue(help.as_bytes());
            self.output.step();
        }
        if escaped {
            keys.step();
            self.output.queue(&[self.escape.character().unwrap_or_default(), b'.', b'\r', b'\n']);
            self.output.step();
        }
        Ok(escaped.then_some(Over::Escaped))
    }

    /// Takes what the server has said.
    fn take(&mut self, connection: &Stdio, frames: &mut Frames) -> Result<Option<Over>, Failure> {
        let mut buffer = [0; 16 * 1024];
        let count = match connection.read(&mut buffer) {
            Ok(0) => {
                self.end_replay();
                let position = frames.position();
                return Ok(Some(match frames.end() {
                    Some(end) => Over::Closed((end, position)),
                    None => Over::Broken(position),
                }));
            }
            Ok(count) => count,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let mut bytes = &buffer[..count];
        while let Some(frame) = frames.next(&mut bytes)? {
            self.show(&frame);
        }
        Ok(None)
    }

    fn show(&mut self, frame: &Frame<'_>) {
        match frame {
            Frame::Replay(bytes) => {
                let mut out = Vec::with_capacity(bytes.len());
                self.filter.get_or_insert_with(|| Filter::new(Purpose::Replay)).push(bytes, &mut out);
                self.shown(&out);
            }
            Frame::Data(bytes) => {
                self.end_replay();
                self.shown(bytes);
            }
            Frame::Notice(text) => {
                self.end_replay();
                self.shown(format!("\r\n[{text}]\r\n").as_bytes());
            }
            // What is lost comes as a notice, too.
            Frame::Lost(_) | Frame::Position(_) | Frame::End(_) | Frame::Window(_) => {}
        }
    }

    fn end_replay(&mut self) {
        if let Some(mut filter) = self.filter.take() {
            let mut out = Vec::new();
            filter.finish(&mut out);
            self.shown(&out);
        }
    }

    fn shown(&mut self, bytes: &[u8]) {
        self.output.queue(bytes);
        self.recording(|record| record.recorder.output(record.began.elapsed(), bytes));
    }

    /// Adds to the recording. One that cannot be written (a full disk) ends, not the session.
    fn recording(&mut self, add: impl FnOnce(&mut Record) -> std::io::Result<()>) {
        if let Some(error) = self.record.as_mut().and_then(|record| add(record).err()) {
            self.record = None;
            self.unrecorded = Some(std::io::Error::new(error.kind(), error.to_string()));
            let text = reason(&error.into());
            self.say(&format!("the recording ends here, since it could not be written: {text}"));
        }
    }

    /// Shows what is left to be shown.
    fn drain(&mut self) -> Result<(), Failure> {
        while !self.output.is_empty() && !self.output.is_done() {
            self.output.step();
            self.written()?;
            let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
            self.output.poll(&mut fds);
            if self.output.is_empty() {
                return Ok(());
            }
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            let events: Vec<_> = fds.iter().map(PollFd::revents).collect();
            let told = !events[0].is_empty();
            self.output.heard(&mut events.into_iter().skip(1));
            if told {
                return Ok(());
            }
        }
        Ok(())
    }
}

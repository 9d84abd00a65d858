//! `zlogin ZONE`: a login on a terminal of the zone's own.
//!
//! The caller's terminal is never given to the zone. The zone gets a pty, made inside, and this
//! process moves what is typed and what is shown.

use crate::escape::Escape;
use crate::exit::{Failure, NearEnd, Outcome, print, status};
use crate::flow::Flow;
use crate::inside::{self, Inside, What};
use crate::options::{Options, Who};
use crate::screen::{self, Raw};
use crate::signals::Signals;
use crate::stdio::{End, Stream};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Signal, getpid, kill_process};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer};
use rustix::termios::{isatty, tcsetwinsize};
use std::ffi::OsString;
use zone_platform::enter::{End as Ended, Ends, Terminal};
use zone_sys::clone::SingleThreaded;

/// How a session came to its end.
#[derive(Debug)]
enum Over {
    /// The shell ended.
    Ended(Ended),
    /// The escape was typed.
    Escaped,
    /// We were told to end.
    Told(Signal),
    /// Nobody takes the output any more.
    Unread,
}

/// Logs in; the exit status is the shell's.
pub(crate) fn run(options: &Options, user: &Who) -> Outcome {
    session(options, user, What::Login, options.quiet)
}

/// Runs a command on a terminal, without a word of ours; the exit status is the command's.
pub(crate) fn command(options: &Options, user: &Who, words: &[OsString]) -> Outcome {
    session(options, user, What::Command(words), true)
}

fn session(options: &Options, user: &Who, what: What<'_>, quiet: bool) -> Outcome {
    let proof = SingleThreaded::assert()?;
    let terminal = Terminal { settings: screen::settings(), size: screen::size() };
    let (inside, ends) = inside::start(options, user, what, Some(terminal))?;
    let Ends::Terminal { manager, name } = ends else {
        return Err(Failure::text("the zone gave no terminal"));
    };
    if !quiet {
        print(&format!("[Connected to zone '{}' {name}]\n", inside.zone()))?;
    }
    let over = Session::new(options, manager, proof).and_then(|mut session| session.run(&inside));
    // The terminal is what it was by now.
    let over = over?;
    if !quiet {
        print(&format!("\n[Connection to zone '{}' {name} closed]\n", inside.zone()))?;
    }
    conclude(over, &inside)
}

fn conclude(over: Over, inside: &Inside) -> Outcome {
    match over {
        Over::Ended(Ended::Killed(_)) if inside.is_going() => Err(inside.gone()),
        Over::Ended(end) => Ok(status(end)),
        Over::Escaped | Over::Unread => Ok(0),
        Over::Told(signal) => Ok(status(Ended::Killed(signal.as_raw()))),
    }
}

/// A login in progress. Dropped, the caller's terminal is what it was, and the zone's hangs up.
struct Session {
    signals: Signals,
    raw: Option<Raw>,
    escape: Escape,
    input: End,
    keys: Flow,
    output: Flow,
    manager: OwnedFd,
    /// Held open: login(1) hangs the terminal up and opens it again (`vhangup(2)`), and who finds it closed in between takes
    /// that for the session's end.
    _other_side: OwnedFd,
    /// Input that is no terminal has come to its end, and so has been told.
    input_ended: bool,
}

impl Session {
    fn new(options: &Options, manager: OwnedFd, proof: SingleThreaded) -> Result<Self, Failure> {
        let settings = screen::settings();
        // Held back before the terminal is raw, so that none ends us in between.
        let signals = Signals::of_a_terminal()?;
        // Only a terminal has lines that a person starts.
        let escape = Escape::new(options.escape.filter(|_| settings.is_some()), settings.as_ref());
        let keys = Flow::by_hand(End::own(manager.try_clone()?)?);
        let output = Flow::new(End::own(manager.try_clone()?)?, End::stdout());
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let other_side = ioctl_tiocgptpeer(&manager, flags)?;
        let raw = Raw::enter(proof)?;
        zone_fail::pass!("login.raw");
        Ok(Self {
            signals,
            raw,
            escape,
            input: End::stdin(),
            keys,
            output,
            manager,
            _other_side: other_side,
            input_ended: false,
        })
    }

    fn run(&mut self, inside: &Inside) -> Result<Over, Failure> {
        loop {
            // What is typed is read when what was typed before has been taken.
            let typing = self.keys.is_empty() && !self.input_ended;
            let mut events = inside.with_watch(|watch| self.poll(watch, typing))?.into_iter();
            events.next();
            let ended = events.next().is_some_and(|events| !events.is_empty());
            let typed = typing && events.next().is_some_and(|events| !events.is_empty());
            self.keys.heard(&mut events);
            self.output.heard(&mut events);
            if let Some(signal) = self.hear() {
                return Ok(Over::Told(signal));
            }
            if ended {
                let end = inside.wait()?;
                zone_fail::pass!("login.ended");
                self.drain()?;
                return Ok(Over::Ended(end));
            }
            if typed && let Some(over) = self.read()? {
                return Ok(over);
            }
            self.keys.step();
            self.output.step();
            self.written()?;
            if self.output.is_unread() {
                return Ok(Over::Unread);
            }
        }
    }

    /// Waits for what can be done, the command's end among it.
    fn poll(&self, watch: BorrowedFd<'_>, typing: bool) -> Result<Vec<PollFlags>, Errno> {
        let mut fds =
            vec![PollFd::new(&self.signals, PollFlags::IN), PollFd::from_borrowed_fd(watch, PollFlags::IN)];
        if typing {
            fds.push(PollFd::new(&self.input, PollFlags::IN));
        }
        self.keys.poll(&mut fds);
        self.output.poll(&mut fds);
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => Ok(fds.iter().map(PollFd::revents).collect()),
            Err(errno) => Err(errno),
        }
    }

    /// Acts on signals; one that ends us is returned.
    fn hear(&self) -> Option<Signal> {
        while let Some(signal) = self.signals.next() {
            match signal {
                Signal::WINCH => {
                    if let Some(size) = screen::size() {
                        // A terminal that has gone has no size.
                        let _ = tcsetwinsize(&self.manager, size);
                    }
                }
                Signal::TSTP => {
                    if let Some(raw) = &self.raw {
                        raw.leave();
                    }
                    let _ = kill_process(getpid(), Signal::STOP);
                }
                Signal::CONT => {
                    if let Some(raw) = &self.raw {
                        raw.again();
                    }
                }
                other => return Some(other),
            }
        }
        None
    }

    /// Fails if what the zone said could not be written, or what was typed not be passed on.
    fn written(&mut self) -> Result<(), Failure> {
        if let Some(source) = self.output.take_failure() {
            return Err(NearEnd { stream: Stream::Output, source }.into());
        }
        match self.keys.take_failure() {
            Some(errno) => Err(Failure::Error(
                anyhow::Error::new(errno).context("could not pass on what was typed to the zone's terminal"),
            )),
            None => Ok(()),
        }
    }

    /// Takes what was typed; gives the end that it puts to the session, if it does.
    fn read(&mut self) -> Result<Option<Over>, Failure> {
        let mut buffer = [0; 4096];
        let mut out = Vec::with_capacity(buffer.len());
        let escaped = match self.input.read(&mut buffer) {
            Ok(0) if !isatty(rustix::stdio::stdin()) => {
                // As a person would end it; the command goes on.
                const EOF: u8 = 0x04;
                self.input_ended = true;
                self.keys.queue(&[EOF]);
                return Ok(None);
            }
            // A terminal ends when its other side is gone: so does the one in the zone.
            Ok(0) => return Ok(Some(Over::Told(Signal::HUP))),
            Ok(count) => self.escape.filter(&buffer[..count], &mut out),
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(source) => return Err(NearEnd { stream: Stream::Input, source }.into()),
        };
        self.keys.queue(&out);
        if let Some(help) = self.escape.take_help() {
            self.output.queue(help.as_bytes());
        }
        if escaped {
            self.output.queue(&[self.escape.character().unwrap_or_default(), b'.', b'\r', b'\n']);
            self.output.step();
        }
        Ok(escaped.then_some(Over::Escaped))
    }

    /// Passes on what was said before the end; waits for whoever takes it, but not for more.
    fn drain(&mut self) -> Result<(), Failure> {
        self.output.finish();
        loop {
            self.output.step();
            self.written()?;
            if self.output.is_done() {
                return Ok(());
            }
            let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
            self.output.poll(&mut fds);
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            let events: Vec<_> = fds.iter().map(PollFd::revents).collect();
            self.output.heard(&mut events.into_iter().skip(1));
            if self.hear().is_some() {
                return Ok(());
            }
        }
    }
}

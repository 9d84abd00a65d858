//! The manager side of the pty: what the guest says, and what it is told.

use super::descriptor::Descriptor;
use super::flow_control::Typed;
use crate::Error;
use crate::term::Size;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::{Action, tcflow, tcgetattr};
use std::borrow::Cow;
use std::io;
use std::task::{Context, Poll};

/// How often in a row a hung-up pty is opened again before it is given up.
const MAX_REVIVALS: u32 = 8;
/// A read below this is somebody typing; above, it is a flood that has more by the time we ask.
const TRICKLE: usize = 512;

#[derive(Debug)]
pub(super) struct Manager {
    pty: Descriptor,
    /// A subsidiary opened here because every other one was gone or hung up.
    held: Option<OwnedFd>,
    revivals: u32,
    lost: bool,
    /// Input that the pty has not taken yet, and how much of it is written.
    input: Vec<u8>,
    written: usize,
    /// What the holder typed, as far as it changes the state of the terminal.
    typed: Typed,
}

impl Manager {
    pub(super) fn new(pty: OwnedFd) -> Result<Self, Error> {
        let pty = Descriptor::new(pty)?;
        Ok(Self {
            pty,
            held: None,
            revivals: 0,
            lost: false,
            input: Vec::new(),
            written: 0,
            typed: Typed::default(),
        })
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Reads what there is, with a call that says `ENOBUFS` when it has no room for another read.
    /// Whether it said so, and there may be more.
    pub(super) fn read_batch(
        &mut self,
        cx: &mut Context<'_>,
        mut read: impl FnMut(&OwnedFd) -> rustix::io::Result<usize>,
    ) -> bool {
        while !self.lost {
            match self.pty.poll_read(cx, TRICKLE, &mut read) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => self.revive(&io::ErrorKind::UnexpectedEof.into()),
                Poll::Ready(Ok(_)) => self.revivals = 0,
                Poll::Ready(Err(error)) if Errno::from_io_error(&error) == Some(Errno::NOBUFS) => {
                    return true;
                }
                Poll::Ready(Err(error)) => self.revive(&error),
            }
        }
        false
    }

    /// The pty gives EIO when every subsidiary is closed or was hung up (by vhangup, which root of the
    /// host can do, and a zone without a user namespace). Opening one anew cures it, and whoever in the
    /// zone opens its console again is heard.
    fn revive(&mut self, error: &io::Error) {
        self.revivals += 1;
        if self.revivals > MAX_REVIVALS || self.hold().is_err() {
            tracing::warn!(error = error as &dyn std::error::Error, "the console's pty is lost");
            self.lost = true;
            self.forget_input();
        }
    }

    fn hold(&mut self) -> io::Result<()> {
        self.held = Some(self.subsidiary()?);
        self.pty.watch_anew()
    }

    /// The zone's side, opened anew.
    pub(super) fn subsidiary(&self) -> io::Result<OwnedFd> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        Ok(rustix::pty::ioctl_tiocgptpeer(self.pty.get(), flags)?)
    }

    /// Whether input still waits for the guest to read it.
    pub(super) fn is_choked(&self) -> bool {
        !self.input.is_empty()
    }

    /// Takes the flow control out of what the holder sends: `paused` says whether the holder is to be sent output.
    pub(super) fn flow_control<'a>(&mut self, bytes: &'a [u8], paused: &mut bool) -> Cow<'a, [u8]> {
        match tcgetattr(self.pty.get()) {
            Ok(settings) => self.typed.filter(&settings, bytes, paused),
            // Hung up. Reading will find out and mend it.
            Err(_) => Cow::Borrowed(bytes),
        }
    }

    /// The holder goes: what it typed and the guest has not read yet is none of the next one's business, be it here
    /// or an unfinished line of the terminal's, and the guest's output runs.
    pub(super) fn leave(&mut self) {
        let unsent = self.is_choked();
        self.forget_input();
        if let Ok(settings) = tcgetattr(self.pty.get()) {
            // A pty that takes nothing has no room for more of the line either.
            let _ = rustix::io::write(self.pty.get(), &self.typed.leave(&settings, unsent));
        }
        self.start_output();
    }

    /// Starts the guest's output if something that was typed may have stopped it: with an earlier daemon, or in the
    /// moment in which the guest turned flow control on.
    pub(super) fn start_output(&mut self) {
        if !self.typed.may_have_stopped() || self.lost {
            return;
        }
        let started = self.subsidiary().and_then(|subsidiary| {
            // TCOON alone starts only what TCOOFF has stopped; a `^S` is undone by the two together.
            tcflow(&subsidiary, Action::OOff).and_then(|()| tcflow(&subsidiary, Action::OOn))?;
            Ok(())
        });
        match started {
            Ok(()) => self.typed.started(),
            Err(error) => tracing::debug!(
                error = &error as &dyn std::error::Error,
                "the console's output cannot be started"
            ),
        }
    }

    /// Drops what the pty has not taken.
    pub(super) fn forget_input(&mut self) {
        self.input.clear();
        self.written = 0;
        self.pty.written();
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
            let rest = &self.input[self.written..];
            let written = self.pty.poll_write(cx, |pty| match rustix::io::write(pty, rest) {
                // A pty without room may take nothing and not call it EAGAIN.
                Ok(0) => Err(Errno::AGAIN),
                other => other,
            });
            match written {
                Poll::Pending => return,
                Poll::Ready(Ok(written)) => self.written += written,
                // Hung up: there is nobody to read it. Reading will find out and mend it.
                Poll::Ready(Err(_)) => break,
            }
        }
        if self.is_choked() {
            self.forget_input();
        }
    }

    pub(super) fn resize(&self, size: Size) {
        if let Err(error) = size.apply(self.pty.get()) {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "the console's window size cannot be set"
            );
        }
    }
}

//! Our end of a console that is measured.

use super::agent::write_all;
use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::process::{Child, Command, Stdio};

/// How long nothing may come before something is taken for broken.
const PATIENCE: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// Where to write to and to read from, and what to end when that is over.
pub(super) struct Wire {
    to: OwnedFd,
    from: OwnedFd,
    /// Each packet has a byte before what it carries.
    prefixed: bool,
    client: Option<Child>,
    buffer: Vec<u8>,
}

impl Wire {
    pub(super) fn new(to: OwnedFd, from: OwnedFd, prefixed: bool) -> Self {
        Self { to, from, prefixed, client: None, buffer: vec![0; 64 << 10] }
    }

    /// A client on two pipes.
    pub(super) fn pipes(command: &mut Command) -> Result<Self> {
        let name = format!("{}", command.get_program().display());
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut client = started.with_context(|| format!("cannot start {name}"))?;
        let to = client.stdin.take().context("no input")?.into();
        let from = client.stdout.take().context("no output")?.into();
        let mut wire = Self::new(to, from, false);
        wire.client = Some(client);
        Ok(wire)
    }

    /// A client on a terminal of 24 lines.
    pub(super) fn terminal(words: &[&str]) -> Result<Self> {
        let (manager, subsidiary) = pty()?;
        let mut wire = Self::new(manager.try_clone()?, manager, false);
        wire.client = Some(on_terminal(words, &subsidiary)?);
        Ok(wire)
    }

    pub(super) fn send(&self, bytes: &[u8]) -> Result<()> {
        write_all(&self.to, bytes)
    }

    /// What comes next.
    pub(super) fn receive(&mut self) -> Result<&[u8]> {
        let mut fds = [PollFd::new(&self.from, PollFlags::IN)];
        if rustix::io::retry_on_intr(|| poll(&mut fds, Some(&PATIENCE)))? == 0 {
            bail!("nothing came for {} s", PATIENCE.tv_sec);
        }
        let len = rustix::io::read(&self.from, &mut self.buffer).context("the client ended")?;
        if len == 0 {
            bail!("the client ended");
        }
        Ok(&self.buffer[usize::from(self.prefixed)..len])
    }

    /// Reads up to and with `text`; gives how many bytes that were.
    pub(super) fn until(&mut self, text: &str) -> Result<usize> {
        let (text, mut tail, mut got) = (text.as_bytes(), Vec::new(), 0);
        loop {
            let bytes = self.receive()?;
            got += bytes.len();
            // It is the last thing that is said before we speak again.
            tail.extend_from_slice(&bytes[bytes.len().saturating_sub(256)..]);
            if tail.windows(text.len()).any(|window| window == text) {
                return Ok(got);
            }
            tail.drain(..tail.len().saturating_sub(256));
        }
    }

    /// Reads until nothing has come for a while.
    pub(super) fn until_quiet(&mut self) -> Result<()> {
        let pause = Timespec { tv_sec: 0, tv_nsec: 300_000_000 };
        loop {
            let mut fds = [PollFd::new(&self.from, PollFlags::IN)];
            if rustix::io::retry_on_intr(|| poll(&mut fds, Some(&pause)))? == 0 {
                return Ok(());
            }
            self.receive()?;
        }
    }

    /// Reads until `byte` has come.
    pub(super) fn until_byte(&mut self, byte: u8) -> Result<()> {
        while !self.receive()?.contains(&byte) {}
        Ok(())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(client) = &mut self.client {
            let _ = client.kill();
            let _ = client.wait();
        }
    }
}

/// A pty, with the size that every terminal has had.
pub(super) fn pty() -> Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let manager = openpt(flags)?;
    unlockpt(&manager)?;
    let subsidiary = ioctl_tiocgptpeer(&manager, flags)?;
    tcsetwinsize(&manager, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 })?;
    Ok((manager, subsidiary))
}

/// Starts a program as the leader of a session with this terminal.
pub(super) fn on_terminal(words: &[&str], subsidiary: &impl AsFd) -> Result<Child> {
    let end = || subsidiary.as_fd().try_clone_to_owned().map(Stdio::from);
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait"]).args(words).env("TERM", "xterm");
    // The signal that ends setsid would leave what it waits for: that ends with its terminal.
    let started = command.stdin(end()?).stdout(end()?).stderr(end()?).spawn();
    started.with_context(|| format!("cannot start {}", words.join(" ")))
}

//! The program at the far end of every console that is measured, and the least that can lie between.
//!
//! The guest reads commands from its terminal: a letter, a number, a line feed.

use super::mark::MARK;
use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, read, retry_on_intr, write};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use std::os::unix::net::{UnixListener, UnixStream};

/// Bytes of a line of text, its line feed included.
pub(super) const COLUMNS: usize = 80;

/// Which part to play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    /// The program at the console.
    Guest,
    /// A relay between standard input, a terminal's manager side, and the socket that is the argument.
    Relay,
    /// A client of the socket, between it and standard input and output.
    Client,
}

/// Plays it until nobody is left to play it for.
pub(crate) fn run(role: Role, socket: Option<&str>) -> Result<()> {
    match role {
        Role::Guest => guest(),
        Role::Relay => {
            let (client, _) = UnixListener::bind(socket.context("no socket")?)?.accept()?;
            shuttle([(stdin(), client.as_fd()), (client.as_fd(), stdin())])
        }
        Role::Client => {
            let server = UnixStream::connect(socket.context("no socket")?)?;
            shuttle([(stdin(), server.as_fd()), (server.as_fd(), stdout())])
        }
    }
}

/// Bytes from the first to the second of each pair, with no call that is not needed.
fn shuttle(ways: [(BorrowedFd<'_>, BorrowedFd<'_>); 2]) -> Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let mut fds = ways.map(|(from, _)| PollFd::from_borrowed_fd(from, PollFlags::IN));
        retry_on_intr(|| poll(&mut fds, None))?;
        let ready = fds.map(|fd| !fd.revents().is_empty());
        for ((from, to), _) in ways.into_iter().zip(ready).filter(|(_, ready)| *ready) {
            match read(from, &mut buffer) {
                Ok(0) | Err(Errno::IO) => return Ok(()),
                Ok(len) => write_all(to, &buffer[..len])?,
                Err(e) => return Err(e.into()),
            }
        }
    }
}

fn guest() -> Result<()> {
    // An init may be started with nothing open but what it opens itself.
    let terminal = match rustix::termios::isatty(stdin()) {
        true => stdin().try_clone_to_owned()?,
        false => open("/dev/console", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?,
    };
    let ordinary = characters(&terminal, |_| {})?;
    say_mark(&terminal)?;
    let mut command = Vec::new();
    loop {
        let mut byte = [0];
        match read(&terminal, &mut byte) {
            Ok(0) | Err(Errno::IO) => return Ok(()),
            Ok(_) if byte[0] == b'\n' => {}
            Ok(_) => {
                command.push(byte[0]);
                continue;
            }
            Err(e) => return Err(e.into()),
        }
        match command.split_first() {
            Some((b'T', number)) => text(&terminal, str::from_utf8(number)?.parse()?)?,
            Some((b'E', _)) => echo(&terminal, &ordinary, true)?,
            Some((b'L', _)) => echo(&terminal, &ordinary, false)?,
            // Whatever a line begins with that was typed at somebody else.
            _ => {}
        }
        command.clear();
        say_mark(&terminal)?;
    }
}

/// Character by character and silent, but with its output as the terminal had it; and `more`.
fn characters(terminal: &impl AsFd, more: impl Fn(&mut Termios)) -> Result<Termios> {
    let mut settings = tcgetattr(terminal)?;
    settings.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
    settings.special_codes[SpecialCodeIndex::VMIN] = 1;
    settings.special_codes[SpecialCodeIndex::VTIME] = 0;
    more(&mut settings);
    tcsetattr(terminal, OptionalActions::Drain, &settings)?;
    Ok(settings)
}

fn say_mark(terminal: &OwnedFd) -> Result<()> {
    write_all(terminal, format!("{MARK}\n").as_bytes())
}

/// So many bytes of lines.
fn text(terminal: &OwnedFd, bytes: usize) -> Result<()> {
    let mut line = [b'x'; COLUMNS];
    line[COLUMNS - 1] = b'\n';
    let lines = line.repeat(819);
    let mut left = bytes / COLUMNS * COLUMNS;
    while left > 0 {
        let piece = left.min(lines.len());
        write_all(terminal, &lines[..piece])?;
        left -= piece;
    }
    Ok(())
}

/// Says every byte again up to a `q`; or has the terminal do so.
fn echo(terminal: &OwnedFd, ordinary: &Termios, ourselves: bool) -> Result<()> {
    characters(terminal, |settings| settings.local_modes.set(LocalModes::ECHO, !ourselves))?;
    say_mark(terminal)?;
    let mut bytes = [0; 64];
    loop {
        let len = read(terminal, &mut bytes)?;
        if len == 0 {
            bail!("the console ended");
        }
        if bytes[..len].contains(&b'q') {
            break;
        }
        if ourselves {
            write_all(terminal, &bytes[..len])?;
        }
    }
    Ok(tcsetattr(terminal, OptionalActions::Now, ordinary)?)
}

pub(super) fn write_all(to: impl AsFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let len = retry_on_intr(|| write(&to, bytes))?;
        bytes = &bytes[len..];
    }
    Ok(())
}

/// Both ends in one process, and nobody to wait for: what the terminal itself costs.
pub(super) struct Alone {
    manager: OwnedFd,
    subsidiary: OwnedFd,
}

impl Alone {
    pub(super) fn new() -> Result<Self> {
        let (manager, subsidiary) = super::wire::pty()?;
        characters(&subsidiary, |_| {})?;
        Ok(Self { manager, subsidiary })
    }

    /// Passes text through; gives the bytes that came out.
    pub(super) fn text(&self, bytes: usize) -> Result<usize> {
        let mut line = [b'x'; COLUMNS];
        line[COLUMNS - 1] = b'\n';
        let (lines, mut buffer) = (line.repeat(51), vec![0; 64 << 10]);
        let (mut left, mut got, mut inside) = (bytes / COLUMNS * COLUMNS, 0, 0);
        while left > 0 || inside > 0 {
            // A line grows by a carriage return; more than this at once would have to be waited for.
            if inside == 0 {
                let len = write(&self.subsidiary, &lines[..left.min(lines.len() - COLUMNS * 2)])?;
                left -= len;
                inside = len + len / COLUMNS;
            }
            let len = read(&self.manager, &mut buffer)?;
            inside = inside.saturating_sub(len);
            got += len;
        }
        Ok(got)
    }

    pub(super) fn echo_by_terminal(&self, on: bool) -> Result<()> {
        characters(&self.subsidiary, |settings| settings.local_modes.set(LocalModes::ECHO, on)).map(drop)
    }

    /// One byte there and back.
    pub(super) fn echo(&self, byte: u8, ourselves: bool) -> Result<()> {
        let mut buffer = [0; 64];
        write_all(&self.manager, &[byte])?;
        if ourselves {
            let len = read(&self.subsidiary, &mut buffer)?;
            write_all(&self.subsidiary, &buffer[..len])?;
        }
        if read(&self.manager, &mut buffer)? != 1 {
            bail!("the terminal said something else");
        }
        if !ourselves {
            read(&self.subsidiary, &mut buffer)?;
        }
        Ok(())
    }
}

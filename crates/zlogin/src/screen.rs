//! The caller's terminal in raw mode, and back, whatever happens.
//!
//! A small process of its own waits for ours to end: when it ended without having put the terminal
//! back (killed, crashed), the guard does it, unless somebody else has changed the terminal since.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitId, WaitIdOptions, setsid, waitid};
use rustix::pty::{OpenptFlags, openpt};
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios, Winsize,
    isatty, tcgetattr, tcgetwinsize, tcsetattr,
};
use zone_door::access::TerminalSettings;
use zone_platform::enter::Terminal;
use zone_sys::clone::{Clone, Cloned, Namespaces, SingleThreaded, exit_now};

/// The terminal of the caller, if its standard input is one.
pub(crate) fn terminal() -> Option<BorrowedFd<'static>> {
    Some(rustix::stdio::stdin()).filter(|fd| isatty(fd))
}

/// Whether the three standard streams are terminals: a command on one has but one stream.
pub(crate) fn all_terminals() -> bool {
    isatty(rustix::stdio::stdin()) && isatty(rustix::stdio::stdout()) && isatty(rustix::stdio::stderr())
}

/// Its settings.
pub(crate) fn settings() -> Option<Termios> {
    tcgetattr(terminal()?).ok()
}

/// The size of the window that output goes to, or input comes from.
pub(crate) fn size() -> Option<Winsize> {
    [rustix::stdio::stdout(), rustix::stdio::stdin()].into_iter().find_map(|fd| tcgetwinsize(fd).ok())
}

/// The special characters that are passed on, in the order of their numbers.
const CHARACTERS: [SpecialCodeIndex; 17] = [
    SpecialCodeIndex::VINTR,
    SpecialCodeIndex::VQUIT,
    SpecialCodeIndex::VERASE,
    SpecialCodeIndex::VKILL,
    SpecialCodeIndex::VEOF,
    SpecialCodeIndex::VTIME,
    SpecialCodeIndex::VMIN,
    SpecialCodeIndex::VSWTC,
    SpecialCodeIndex::VSTART,
    SpecialCodeIndex::VSTOP,
    SpecialCodeIndex::VSUSP,
    SpecialCodeIndex::VEOL,
    SpecialCodeIndex::VREPRINT,
    SpecialCodeIndex::VDISCARD,
    SpecialCodeIndex::VWERASE,
    SpecialCodeIndex::VLNEXT,
    SpecialCodeIndex::VEOL2,
];

/// Says in numbers what a new terminal is to start with.
pub(crate) fn in_numbers(terminal: &Terminal) -> TerminalSettings {
    let size = terminal.size.as_ref();
    let settings = terminal.settings.as_ref();
    TerminalSettings {
        flags: settings.map(|settings| {
            let Termios { input_modes, output_modes, control_modes, local_modes, .. } = settings;
            [input_modes.bits(), output_modes.bits(), control_modes.bits(), local_modes.bits()]
        }),
        characters: settings.map(|settings| CHARACTERS.map(|index| settings.special_codes[index]).to_vec()),
        rows: size.map_or(0, |size| size.ws_row),
        columns: size.map_or(0, |size| size.ws_col),
    }
}

/// Makes settings of numbers, which anybody may have chosen: they go to a terminal of the zone's own, and there to the
/// kernel.
///
/// # Errors
/// When there is no terminal to be had whose settings could be taken to begin with.
pub(crate) fn of_numbers(numbers: &TerminalSettings) -> Result<Terminal, Errno> {
    let size = Winsize { ws_row: numbers.rows, ws_col: numbers.columns, ws_xpixel: 0, ws_ypixel: 0 };
    let Some([input, output, control, local]) = numbers.flags else {
        return Ok(Terminal { settings: None, size: Some(size) });
    };
    let fresh = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    let mut settings = tcgetattr(&fresh)?;
    settings.input_modes = InputModes::from_bits_retain(input);
    settings.output_modes = OutputModes::from_bits_retain(output);
    settings.control_modes = ControlModes::from_bits_retain(control);
    settings.local_modes = LocalModes::from_bits_retain(local);
    for (index, character) in CHARACTERS.into_iter().zip(numbers.characters.iter().flatten()) {
        settings.special_codes[index] = *character;
    }
    Ok(Terminal { settings: Some(settings), size: Some(size) })
}

/// A terminal in raw mode. Dropped, it is what it was before.
#[derive(Debug)]
pub(crate) struct Raw {
    terminal: BorrowedFd<'static>,
    before: Termios,
    raw: Termios,
    guard: Option<Guard>,
    entered: bool,
}

#[derive(Debug)]
struct Guard {
    pipe: OwnedFd,
    pidfd: OwnedFd,
}

impl Raw {
    /// Puts the caller's terminal into raw mode; `None` if there is none.
    ///
    /// # Errors
    /// What the terminal says.
    pub(crate) fn enter(proof: SingleThreaded) -> Result<Option<Self>, Errno> {
        let mut prepared = Self::prepare(proof)?;
        prepared.iter_mut().try_for_each(Self::begin)?;
        Ok(prepared)
    }

    /// All but that. The guard begins with a copy of every descriptor: whatever must end with this
    /// process, and not a moment later, is opened after this.
    ///
    /// # Errors
    /// What the terminal says.
    pub(crate) fn prepare(proof: SingleThreaded) -> Result<Option<Self>, Errno> {
        let Some(terminal) = terminal() else { return Ok(None) };
        let before = tcgetattr(terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        let guard = guard(proof, terminal, &before);
        Ok(Some(Self { terminal, before, raw, guard, entered: false }))
    }

    /// Puts a prepared one into raw mode.
    ///
    /// # Errors
    /// What the terminal says.
    pub(crate) fn begin(&mut self) -> Result<(), Errno> {
        self.entered = true;
        tcsetattr(self.terminal, OptionalActions::Drain, &self.raw)
    }

    /// Puts the terminal back for a while.
    pub(crate) fn leave(&self) {
        // A terminal that is gone needs nothing any more.
        let _ = tcsetattr(self.terminal, OptionalActions::Drain, &self.before);
    }

    /// Puts it into raw mode again.
    pub(crate) fn again(&self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Drain, &self.raw);
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if self.entered {
            self.leave();
        }
        if let Some(Guard { pipe, pidfd }) = self.guard.take() {
            let _ = rustix::io::write(&pipe, b".");
            // Where that could not be said, the end of the pipe is what the guard waits for.
            drop(pipe);
            let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
        }
    }
}

/// Starts the guard. Without one the terminal is put back in all ways out but the most violent.
fn guard(proof: SingleThreaded, terminal: BorrowedFd<'_>, before: &Termios) -> Option<Guard> {
    let (watch, pipe) = pipe_with(PipeFlags::CLOEXEC).ok()?;
    let (told, ready) = pipe_with(PipeFlags::CLOEXEC).ok()?;
    match Clone::new(Namespaces::empty()).spawn(proof).ok()? {
        Cloned::Parent { pidfd, .. } => {
            // As long as it is in our session, the hangup that our death may be would kill it with us.
            drop(ready);
            let _ = rustix::io::read(&told, &mut [0; 1]);
            Some(Guard { pipe, pidfd })
        }
        Cloned::Child => {
            watch_over(terminal, before, &watch, ready);
            exit_now(0)
        }
    }
}

fn watch_over(terminal: BorrowedFd<'_>, before: &Termios, watch: &OwnedFd, ready: OwnedFd) {
    // A session of its own: no signal of the terminal reaches it, and it may set it from there.
    let keep = [terminal, watch.as_fd(), ready.as_fd()];
    if setsid().is_err() || zone_sys::process::close_all_but(0, &keep).is_err() {
        return;
    }
    // Where that cannot be said, the end of the pipe says as much.
    let _ = rustix::io::write(&ready, b".");
    drop(ready);
    let mut said = [0];
    loop {
        let _ = poll(&mut [PollFd::new(watch, PollFlags::IN)], None);
        match rustix::io::read(watch, &mut said) {
            Ok(0) => break,
            Err(Errno::INTR | Errno::AGAIN) => {}
            _ => return,
        }
    }
    // Nobody said that all is well. A shell may have put its own settings there already.
    let is_raw = tcgetattr(terminal).is_ok_and(|now| {
        let mut raw = before.clone();
        raw.make_raw();
        now.local_modes == raw.local_modes
            && now.input_modes == raw.input_modes
            && now.output_modes == raw.output_modes
    });
    if is_raw {
        let _ = tcsetattr(terminal, OptionalActions::Now, before);
    }
}

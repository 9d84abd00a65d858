//! The zone's side of the terminal: its settings at each boot, and its size.

use crate::Error;
use rustix::fd::AsFd;
use rustix::termios::{
    Action, ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, QueueSelector,
    SpecialCodeIndex as Code, Termios, Winsize, ioctl_tiocnxcl, tcflow, tcflush, tcgetattr, tcgetwinsize,
    tcsetattr, tcsetwinsize,
};

/// The size of a window, in characters. 0 by 0: not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// The height of the window in lines.
    pub rows: u16,
    /// The width of the window in characters.
    pub cols: u16,
}

impl Size {
    /// The size of the window of a terminal or of either side of a pty.
    ///
    /// # Errors
    /// What `ioctl(TIOCGWINSZ)` says: `ENOTTY` for what is no terminal.
    pub fn of(terminal: impl AsFd) -> Result<Self, Error> {
        let size = tcgetwinsize(terminal).map_err(|e| Error::system("ioctl(TIOCGWINSZ)", e))?;
        Ok(Self { rows: size.ws_row, cols: size.ws_col })
    }

    /// Tells a terminal, and by SIGWINCH the programs on it, its new size.
    ///
    /// # Errors
    /// What `ioctl(TIOCSWINSZ)` says.
    pub fn apply(self, terminal: impl AsFd) -> Result<(), Error> {
        let size = Winsize { ws_row: self.rows, ws_col: self.cols, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(terminal, size).map_err(|e| Error::system("ioctl(TIOCSWINSZ)", e))
    }
}

/// The control characters of a terminal nobody has touched (as `stty sane` has them).
const CONTROL_CHARACTERS: [(Code, u8); 17] = [
    (Code::VINTR, ctrl(b'C')),
    (Code::VQUIT, ctrl(b'\\')),
    (Code::VERASE, 0x7f),
    (Code::VKILL, ctrl(b'U')),
    (Code::VEOF, ctrl(b'D')),
    (Code::VTIME, 0),
    (Code::VMIN, 1),
    (Code::VSWTC, 0),
    (Code::VSTART, ctrl(b'Q')),
    (Code::VSTOP, ctrl(b'S')),
    (Code::VSUSP, ctrl(b'Z')),
    (Code::VEOL, 0),
    (Code::VREPRINT, ctrl(b'R')),
    (Code::VDISCARD, ctrl(b'O')),
    (Code::VWERASE, ctrl(b'W')),
    (Code::VLNEXT, ctrl(b'V')),
    (Code::VEOL2, 0),
];

/// Puts the subsidiary of a zone's console into the state in which each boot finds it: Solaris'
/// settings, the ordinary line discipline and the usual control characters, open to everybody (a guest may have left it in
/// exclusive use), output running (it may have left it stopped with `^S`), input of the former incarnation discarded, and the window `size` big.
///
/// # Errors
/// The operation that failed; the terminal may then have some of the settings.
pub fn reset(subsidiary: impl AsFd, size: Size) -> Result<(), Error> {
    let fd = subsidiary.as_fd();
    // The first process of the next incarnation could not open it.
    ioctl_tiocnxcl(fd).map_err(|e| Error::system("ioctl(TIOCNXCL)", e))?;
    zone_sys::tty::set_ordinary_discipline(fd).map_err(|e| Error::system("ioctl(TIOCSETD)", e))?;
    let mut settings = tcgetattr(fd).map_err(|e| Error::system("ioctl(TCGETS2)", e))?;
    settle(&mut settings)?;
    tcsetattr(fd, OptionalActions::Now, &settings).map_err(|e| Error::system("ioctl(TCSETS2)", e))?;
    // TCOON alone starts only what TCOOFF has stopped; a `^S` is undone by the two together.
    for action in [Action::OOff, Action::OOn] {
        tcflow(fd, action).map_err(|e| Error::system("ioctl(TCXONC)", e))?;
    }
    tcflush(fd, QueueSelector::IFlush).map_err(|e| Error::system("ioctl(TCFLSH)", e))?;
    size.apply(fd)
}

fn settle(settings: &mut Termios) -> Result<(), Error> {
    settings.input_modes = InputModes::BRKINT | InputModes::ICRNL | InputModes::IXON | InputModes::IMAXBEL;
    settings.output_modes = OutputModes::OPOST | OutputModes::ONLCR | OutputModes::XTABS;
    settings.control_modes = ControlModes::CS8 | ControlModes::CREAD;
    settings.local_modes = LocalModes::ISIG
        | LocalModes::ICANON
        | LocalModes::ECHO
        | LocalModes::ECHOE
        | LocalModes::ECHOK
        | LocalModes::ECHOCTL
        | LocalModes::ECHOKE
        | LocalModes::IEXTEN;
    for (code, value) in CONTROL_CHARACTERS {
        settings.special_codes[code] = value;
    }
    settings.set_speed(9600).map_err(|e| Error::system("cfsetspeed", e))
}

const fn ctrl(letter: u8) -> u8 {
    letter & 0x1f
}

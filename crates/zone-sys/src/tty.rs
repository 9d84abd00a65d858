//! What rustix lacks about terminals.

use crate::{Arg, Error, Result};
use rustix::fd::{AsFd, AsRawFd};

/// The ordinary line discipline, of `linux/tty.h`.
const N_TTY: libc::c_int = 0;

/// Puts a terminal under the ordinary line discipline (`TIOCSETD` with `N_TTY`), whichever its
/// users may have given it. One that is under it is left alone: setting it would make whoever
/// waits in `read(2)` or `write(2)` get `EAGAIN`.
///
/// # Errors
/// `ENOTTY` for what is no terminal; `EIO` for one that was hung up.
pub fn set_ordinary_discipline(terminal: impl AsFd) -> Result<()> {
    let fd = terminal.as_fd().as_raw_fd();
    let mut discipline: libc::c_int = N_TTY;
    // SAFETY: the kernel writes one int through the pointer, which is valid for the call.
    if unsafe { libc::ioctl(fd, libc::TIOCGETD, &raw mut discipline) } != 0 {
        return Err(Error::last("ioctl").arg(Arg::Fd(fd)).arg(Arg::Word("TIOCGETD")));
    }
    if discipline == N_TTY {
        return Ok(());
    }
    discipline = N_TTY;
    // SAFETY: the kernel reads one int through the pointer, which is valid for the call.
    if unsafe { libc::ioctl(fd, libc::TIOCSETD, &raw const discipline) } != 0 {
        return Err(Error::last("ioctl").arg(Arg::Fd(fd)).arg(Arg::Word("TIOCSETD")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;
    use std::fs::File;

    #[test]
    fn a_terminal_takes_it_and_nothing_else_does() {
        set_ordinary_discipline(File::open("/dev/ptmx").unwrap()).unwrap();
        let error = set_ordinary_discipline(File::open("/dev/null").unwrap()).unwrap_err();
        assert_eq!(error.errno(), Errno::NOTTY);
    }
}

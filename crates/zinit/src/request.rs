//! The three ways in which a zone ends, and the signals that ask for them.

use rustix::process::Signal;
use rustix::system::RebootCommand;
use zone_sys::signal::{self, Number};

/// What becomes of the zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    Halt,
    PowerOff,
    Reboot,
}

impl Request {
    /// The request that a signal means: those of BusyBox's init (`SIGUSR1` halt, `SIGUSR2` power off,
    /// `SIGTERM` reboot, `SIGINT` for ctrl-alt-del), those of systemd (`SIGRTMIN+3` to `+5`), and
    /// `SIGPWR`, by which LXC asks a container to stop.
    pub(crate) fn of_signal(number: Number) -> Option<Self> {
        let realtime = [Self::Halt, Self::PowerOff, Self::Reboot];
        match number {
            signal::SIGUSR1 => Some(Self::Halt),
            signal::SIGUSR2 | signal::SIGPWR => Some(Self::PowerOff),
            signal::SIGTERM | signal::SIGINT => Some(Self::Reboot),
            n => (3..).zip(realtime).find(|(i, _)| n == signal::realtime(*i)).map(|(_, request)| request),
        }
    }

    /// The signal that asks init for it.
    pub(crate) fn signal(self) -> Signal {
        match self {
            Self::Halt => Signal::USR1,
            Self::PowerOff => Signal::USR2,
            Self::Reboot => Signal::TERM,
        }
    }

    /// What `reboot(2)` is told. In a zone it ends process 1: by `SIGHUP` for a reboot, by `SIGINT`
    /// for the others (pid_namespaces(7)), from which the host knows which it was.
    pub(crate) fn command(self) -> RebootCommand {
        match self {
            Self::Halt => RebootCommand::Halt,
            Self::PowerOff => RebootCommand::PowerOff,
            Self::Reboot => RebootCommand::Restart,
        }
    }

    /// What it is called in a message.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Halt => "halt",
            Self::PowerOff => "power-off",
            Self::Reboot => "reboot",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn init_understands_the_signal_that_the_commands_send() {
        for request in [Request::Halt, Request::PowerOff, Request::Reboot] {
            assert_eq!(Request::of_signal(request.signal().as_raw()), Some(request));
        }
    }

    #[test]
    fn signals_of_other_inits_are_understood() {
        assert_eq!(Request::of_signal(37), Some(Request::Halt));
        assert_eq!(Request::of_signal(38), Some(Request::PowerOff));
        assert_eq!(Request::of_signal(39), Some(Request::Reboot));
        assert_eq!(Request::of_signal(signal::SIGINT), Some(Request::Reboot));
        assert_eq!(Request::of_signal(signal::SIGHUP), None);
    }
}

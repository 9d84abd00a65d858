//! How a zsched is started, and recognised among the processes of a host: its arguments and descriptors, for the daemon that
//! starts it, for itself, and for the daemon that looks for one whose socket is gone.

use rustix::fd::RawFd;

/// The socket on which it listens.
pub const LISTENER: RawFd = 3;
/// The connection of the daemon that started it.
pub const DAEMON: RawFd = 4;
/// The manager side of the console's pty.
pub const MANAGER: RawFd = 5;
/// The subsidiary side of that pty.
pub const SUBSIDIARY: RawFd = 6;
/// The memory of the console's kept output.
pub const RING: RawFd = 7;
/// The file on which a zsched has a lock for as long as it lives, and in which it shows how things stand (`shown`); not there if the lock
/// was not to be had. What comes after it is only held.
pub const LOCK: RawFd = 8;

/// The arguments of a zsched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    /// The zone that it keeps, by name.
    pub zone: String,
    /// The program to start when the zone has ended and no daemon is there.
    pub zoneadmd: String,
    /// The root of the installation.
    pub root: String,
}

impl Arguments {
    /// Reads the arguments that follow the program's name.
    #[must_use]
    pub fn parse(mut args: impl Iterator<Item = String>) -> Option<Self> {
        Some(Self { zone: args.next()?, zoneadmd: args.next()?, root: args.next()? })
    }

    /// Gives the whole command line.
    #[must_use]
    pub fn argv(&self) -> [String; 4] {
        ["zsched".to_owned(), self.zone.clone(), self.zoneadmd.clone(), self.root.clone()]
    }

    /// Reads a process' command line as `/proc/PID/cmdline` has it; `None` if it is not that of a zsched.
    #[must_use]
    pub fn of_process(cmdline: &[u8]) -> Option<Self> {
        let mut words =
            cmdline.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
        words.next().filter(|program| program.ends_with("zsched"))?;
        Self::parse(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_started_is_recognised() {
        let arguments = Arguments { zone: "web".into(), zoneadmd: "/sbin/zoneadmd".into(), root: "/".into() };
        let argv = arguments.argv();
        assert_eq!(Arguments::parse(argv[1..].iter().cloned()), Some(arguments.clone()));
        let cmdline = argv.join("\0") + "\0";
        assert_eq!(Arguments::of_process(cmdline.as_bytes()), Some(arguments));
        assert_eq!(Arguments::of_process(b"sh\0web\0/sbin/zoneadmd\0/\0"), None);
        assert_eq!(Arguments::of_process(b"zsched\0web"), None);
        assert_eq!(Arguments::of_process(b""), None);
    }
}

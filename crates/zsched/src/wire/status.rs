//! What zsched knows of its zone.

/// Where the zone is in its life, as zsched knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u32)]
pub enum Phase {
    /// No zone: only the console is kept.
    #[default]
    None = 0,
    /// The first process exists and waits.
    Ready = 1,
    /// The first process has exec'd init.
    Running = 2,
    /// Somebody is stopping it.
    Stopping = 3,
    /// The first process has ended; how is in [`Status::end`].
    Down = 4,
}

impl Phase {
    /// The one of a number.
    pub(super) fn of(number: u32) -> Option<Self> {
        [Self::None, Self::Ready, Self::Running, Self::Stopping, Self::Down]
            .into_iter()
            .find(|phase| *phase as u32 == number)
    }

    /// Tells whether a zone in this phase needs a daemon, so that one has to be started where none is: one whose door or console is
    /// `waited_for` at, one that has ended, and one that is `owed` another life, until it runs. That may be one that is made ready a second time: a daemon that carries on
    /// takes down what the one before it had made.
    #[must_use]
    pub fn needs_daemon(self, owed: bool, waited_for: bool) -> bool {
        waited_for || self == Self::Down || (owed && self != Self::Running)
    }
}

/// How a first process ended, as `waitid(2)` tells its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// It exited with this status.
    Exited(i32),
    /// This signal killed it. `SIGHUP`: the zone asked for a reboot; `SIGINT`: for halt or power-off
    /// (pid_namespaces(7)).
    Killed(i32),
}

/// All that zsched knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// Where the zone is in its life.
    pub phase: Phase,
    /// Names this incarnation: never used twice. 0 when there is none.
    pub uniqid: u64,
    /// The first process, in the host's PID namespace; 0 when there is none.
    pub pid: i32,
    /// When it was made, in seconds since the epoch.
    pub since: u64,
    /// How it ended, in phase [`Phase::Down`]; `None` there if nobody knows (see [`Witness::Nobody`]).
    pub end: Option<End>,
    /// When it ended, in seconds since the epoch.
    pub ended: u64,
    /// How many times in a row init was started again before this incarnation.
    pub restarts: u32,
    /// zsched's own process id.
    pub keeper: i32,
    /// Set if this zsched did not make the zone, but took it over from one that died.
    pub adopted: Option<Adopted>,
    /// The version of the program zsched: major, minor, patch; zeroes for one of protocol 1.
    pub version: [u8; 3],
    /// Whether a daemon is there.
    pub daemon: Attendance,
}

/// Whether a zone's daemon is there, and if not, how it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Attendance {
    /// Nothing is known of that: a zsched of before protocol 5 does not say.
    #[default]
    Unknown = 0,
    /// It is.
    There = 1,
    /// It has gone without a word.
    Died = 2,
    /// It has left on purpose ([`super::Op::Leave`]), for another to take its place.
    Left = 3,
    /// It has left because nothing needed it.
    Rests = 4,
}

impl Attendance {
    /// The one of a number.
    pub(super) fn of(number: u8) -> Self {
        let known = [Self::There, Self::Died, Self::Left, Self::Rests];
        known.into_iter().find(|known| *known as u8 == number).unwrap_or_default()
    }

    /// Whether a daemon has said that it would leave.
    #[must_use]
    pub fn left_on_purpose(self) -> bool {
        matches!(self, Self::Left | Self::Rests)
    }

    /// Whether there is no daemon, so that zsched starts one for whoever connects to the zone's door or console.
    #[must_use]
    pub fn is_absent(self) -> bool {
        matches!(self, Self::Died | Self::Left | Self::Rests)
    }
}

/// What became of a zone when its zsched died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adopted {
    /// When another took it over, in seconds since the epoch.
    pub at: u64,
    /// How that one will learn how the first process ends.
    pub witness: Witness,
    /// What was lost.
    pub lost: Lost,
}

/// How zsched learns how a first process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u32)]
pub enum Witness {
    /// It will not: only that it ended.
    #[default]
    Nobody = 0,
    /// As its tracer (ptrace(2)).
    Tracer = 1,
    /// As its parent.
    Parent = 2,
}

impl Witness {
    /// The one of a number; one of a later protocol is as good as none.
    pub(super) fn of(number: u32) -> Self {
        match number {
            1 => Self::Tracer,
            2 => Self::Parent,
            _ => Self::Nobody,
        }
    }
}

bitflags::bitflags! {
    /// What was lost with a zsched. A bit of a later protocol is kept as it is.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Lost: u32 {
        /// The console's pty: what was attached to it in the zone was hung up. It has another one.
        const TERMINAL = 1;
        /// What was kept of the console's output.
        const OUTPUT = 2;
        /// The zone's `/dev/console`: the other pty could not be put there.
        const CONSOLE = 4;
    }
}

impl Status {
    /// Whether a zone exists, alive or not yet taken down.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.phase != Phase::None
    }

    /// Whether its first process lives.
    #[must_use]
    pub fn lives(&self) -> bool {
        matches!(self.phase, Phase::Ready | Phase::Running | Phase::Stopping)
    }
}

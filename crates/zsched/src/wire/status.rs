//! What zsched knows of its zone.

use super::NOTE;

/// Where the zone is in its life, as zsched knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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

/// How a first process ended, as `waitid(2)` tells its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// How it ended, in phase [`Phase::Down`].
    pub end: Option<End>,
    /// When it ended, in seconds since the epoch.
    pub ended: u64,
    /// What the daemon left with this incarnation.
    pub note: [u8; NOTE],
    /// zsched's own process id.
    pub keeper: i32,
}

impl Status {
    /// Whether a zone exists, alive or not yet taken down.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.phase != Phase::None
    }

    /// How many times in a row init was started again before this incarnation.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.note.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }

    /// The note that carries `restarts`.
    #[must_use]
    pub fn note_of(restarts: u32) -> [u8; NOTE] {
        let mut note = [0; NOTE];
        note[..4].copy_from_slice(&restarts.to_le_bytes());
        note
    }
}

//! A zone as `zoneadm list -v --json` tells it.

use serde::Deserialize;

/// What is known of a zone.
#[derive(Debug, Clone, Deserialize)]
pub struct Status {
    /// Its name.
    #[serde(alias = "zone")]
    pub name: String,
    /// Its state, by the name that `list -v` prints.
    pub state: String,
    /// Where it is.
    #[serde(default)]
    pub zonepath: String,
    /// Its brand.
    #[serde(default)]
    pub brand: Option<String>,
    /// Tells one incarnation from another; none below ready.
    #[serde(default)]
    pub uniqid: Option<String>,
    /// From the index; none below incomplete.
    #[serde(default)]
    pub uuid: Option<String>,
    /// PID 1 of the zone as seen from here; none below ready.
    #[serde(default)]
    pub pid: Option<i32>,
    /// How often init was started again.
    #[serde(default)]
    pub restarts: Option<u32>,
    /// Whether it is ready; none unless it runs.
    #[serde(default)]
    pub readiness: Option<Readiness>,
    /// What is being done with the zone.
    #[serde(default)]
    pub operation: Option<String>,
    /// Its keeper; none when it is not up, or lives without one.
    #[serde(default)]
    pub zsched: Option<Keeper>,
    /// How the incarnation before ended.
    #[serde(default)]
    pub last_exit: Option<Exit>,
    /// Who is at the console; none when no daemon runs.
    #[serde(default)]
    pub consoles: Option<Vec<Attached>>,
}

/// How far a zone that runs has come.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Readiness {
    /// `starting`, `ready` or `unknown`.
    pub state: String,
    /// Who has told.
    pub by: Option<String>,
}

/// A zone's zsched.
#[derive(Debug, Clone, Deserialize)]
pub struct Keeper {
    /// The process.
    pub pid: i32,
    /// What was lost with the one before; none if there was none.
    pub adopted: Option<Adopted>,
}

/// What became of a zone whose zsched was killed.
#[derive(Debug, Clone, Deserialize)]
pub struct Adopted {
    /// `tracer`, or `nobody` if it will not be known how the zone ends.
    pub witness: String,
    /// Of `terminal`, `output` and `console`.
    pub lost: Vec<String>,
}

/// Somebody at a console.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Attached {
    /// The process, by the kernel's word.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// Whether it only looks on.
    pub read_only: bool,
}

/// How an incarnation ended.
#[derive(Debug, Clone, Deserialize)]
pub struct Exit {
    /// Which one.
    pub uniqid: String,
    /// `exited`, `killed`, `crashed`, `poweroff`, `rebooted`, `halted`, `shutdown` or `unknown`.
    pub how: String,
    /// Init's exit status.
    #[serde(default)]
    pub status: Option<i32>,
    /// The signal that killed init.
    #[serde(default)]
    pub signal: Option<i32>,
    /// How often init had been started again before.
    #[serde(default)]
    pub restarts: u32,
}

impl Status {
    /// The incarnation's name. Panics below ready.
    #[track_caller]
    #[must_use]
    pub fn incarnation(&self) -> String {
        self.uniqid
            .clone()
            .unwrap_or_else(|| panic!("a zone that is {} must have a uniqid: {self:?}", self.state))
    }

    /// PID 1. Panics below ready.
    #[track_caller]
    #[must_use]
    pub fn pid1(&self) -> i32 {
        self.pid.unwrap_or_else(|| panic!("a zone that is {} must have a PID 1: {self:?}", self.state))
    }
}

//! What the door says about a zone: status, results, progress, events.
//!
//! The shapes are those of `org.zones.zoneadmd.varlink`; the field names are the wire's.

use serde::{Deserialize, Serialize};

use crate::{Operation, State, Uniqid};

/// One finished step of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The step's name.
    pub name: String,
    /// How long it took, in microseconds.
    pub usec: u64,
}

/// What a running operation does now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The step that has just begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// A sentence for the person who waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How an incarnation of a zone came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Init returned a status.
    Exited,
    /// Init died by a signal.
    Killed,
    /// Reboot was called inside the zone.
    Reboot,
    /// Halt or poweroff was called inside the zone.
    Halt,
    /// An administrator halted or rebooted it from outside.
    Admin,
    /// Nobody was there to see it: the keeper of the zone was killed.
    Lost,
}

/// How and when an incarnation of a zone ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Which incarnation.
    pub uniqid: Uniqid,
    /// How it ended.
    pub how: How,
    /// Init's exit status, with [`How::Exited`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// The signal's number, with [`How::Killed`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Seconds since the Unix epoch.
    pub when: i64,
    /// How often init had been started again when this incarnation ended.
    pub restarts: u32,
}

/// Somebody attached to the zone's console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Console {
    /// The client's process, as the kernel told it.
    pub pid: i32,
    /// The client's user, as the kernel told it.
    pub uid: u32,
    /// Seconds since the Unix epoch.
    pub since: i64,
    /// Whether the client only watches.
    pub read_only: bool,
}

/// Everything the daemon tells about its zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The zone's name.
    pub zone: String,
    /// Its state.
    pub state: State,
    /// The present incarnation; none below ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uniqid: Option<Uniqid>,
    /// The zone's uuid from the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// The brand's name.
    pub brand: String,
    /// The zonepath; the zone's root is `root` below it.
    pub zonepath: String,
    /// PID 1 of the zone as the global zone sees it; none below ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// When the zone entered its state, in seconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// How often init has been started again since the zone was booted.
    pub restarts: u32,
    /// The operation that runs now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// The step at which it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// How the incarnation before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<Exit>,
    /// Who is attached to the console.
    pub consoles: Vec<Console>,
}

/// What an operation that succeeded has to say. The interface file calls it `Result`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpResult {
    /// For the person who asked, in the order they arose, without the `zone 'NAME': ` before them.
    pub messages: Vec<String>,
    /// Where the time went, in the order of the steps.
    pub timings: Vec<Step>,
    /// The zone's state afterwards.
    pub state: State,
}

/// Something that happened to the zone, as `Monitor` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The zone entered a state. Also the first event of every stream: the state at that moment.
    State {
        /// The state entered.
        state: State,
        /// The incarnation it belongs to; none below ready.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uniqid: Option<Uniqid>,
    },
    /// An operation began a step.
    Step {
        /// The operation.
        operation: Operation,
        /// The step's name.
        step: String,
    },
    /// A notice as the console shows it, without its brackets.
    Notice {
        /// The notice.
        text: String,
    },
    /// An incarnation ended.
    Exit {
        /// How.
        exit: Exit,
    },
    /// This reader was too slow and missed events.
    Lost {
        /// How many.
        count: u64,
    },
}

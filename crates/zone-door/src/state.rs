//! The states of a zone and the operations that lead from one to another.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A zone's state, in the reference's order and with its names.
///
/// The order carries meaning: a zone below [`State::Ready`] has no processes, no namespaces and no mounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A configuration exists, nothing else.
    Configured,
    /// An install or uninstall was begun and did not finish.
    Incomplete,
    /// The root file system is there.
    Installed,
    /// The virtual platform is up; PID 1 waits and has not become init yet.
    Ready,
    /// Init was started.
    Running,
    /// The zone is on its way down, its processes are being ended.
    ShuttingDown,
    /// No process is left, the virtual platform is not dismantled yet.
    Down,
}

impl State {
    /// The name as `zoneadm list` prints it and as the door sends it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Incomplete => "incomplete",
            Self::Installed => "installed",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::ShuttingDown => "shutting_down",
            Self::Down => "down",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What the daemon can be asked to do with its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Bring the virtual platform up.
    Ready,
    /// Start init, after making the zone ready if it is not.
    Boot,
    /// Halt and boot.
    Reboot,
    /// End the zone at once.
    Halt,
    /// Let the zone's init end it, within a time limit.
    Shutdown,
    /// Tell the console that the zone is being uninstalled.
    NoteUninstalling,
}

impl Operation {
    /// The name as messages and the door spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Boot => "boot",
            Self::Reboot => "reboot",
            Self::Halt => "halt",
            Self::Shutdown => "shutdown",
            Self::NoteUninstalling => "note_uninstalling",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_and_sent_names_are_the_same() {
        use State::*;
        for state in [Configured, Incomplete, Installed, Ready, Running, ShuttingDown, Down] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.to_string());
        }
        for operation in [
            Operation::Ready,
            Operation::Boot,
            Operation::Reboot,
            Operation::Halt,
            Operation::Shutdown,
            Operation::NoteUninstalling,
        ] {
            assert_eq!(serde_json::to_value(operation).unwrap(), operation.to_string());
        }
    }
}

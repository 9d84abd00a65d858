//! The operations that lead a zone from one state to another.

use std::fmt;

use serde::{Deserialize, Serialize};

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
    /// Give a zone that is up what is configured by now.
    Apply,
}

impl Operation {
    /// All of them, in the order of the interface file.
    pub const ALL: [Self; 7] = [
        Self::Ready,
        Self::Boot,
        Self::Reboot,
        Self::Halt,
        Self::Shutdown,
        Self::NoteUninstalling,
        Self::Apply,
    ];

    /// The name as messages and the door spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Boot => "boot",
            Self::Reboot => "reboot",
            Self::Halt => "halt",
            Self::Shutdown => "shutdown",
            Self::NoteUninstalling => "note_uninstalling",
            Self::Apply => "apply",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

//! The states of a zone.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How far a zone has come. The order is that of zones(7) and is relied upon: a state below
/// [`State::Ready`] means that nothing of the zone is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Described, nothing installed.
    Configured,
    /// An install or uninstall is under way or was interrupted.
    Incomplete,
    /// A root exists, nothing runs.
    Installed,
    /// The virtual platform is up, PID 1 waits before its exec.
    Ready,
    /// PID 1 runs.
    Running,
    /// The zone's processes are being ended.
    ShuttingDown,
    /// Everything has ended, the platform is not yet undone.
    Down,
}

/// A text that is not the name of a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a zone state; there are configured, incomplete, installed, ready, running, shutting_down, down"
)]
pub struct StateError(pub String);

impl State {
    /// All states, in order.
    pub const ALL: [Self; 7] = [
        Self::Configured,
        Self::Incomplete,
        Self::Installed,
        Self::Ready,
        Self::Running,
        Self::ShuttingDown,
        Self::Down,
    ];

    /// The word users see.
    pub fn as_str(self) -> &'static str {
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

    /// Whether the index file may hold it; the states from ready on are never stored, only derived.
    pub fn is_stored(self) -> bool {
        self < Self::Ready
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for State {
    type Err = StateError;

    fn from_str(text: &str) -> Result<Self, StateError> {
        Self::ALL.into_iter().find(|s| s.as_str() == text).ok_or_else(|| StateError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_order() {
        assert!(State::ALL.is_sorted());
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
            assert_eq!(format!("{state:<14}|"), format!("{:<14}|", state.as_str()));
        }
        assert!("Running".parse::<State>().is_err());
        assert_eq!(State::ALL.into_iter().filter(|s| s.is_stored()).count(), 3);
    }
}

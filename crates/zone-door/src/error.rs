//! What the daemon answers when it does not do what it was asked.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Operation, State, Uniqid};

/// A typed refusal or failure, one of the errors of `org.zones.zoneadmd`.
///
/// It crosses the door as its name and its parameters; the text is rendered beside them, for clients that are
/// not ours. Use the constructors, they know the texts.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(tag = "error", content = "parameters")]
pub enum DoorError {
    /// The zone is in a state in which the operation makes no sense.
    #[error("{message}")]
    #[serde(rename = "org.zones.zoneadmd.InvalidState")]
    InvalidState {
        /// What was asked.
        operation: Operation,
        /// The state the zone is in.
        state: State,
        /// What to show a person, in words.
        message: String,
    },
    /// The operation was tried and failed.
    #[error("{}", messages.join("\n"))]
    #[serde(rename = "org.zones.zoneadmd.Failed")]
    Failed {
        /// In the order they arose; the last one says at what it failed.
        messages: Vec<String>,
    },
    /// Another operation has to end first.
    #[error("{message}")]
    #[serde(rename = "org.zones.zoneadmd.Busy")]
    Busy {
        /// The operation that runs.
        operation: Operation,
        /// The step at which it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
        /// What to show a person, in words.
        message: String,
    },
    /// This daemon is about to exit; another one has to be started.
    #[error("this zoneadmd is about to exit")]
    #[serde(rename = "org.zones.zoneadmd.Dying")]
    Dying {},
    /// The caller may not do this.
    #[error("{message}")]
    #[serde(rename = "org.zones.zoneadmd.NotAuthorized")]
    NotAuthorized {
        /// What to show a person, in words.
        message: String,
    },
    /// The request was meant for an earlier incarnation of the zone.
    #[error("{message}")]
    #[serde(rename = "org.zones.zoneadmd.StaleUniqid")]
    StaleUniqid {
        /// The present incarnation, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected: Option<Uniqid>,
        /// The incarnation the request was meant for.
        given: Uniqid,
        /// What to show a person, in words.
        message: String,
    },
    /// The boot arguments are longer than the reference's buffer.
    #[error("{message}")]
    #[serde(rename = "org.zones.zoneadmd.BootArgsTooLong")]
    BootArgsTooLong {
        /// What to show a person, in words.
        message: String,
    },
}

impl DoorError {
    /// The operation is not possible in this state.
    #[must_use]
    pub fn invalid_state(operation: Operation, state: State) -> Self {
        let message = format!("{operation} operation is invalid for zones in state '{state}'");
        Self::InvalidState { operation, state, message }
    }

    /// The operation failed with these messages, the decisive one last.
    #[must_use]
    pub fn failed(messages: Vec<String>) -> Self {
        Self::Failed { messages }
    }

    /// Another operation runs and is at this step.
    #[must_use]
    pub fn busy(operation: Operation, step: Option<String>) -> Self {
        let message = match &step {
            Some(step) => format!("{operation} is in progress (now: {step}); try again when it has ended"),
            None => format!("{operation} is in progress; try again when it has ended"),
        };
        Self::Busy { operation, step, message }
    }

    /// The caller is nobody whom the daemon obeys.
    #[must_use]
    pub fn not_authorized(message: impl Into<String>) -> Self {
        Self::NotAuthorized { message: message.into() }
    }

    /// The request names another incarnation than the present one.
    #[must_use]
    pub fn stale_uniqid(expected: Option<Uniqid>, given: Uniqid) -> Self {
        let message = match expected {
            Some(now) => format!("the request was meant for incarnation {given}, the zone is now {now}"),
            None => format!("the request was meant for incarnation {given}, which has ended"),
        };
        Self::StaleUniqid { expected, given, message }
    }

    /// The boot arguments do not fit.
    #[must_use]
    pub fn boot_args_too_long() -> Self {
        Self::BootArgsTooLong { message: "boot argument string too long".to_owned() }
    }

    /// Puts what is shown to people into other words.
    #[must_use]
    pub fn worded(mut self, mut words: impl FnMut(&str) -> String) -> Self {
        match &mut self {
            Self::InvalidState { message, .. }
            | Self::Busy { message, .. }
            | Self::NotAuthorized { message }
            | Self::StaleUniqid { message, .. }
            | Self::BootArgsTooLong { message } => *message = words(message),
            Self::Failed { messages } => {
                messages.iter_mut().for_each(|message| *message = words(message));
            }
            Self::Dying {} => {}
        }
        self
    }

    /// The texts to print, one line each, without the `zone 'NAME': ` before them.
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        match self {
            Self::Failed { messages } => messages.clone(),
            other => vec![other.to_string()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_cross_the_wire_under_their_interface_names() {
        let errors = [
            DoorError::invalid_state(Operation::Reboot, State::Installed),
            DoorError::failed(vec!["unable to boot zone".into()]),
            DoorError::busy(Operation::Boot, Some("mount root".into())),
            DoorError::Dying {},
            DoorError::not_authorized("no"),
            DoorError::stale_uniqid(Some(Uniqid(2)), Uniqid(1)),
            DoorError::boot_args_too_long(),
        ];
        for error in errors {
            let wire = serde_json::to_string(&error).unwrap();
            let name = wire.split('"').nth(3).unwrap();
            let member = name.strip_prefix("org.zones.zoneadmd.").unwrap();
            assert!(crate::INTERFACE_DESCRIPTION.contains(&format!("\nerror {member}(")), "{member}");
            assert_eq!(serde_json::from_str::<DoorError>(&wire).unwrap(), error);
        }
    }

    #[test]
    fn texts_are_the_references() {
        assert_eq!(
            DoorError::invalid_state(Operation::Shutdown, State::Ready).to_string(),
            "shutdown operation is invalid for zones in state 'ready'"
        );
    }
}

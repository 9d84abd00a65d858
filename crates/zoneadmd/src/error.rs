//! Why an operation came to nothing.

use crate::blocking::NoResult;
use crate::external::ExternalError;
use std::fmt;
use std::process::ExitStatus;
use zsched::client::ClientError;
use zsched::wire::End;

/// Why an operation came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpError {
    #[error(transparent)]
    Engine(#[from] zone_engine::Error),
    #[error("the zone was halted meanwhile; it is not booted")]
    Halted,
    #[error("unable to shutdown zone")]
    Shutdown(#[from] NotAsked),
    #[error(transparent)]
    Internal(#[from] NoResult),
    #[error("init {init} {end} as soon as it was started; 'zoneadm list -v' tells what becomes of the zone")]
    InitDied { init: String, end: InitEnd },
}

impl From<ClientError> for OpError {
    fn from(error: ClientError) -> Self {
        Self::Engine(error.into())
    }
}

impl OpError {
    /// Whether processes that would not die are all that is wrong.
    pub(crate) fn is_stuck(&self) -> bool {
        matches!(self, Self::Engine(error) if error.is_stuck())
    }
}

/// Why init was not asked to shut the zone down.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAsked {
    #[error("init could not be asked within {0} seconds")]
    Late(u64),
    #[error("could not signal init")]
    Signal(#[source] zone_sys::Error),
    #[error("could not run '{command}' in the zone")]
    Command { command: String, source: CommandFailed },
}

/// Why a command in the zone did not do what it was for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandFailed {
    #[error(transparent)]
    External(#[from] ExternalError),
    /// `stderr` is free of control characters.
    #[error("{status}: {stderr}")]
    Status { status: ExitStatus, stderr: String },
}

/// How an init ended that did not last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InitEnd(pub(crate) Option<End>);

impl fmt::Display for InitEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(End::Exited(status)) => write!(f, "exited with status {status}"),
            Some(End::Killed(signal)) => write!(f, "was killed by signal {signal}"),
            None => f.write_str("ended"),
        }
    }
}

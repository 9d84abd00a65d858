//! Why a request to zsched came to nothing.

use crate::wire::{Failure, PROTOCOL, Stage};
use rustix::io::Errno;
use thiserror::Error;

/// Why a request to zsched came to nothing.
#[derive(Debug, Error)]
pub enum ClientError {
    /// There is no zsched for this zone.
    #[error("zsched is not running")]
    NotRunning,
    /// It did not answer, or the socket failed; which call failed and why is the source.
    #[error("could not speak with zsched")]
    Io(#[source] zone_sys::Error),
    /// It took the time that a request may take, and said nothing.
    #[error("zsched does not answer: it hangs, or has no memory to accept a connection")]
    Silent,
    /// The same, since a signal has stopped it.
    #[error("zsched, process {pid}, is stopped and answers nobody: 'kill -CONT {pid}' lets it go on")]
    Stopped {
        /// Its number.
        pid: i32,
    },
    /// It lives, but this connection to it has ended. Whether it carried out what was asked last is not known.
    #[error("the connection to zsched broke, which is still running")]
    Broken,
    /// It answered something that is no answer.
    #[error("zsched gave an answer that makes no sense")]
    Protocol,
    /// It speaks only protocols that are older than what is asked for.
    #[error(
        "zone '{zone}' is kept by a zsched that speaks protocol {speaks}, and this takes protocol {needed}: halt the \
         zone and boot it again, which gives it a new one"
    )]
    TooOld {
        /// Whose it is.
        zone: String,
        /// The protocol that it speaks.
        speaks: u8,
        /// The protocol that the request needs.
        needed: u8,
    },
    /// It no longer speaks the protocols of this program.
    #[error(
        "zone '{zone}' is kept by a zsched that speaks protocols {oldest} to {speaks}, and this program no more than \
         {PROTOCOL}: use the programs that the zone was booted with, or newer ones"
    )]
    TooNew {
        /// Whose it is.
        zone: String,
        /// The oldest protocol that it speaks.
        oldest: u8,
        /// The newest protocol that it speaks.
        speaks: u8,
    },
    /// It refused or failed.
    #[error("{}", failure.stage.text())]
    Refused {
        /// At which point and why.
        failure: Failure,
        /// What the kernel said to zsched.
        #[source]
        errno: Errno,
    },
}

impl ClientError {
    /// Whether zsched serves as many connections as it can, each of which lasts a moment: another one in a moment may fare
    /// better.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        matches!(
            self,
            Self::Refused { failure: Failure { stage: Stage::Accept, errno: Errno::USERS, .. }, .. }
        )
    }

    /// Whether it says all there is to say: there is no zsched, or it was heard and has refused.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::NotRunning) || matches!(self, Self::Refused { .. }) && !self.is_unserved()
    }

    /// Whether zsched lives and does not serve this connection: another one would fare no better.
    #[must_use]
    pub fn is_unserved(&self) -> bool {
        matches!(self, Self::Silent | Self::Stopped { .. })
            || matches!(self, Self::Refused { failure, .. } if failure.stage == Stage::Accept)
    }
}

/// The result of a request.
pub type Result<T> = std::result::Result<T, ClientError>;

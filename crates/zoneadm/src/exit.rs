//! How the program ends.

use std::process::ExitCode;

/// The exit status of `zoneadm`; zoneadm(8) has no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// What was asked for is so, by this run or already before it.
    Ok = 0,
    /// It is not so; standard error says why.
    Error = 1,
    /// The command line says nothing that could be done.
    Usage = 2,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

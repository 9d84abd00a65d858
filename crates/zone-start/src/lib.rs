//! Starting a zone's daemon, for whoever finds none: zoneadm before it calls the door, zlogin before
//! it opens the console.
#![forbid(unsafe_code)]

mod process;
mod retry;
mod start;

pub use process::ProcessError;
pub use retry::{Missed, PATIENCE, Unreached, reach};
pub use start::{StartError, Started, start};
pub use zsched::daemon::CommandLine;

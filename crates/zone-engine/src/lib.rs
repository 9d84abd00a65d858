//! The engine: what brings a zone up, adopts it from whoever died, changes it while it lives, and takes it down.
//!
//! It knows no client. A daemon gives it a [`Zone`], with a zsched that it has found or started ([`keeper`]), and for each
//! operation an [`OperationContext`], by which it is watched and called off. What is on disk meanwhile is the [`journal`] and the
//! snapshot; [`recovery`] says what the next daemon makes of them. zoneadmd is this, and the door, the console, and who may do what when.
//!
//! | module | is |
//! |---|---|
//! | [`keeper`], `unreachable` | a zsched found or started, and those that nobody can reach |
//! | `zone`, `backup`, `kept` | what a daemon holds of a zone and of its zsched |
//! | `retry`, `respawn`, [`handover`] | operations that go on when zsched dies, and how another one gets the zone |
//! | [`orphan`] | a zone that is found without a zsched |
//! | `ready`, `bring_up`, `preflight`, [`bootargs`] | bringing it up |
//! | `apply` | changing it while it lives |
//! | `halt`, [`halting`], `watch`, `network_release` | taking it down |
//! | [`journal`], [`recovery`] | what an operation has written down, and what follows from it |
//! | `context`, `current` | an operation as it is seen from outside |
#![forbid(unsafe_code)]

mod apply;
mod backup;
pub mod bootargs;
mod bring_up;
pub mod clock;
mod context;
mod current;
mod error;
mod halt;
pub mod halting;
pub mod handover;
pub mod journal;
pub mod keeper;
mod keeper_error;
mod kept;
mod network_release;
pub mod orphan;
mod preflight;
mod ready;
pub mod recovery;
pub mod respawn;
mod retry;
pub mod sync;
#[cfg(test)]
mod testing;
mod unreachable;
mod watch;
mod zone;

pub use apply::Given;
pub use backup::KeeperBackup;
pub use context::{Observer, OperationContext, Timing};
pub use current::{Current, GRACE};
pub use error::{Error, NoSnapshot};
pub use keeper_error::{KeeperError, Unreached};
pub use network_release::NetworkRelease;
pub use respawn::Ensured;
pub use zone::Zone;

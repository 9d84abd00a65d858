//! What the tests stand on: a private root, commands, zones, and the look for leftovers.

mod case;
mod command;
mod lab;
mod pty;
pub mod runner;
mod status;
mod wait;
pub mod world;
mod zone;

pub(crate) use case::cases;
pub use case::{Case, Skip, skip};
pub use command::{Command, Ran, Running};
pub use lab::{Lab, LabSpec};
pub use pty::Terminal;
pub use status::{Exit, Status};
pub use wait::until;
pub use zone::Zone;

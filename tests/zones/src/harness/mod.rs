//! What the tests stand on: a private root, commands, zones, and the look for leftovers.

mod case;
mod command;
pub mod dead;
mod failpoint;
mod heard;
pub mod init;
pub mod inject;
pub mod journal_fs;
mod lab;
pub mod namespaces;
pub mod old_kernel;
mod pty;
pub mod runner;
mod status;
pub mod supervisor;
mod sweep;
pub(crate) mod tarball;
mod wait;
mod wire;
pub mod world;
mod zone;

pub(crate) use case::cases;
pub use case::{Case, Skip, Turn, skip};
pub use command::{Command, Ran, Running};
pub use failpoint::{Point, is_crash, is_error, need_failpoints};
pub use lab::{Lab, LabSpec};
pub(crate) use lab::{make_dir, read, set_mode, write, write_program};
pub use pty::Terminal;
pub use status::{Attached, Exit, Status};
pub use sweep::{Identity, Place, identity, places};
pub use wait::until;
pub(crate) use wait::within;
pub use wire::Wire;
pub use zone::Zone;
pub(crate) use zone::{kill_and_wait, proc_status, started_at};

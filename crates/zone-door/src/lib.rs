//! The door: how everything talks to `zoneadmd`.
//!
//! A Unix stream socket named [`SOCKET_NAME`] in the zone's run directory, speaking [Varlink]: JSON objects, each
//! ended by a NUL byte. `org.zones.zoneadmd.varlink` beside this crate is the contract and what introspection
//! answers; the types here are its Rust shape.
//!
//! | module | is |
//! |---|---|
//! | [`client`] | the blocking half, for the commands |
//! | [`server`] | the half of the daemon, on a current-thread Tokio runtime |
//!
//! [Varlink]: https://varlink.org
#![forbid(unsafe_code)]

pub mod client;
mod error;
mod params;
mod request;
pub mod server;
mod service;
mod state;
mod types;
mod uniqid;
mod wire;

pub use client::{CallError, Client};
pub use error::DoorError;
pub use request::Request;
pub use server::{Caller, Handler, Reporter, Server};
pub use service::ServiceError;
pub use state::{Operation, State};
pub use types::{Console, Event, Exit, How, OpResult, Progress, Status, Step};
pub use uniqid::Uniqid;

/// The socket's name in the zone's run directory.
pub const SOCKET_NAME: &str = "door";

/// The interface's name.
pub const INTERFACE: &str = "org.zones.zoneadmd";

/// The interface's description, as introspection answers it.
pub const INTERFACE_DESCRIPTION: &str = include_str!("../org.zones.zoneadmd.varlink");

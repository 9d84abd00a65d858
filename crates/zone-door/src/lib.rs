//! The door: how everything talks to `zoneadmd`.
//!
//! A Unix stream socket named [`SOCKET_NAME`] in the zone's run directory, speaking [Varlink]: JSON objects, each
//! ended by a NUL byte. `org.zones.zoneadmd.varlink` beside this crate is the contract and what introspection
//! answers; the types here are its Rust shape.
//!
//! | module | is |
//! |---|---|
//! | [`client`] | the blocking half, for the commands |
//! | [`access`] | the way in for users who are not root, by zone-access |
//! | [`server`] | the half of the daemon, on a current-thread Tokio runtime |
//!
//! [Varlink]: https://varlink.org
#![forbid(unsafe_code)]

pub mod access;
pub mod client;
mod error;
mod params;
mod request;
pub mod server;
mod service;
mod types;
mod uniqid;
mod wire;

pub use client::{CallError, Client};
pub use error::DoorError;
pub use request::Request;
pub use server::{Handler, Reporter, Server};
pub use service::ServiceError;
pub use types::{
    Console, Event, Exit, Net, OpResult, Progress, Readiness, ReadyBy, ReadyState, Status, Step,
};
pub use uniqid::Uniqid;
pub use wire::{Behalf, MAX_CALL};
/// Who calls, as the kernel tells it: the process that connected, at that time.
pub use zone_audit::Asker as Caller;
pub use zone_config::Operation;
pub use zone_config::State;
pub use zone_config::change::Change;
pub use zone_config::lastexit::How;

/// The socket's name in the zone's run directory.
pub const SOCKET_NAME: &str = zone_config::layout::DOOR;

/// Names the interface in calls and errors.
pub const INTERFACE: &str = "org.zones.zoneadmd";

/// The interface's description, as introspection answers it.
pub const INTERFACE_DESCRIPTION: &str = include_str!("../org.zones.zoneadmd.varlink");

//! The door as its clients see it: a server on a real socket, spoken to by our client, by raw bytes and by the
//! Python package.
// A test's helpers may fail as the test itself may.
#![allow(clippy::unwrap_used)]

mod client;
mod hangup;
mod harness;
mod limits;
mod operations;
mod protocol;
mod python;

//! Links, addresses, routes and neighbours: rtnetlink(7); and sockets that wait for peers: sock_diag(7).
//!
//! What changes something is a [`Request`]: a value that is made without a system call ([`link`], [`bridge`], [`address`],
//! [`route`], [`neighbour`], [`qdisc`]), and that a [`Socket`] sends, several at once if need be. What asks for something is
//! a method of the socket. A socket speaks for the network namespace that it was opened in, for ever: [`Socket::here`] for
//! the thread's, [`Socket::within`] for any other.
//!
//! Requests are composed with the types of `netlink-packet-route`; answers are read attribute by attribute, so that a link of
//! somebody else with an attribute that nobody here has heard of keeps no zone from its network.

pub mod address;
pub mod bridge;
pub mod link;
pub mod namespace;
pub mod neighbour;
pub mod qdisc;
pub mod route;
pub mod sysctl;
pub mod waiting;

pub(crate) mod attributes;
mod error;
mod request;
mod socket;

pub use address::Address;
pub use error::{Cause, Error};
pub use link::{By, Counters, Link};
pub use neighbour::Proxy;
pub use request::Request;
pub use route::Route;
pub use socket::Socket;
pub use waiting::Waiting;

#[cfg(test)]
mod tests;

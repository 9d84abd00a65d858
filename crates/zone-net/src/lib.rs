//! What a zone has of the network, on the host and inside.
//!
//! From what is asked ([`spec`]) follows, with what the host has, what is built ([`interface`]). Links, addresses and
//! routes are made through [`rt`], rules through [`nft`]; both speak netlink to the kernel and start no program.
//! Everything that is made has a name by which it is found again without any memory of it ([`names`]).

pub mod build;
pub mod counters;
pub mod dhcp;
pub mod firewall;
pub mod foreign;
pub mod forwarding;
pub mod guard;
pub mod interface;
pub mod managed;
pub mod names;
pub mod nft;
pub mod plan;
pub mod record;
pub mod resolver;
pub mod rt;
pub mod spec;

#[cfg(test)]
mod lab;
#[cfg(test)]
mod testing;

pub use interface::Interface;
pub use zone_config::net::Mac;

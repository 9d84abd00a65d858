//! The network of a zone: what its configuration asks for, looked at, built and taken down. What it is made of is
//! `zone-net`'s.

mod asked;
mod build;
pub mod dhcp;
mod error;
mod inside;
mod look;
mod publish;
mod tear_down;
mod update;

pub(crate) use asked::asked;
pub(crate) use build::{Begun, begin, bring_up};
pub use error::NetworkError;
pub use inside::retell;
pub(crate) use look::look;
pub use tear_down::release;
pub(crate) use tear_down::tear_down;
pub(crate) use update::update;

//! The zone console: kept output, the line protocol, the relay.
#![forbid(unsafe_code)]

mod error;
pub mod frame;
pub mod ident;
pub mod log;
pub mod notice;
pub mod record;
pub mod sanitize;
pub mod server;
pub mod term;

pub use error::Error;
pub use notice::Notice;
pub use server::{ConsoleServer, Handle, Limits, Setup};
pub use zone_ring as ring;

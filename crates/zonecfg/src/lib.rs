//! `zonecfg`: describe zones, from a command line, a file or a terminal.
//!
//! The language and the table of properties are [`zone_config`]'s. Here is what a session does with them:
//! [`editor`] changes a configuration in memory, [`session`] decides what is saved and when, [`show`] prints it,
//! [`line`](mod@line) reads what a person types and [`mod@complete`] what may follow it, [`import`] reads configurations of illumos and Solaris, [`live`] gives a zone that runs what was edited, [`run`] reads commands from where they come, and [`error`] says what a command can fail of.
#![forbid(unsafe_code)]

pub mod args;
pub mod complete;
pub mod editor;
pub mod error;
pub mod global;
pub mod help;
pub mod import;
pub mod line;
pub mod live;
pub mod run;
pub mod session;
pub mod show;
pub mod talk;
mod tokens;

pub use run::main;

/// The command line, for whoever makes pages and completions of it.
#[must_use]
pub fn command() -> clap::Command {
    <args::Args as clap::CommandFactory>::command()
}

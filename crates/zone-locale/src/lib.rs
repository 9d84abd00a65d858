//! Which language a locale asks for, and what is said in it.
//!
//! The key of a text is its English, as it stands in the source; its translations are in `po/*.po`, which the build makes into a
//! table. Programs write English, and where a message leaves for a person it is put into the language of whoever
//! asked: [`translate()`] for what has been put together, [`help`](mod@help) for command lines, [`Message`] for consoles.
//! What a language has not yet is said in English.
#![forbid(unsafe_code)]

#[cfg(feature = "help")]
pub mod help;
mod locale;
mod notices;
mod table;
pub mod template;
mod translate;

pub use locale::{Language, Locale};
pub use notices::Message;
pub use translate::{exact, here, translate};

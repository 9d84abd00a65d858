//! Which language a locale asks for, and what is said in it.
//!
//! A message is a word of [`Message`], its texts stand side by side in one table, and a [`Locale`] picks
//! one of them. A message that a language has not yet is said in English.
#![forbid(unsafe_code)]

mod catalogue;
mod locale;

pub use catalogue::Message;
pub use locale::{Language, Locale};

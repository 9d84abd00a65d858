//! The zone console: always there, never lost.
//!
//! A zone has one console, from *installed* on and through every boot, and it is a pty. The zone's
//! keeper holds both of its ends and a [ring] in a memfd; the zone's daemon, while there is one,
//! relays between the pty and its clients ([`server`]). The guest is never slowed down by who
//! watches, or by nobody watching.
//!
//! # The wire
//!
//! The socket is a Unix stream socket in a directory that only root may enter. A client sends one
//! line, [`IDENT <pid> <locale> <0|1>`](ident), and gets `OK`, or the process id of whoever has the
//! console (by the kernel's word, not by what that one claimed). From then on bytes go both ways as
//! they are, and `socat` is a client:
//!
//! ```text
//! $ socat -,raw,echo=0 UNIX-CONNECT:/run/zones/web/console
//! IDENT 1 C 0
//! OK
//! ```
//!
//! What the zone goes through is said in between, as a [notice] on a line of its own. Everything
//! else is asked for by options in the line, and a client that asks for none meets exactly Solaris'
//! protocol:
//!
//! * one client holds the console, and any number may `watch`; `steal` takes the holder's place;
//! * `replay=N` begins with output from before;
//! * `frames` keeps output, notices and window sizes apart on the connection ([frame]), and with
//!   `resume=` a client whose daemon was restarted goes on at the very byte where it was.
//!
//! # What is bounded, and what happens at the bound
//!
//! | what | bound | beyond it |
//! |---|---|---|
//! | kept output | 32 KiB of the first and 96 KiB of the newest part, in 196 KiB, by default | the middle goes, and is counted to whoever would read it |
//! | a client that reads slowly | 512 KiB in its socket, and the ring | `[NOTICE: N bytes of output lost]` in its stream |
//! | notices for such a client | 64 | the oldest goes |
//! | input that the guest does not read | 4 KiB, then the client's socket | the client waits; output flows on |
//! | an identification | 4096 bytes, 5 seconds, 16 at a time | dropped |
//! | watchers | 32 | turned away |
//! | the log on disk | 5 files of 1 MiB; 1 MiB at once, then 64 KiB a second | the oldest file goes; what is skipped is counted in the log |
//!
//! # What a terminal risks
//!
//! The guest's bytes reach an attached terminal as they are; that is what a console is, and as with
//! `ssh` or a serial line the guest can draw, ring, retitle and ask the terminal questions. It cannot
//! forge what is *about* it in frames, and notices carry no control characters of anybody. Old output
//! should pass a [filter](sanitize::Filter) first: it may hold questions whose answers would now be
//! typed into the guest. The [log] is shown to terminals as text only.
#![forbid(unsafe_code)]

pub mod client;
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
pub use notice::{InitEnd, Notice};
pub use server::{ConsoleServer, Handle, Limits, Setup};
pub use zone_locale::Locale;
pub use zone_ring as ring;

//! The zones suite: every promise about a live zone, tried on live zones.
//!
//! The programs are tested from outside, as a person or a script would use them: [`harness`] starts
//! them under a private root and looks at what they print, at `zoneadm list --json` and at the
//! kernel. No test knows anything of the crates it tests. [`cases`] holds the tests, a file per
//! subject; a test is a function that takes a [`harness::Lab`] and panics when something is wrong.
//!
//! `cargo xtask test --zones FILTER` runs it; `docs/testing.md` tells more.
#![forbid(unsafe_code)]

pub mod cases;
pub mod harness;
pub mod soak;

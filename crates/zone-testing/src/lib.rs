//! What unit tests need of the machine, and what becomes of those that do not have it.
//!
//! A test that needs root begins with [`needs_root!`]. Run by somebody else it does nothing, and is counted:
//! the test runners know no way for a test to say that it was skipped, so it leaves a line in the file that
//! `ZONES_SKIPS` names, and `cargo xtask test` takes those lines off the number that passed. In `cargo xtask ci`,
//! which sets `ZONES_SKIP_NOTHING`, it fails.
#![forbid(unsafe_code)]

use std::fs::OpenOptions;
use std::io::Write;

/// Ends a test that needs root when it is run by somebody else, and has it counted as skipped.
///
/// The test's function has to return nothing.
#[macro_export]
macro_rules! needs_root {
    () => {
        if !$crate::is_root() {
            return $crate::skip(concat!(file!(), ":", line!()), "needs root");
        }
    };
}

/// Tells whether the caller is root.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Has the test at `place` counted as skipped for `reason`.
///
/// # Panics
/// When nothing may be skipped, or the skip cannot be counted.
pub fn skip(place: &str, reason: &str) {
    assert!(
        std::env::var_os("ZONES_SKIP_NOTHING").is_none(),
        "{place} {reason}, and here nothing may be skipped"
    );
    println!("SKIPPED: {place} {reason}");
    let Some(file) = std::env::var_os("ZONES_SKIPS") else { return };
    // One write, so that the lines of tests that run side by side stay whole.
    let opened = OpenOptions::new().append(true).open(&file);
    let written = opened.and_then(|mut file| file.write_all(format!("{place}: {reason}\n").as_bytes()));
    assert!(written.is_ok(), "{place} {reason}, and that cannot be counted in {}", file.display());
}

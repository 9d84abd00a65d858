//! Nothing, in what is shipped.

use crate::{Errno, Step};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// Nothing.
#[derive(Debug)]
pub struct Promise;

impl Promise {
    /// Nothing.
    #[inline(always)]
    pub const fn keep(self) {}
}

/// Nothing.
#[inline(always)]
pub fn arm(_: &'static str, _: impl FnOnce() -> PathBuf) {}

/// Nothing.
#[inline(always)]
pub const fn arm_as_told(_: &'static str) {}

/// Nothing.
#[inline(always)]
pub const fn become_program(_: &'static str) {}

/// Nothing.
#[inline(always)]
pub const fn pass_on(_: &mut Command) {}

/// Nothing.
#[inline(always)]
pub const fn pass(_: &'static str, _: &str) {}

/// Nothing.
///
/// # Errors
/// None.
#[inline(always)]
pub const fn fail(_: &'static str, _: &str) -> Result<(), Errno> {
    Ok(())
}

/// Nothing.
#[inline(always)]
#[must_use]
pub const fn promise(_: &'static str) -> Promise {
    Promise
}

/// Nothing: there is no such option.
#[inline(always)]
pub fn ask(_: impl FnOnce() -> Vec<Step>) -> Option<ExitCode> {
    None
}

//! The same functions in what is shipped, where there are no failpoints: each of them does nothing.

use crate::{Errno, Step};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// Stands for a point that will be passed later, and holds nothing.
#[derive(Debug)]
pub struct Promise;

impl Promise {
    /// Does nothing: the point is not there.
    #[inline(always)]
    pub const fn keep(self) {}
}

/// Does nothing: no orders are read, whatever the directory says.
#[inline(always)]
pub fn arm(_: &'static str, _: impl FnOnce() -> PathBuf) {}

/// Does nothing: no orders are read, whatever the environment says.
#[inline(always)]
pub const fn arm_as_told(_: &'static str) {}

/// Does nothing: no order asks which program this is.
#[inline(always)]
pub const fn become_program(_: &'static str) {}

/// Does nothing: there are no orders to be taken along.
#[inline(always)]
pub const fn take_along(_: &'static str) {}

/// Does nothing: the process that is to be started is told no zone.
#[inline(always)]
pub const fn pass_on(_: &mut Command) {}

/// Does nothing: a point is always passed.
#[inline(always)]
pub const fn pass(_: &'static str, _: &str) {}

/// Does nothing: no call is made to fail.
///
/// # Errors
/// There is none; the form is that of the function that can fail.
#[inline(always)]
pub const fn fail(_: &'static str, _: &str) -> Result<(), Errno> {
    Ok(())
}

/// Gives a promise that is kept by doing nothing.
#[inline(always)]
#[must_use]
pub const fn promise(_: &'static str) -> Promise {
    Promise
}

/// Prints nothing: there is no option `--failpoints`.
#[inline(always)]
pub fn ask(_: impl FnOnce() -> Vec<Step>) -> Option<ExitCode> {
    None
}

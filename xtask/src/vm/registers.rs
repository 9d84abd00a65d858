//! What User-Mode Linux needs on a processor whose registers are wider than it can keep: see `guest/ptrace.c`.

use crate::sh;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// Compiles into a machine's folder what its kernel loads first (`guest/uml.sh`).
pub(super) fn library(dir: &Path) -> Result<()> {
    let source = dir.join("ptrace.c");
    std::fs::write(&source, include_str!("guest/ptrace.c")).context("what a machine loads")?;
    let library = dir.join("ptrace.so");
    sh::run(Command::new("cc").args(["-shared", "-fPIC", "-O2", "-o"]).arg(library).arg(source))
}

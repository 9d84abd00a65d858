//! One test in namespaces of its own, and the look for what it left.
//!
//! The supervisor is the child of process 1 of the test's PID namespace. It starts the test in a third process, so
//! that a test that hangs or aborts still gets its verdict and its look.

use super::command::wait_child;
use super::wait::{stretched, within};
use super::world::{World, sweep};
use super::{Case, Lab, LabSpec, Skip};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

/// The exit status by which a test's process says that it skipped.
const SKIPPED: u8 = 77;
/// How long what a test started may take to go away after it.
const SETTLE: Duration = Duration::from_secs(8);
/// How many bytes of a log are shown: a console may have been flooded.
const SHOWN: usize = 16 * 1024;

/// How a test went.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Verdict {
    /// It held.
    Passed,
    /// It did not: what it printed, and what was wrong.
    Failed(String),
    /// It was not tried, for this reason.
    Skipped(String),
}

/// The file beside a test's folder that has its verdict.
pub(super) fn verdict_file(dir: &Path) -> PathBuf {
    beside(dir, "verdict")
}

/// The file beside a test's folder that has what it printed.
pub(super) fn log_file(dir: &Path) -> PathBuf {
    beside(dir, "log")
}

fn beside(dir: &Path, extension: &str) -> PathBuf {
    PathBuf::from(format!("{}.{extension}", dir.display()))
}

/// Runs a test in this process. How it went is the exit status, what was wrong is on standard error.
#[must_use]
pub fn run_here(case: &Case, spec: LabSpec) -> ExitCode {
    let dir = spec.dir.clone();
    let lab = Lab::new(spec);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        (case.run)(&lab);
        lab.finish();
    }));
    let Err(thrown) = outcome else { return ExitCode::SUCCESS };
    if let Some(Skip(reason)) = thrown.downcast_ref() {
        lab.finish();
        return match fs::write(dir.join("skipped"), reason) {
            Ok(()) => ExitCode::from(SKIPPED),
            Err(_) => ExitCode::FAILURE,
        };
    }
    print_logs(&lab.root().join("var/log/zones"));
    lab.abandon();
    ExitCode::FAILURE
}

/// A panic that only carries a [`Skip`] is no news; all others are printed as ever.
pub fn quiet_skips() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.payload().is::<Skip>() {
            usual(info);
        }
    }));
}

/// Runs a test in a child of this process, `dir` being its folder, and writes the verdict beside that.
///
/// # Errors
/// When the test cannot be started, or its verdict not be written.
pub fn supervise(case: &Case, spec: &LabSpec, arguments: &[String]) -> io::Result<()> {
    let dir = &spec.dir;
    let spared = [1, std::process::id()];
    let before = World::look(&spared);
    let log = File::create(log_file(dir))?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--one", &case.name(), "--dir"])
        .arg(dir)
        .env("RUST_BACKTRACE", "0")
        .arg("--bin")
        .arg(&spec.bin)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    let status = wait_child(&mut child, stretched(case.limit));
    let mut at = String::new();
    if status.is_none() {
        at = super::stuck::describe(&spared);
        child.kill()?;
        child.wait()?;
    }
    let said = fs::read(log_file(dir)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())?;
    let left = left_since(&before, &spared, dir);
    if !left.is_empty() {
        sweep(&left);
        left_since(&before, &spared, dir);
    }
    let verdict = match status.map(|status| status.code()) {
        None => {
            let limit = stretched(case.limit);
            Verdict::Failed(format!(
                "not done after its limit of {limit:?}; where everybody was:\n{at}{said}"
            ))
        }
        Some(Some(0)) if left.is_empty() => Verdict::Passed,
        Some(Some(0)) => Verdict::Failed(format!("{said}\nit left behind:\n  {}", left.join("\n  "))),
        Some(Some(code)) if code == i32::from(SKIPPED) => {
            Verdict::Skipped(fs::read_to_string(dir.join("skipped"))?)
        }
        Some(_) => Verdict::Failed(said),
    };
    fs::write(verdict_file(dir), serde_json::to_vec(&verdict)?)
}

/// What is there now and was not before, after everything had time to go.
fn left_since(before: &World, spared: &[u32], dir: &Path) -> Vec<String> {
    let mut left = Vec::new();
    within(SETTLE, || {
        left = World::look(spared).since(before, dir);
        left.is_empty().then_some(())
    });
    left
}

/// The end of what the daemons wrote, for the reader of a failure.
fn print_logs(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if let Ok(bytes) = fs::read(entry.path()) {
            eprintln!("--- {}", entry.path().display());
            eprintln!("{}", String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(SHOWN)..]));
        }
    }
}

//! Running the zones suite: building what it tests, its Python, its report.

use crate::arch::Arch;
use crate::count::Count;
use crate::{dist, guests, pages, paths, say, sh};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Selects the suite's cases that are run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Selection {
    /// All cases, in the order of the list.
    All,
    /// Those that need no guest.
    WithoutGuests,
    /// Those that do.
    OnlyGuests,
    /// The short ones of the subjects that everything stands on.
    Core,
}

/// A run of the suite.
pub(crate) struct Suite<'a> {
    /// Which of its tests.
    pub(crate) selection: Selection,
    /// Of these, those whose name contains this.
    pub(crate) filter: Option<&'a str>,
    /// A Python that has the `varlink` package.
    pub(crate) python: Option<&'a Path>,
    /// How many run at the same time, if not as many as there are processors.
    pub(crate) jobs: Option<NonZeroUsize>,
}

/// What the suite writes with `--report`.
#[derive(Deserialize)]
struct Report {
    passed: usize,
    failed: Vec<(String, String)>,
    skipped: Vec<(String, String)>,
    /// What the crash suite and the error suite have done, a line each.
    faults: Vec<String>,
}

/// Builds all programs and runs the suite on them.
pub(crate) fn run(run: &Suite<'_>) -> Result<Count> {
    let place = paths::target().join("zones-suite");
    dist::debug()?;
    let bin = copy_programs(&place)?;
    let report = place.join("report.json");
    let _ = std::fs::remove_file(&report);
    let mut suite = Command::new(bin.join("zones-suite"));
    suite.arg("--dir").arg(&place).arg("--report").arg(&report);
    suite.arg("--guests").arg(guests::place(Arch::here()));
    if let Some(python) = run.python {
        suite.arg("--python").arg(python);
    }
    if let Some(jobs) = run.jobs {
        suite.arg("--jobs").arg(jobs.to_string());
    }
    match run.selection {
        Selection::All => {}
        Selection::WithoutGuests => {
            suite.args(["--except", "guests"]);
        }
        Selection::OnlyGuests => {
            suite.args(["--only", "guests"]);
        }
        Selection::Core => {
            suite.arg("--core");
        }
    }
    suite.args(run.filter);
    let status = sh::status(&mut suite)?;
    let Ok(text) = std::fs::read(&report) else { bail!("the zones suite ended without a report ({status})") };
    let report: Report = serde_json::from_slice(&text).context("the zones suite's report")?;
    for (name, reason) in &report.skipped {
        say::note(&format!("skipped: {name}: {reason}"));
    }
    for (name, why) in &report.failed {
        say::failed(name, why);
    }
    if !report.faults.is_empty() {
        println!();
    }
    report.faults.iter().for_each(|count| println!("{count}"));
    Ok(Count { passed: report.passed, failed: report.failed.len(), skipped: report.skipped.len() })
}

/// The examples of clients that the suite runs.
const EXAMPLES: [&str; 1] = ["examples/life"];

/// Copies the programs, so that a build during the run does not change what is tested.
pub(crate) fn copy_programs(place: &Path) -> Result<PathBuf> {
    let bin = place.join("bin");
    sh::make_dir(&bin)?;
    // The keeper is tested with the C library that it ships with.
    let keeper = dist::keeper(Arch::here(), "dev")?;
    for program in paths::PROGRAMS.iter().chain(&paths::HOST_PROGRAMS).chain(&["zones-suite"]) {
        let to = bin.join(program);
        // A new file: one that is still being executed cannot be written to.
        let _ = std::fs::remove_file(&to);
        let from = keeper.as_ref().filter(|_| *program == dist::KEEPER);
        let from = from.cloned().unwrap_or_else(|| paths::debug().join(program));
        std::fs::copy(from, &to).with_context(|| format!("cannot copy {program}"))?;
    }
    // And with that of all others where its calls are made to fail.
    let with_glibc = bin.join(dist::KEEPER).with_extension("glibc");
    let _ = std::fs::remove_file(&with_glibc);
    if keeper.is_some() {
        std::fs::copy(paths::debug().join(dist::KEEPER), &with_glibc)
            .with_context(|| format!("cannot copy {}", dist::KEEPER))?;
    }
    // What shells complete, as it is installed.
    sh::make_dir(&bin.join("completions"))?;
    pages::completions::write(&bin.join("completions"))?;
    // The examples of clients, by the place that they have where they are built.
    sh::make_dir(&bin.join("examples"))?;
    for example in EXAMPLES {
        let (from, to) = (paths::debug().join(example), bin.join(example));
        // Who copies the programs for something else has not built them.
        let _ = std::fs::remove_file(&to);
        if from.exists() {
            std::fs::copy(from, &to).with_context(|| format!("cannot copy {example}"))?;
        }
    }
    Ok(bin)
}

/// A Python that has the package `varlink`, and beside it `ansible-core`, in an environment of its own below the target folder.
/// `None`, said with its reason, when it cannot be had: the tests that want it are then skipped. Those with Ansible are
/// skipped when that alone cannot be had.
pub(crate) fn python() -> Option<PathBuf> {
    let venv = paths::target().join("venv");
    let python = venv.join("bin/python");
    let has = |package: &str| {
        let mut import = Command::new(&python);
        let import = import.args(["-c", &format!("import {package}")]);
        import.output().is_ok_and(|output| output.status.success())
    };
    if !has("varlink") {
        say::note("The Python package varlink is missing: a client of the door that is not ours");
        let mut make = Command::new("python3");
        make.args(["-m", "venv"]).arg(&venv);
        if !(tried(&mut make) && tried(&mut pip(&python, "varlink")) && has("varlink")) {
            say::note("the tests with it are skipped");
            return None;
        }
    }
    if !has("ansible") {
        say::note("The Python package ansible-core is missing: it manages zones by our plugins");
        if !tried(&mut pip(&python, "ansible-core")) {
            say::note("the tests with it are skipped");
        }
    }
    Some(python)
}

/// The command that installs a package for this Python.
fn pip(python: &Path, package: &str) -> Command {
    let mut install = Command::new(python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]);
    install
}

/// Runs a command that may fail, for a reason that is said.
fn tried(command: &mut Command) -> bool {
    say::command(&sh::line(command));
    let ran = sh::run(command);
    if let Err(e) = &ran {
        say::note(&format!("{e:#}"));
    }
    ran.is_ok()
}

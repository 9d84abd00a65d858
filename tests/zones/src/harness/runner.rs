//! Runs the tests one after another, each in a process of its own, and looks for what each left.

use super::command::wait_child;
use super::failpoint::{self, FAULTS};
use super::wait::within;
use super::world::{World, sweep};
use super::{Case, Lab, LabSpec, Skip};
use std::fs::{self, File};
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// The exit status by which a test's process says that it skipped.
const SKIPPED: u8 = 77;
/// How long what a test started may take to go away after it.
const SETTLE: Duration = Duration::from_secs(8);

/// How the run ended.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many tests held.
    pub passed: usize,
    /// Those that did not.
    pub failed: Vec<String>,
    /// Those that were not tried, with the reason.
    pub skipped: Vec<(String, String)>,
    /// What the crash suite has done, if it was run.
    pub crashes: Option<String>,
}

enum Verdict {
    Passed,
    Failed(String),
    Skipped(String),
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

/// Runs `cases`, each under a directory of its own below `base`, and prints a line for each.
///
/// # Errors
/// When a test cannot even be started.
pub fn run_all(cases: &[Case], base: &Path, spec: &LabSpec, arguments: &[String]) -> io::Result<Tally> {
    let mut tally = Tally::default();
    let _ = fs::remove_file(base.join(FAULTS));
    for case in cases {
        let name = case.name();
        let dir = base.join(name.replace("::", "-"));
        let began = Instant::now();
        let verdict = run_one(case, &dir, spec, arguments)?;
        if failpoint::is_crash(&name) {
            note_run(base, &name)?;
        }
        let took = format!("[{:7.3}s]", began.elapsed().as_secs_f64());
        match verdict {
            Verdict::Passed => {
                println!("        PASS {took} {name}");
                tally.passed += 1;
            }
            Verdict::Skipped(reason) => {
                println!("        SKIP {took} {name}: {reason}");
                tally.skipped.push((name, reason));
            }
            Verdict::Failed(why) => {
                println!("        FAIL {took} {name}");
                why.lines().for_each(|line| println!("             {line}"));
                tally.failed.push(name);
            }
        }
    }
    tally.crashes = failpoint::count(base, &spec.bin);
    Ok(tally)
}

fn note_run(base: &Path, name: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(base.join(FAULTS))?;
    file.write_all(format!("ran {name}\n").as_bytes())
}

fn run_one(case: &Case, dir: &Path, spec: &LabSpec, arguments: &[String]) -> io::Result<Verdict> {
    clear(dir)?;
    fs::create_dir_all(dir)?;
    let spared = [1, std::process::id()];
    let before = World::look(&spared);
    let log_path = PathBuf::from(format!("{}.log", dir.display()));
    let log = File::create(&log_path)?;
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
    let status = wait_child(&mut child, case.limit);
    if status.is_none() {
        child.kill()?;
        child.wait()?;
    }
    let said = fs::read(&log_path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())?;
    let left = left_since(&before, &spared, dir);
    if !left.is_empty() {
        sweep(&left);
        left_since(&before, &spared, dir);
    }
    let verdict = match status.map(|status| status.code()) {
        None => Verdict::Failed(format!("{said}\nnot done after its limit of {:?}", case.limit)),
        Some(Some(0)) if left.is_empty() => Verdict::Passed,
        Some(Some(0)) => Verdict::Failed(format!("{said}\nit left behind:\n  {}", left.join("\n  "))),
        Some(Some(code)) if code == i32::from(SKIPPED) => {
            Verdict::Skipped(fs::read_to_string(dir.join("skipped"))?)
        }
        Some(_) => Verdict::Failed(said),
    };
    clear(dir)?;
    if !matches!(verdict, Verdict::Failed(_)) {
        fs::remove_file(&log_path)?;
    }
    Ok(verdict)
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

fn clear(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// What the daemons wrote, for the reader of a failure.
fn print_logs(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if let Ok(bytes) = fs::read(entry.path()) {
            eprintln!("--- {}", entry.path().display());
            eprintln!("{}", String::from_utf8_lossy(&bytes));
        }
    }
}

//! A process that does what is measured and takes the time of it.
//!
//! It is a process of its own for two reasons: it is small, so that forking it costs what forking
//! a small program costs, and it can be started in a mount namespace that suits what it runs.

use super::floor::Floor;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

/// What a worker is asked to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Job {
    /// Start the minimal container: this root, this init, in this cgroup directory if there is one, with a net on this
    /// bridge if there is one.
    FloorStart { root: PathBuf, init: String, cgroup: Option<PathBuf>, bridge: Option<String> },
    /// Stop it.
    FloorStop,
    /// Run a command to its end. Its output is waited for only if it is wanted: a manager that
    /// stays in the background may keep the pipe.
    Run { words: Vec<String>, wanted: bool },
}

/// What became of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done {
    /// How long it took, in microseconds.
    pub(super) usec: u64,
    /// Why it failed, if it did.
    pub(super) error: Option<String>,
    /// What it printed, if that was wanted.
    pub(super) output: String,
}

/// The worker's end: answers each line on standard input with a line on standard output.
pub(super) fn serve() -> Result<()> {
    let mut floor = None;
    for line in stdin().lock().lines() {
        let job: Job = serde_json::from_str(&line?)?;
        let began = Instant::now();
        let outcome = perform(&job, &mut floor);
        let usec = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let (error, output) = match outcome {
            Ok(output) => (None, output),
            Err(e) => (Some(format!("{e:#}")), String::new()),
        };
        let mut out = stdout().lock();
        writeln!(out, "{}", serde_json::to_string(&Done { usec, error, output })?)?;
        out.flush()?;
    }
    Ok(())
}

fn perform(job: &Job, floor: &mut Option<Floor>) -> Result<String> {
    match job {
        Job::FloorStart { root, init, cgroup, bridge } => {
            *floor = Some(Floor::start(root, init, cgroup.as_deref(), bridge.as_deref())?);
        }
        Job::FloorStop => floor.take().context("nothing was started")?.stop()?,
        Job::Run { words, wanted } => return command(words, *wanted),
    }
    Ok(String::new())
}

fn command(words: &[String], wanted: bool) -> Result<String> {
    let [program, args @ ..] = words else { bail!("no program") };
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stderr(Stdio::null());
    if wanted {
        let output = command.output().with_context(|| format!("cannot start {program}"))?;
        if !output.status.success() {
            bail!("{} failed ({})", words.join(" "), output.status);
        }
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let status = command.stdout(Stdio::null()).status().with_context(|| format!("cannot start {program}"))?;
    if !status.success() {
        bail!("{} failed ({status})", words.join(" "));
    }
    Ok(String::new())
}

/// The other end: a worker that was started.
pub(super) struct Worker {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts one, as `prelude` says: words that are followed by the worker's own command line.
    pub(super) fn start(prelude: &[&str], envs: &[(&str, &str)]) -> Result<Self> {
        let here = std::env::current_exe()?;
        let mut command = match prelude {
            [program, args @ ..] => {
                let mut command = Command::new(program);
                command.args(args).arg(here);
                command
            }
            [] => Command::new(here),
        };
        command.args(["bench", "worker"]).envs(envs.iter().copied());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot start a worker")?;
        let to = child.stdin.take();
        let from = BufReader::new(child.stdout.take().context("the worker has no output")?);
        Ok(Self { child, to, from })
    }

    /// Has a job done.
    pub(super) fn ask(&mut self, job: &Job) -> Result<Done> {
        let to = self.to.as_mut().context("the worker has no input")?;
        writeln!(to, "{}", serde_json::to_string(job)?)?;
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        serde_json::from_str(&line).context("the worker ended")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.to = None;
        let _ = self.child.wait();
    }
}

//! A process that does what is measured and takes the time of it.
//!
//! It is a process of its own for two reasons: it is small, so that forking it costs what forking
//! a small program costs, and it can be started in a mount namespace that suits what it runs.

use super::floor::Floor;
use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write, stdin, stdout};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Instant;

/// What a worker is asked to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Job {
    /// Start the minimal container: this root, this init, in this cgroup directory if there is one, with a net on this
    /// bridge if there is one.
    FloorStart { root: PathBuf, init: String, cgroup: Option<PathBuf>, bridge: Option<String> },
    /// Stop it.
    FloorStop,
    /// Write into files, one after another.
    Write { files: Vec<(PathBuf, String)> },
    /// Run a command to its end. Its output is waited for only if it is wanted: a manager that
    /// stays in the background may keep the pipe.
    Run { words: Vec<String>, wanted: bool },
    /// Start a command that stays, until it has printed something.
    Attend { words: Vec<String> },
    /// End what stays, and wait for that.
    Dismiss,
}

/// What became of it.
#[derive(Debug, Serialize, Deserialize)]
struct Done {
    /// How long it took, in microseconds.
    usec: u64,
    /// Why it failed, if it did.
    error: Option<String>,
    /// What it printed, if that was wanted.
    output: String,
}

/// The worker's end: answers each line on standard input with a line on standard output.
pub(super) fn serve() -> Result<()> {
    let mut state = State { floor: None, attended: None, errors: tempfile::tempfile()? };
    for line in stdin().lock().lines() {
        let job: Job = serde_json::from_str(&line?)?;
        let began = Instant::now();
        let outcome = perform(&job, &mut state);
        let usec = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let (error, output) = match outcome {
            Ok(output) => (None, output),
            Err(e) => (Some(format!("{e:#}")), String::new()),
        };
        let mut out = stdout().lock();
        writeln!(out, "{}", serde_json::to_string(&Done { usec, error, output })?)?;
        out.flush()?;
    }
    state.end()
}

/// What a worker has started, and where commands say why they fail.
struct State {
    floor: Option<Floor>,
    attended: Option<Child>,
    errors: File,
}

impl State {
    /// Ends what has been started and not been ended, when nobody is there to ask for it any more.
    fn end(mut self) -> Result<()> {
        if let Some(floor) = self.floor.take() {
            floor.stop()?;
        }
        if self.attended.is_some() {
            perform(&Job::Dismiss, &mut self)?;
        }
        Ok(())
    }
}

fn perform(job: &Job, state: &mut State) -> Result<String> {
    match job {
        Job::FloorStart { root, init, cgroup, bridge } => {
            state.floor = Some(Floor::start(root, init, cgroup.as_deref(), bridge.as_deref())?);
        }
        Job::FloorStop => state.floor.take().context("nothing was started")?.stop()?,
        Job::Write { files } => {
            for (path, text) in files {
                std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
        Job::Run { words, wanted } => return run(words, *wanted, &mut state.errors),
        Job::Attend { words } => {
            let mut child = command(words, &state.errors)?.stdout(Stdio::piped()).spawn()?;
            let mut first = [0];
            let read = child.stdout.as_mut().map_or(Ok(0), |out| out.read(&mut first))?;
            if read == 0 {
                let status = child.wait()?;
                bail!("{}", why(words, status, &mut state.errors));
            }
            state.attended = Some(child);
        }
        Job::Dismiss => {
            let mut child = state.attended.take().context("nothing was started")?;
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("no process id")?;
            kill_process(pid, Signal::TERM)?;
            child.wait()?;
        }
    }
    Ok(String::new())
}

/// A command whose complaints are kept in a file: one that stays in the background may keep a pipe.
fn command(words: &[String], errors: &File) -> Result<Command> {
    let [program, args @ ..] = words else { bail!("no program") };
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stderr(errors.try_clone()?);
    Ok(command)
}

fn run(words: &[String], wanted: bool, errors: &mut File) -> Result<String> {
    let mut command = command(words, errors)?;
    let cannot = || format!("cannot start {}", words[0]);
    let (status, output) = if wanted {
        let output = command.stdout(Stdio::piped()).output().with_context(cannot)?;
        (output.status, String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        (command.stdout(Stdio::null()).status().with_context(cannot)?, String::new())
    };
    if !status.success() {
        bail!("{}", why(words, status, errors));
    }
    Ok(output)
}

/// Tells why a command failed, as it has said last, and forgets what was said.
fn why(words: &[String], status: ExitStatus, errors: &mut File) -> String {
    let mut said = String::new();
    let read = errors.rewind().and_then(|()| errors.read_to_string(&mut said));
    let forgotten = errors.set_len(0).and_then(|()| errors.rewind());
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    match read.and(forgotten) {
        Ok(()) if !last.is_empty() => last.trim().to_owned(),
        _ => format!("{} failed ({status})", words.join(" ")),
    }
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
    fn ask(&mut self, job: &Job) -> Result<Done> {
        let to = self.to.as_mut().context("the worker has no input")?;
        writeln!(to, "{}", serde_json::to_string(job)?)?;
        let mut line = String::new();
        // What it starts has its output, and may say an empty line.
        while line.trim().is_empty() {
            line.clear();
            ensure!(self.from.read_line(&mut line)? > 0, "the worker ended");
        }
        serde_json::from_str(&line).context("the worker's answer")
    }

    /// Has a job done; gives its microseconds and its output. The error is what it had to say.
    pub(super) fn has_done(&mut self, job: &Job) -> Result<(u64, String)> {
        let done = self.ask(job)?;
        match done.error {
            Some(why) => bail!("{why}"),
            None => Ok((done.usec, done.output)),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.to = None;
        let _ = self.child.wait();
    }
}

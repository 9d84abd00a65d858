//! Running a program to its end, with a time limit, and asserting on what it said.

use super::wait::{stretched, within};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A command that is going to be run.
pub struct Command {
    inner: std::process::Command,
    stdin: Vec<u8>,
    limit: Duration,
}

impl Command {
    /// `program` in an environment of the suite's own making: `LC_ALL=C`, the usual `PATH`, nothing else.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut inner = std::process::Command::new(program);
        inner.env_clear().env("LC_ALL", "C").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("TERM", "dumb");
        Self { inner, stdin: Vec::new(), limit: Duration::from_secs(45) }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, args: I) -> Self {
        self.inner.args(args);
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.inner.env(name, value);
        self
    }

    /// Runs it in `dir`.
    #[must_use]
    pub fn dir(mut self, dir: &Path) -> Self {
        self.inner.current_dir(dir);
        self
    }

    /// What the program reads. Without this it reads the end of a file at once.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// After this long the program has hung and the test has failed.
    #[must_use]
    pub fn within(mut self, secs: u64) -> Self {
        self.limit = Duration::from_secs(secs);
        self
    }

    /// Runs it to its end.
    #[track_caller]
    #[must_use]
    pub fn run(self) -> Ran {
        self.start().wait()
    }

    /// The same; `None` if there is no such program.
    #[track_caller]
    #[must_use]
    pub fn run_if(self) -> Option<Ran> {
        let program = Path::new(self.inner.get_program());
        let places = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
        let there = program.is_file() || places.iter().any(|dir| Path::new(dir).join(program).is_file());
        there.then(|| self.run())
    }

    /// Starts it and does not wait.
    #[track_caller]
    #[must_use]
    pub fn start(mut self) -> Running {
        let line = self.line();
        self.inner.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.inner.spawn().unwrap_or_else(|e| panic!("cannot start `{line}`: {e}"));
        if let Some(mut pipe) = child.stdin.take().filter(|_| !self.stdin.is_empty()) {
            let bytes = self.stdin;
            // A program that does not read must not stop the test; a broken pipe is its right.
            std::thread::spawn(move || pipe.write_all(&bytes));
        }
        let stdout = child.stdout.take().map(collect);
        let stderr = child.stderr.take().map(collect);
        Running { line, child, stdout, stderr, began: Instant::now(), limit: stretched(self.limit) }
    }

    /// The command with its terminal still to be given: for a pty.
    pub(crate) fn into_parts(self) -> (std::process::Command, String) {
        let line = self.line();
        (self.inner, line)
    }

    fn line(&self) -> String {
        let program = self.inner.get_program().to_string_lossy();
        let name = program.rsplit_once('/').map_or(&*program, |(_, name)| name);
        let words = self.inner.get_args().map(|word| shown(&word.to_string_lossy()));
        std::iter::once(shown(name)).chain(words).collect::<Vec<_>>().join(" ")
    }
}

/// A word, in quotes where a shell would need them and not longer than a reader's patience.
fn shown(word: &str) -> String {
    if word.len() > 2000 {
        return format!("'{}...' ({} bytes)", word.chars().take(60).collect::<String>(), word.len());
    }
    if word.is_empty() || word.contains(|c: char| c.is_whitespace() || "'\"$;&|<>*".contains(c)) {
        format!("'{}'", word.replace('\'', r"'\''"))
    } else {
        word.to_owned()
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        send.send(bytes)
    });
    receive
}

/// How long the end of a child may take to be told to us once it has ended.
const REAPED: Duration = Duration::from_secs(2);

/// Waits for a child by its pidfd. `None` when the time is over.
pub(super) fn wait_child(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw)?;
    if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) {
        let limit = Timespec { tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX), tv_nsec: 0 };
        let _ = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit));
    }
    // A child that is traced is its tracer's first; that hands it on in a moment.
    within(REAPED, || child.try_wait().ok().flatten())
}

/// A program that was started.
pub struct Running {
    line: String,
    child: Child,
    stdout: Option<Receiver<Vec<u8>>>,
    stderr: Option<Receiver<Vec<u8>>>,
    began: Instant,
    limit: Duration,
}

impl Running {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it with SIGKILL, as an impatient person would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// Whether it has ended.
    #[must_use]
    pub fn ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Waits for its end and for the end of what it prints.
    #[track_caller]
    #[must_use]
    pub fn wait(mut self) -> Ran {
        let status = wait_child(&mut self.child, self.limit.saturating_sub(self.began.elapsed()));
        if status.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        // Somebody else may still hold the pipes: a daemon that inherited them would hang every
        // script that reads its starter's output.
        let grace = Duration::from_secs(10);
        let take = |pipe: Option<Receiver<Vec<u8>>>| pipe.and_then(|pipe| pipe.recv_timeout(grace).ok());
        let (stdout, stderr) = (take(self.stdout), take(self.stderr));
        let held = stdout.is_none() || stderr.is_none();
        let ran = Ran {
            line: self.line,
            status: status.unwrap_or(ExitStatus::from_raw(9)),
            stdout: stdout.unwrap_or_default(),
            stderr: stderr.unwrap_or_default(),
        };
        assert!(status.is_some(), "did not end within {:?}\n{ran}", self.limit);
        assert!(!held, "ended, but somebody it started still holds its output\n{ran}");
        ran
    }
}

/// A program that ran to its end, and what it printed.
#[derive(Clone)]
pub struct Ran {
    line: String,
    status: ExitStatus,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
}

impl Ran {
    /// Its standard output as text.
    #[must_use]
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Its standard error as text.
    #[must_use]
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Its exit status; `None` when a signal ended it.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Asserts that it exited with 0.
    #[track_caller]
    pub fn ok(&self) -> &Self {
        assert!(self.status.success(), "must succeed\n{self}");
        self
    }

    /// Asserts that it exited with `code`.
    #[track_caller]
    pub fn exits(&self, code: i32) -> &Self {
        assert!(self.status.code() == Some(code), "must exit with {code}\n{self}");
        self
    }

    /// Asserts that it refused: exit 1, and a sentence on standard error rather than a stack of
    /// causes or a panic.
    #[track_caller]
    pub fn refuses(&self) -> &Self {
        self.exits(1);
        let err = self.err();
        assert!(!err.trim().is_empty(), "must say why\n{self}");
        assert!(!err.contains("panicked at") && !err.contains("RUST_BACKTRACE"), "must not panic\n{self}");
        self
    }

    /// Asserts that standard output has `text` in it.
    #[track_caller]
    pub fn stdout_has(&self, text: &str) -> &Self {
        assert!(self.out().contains(text), "standard output must have {text:?}\n{self}");
        self
    }

    /// Asserts that standard output is `text`.
    #[track_caller]
    pub fn stdout_is(&self, text: &str) -> &Self {
        assert!(self.out() == text, "standard output must be {text:?}\n{self}");
        self
    }

    /// Asserts that standard error has `text` in it.
    #[track_caller]
    pub fn stderr_has(&self, text: &str) -> &Self {
        assert!(self.err().contains(text), "standard error must have {text:?}\n{self}");
        self
    }

    /// Asserts that standard error is `text`.
    #[track_caller]
    pub fn stderr_is(&self, text: &str) -> &Self {
        assert!(self.err() == text, "standard error must be {text:?}\n{self}");
        self
    }

    /// Asserts that it printed nothing on standard error, but what it had to wait for: on a slow disk a second goes by that
    /// nobody is to blame for.
    #[track_caller]
    pub fn quiet(&self) -> &Self {
        let err = self.err();
        let said = err.lines().find(|line| !(line.starts_with("zone '") && line.contains(" waits: ")));
        assert!(said.is_none(), "it must say nothing\n{self}");
        self
    }

    /// Its standard output as JSON.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|e| panic!("must print JSON: {e}\n{self}"))
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  $ {}", self.line)?;
        for (mark, bytes) in [("  | ", &self.stdout), ("  ! ", &self.stderr)] {
            let text = String::from_utf8_lossy(bytes);
            text.lines().try_for_each(|line| writeln!(f, "{mark}{line}"))?;
        }
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => write!(f, "  = exit {code}"),
            (_, signal) => write!(f, "  = signal {}", signal.unwrap_or(0)),
        }
    }
}

impl fmt::Debug for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Words as the arguments of a command.
pub(super) fn words<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(words: I) -> Vec<OsString> {
    words.into_iter().map(|word| word.as_ref().to_owned()).collect()
}

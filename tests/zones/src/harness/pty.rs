//! A program on a terminal, as `expect` would drive it.

use super::Command;
use super::command::wait_child;
use super::heard::Heard;
use super::wait::stretched;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a text may take to appear.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it may take where something fails: a program that tries again gives up before.
const LONG_PATIENCE: Duration = Duration::from_secs(90);

/// A program with a terminal of its own: the test holds the other end.
pub struct Terminal {
    manager: OwnedFd,
    /// Held, so that the settings can be looked at after the program is gone.
    subsidiary: OwnedFd,
    child: Child,
    /// Its settings before the program had it.
    before: String,
    line: String,
    heard: Heard,
}

impl Terminal {
    /// Starts `command` as the leader of a session with this terminal.
    #[track_caller]
    #[must_use]
    pub fn start(command: Command, rows: u16, columns: u16) -> Self {
        let (manager, subsidiary) = pair().unwrap_or_else(|e| panic!("no pty: {e}"));
        resize(&manager, rows, columns);
        let (program, line) = command.into_parts();
        // setsid(1) does what only a child between fork and exec could do: a new session with its
        // standard input as the controlling terminal.
        let mut leader = std::process::Command::new("setsid");
        leader.args(["--ctty", "--wait"]).arg(program.get_program()).args(program.get_args()).env_clear();
        leader.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(dir) = program.get_current_dir() {
            leader.current_dir(dir);
        }
        let end = || subsidiary.try_clone().map(Stdio::from).unwrap_or_else(|e| panic!("dup: {e}"));
        leader.stdin(end()).stdout(end()).stderr(end());
        let before = settings(&subsidiary);
        let child = leader.spawn().unwrap_or_else(|e| panic!("cannot start setsid for `{line}`: {e}"));
        Self { manager, subsidiary, child, before, line, heard: Heard::default() }
    }

    /// Types `text`.
    #[track_caller]
    pub fn types(&mut self, text: &str) {
        let mut bytes = text.as_bytes();
        while !bytes.is_empty() {
            let n =
                rustix::io::write(&self.manager, bytes).unwrap_or_else(|e| panic!("write to the pty: {e}"));
            bytes = &bytes[n..];
        }
    }

    /// Waits until `text` appears after what was waited for last, and gives all up to its end.
    #[track_caller]
    pub fn shows(&mut self, text: &str) -> String {
        let deadline = Instant::now() + stretched(PATIENCE);
        loop {
            if let Some(found) = self.heard.up_to(text) {
                return found;
            }
            let more = self.more(deadline);
            assert!(more, "`{}` must show {text:?}; it showed: {:?}", self.line, self.screen());
        }
    }

    /// Waits until `text` appears after what was waited for last, or the program ends. Tells whether it appeared.
    #[track_caller]
    pub fn shows_or_ends(&mut self, text: &str) -> bool {
        let deadline = Instant::now() + stretched(LONG_PATIENCE);
        loop {
            let ended = self.child.try_wait().is_ok_and(|status| status.is_some());
            while self.more(Instant::now()) {}
            if self.heard.up_to(text).is_some() {
                return true;
            }
            if ended {
                return false;
            }
            let line = &self.line;
            assert!(
                Instant::now() < deadline,
                "`{line}` must show {text:?} or end; it showed: {:?}",
                self.screen()
            );
            self.more(Instant::now() + Duration::from_millis(50));
        }
    }

    /// Changes the size of the terminal, which the kernel tells the program by SIGWINCH.
    pub fn resize(&self, rows: u16, columns: u16) {
        resize(&self.manager, rows, columns);
    }

    /// Whether the program has the terminal in raw mode.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        let raw = |settings: Termios| !settings.local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO);
        tcgetattr(&self.subsidiary).is_ok_and(raw)
    }

    /// What `stty -g` would say of the terminal.
    #[must_use]
    pub fn settings(&self) -> String {
        settings(&self.subsidiary)
    }

    /// Whether the program has left the terminal as it found it.
    #[must_use]
    pub fn is_as_before(&self) -> bool {
        self.settings() == self.before
    }

    /// All that it has shown and the test has waited for or read on the way.
    #[must_use]
    pub fn shown(&self) -> String {
        self.screen()
    }

    /// Sends the program a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let sent = pid.map(|pid| kill_process(pid, signal));
        assert!(matches!(sent, Some(Ok(()))), "`{}` cannot be signalled: {sent:?}", self.line);
    }

    /// Waits for the program's end. Gives its exit status and all it has shown.
    #[track_caller]
    #[must_use]
    pub fn ends(mut self) -> (ExitStatus, String) {
        self.end()
    }

    /// As [`Terminal::ends`], for whoever looks at the terminal after that.
    #[track_caller]
    #[must_use]
    pub fn end(&mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + stretched(PATIENCE);
        let status = loop {
            // The program may wait for its output to be read, so both are looked after in turn.
            let _ = self.more(Instant::now() + Duration::from_millis(50));
            if let Ok(Some(status)) = self.child.try_wait() {
                break status;
            }
            if Instant::now() > deadline {
                let screen = self.screen();
                let _ = self.child.kill();
                let _ = wait_child(&mut self.child, Duration::from_secs(5));
                panic!("`{}` must end; it showed: {screen:?}", self.line);
            }
        };
        while self.more(Instant::now()) {}
        (status, self.screen())
    }

    /// Types `text`, which must end the program. Gives what [`Terminal::ends`] gives.
    #[track_caller]
    pub fn ends_by(mut self, text: &str) -> (ExitStatus, String) {
        self.types(text);
        self.ends()
    }

    /// The program's process: `setsid` has become it by the time it shows anything.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn screen(&self) -> String {
        self.heard.all()
    }

    /// Reads what is there, waiting for it until `deadline`. False when nothing came.
    fn more(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut fds = [PollFd::new(&self.manager, PollFlags::IN)];
        if poll(&mut fds, Some(&limit)).unwrap_or(0) == 0 {
            return false;
        }
        let mut buffer = [0; 8192];
        let n = rustix::io::read(&self.manager, &mut buffer).unwrap_or(0);
        self.heard.push(&buffer[..n]);
        n > 0
    }
}

/// A test that goes on after a failure leaves no program behind, as no zombie either.
impl Drop for Terminal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.child.kill();
            let _ = wait_child(&mut self.child, Duration::from_secs(5));
        }
    }
}

fn pair() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let manager = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&manager)?;
    unlockpt(&manager)?;
    let name = ptsname(&manager, Vec::new())?;
    let subsidiary = open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    Ok((manager, subsidiary))
}

fn settings(terminal: &OwnedFd) -> String {
    tcgetattr(terminal).map_or_else(|e| e.to_string(), |settings| format!("{settings:?}"))
}

fn resize(terminal: &OwnedFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).unwrap_or_else(|e| panic!("TIOCSWINSZ: {e}"));
}

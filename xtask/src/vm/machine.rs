//! One machine's life: boot, the command, its output, the end.

use super::engine::{self, BOOT_SECONDS, Engine, Pages};
use super::image::Image;
use super::registers;
use crate::sh;
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// What a machine is given.
pub(super) struct Machine<'a> {
    /// What runs it.
    pub(super) engine: Engine,
    /// How large its kernel's pages are.
    pub(super) pages: Pages,
    /// Its memory, in MiB.
    pub(super) megabytes: u64,
    /// For how long after its boot its command may run.
    pub(super) seconds: u64,
    /// A folder whose contents the command finds where it starts.
    pub(super) input: &'a Path,
    /// Archives and the like, which are not copied before they are put on the machine's disk: each by its name.
    pub(super) files: &'a [PathBuf],
    /// A line of shell.
    pub(super) command: &'a str,
    /// How often it is booted, with one disk: what ends the command, or the machine, ends a boot. A machine whose command has ended is
    /// killed, which is a loss of power.
    pub(super) boots: u32,
    /// Where all that the console says goes.
    pub(super) log: &'a Path,
}

/// How it went.
pub(super) enum Ended {
    /// The command's exit status.
    With(i32),
    /// The machine never came to the command.
    NeverBooted,
    /// It ended in the middle of it.
    Died,
    /// It was ended, after too long a time.
    TooLong,
}

impl Machine<'_> {
    /// Runs it on a throw-away copy of an image; `line` gets each line that the command prints, as it comes.
    pub(super) fn run(&self, image: &Image, mut line: impl FnMut(&str)) -> Result<Ended> {
        let dir = tempfile::Builder::new().prefix("run.").tempdir_in(super::place())?;
        self.pack(dir.path())?;
        if self.engine == Engine::Uml {
            registers::library(dir.path())?;
        }
        let mut log = std::fs::File::create(self.log).with_context(|| format!("{}", self.log.display()))?;
        for _ in 1..self.boots {
            match self.boot(image, dir.path(), &mut log, &mut line)? {
                Ended::With(0) | Ended::Died => {}
                ended => return Ok(ended),
            }
        }
        self.boot(image, dir.path(), &mut log, &mut line)
    }

    /// Boots it once.
    fn boot(
        &self,
        image: &Image,
        dir: &Path,
        log: &mut std::fs::File,
        line: &mut impl FnMut(&str),
    ) -> Result<Ended> {
        let mut command = self.engine.command(image, self.pages, dir, self.megabytes)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log.try_clone()?);
        let child = command.spawn().with_context(|| format!("cannot start `{}`", sh::line(&command)))?;
        let group = if self.engine == Engine::Namespaces { Some(engine::group(dir)?) } else { None };
        let mut running = Running { child, group };
        let lines = running.lines()?;
        let mut deadline = Instant::now() + Duration::from_secs(BOOT_SECONDS);
        let mut begun = false;
        loop {
            let text = match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(text) => text,
                Err(RecvTimeoutError::Timeout) if begun => return Ok(Ended::TooLong),
                Err(RecvTimeoutError::Disconnected) if begun => return Ok(Ended::Died),
                Err(_) => return Ok(Ended::NeverBooted),
            };
            writeln!(log, "{text}")?;
            match text.strip_prefix("zones-vm: ") {
                Some("begin") => {
                    begun = true;
                    deadline = Instant::now() + Duration::from_secs(self.seconds);
                }
                Some(end) if end.starts_with("end ") => {
                    return Ok(Ended::With(end[4..].trim().parse().unwrap_or(1)));
                }
                _ if begun => line(&text),
                _ => {}
            }
        }
    }

    /// Makes the second disk.
    fn pack(&self, dir: &Path) -> Result<()> {
        std::fs::write(dir.join("command"), format!("{}\n", self.command))?;
        let mut tar = Command::new("tar");
        tar.arg("-cf").arg(dir.join("input.tar")).arg("-C").arg(dir).arg("command");
        tar.arg("-C").arg(self.input).arg(".");
        for file in self.files {
            let name: OsString = file.file_name().context("a file without a name")?.to_owned();
            tar.arg("-C").arg(file.parent().unwrap_or(Path::new("/"))).arg(name);
        }
        sh::run(&mut tar)
    }
}

/// A machine that runs, until this is dropped.
struct Running {
    child: Child,
    /// The control group that its processes are in, where the kernel is not its own.
    group: Option<PathBuf>,
}

impl Running {
    /// Gives the lines of its console as they come.
    fn lines(&mut self) -> Result<Receiver<String>> {
        let (to, from) = channel();
        let console = BufReader::new(self.child.stdout.take().context("a machine without a console")?);
        std::thread::spawn(move || {
            for line in console.split(b'\n') {
                let Ok(line) = line else { return };
                let text = String::from_utf8_lossy(&line);
                if to.send(text.trim_matches('\r').to_owned()).is_err() {
                    return;
                }
            }
        });
        Ok(from)
    }
}

impl Drop for Running {
    /// Ends it, and with it all that is in its namespace: nothing on its disk matters.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(group) = &self.group {
            remove_group(group);
        }
    }
}

/// Removes a control group with all below it. Its processes have been killed, and may need a moment.
pub(super) fn remove_group(group: &Path) {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_group(&entry.path());
        }
    }
    for _ in 0..100 {
        match std::fs::remove_dir(group) {
            Err(e) if e.kind() == std::io::ErrorKind::ResourceBusy => {
                std::thread::sleep(Duration::from_millis(50));
            }
            _ => return,
        }
    }
}

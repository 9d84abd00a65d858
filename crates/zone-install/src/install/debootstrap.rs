//! Letting debootstrap(8) make the root.
//!
//! It runs in a mount and a pid namespace of its own (through unshare(1), which is essential on Debian), so
//! that killing one process ends everything it started and takes along what it had mounted in the new root.

use std::ffi::OsString;
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::target::Target;
use super::{Summary, directory};
use crate::error::Error;
use crate::progress::{Meter, Options, Phase, Reporter};

const SEARCH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How often the cancel flag is looked at while debootstrap says nothing.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
/// How long it may say nothing: it tells of every package, but a mirror may be slow.
const SILENCE: Duration = Duration::from_secs(30 * 60);
/// The longest line that is kept of what it says.
const LONGEST_LINE: usize = 4096;

/// What to install.
#[derive(Debug, Clone, Default)]
pub struct Debootstrap {
    /// The suite, such as `bookworm`.
    pub suite: String,
    /// A mirror's URL; debootstrap's own default when absent.
    pub mirror: Option<String>,
    /// Packages beyond the standard set.
    pub include: Vec<String>,
    /// A variant, such as `minbase`.
    pub variant: Option<String>,
    /// The program; searched in the system directories when absent.
    pub program: Option<PathBuf>,
}

/// Makes `ZONEPATH/root` with debootstrap(8). Its `I:` lines are the progress.
///
/// It gets a clean environment: `PATH`, `HOME`, `LC_ALL`, and the proxy variables of the caller. The few
/// device nodes it makes in the new `/dev` stay: the zone never sees them, its `/dev` is mounted over them.
///
/// # Errors
/// [`Error::NoDebootstrap`], [`Error::BadValue`], [`Error::Debootstrap`] with its last complaint,
/// [`Error::Interrupted`], [`Error::RootNotEmpty`], or [`Error::Io`].
pub fn debootstrap(
    what: &Debootstrap,
    zonepath: &Path,
    options: &Options,
    report: &mut Reporter<'_>,
) -> Result<Summary, Error> {
    let program = what.check()?;
    let mut meter = Meter::new(Phase::Debootstrapping, options, report);
    let target = Target::create(zonepath)?;
    let root = zonepath.join("root");
    let mut command = what.command(&program, &root);
    let failed = |source| Error::io("run", &program, source);
    let (output, writer) = io::pipe().map_err(failed)?;
    command.stdin(Stdio::null()).stderr(writer.try_clone().map_err(failed)?).stdout(writer);
    let child = command.spawn().map_err(failed)?;
    // The writing ends in the command have to go, or the reading end never sees the last one close.
    drop(command);
    let mut running = Running(child);
    zone_fail::pass!("debootstrap.started");
    let said = listen(output, &mut meter)?;
    let status = running.0.wait().map_err(failed)?;
    zone_fail::pass!("debootstrap.ended");
    if !status.success() {
        return Err(what.complaint(status, said, &root));
    }
    meter.phase(Phase::Measuring, None, None);
    let (bytes, entries) = directory::measure(&root, &mut meter)?;
    meter.phase(Phase::Syncing, None, None);
    Ok(Summary { entries, bytes, ..target.finish()? })
}

impl Debootstrap {
    /// Refuses what debootstrap (or apt after it) would take for an option or for several values, and finds the
    /// program. Nothing is started.
    ///
    /// # Errors
    /// [`Error::BadValue`] and [`Error::NoDebootstrap`].
    pub fn check(&self) -> Result<PathBuf, Error> {
        let bad =
            |what, value: &str, allowed| Err(Error::BadValue { what, value: value.to_owned(), allowed });
        let plain = |value: &str, more: &[u8]| {
            value.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
                && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
        };
        if !plain(&self.suite, b".-_") {
            return bad("suite", &self.suite, "letters, digits and '.-_' are allowed, as in bookworm");
        }
        if let Some(variant) = &self.variant
            && !plain(variant, b"-")
        {
            return bad("variant", variant, "letters, digits and '-' are allowed, as in minbase");
        }
        if let Some(mirror) = &self.mirror {
            let known = ["http://", "https://", "file:///", "ftp://", "ssh://"];
            if !known.iter().any(|scheme| mirror.starts_with(scheme))
                || mirror.chars().any(|c| c.is_whitespace() || c.is_control())
            {
                return bad("mirror", mirror, "give a URL that begins with http://, https:// or file:///");
            }
        }
        match self.include.iter().find(|name| !plain(name, b"+.-:")) {
            Some(name) => bad("package name", name, "letters, digits and '+.-' are allowed"),
            None => match &self.program {
                Some(program) => Ok(program.clone()),
                None => find("debootstrap").ok_or(Error::NoDebootstrap),
            },
        }
    }

    fn command(&self, program: &Path, root: &Path) -> Command {
        let mut words: Vec<OsString> = Vec::new();
        // Ends it should we be killed (the signal goes with the thread that started it).
        if let Some(setpriv) = find("setpriv") {
            words.extend([setpriv.into(), "--pdeathsig".into(), "KILL".into(), "--".into()]);
        }
        if let Some(unshare) = find("unshare") {
            words.push(unshare.into());
            let flags = ["--mount", "--propagation=private", "--pid", "--fork", "--kill-child=KILL", "--"];
            words.extend(flags.map(OsString::from));
        }
        words.push(program.into());
        words.extend(self.variant.iter().map(|variant| format!("--variant={variant}").into()));
        if !self.include.is_empty() {
            words.push(format!("--include={}", self.include.join(",")).into());
        }
        words.push(self.suite.clone().into());
        words.push(root.into());
        words.extend(self.mirror.iter().map(OsString::from));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir("/").env_clear();
        command.env("PATH", SEARCH).env("HOME", "/root").env("LC_ALL", "C.UTF-8");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        for name in ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "SOURCE_DATE_EPOCH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }

    fn complaint(&self, status: ExitStatus, said: Option<String>, root: &Path) -> Error {
        Error::Debootstrap {
            suite: self.suite.clone(),
            status: status.to_string(),
            said: said.unwrap_or_else(|| "it said nothing".to_owned()),
            log: root.join("debootstrap/debootstrap.log"),
        }
    }
}

/// Kills what is still running when we leave early.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            // Errors mean that it is gone already.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

fn find(program: &str) -> Option<PathBuf> {
    SEARCH.split(':').map(|directory| Path::new(directory).join(program)).find(|path| path.is_file())
}

/// Follows what it says until the last writer is gone. Returns the line that best tells of a failure: the
/// last error, else the last warning, else the last line.
fn listen(mut output: PipeReader, meter: &mut Meter<'_>) -> Result<Option<String>, Error> {
    let failed = |source| Error::io("read the output of", "debootstrap", source);
    let mut best: Option<(u8, String)> = None;
    let mut line = Vec::new();
    let mut buffer = [0; 4096];
    let mut heard = Instant::now();
    loop {
        meter.check()?;
        if heard.elapsed() > SILENCE {
            let text = format!("it said nothing for {} minutes, and was ended", SILENCE.as_secs() / 60);
            return Err(failed(io::Error::new(io::ErrorKind::TimedOut, text)));
        }
        let mut waiting = [PollFd::from_borrowed_fd(output.as_fd(), PollFlags::IN)];
        match poll(&mut waiting, Some(&PATIENCE)) {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(errno) => return Err(failed(errno.into())),
        }
        let got = output.read(&mut buffer).map_err(failed)?;
        heard = Instant::now();
        if got == 0 {
            return Ok(best.map(|(_, line)| line));
        }
        for byte in &buffer[..got] {
            if *byte == b'\n' {
                weigh(&String::from_utf8_lossy(&line), meter, &mut best)?;
                line.clear();
            } else if line.len() < LONGEST_LINE {
                line.push(*byte);
            }
        }
    }
}

fn weigh(line: &str, meter: &mut Meter<'_>, best: &mut Option<(u8, String)>) -> Result<(), Error> {
    let line: String = line.chars().filter(|c| !c.is_control()).collect();
    if let Some(step) = line.strip_prefix("I: ") {
        return meter.entry(Path::new(step));
    }
    let weight = match line.get(..3) {
        Some("E: ") => 2,
        Some("W: ") => 1,
        _ => 0,
    };
    if !line.is_empty() && best.as_ref().is_none_or(|(other, _)| weight >= *other) {
        let text = if weight > 0 { line[3..].to_owned() } else { line };
        *best = Some((weight, text));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

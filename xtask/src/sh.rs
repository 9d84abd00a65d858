//! Running other programs, with errors that name the command.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// Cargo itself: the one that runs this task, or the one on the `PATH`.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Set by the cargo that runs xtask; they would confuse the one that is started here.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        cargo.env_remove(name);
    }
    cargo.current_dir(crate::paths::top());
    cargo
}

/// A command as one line, for messages.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// A word as a shell would need it to be typed.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+~".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Runs a command on this terminal. Its failure is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

/// Runs a command on this terminal and gives its exit status.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    command.status().with_context(|| format!("cannot start `{}`", line(command)))
}

/// Runs a command and gives what it printed on standard output. Its failure is an error.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot start `{}`", line(command)))?;
    if !output.status.success() {
        bail!("`{}` failed ({})", line(command), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command whose output is shown as it comes, and gives that output too.
pub(crate) fn tee(command: &mut Command) -> Result<(ExitStatus, String)> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start `{}`", line(command)))?;
    let out = child.stdout.take().map(|pipe| std::thread::spawn(move || relay(pipe, std::io::stdout())));
    let err = child.stderr.take().map(|pipe| std::thread::spawn(move || relay(pipe, std::io::stderr())));
    let status = child.wait()?;
    let join = |thread: Option<std::thread::JoinHandle<String>>| {
        thread.and_then(|t| t.join().ok()).unwrap_or_default()
    };
    Ok((status, join(out) + &join(err)))
}

fn relay(pipe: impl Read, mut to: impl Write) -> String {
    let mut all = Vec::new();
    let mut reader = BufReader::new(pipe);
    loop {
        let start = all.len();
        match reader.read_until(b'\n', &mut all) {
            Ok(n) if n > 0 => {
                // Nobody there to read it is no reason to stop what is being run.
                let _ = to.write_all(&all[start..]);
            }
            _ => return String::from_utf8_lossy(&all).into_owned(),
        }
    }
}

/// Finds a program on the `PATH` or where an administrator's `PATH` would have it.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|dir| dir.join(program)).find(|path| path.is_file())
}

/// Whether we are root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Fails with what root is needed for when we are not.
pub(crate) fn require_root(task: &str, reason: &str) -> Result<()> {
    if is_root() {
        return Ok(());
    }
    bail!(
        "`cargo xtask {task}` {reason}, which takes root: run it as root (`sudo -E env PATH=\"$PATH\" cargo xtask {task}`)"
    )
}

/// Makes a folder and those above it.
pub(crate) fn make_dir(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))
}

//! Measuring in a PID and a mount namespace, with whose end, however it comes, everything ends that was started there.

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, poll};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus};
use zone_sys::signal;
use zones_suite::harness::{namespaces, world};

/// Says in the environment where the installation that is measured is, to who is inside.
const FOLDER: &str = "ZONES_BENCH_FOLDER";
/// Whether process 1 of the namespace is left behind.
const BELOW: &str = "ZONES_BENCH_BELOW_INIT";

/// The folder for what is measured: there is one inside.
pub(super) fn folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// Runs the same command inside, unless this process is there; gives how it ended if it was. A signal that would end this process
/// ends what is inside instead, and what the kernel has not taken away with it is removed.
pub(super) fn inside() -> Result<Option<ExitCode>> {
    if folder().is_some() {
        if std::process::id() != 1 || std::env::var_os(BELOW).is_some() {
            return Ok(None);
        }
        // Held back by who waits for us outside.
        signal::reset_all();
        let mut again = Command::new(std::env::current_exe()?);
        return Ok(Some(namespaces::be_init(again.args(std::env::args_os().skip(1)).env(BELOW, "1"))?));
    }
    // As of the demo: /tmp may be mounted nosuid.
    let folder = tempfile::Builder::new().prefix("zones-bench.").tempdir_in("/var/tmp")?;
    let ends = [signal::SIGTERM, signal::SIGINT, signal::SIGHUP, signal::SIGCHLD];
    let signals = signal::as_fd(&ends)?;
    let mut again = namespaces::command(false)?;
    again.args(std::env::args_os().skip(1)).env(FOLDER, folder.path());
    let child = again.spawn().context("cannot start unshare")?;
    let ended = until_over(child, &signals)?;
    world::remove_cgroups(folder.path());
    let code = ended.and_then(|status| status.code()).and_then(|code| u8::try_from(code).ok());
    Ok(Some(code.map_or(ExitCode::FAILURE, ExitCode::from)))
}

/// Waits for its end, or ends it at a signal.
fn until_over(mut child: Child, signals: &rustix::fd::OwnedFd) -> Result<Option<ExitStatus>> {
    loop {
        poll(&mut [PollFd::new(signals, PollFlags::IN)], None)?;
        match signal::read(signals)? {
            Some((signal::SIGCHLD, _)) => {
                if let Some(status) = child.try_wait()? {
                    return Ok(Some(status));
                }
            }
            Some(_) => {
                child.kill()?;
                child.wait()?;
                return Ok(None);
            }
            None => {}
        }
    }
}

//! The processes that are zscheds, found by what `/proc` tells: for whoever cannot reach one by its socket.

use crate::launch::Arguments;
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use zone_sys::proc::Stat;

/// The state of a process that a signal has stopped, in `/proc/PID/stat`.
const STOPPED: u8 = b'T';

/// A process that is a zsched.
#[derive(Debug)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its pidfd.
    pub pidfd: OwnedFd,
}

impl Process {
    /// Gives the zscheds that run in our sight and were started with arguments of which `is_it` holds.
    pub fn find(is_it: impl Fn(&Arguments) -> bool) -> Vec<Self> {
        let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(|pid: i32| {
            // Held first: what is read below is then about this process, or it is gone.
            let pidfd = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
            is_zsched(pid, &is_it).then_some(Self { pid, pidfd })
        })
        .collect()
    }

    /// Gives those of the zone whose run directory this is.
    #[must_use]
    pub fn of_zone(run_dir: &Path) -> Vec<Self> {
        Self::find(|arguments| Path::new(&arguments.root).join("run/zones").join(&arguments.zone) == run_dir)
    }

    /// Whether a signal has stopped it: it goes on at SIGCONT.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        Stat::of(self.pid).is_ok_and(|stat| stat.state == STOPPED)
    }
}

/// Whether a process is what zoneadmd starts as a zone's zsched. Nobody but the host's root can be,
/// whatever words a process gives itself.
fn is_zsched(pid: i32, is_it: impl Fn(&Arguments) -> bool) -> bool {
    let dir = Path::new("/proc").join(pid.to_string());
    Arguments::of_process(&command_line(&dir)).is_some_and(|arguments| is_it(&arguments))
        && fs::metadata(&dir).is_ok_and(|meta| meta.uid() == 0)
        && is_of_the_host(&dir)
}

/// Reads as much of a command line as one that we start can have. Any process, also of a zone, may name any part of its memory as its own, for
/// which it need not have memory (`PR_SET_MM_MAP`, prctl(2)).
fn command_line(dir: &Path) -> Vec<u8> {
    let mut line = Vec::new();
    let read = fs::File::open(dir.join("cmdline"))
        .and_then(|file| file.take(zone_sys::exec::MAX_BLOCK as u64).read_to_end(&mut line));
    // What could not be read to the end is of one that has ended meanwhile.
    if read.is_ok() { line } else { Vec::new() }
}

fn is_of_the_host(dir: &Path) -> bool {
    let ours = fs::read_link("/proc/self/ns/user").ok();
    ours.is_some() && fs::read_link(dir.join("ns/user")).ok() == ours
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn of_a_command_line_without_end_no_more_is_read_than_of_one_of_ours() {
        let words = ["-c", "echo ready; read line", &"x".repeat(100_000)];
        let mut command = Command::new("sh");
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // In the middle of its exec it has none.
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
        let line = command_line(&Path::new("/proc").join(child.id().to_string()));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(line.len(), zone_sys::exec::MAX_BLOCK);
        assert!(line.starts_with(b"sh\0-c\0echo ready; read line\0xx"));
        assert!(command_line(Path::new("/proc/none")).is_empty());
    }
}

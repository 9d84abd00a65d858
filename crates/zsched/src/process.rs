//! The processes that are zscheds, found by what `/proc` tells: for whoever cannot reach one by its socket.

use crate::launch::Arguments;
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs;
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
    let cmdline = fs::read(dir.join("cmdline")).unwrap_or_default();
    Arguments::of_process(&cmdline).is_some_and(|arguments| is_it(&arguments))
        && fs::metadata(&dir).is_ok_and(|meta| meta.uid() == 0)
        && is_of_the_host(&dir)
}

fn is_of_the_host(dir: &Path) -> bool {
    let ours = fs::read_link("/proc/self/ns/user").ok();
    ours.is_some() && fs::read_link(dir.join("ns/user")).ok() == ours
}

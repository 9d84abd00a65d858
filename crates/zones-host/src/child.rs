//! Having zoneadm do it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use zone_config::ZoneName;

/// Where a package puts it.
const ZONEADM: &str = "/usr/sbin/zoneadm";

/// zoneadm at work, which says by itself what is wrong.
pub(crate) struct Zoneadm(Child);

impl Zoneadm {
    /// Starts it.
    ///
    /// # Errors
    /// A sentence that says why it cannot be.
    pub(crate) fn start(zone: &ZoneName, words: &[&str]) -> Result<Self, String> {
        let program = program();
        let mut command = Command::new(&program);
        // What waits for us to be ready is nothing to the zone's daemon.
        command.env_remove("NOTIFY_SOCKET").stdin(Stdio::null()).arg("-z").arg(zone.as_str()).args(words);
        command
            .spawn()
            .map(Self)
            .map_err(|error| format!("cannot run {}: {}", program.display(), zone_sys::Chain(&error)))
    }

    /// Waits for its end, and tells whether it has done it.
    pub(crate) fn wait(mut self) -> bool {
        self.0.wait().is_ok_and(|status| status.success())
    }

    /// The same, for so long at most; `None` if it is still at it, which it goes on with.
    pub(crate) fn wait_for(self, time: Duration) -> Option<bool> {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        // Not reaped yet: the number is its own.
        let Some(process) = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
            return Some(self.wait());
        };
        let limit = Timespec::try_from(time).ok();
        let mut fds = [PollFd::new(&process, PollFlags::IN)];
        match poll(&mut fds, limit.as_ref()) {
            Ok(0) => None,
            _ => Some(self.wait()),
        }
    }
}

/// The one beside this program, so that a build directory works uninstalled, or the one below the same prefix.
fn program() -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_default();
    let places = exe.ancestors().skip(1).zip(["zoneadm", "", "sbin/zoneadm"]);
    let mut found = places.filter(|(_, name)| !name.is_empty()).map(|(dir, name)| dir.join(name));
    found.find(|path| path.is_file()).unwrap_or_else(|| Path::new(ZONEADM).to_owned())
}

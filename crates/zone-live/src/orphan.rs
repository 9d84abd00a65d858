//! A zone whose zsched was killed.

use crate::is_quiet;
use crate::record::{Incarnation, program_of};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs;
use std::io;
use std::time::{Duration, Instant};
use zone_config::{Layout, ZoneName, hostboot};
use zone_platform::cgroup::{self, CgroupError};
use zone_sys::proc::Stat;
use zsched::client::ZoneFds;
use zsched::wire::{Phase, Status};

/// A first process that waits at its gate ends by itself when zsched is gone; a busy machine may keep it from that for a
/// moment.
const PARTING: Duration = Duration::from_secs(5);
/// How often to look whether it has, or has become init.
const LOOK: Duration = Duration::from_millis(5);

/// A zone that lives without a zsched.
#[derive(Debug)]
pub struct Orphan {
    /// What is known of it.
    pub record: Incarnation,
    /// Its first process and its cgroup.
    pub fds: ZoneFds,
}

/// What has become of the zone of which there is a record.
#[derive(Debug)]
pub enum Fate {
    /// There is none, or it is of an earlier boot of the host.
    Unknown,
    /// Its first process lives.
    Lives(Orphan),
    /// Its first process has ended.
    Ended(Incarnation),
    /// It may live: who takes it for ended would kill it.
    Unclear(Unclear),
}

/// Why it cannot be told whether the first process of a zone lives.
#[derive(Debug, thiserror::Error)]
pub enum Unclear {
    /// The kernel does not say.
    #[error(
        "it cannot be told whether the zone's first process, {pid}, still lives; what is left of the zone stays as it is"
    )]
    Process {
        /// Its number.
        pid: i32,
        /// What the kernel says.
        source: io::Error,
    },
    /// Its cgroup cannot be looked at.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
}

/// What has become of a zone that has no zsched.
#[must_use]
pub fn fate(layout: &Layout, zone: &ZoneName) -> Fate {
    let Some(record) = Incarnation::load(layout, zone) else { return Fate::Unknown };
    if hostboot::present().as_ref() != Some(&record.boot) {
        return Fate::Unknown;
    }
    match alive(layout, zone, &record) {
        Ok(Some(fds)) => Fate::Lives(Orphan { record, fds }),
        Ok(None) => Fate::Ended(record),
        Err(why) => Fate::Unclear(why),
    }
}

impl Orphan {
    /// What zsched would say of it.
    #[must_use]
    pub fn status(&self) -> Status {
        let Incarnation { uniqid, pid, since, restarts, .. } = self.record;
        Status { phase: Phase::Running, uniqid, pid, since, restarts, ..Status::default() }
    }
}

/// The first process, if it is that of the record and has become init. Everything is read between the opening of the pidfd and a look
/// that it has not ended, and so is about one process.
fn alive(layout: &Layout, zone: &ZoneName, record: &Incarnation) -> Result<Option<ZoneFds>, Unclear> {
    let unclear = |source| Unclear::Process { pid: record.pid, source };
    let Some(pid) = Pid::from_raw(record.pid) else { return Ok(None) };
    let opened = there(pidfd_open(pid, PidfdFlags::empty()).map_err(io::Error::from));
    let Some(pidfd) = opened.map_err(unclear)? else { return Ok(None) };
    let stat = there(Stat::of(record.pid)).map_err(unclear)?;
    let is_it = stat.is_some_and(|stat| stat.start == record.start)
        && is_first_of_a_namespace(record.pid).map_err(unclear)?
        && cgroup::has(layout, zone, record.pid)?;
    if !is_it || record.waits_at_gate(&pidfd) {
        return Ok(None);
    }
    let Some(cgroup) = cgroup::open(layout, zone)? else { return Ok(None) };
    Ok(is_quiet(&pidfd, Duration::ZERO).then_some(ZoneFds { pidfd, cgroup }))
}

/// What was opened or read of a process; `None` if the kernel says that there is none.
fn there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        // pidfd_open(2) says EINVAL of a number that is now that of a thread.
        Err(error)
            if matches!(Errno::from_io_error(&error), Some(Errno::NOENT | Errno::SRCH | Errno::INVAL)) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl Incarnation {
    /// Whether its first process still waits at its gate, where it ends when zsched is gone. If it does it has some time for
    /// that.
    #[must_use]
    pub fn waits_at_gate(&self, pidfd: &OwnedFd) -> bool {
        let until = Instant::now() + PARTING;
        // One that is just ending has no program any more.
        while program_of(self.pid).map_or(true, |program| program == self.program) {
            if !is_quiet(pidfd, LOOK) {
                return false;
            }
            if Instant::now() > until {
                return true;
            }
        }
        false
    }
}

/// Whether a process is number 1 of a PID namespace below ours (proc_pid_status(5), `NSpid`).
fn is_first_of_a_namespace(pid: i32) -> io::Result<bool> {
    let status = there(fs::read(format!("/proc/{pid}/status")))?;
    Ok(status.is_some_and(|status| is_first(&status)))
}

/// The same of the text of that file, in which the name is what the process has chosen, and any bytes but the end of a line.
fn is_first(status: &[u8]) -> bool {
    let status = String::from_utf8_lossy(status);
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers.is_some_and(|numbers| {
        let numbers: Vec<&str> = numbers.split_whitespace().collect();
        numbers.len() > 1 && numbers.last() == Some(&"1")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_taken_for_a_zone_by_his_number() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(root.path().to_owned())).unwrap();
        let zone: ZoneName = "a".parse().unwrap();
        fs::create_dir_all(layout.zone_run(&zone)).unwrap();
        assert!(matches!(fate(&layout, &zone), Fate::Unknown));
        // This process, as a record of which everything but its place is right.
        let pid = std::process::id().cast_signed();
        let pidfd = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap();
        let status = Status { phase: Phase::Running, uniqid: 7, pid, ..Status::default() };
        let record = Incarnation::of(&status, &pidfd).unwrap();
        record.save(&layout, &zone).unwrap();
        assert!(matches!(fate(&layout, &zone), Fate::Ended(seen) if seen == record));
        Incarnation { boot: "earlier".into(), ..record }.save(&layout, &zone).unwrap();
        assert!(matches!(fate(&layout, &zone), Fate::Unknown));
        assert!(!is_first_of_a_namespace(pid).unwrap() || !cgroup::has(&layout, &zone, pid).unwrap());
    }

    #[test]
    fn a_name_that_is_no_text_hides_nobody() {
        assert!(is_first(b"Name:\t\xff\nUmask:\t0022\nNSpid:\t77\t1\n"));
        for other in [&b"Name:\t\xffNSpid: 7 1\nNSpid:\t77\t12\n"[..], b"Name:\ta\nNSpid:\t1\n", b""] {
            assert!(!is_first(other));
        }
    }

    #[test]
    fn the_kernel_shows_a_name_that_is_no_text_and_hides_nobody() {
        zone_testing::needs_root!();
        let script = r"printf '\377' > /proc/self/comm; echo ready; read -r end";
        let command = std::process::Command::new("unshare")
            .args(["--user", "--map-root-user", "--pid", "--fork", "sh", "-c", script])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn();
        let mut child = command.unwrap();
        let mut line = String::new();
        io::BufRead::read_line(&mut io::BufReader::new(child.stdout.as_mut().unwrap()), &mut line).unwrap();
        let children = format!("/proc/{0}/task/{0}/children", child.id());
        let first = fs::read_to_string(children).unwrap();
        let first = first.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap();
        let found =
            (fs::read(format!("/proc/{first}/comm")).unwrap(), is_first_of_a_namespace(first).unwrap());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(line, "ready\n");
        assert_eq!(found, (b"\xff\n".to_vec(), true));
        assert!(!is_first_of_a_namespace(first).unwrap(), "it has ended");
    }

    #[test]
    fn a_look_that_fails_is_no_end() {
        let of = |errno: Errno| there::<()>(Err(errno.into())).ok();
        for ended in [Errno::SRCH, Errno::INVAL, Errno::NOENT] {
            assert_eq!(of(ended), Some(None));
        }
        for unclear in [Errno::NFILE, Errno::MFILE, Errno::NOMEM, Errno::IO] {
            assert_eq!(of(unclear), None);
        }
    }
}

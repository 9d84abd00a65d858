//! How it is found out whether a zone is ready: what its init is for, and what it leaves for others to see.
//!
//! Whoever is root in the zone can say what he likes; nothing follows from it but that somebody waits no longer.

use std::io;
use std::mem::size_of;

use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use zone_config::readiness::ReadyBy;

use crate::orderly::{self, Init};
use crate::{Spec, ZoneRoot, sparse};

/// The file in the zone's `/run/host` at which its init says that it is ready; what `$NOTIFY_SOCKET` says, as with
/// systemd-nspawn(1).
pub const SOCKET: &str = "/run/host/notify";
/// The most of a notification that is read. systemd's are some hundred bytes.
pub const LONGEST: usize = 4096;

/// How it is found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// The command exits with 0.
    Check(String),
    /// Init sends `READY=1`.
    Notify,
    /// OpenRC has come to a run level that is none of the boot's.
    OpenRc,
    /// init(8) of SysV has come to a run level, and to what it starts again for ever in it.
    SysV,
    /// That init runs is all that can be told.
    Started,
}

impl Method {
    /// Who tells, then.
    #[must_use]
    pub fn by(&self) -> ReadyBy {
        match self {
            Self::Check(_) => ReadyBy::Check,
            Self::Notify => ReadyBy::Notify,
            Self::OpenRc | Self::SysV => ReadyBy::Runlevel,
            Self::Started => ReadyBy::Init,
        }
    }
}

/// Says how it is found out whether the zone is ready whose init is the program at `path`, as seen inside.
#[must_use]
pub fn method(spec: &Spec, path: &str) -> Method {
    match &spec.ready_check {
        Some(command) => Method::Check(command.clone()),
        None => of_init(spec, path),
    }
}

/// The same, if nothing but init could tell.
fn of_init(spec: &Spec, path: &str) -> Method {
    let Ok(root) = ZoneRoot::of(spec) else { return Method::Started };
    let is_ours = |found: crate::zoneroot::Resolved| found.path == sparse::INIT || found.name() == "zinit";
    if root.resolve(path).is_ok_and(is_ours) {
        return Method::Notify;
    }
    let has_openrc = || root.resolve("/sbin/openrc").is_ok();
    match orderly::requests(spec, path).init {
        Init::Systemd => Method::Notify,
        Init::OpenRc => Method::OpenRc,
        Init::SysV | Init::BusyBox if has_openrc() => Method::OpenRc,
        Init::SysV => Method::SysV,
        _ => Method::Started,
    }
}

/// Whether its init says by a notification how it does.
pub(crate) fn notifies(spec: &Spec, path: &str) -> bool {
    of_init(spec, path) == Method::Notify
}

/// Reads a notification: whether it says that all is ready, and what it says for people.
#[must_use]
pub fn notification(bytes: &[u8]) -> (bool, Option<String>) {
    let lines = || bytes.split(|&byte| byte == b'\n');
    let status = lines().find_map(|line| line.strip_prefix(b"STATUS="));
    let text = status.map(|text| String::from_utf8_lossy(text).chars().take(200).collect());
    (lines().any(|line| line == b"READY=1"), text)
}

/// Whether the zone whose first process this is has come to its run level. May hang where the zone mounts file systems of its
/// own.
///
/// # Errors
/// What the kernel says; a file that is not there yet is none.
pub fn has_level(first: i32, method: &Method) -> io::Result<bool> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(format!("/proc/{first}/root"), flags, Mode::empty())?;
    Ok(match method {
        Method::OpenRc => {
            let level = read(&root, "run/openrc/softlevel")?;
            let starts =
                zone_sys::path::in_root_unlinked(&root, "run/openrc/rc.starting", OFlags::PATH).is_ok();
            !starts && is_level(&level)
        }
        Method::SysV => records(&read(&root, "run/utmp")?),
        Method::Check(_) | Method::Notify | Method::Started => false,
    })
}

/// Whether OpenRC's word is that of a level which comes after those of the boot.
fn is_level(word: &[u8]) -> bool {
    let word = word.trim_ascii();
    !word.is_empty() && ![&b"sysinit"[..], b"boot", b"shutdown", b"reboot"].contains(&word)
}

/// The beginning of a regular file of the zone; nothing if there is none.
fn read(root: &OwnedFd, path: &str) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match zone_sys::path::in_root_unlinked(root, path, flags) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(Vec::new()),
        Err(errno) => return Err(errno.into()),
    };
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::RegularFile {
        return Ok(Vec::new());
    }
    let mut bytes = Vec::new();
    std::fs::File::from(file).take(64 << 10).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The size of a record of utmp(5), glibc's.
const RECORD: usize = if cfg!(target_arch = "x86_64") { 384 } else { 400 };
const RUN_LVL: i16 = 1;
const INIT_PROCESS: i16 = 5;
const USER_PROCESS: i16 = 7;

/// Whether records of utmp(5) tell that init has come to one of its run levels 2 to 5, and has started what it starts again for
/// ever there, which is what it does when all else of that level has been started.
fn records(utmp: &[u8]) -> bool {
    let kind = |record: &[u8]| record.first_chunk().map(|bytes| i16::from_ne_bytes(*bytes));
    // The level is the low byte of what is a process id in other records.
    let level = |record: &[u8]| record.get(size_of::<i32>()).copied();
    let mut reached = false;
    let mut starts = false;
    for record in utmp.chunks_exact(RECORD) {
        match kind(record) {
            Some(RUN_LVL) => reached = matches!(level(record), Some(b'2'..=b'5')),
            Some(INIT_PROCESS..=USER_PROCESS) => starts = true,
            _ => {}
        }
    }
    reached && starts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Lab;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn who_tells_follows_from_init_unless_a_command_does() {
        for (link, file, openrc, method) in [
            ("/lib/systemd/systemd", "lib/systemd/systemd", false, Method::Notify),
            ("../bin/busybox", "bin/busybox", true, Method::OpenRc),
            ("../bin/busybox", "bin/busybox", false, Method::Started),
            ("", "sbin/init", false, Method::SysV),
            ("", "sbin/init", true, Method::OpenRc),
        ] {
            let mut lab = Lab::new("linux");
            lab.dirs(&["sbin", "lib/systemd", "bin"]);
            if !link.is_empty() {
                symlink(link, lab.root().join("sbin/init")).unwrap();
            }
            fs::write(lab.root().join(file), b"\x7fELF").unwrap();
            if openrc {
                fs::write(lab.root().join("sbin/openrc"), "").unwrap();
            }
            assert_eq!(super::method(&Spec::of(&lab.snapshot), "/sbin/init"), method, "{link} {file}");
            lab.snapshot.config.ready_check = Some("true".into());
            let checked = super::method(&Spec::of(&lab.snapshot), "/sbin/init");
            assert_eq!((checked.by(), checked), (ReadyBy::Check, Method::Check("true".into())));
        }
    }

    #[test]
    fn notifications_are_read_line_by_line() {
        assert_eq!(
            notification(b"READY=1\nSTATUS=Startup finished"),
            (true, Some("Startup finished".into()))
        );
        assert_eq!(notification(b"STATUS=READY=1"), (false, Some("READY=1".into())));
        assert_eq!(notification(b"READY=10\nXREADY=1\n"), (false, None));
        assert_eq!(notification(b"STATUS=\xff").1.as_deref(), Some("\u{fffd}"));
        assert_eq!(
            notification(&[b"STATUS=".as_slice(), &[b'x'; 4000]].concat()).1.map(|text| text.len()),
            Some(200)
        );
    }

    #[test]
    fn levels_of_the_boot_are_not_the_end() {
        assert!(!is_level(b"") && !is_level(b"sysinit\n") && !is_level(b"boot"));
        assert!(is_level(b"default\n") && is_level(b"single"));
        let record = |kind: i16, level: u8| {
            let mut record = vec![0; RECORD];
            record[..2].copy_from_slice(&kind.to_ne_bytes());
            record[4] = level;
            record
        };
        assert!(!records(&[]));
        assert!(!records(&record(RUN_LVL, b'2')), "its scripts run");
        assert!(!records(&[record(RUN_LVL, b'6'), record(6, 0)].concat()));
        assert!(records(&[record(2, 0), record(RUN_LVL, b'2'), record(6, 0)].concat()));
        assert!(!records(&record(6, 0)) && !records(&record(RUN_LVL, b'2')[..RECORD - 1]));
    }
}

//! The arguments that a zone's root gives to a reboot from inside.
//!
//! The kernel drops the string of reboot(2) in a PID namespace. So it is left in a file of the zone's `/run`, where reboot(8) of systemd
//! and our own init leave it. The tmpfs of `/run` is there as long as somebody holds it: it is read when the zone's last process has
//! ended, and nobody can change it meanwhile. What the zone has mounted on `/run` or below is gone by then and not looked at.

use std::fs::File;
use std::io::Read;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, FsWord, Mode, OFlags, fstat, fstatfs, openat};
use rustix::io::Errno;
use zone_config::bootargs::{MAX_LEN, TooLong};

use crate::Failed;

/// The file, as seen inside.
pub const FILE: &str = "/run/systemd/reboot-param";
/// The same, from `/run`.
const IN_RUN: &str = "systemd/reboot-param";
/// How often the kernel is asked for what it has in memory: somebody may change a directory just then.
const LOOKS: usize = 5;
const TMPFS: FsWord = 0x0102_1994;

/// Arguments that are not taken.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// They cannot be read.
    #[error(transparent)]
    Unread(#[from] Failed),
    /// They are in something that is no file.
    #[error("{FILE} is not a regular file")]
    NoFile,
    /// There are more than boot arguments may be.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// They cannot be shown, or cannot have been meant.
    #[error("the first line of {FILE} is not text")]
    NoText,
}

/// Gives the root of a `/run` for [`arguments`], with which nothing is done before.
pub(crate) fn hold(run: BorrowedFd<'_>) -> Result<OwnedFd, Failed> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(run, ".", flags, Mode::empty()).map_err(Failed::to("hold the zone's", "/run"))
}

/// Finds the `/run` of a zone that lives by its first process; `None` if what is there is not in memory.
#[must_use]
pub fn run_of(first: BorrowedFd<'_>) -> Option<OwnedFd> {
    let pid = zone_sys::pidfd::pid(first).ok()??;
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let root = rustix::fs::open(format!("/proc/{pid}/root"), flags | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut looks = (0..LOOKS).map(|_| zone_sys::path::in_root_at_hand(&root, "run", flags));
    let run = looks.find(|found| !matches!(found, Err(Errno::AGAIN)))?.ok()?;
    // Its number is nobody else's as long as it has not been waited for.
    let is_its = zone_sys::pidfd::pid(first).ok()? == Some(pid);
    (is_its && fstatfs(&run).ok()?.f_type == TMPFS).then_some(run)
}

/// Reads the arguments that were left in a zone's `/run`, if any were: the first line of the file. No link is followed.
///
/// # Errors
/// When what is there is not text of the length of boot arguments in a file.
pub fn arguments(run: BorrowedFd<'_>) -> Result<Option<String>, Unfit> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match zone_sys::path::beneath(run, IN_RUN, flags) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(Failed::to("open", FILE)(errno).into()),
    };
    let stat = fstat(file.as_fd()).map_err(Failed::to("look at", FILE))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Unfit::NoFile);
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_LEN).unwrap_or(u64::MAX).saturating_add(1);
    File::from(file).take(most).read_to_end(&mut bytes).map_err(Failed::to("read", FILE))?;
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if line.len() > MAX_LEN {
        return Err(TooLong.into());
    }
    let text = std::str::from_utf8(line).ok().filter(|text| !text.contains(char::is_control));
    let text = text.ok_or(Unfit::NoText)?.trim();
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn read(run: &Path) -> Result<Option<String>, String> {
        let run = rustix::fs::open(run, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let run = hold(run.as_fd()).unwrap();
        arguments(run.as_fd()).map_err(|unfit| zone_sys::Chain(&unfit).to_string())
    }

    #[test]
    fn the_first_line_of_a_file_is_taken() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(read(run.path()), Ok(None));
        fs::create_dir(run.path().join("systemd")).unwrap();
        assert_eq!(read(run.path()), Ok(None));
        let most = "x".repeat(MAX_LEN);
        for (written, read_as) in [
            ("", None),
            (" \n-s\n", None),
            ("-s", Some("-s")),
            (" -m caf\u{e9} \n\0\n", Some("-m caf\u{e9}")),
            (most.as_str(), Some(most.as_str())),
        ] {
            fs::write(run.path().join(IN_RUN), written).unwrap();
            assert_eq!(read(run.path()), Ok(read_as.map(str::to_owned)), "{written:?}");
        }
    }

    #[test]
    fn nothing_else_is() {
        let run = tempfile::tempdir().unwrap();
        let file = run.path().join(IN_RUN);
        fs::create_dir(run.path().join("systemd")).unwrap();
        let no_text = Err(format!("the first line of {FILE} is not text"));
        for written in [&b"-s\x1b[2J"[..], b"-s\r\n", b"-s\0", b"\xff", "-s \u{85}".as_bytes()] {
            fs::write(&file, written).unwrap();
            assert_eq!(read(run.path()), no_text, "{written:?}");
        }
        fs::write(&file, vec![b'x'; 10 << 20]).unwrap();
        assert_eq!(read(run.path()), Err("boot argument string too long".into()));
        fs::remove_file(&file).unwrap();
        symlink("/etc/hostname", &file).unwrap();
        assert!(read(run.path()).unwrap_err().starts_with(&format!("cannot open {FILE}: ")));
        fs::remove_file(&file).unwrap();
        for kind in [FileType::Fifo, FileType::Directory] {
            match kind {
                FileType::Directory => fs::create_dir(&file).unwrap(),
                kind => rustix::fs::mknodat(rustix::fs::CWD, &file, kind, Mode::RUSR, 0).unwrap(),
            }
            // Nobody waits for whoever would write into a pipe.
            assert_eq!(read(run.path()), Err(format!("{FILE} is not a regular file")), "{kind:?}");
            fs::remove_file(&file).or_else(|_| fs::remove_dir(&file)).unwrap();
        }
    }

    #[test]
    fn a_run_that_is_not_in_memory_is_none() {
        let own =
            rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty());
        let run = rustix::fs::open("/run", OFlags::PATH, Mode::empty()).unwrap();
        let is_memory = fstatfs(&run).unwrap().f_type == TMPFS;
        assert_eq!(run_of(own.unwrap().as_fd()).is_some(), is_memory);
    }
}

//! What the guest is told about where it runs.
//!
//! The rules are systemd's, for whatever runs a container (`CONTAINER_INTERFACE` of systemd.io); other inits take what
//! they know. The uuid reaches systemd by the environment, which then makes the machine id from it at the first boot, and
//! only then. One of the zone's own files is written: `/etc/hostname`, if the configuration names a host name, since
//! most inits take that for the better one.

use std::io::{Read, Write};

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, Mode, OFlags, fchmod, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;

use crate::zoneroot::give;
use crate::{Failed, Spec};

/// What `$container` says; systemd shows it as the virtualisation, `systemd-detect-virt` as `container-other`.
pub const MANAGER: &str = "zones";

/// The environment of init.
#[must_use]
pub fn environment(spec: &Spec) -> Vec<(String, String)> {
    let uuid = spec.uuid.hyphenated().to_string();
    let pairs = [
        ("container", MANAGER),
        ("container_uuid", uuid.as_str()),
        ("PATH", spec.process.path.as_str()),
        ("HOME", "/"),
        // Who will look at the console is not known yet; every terminal since understands this one.
        ("TERM", "vt220"),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// Makes `/etc/hostname` of a zone that is down say what its configuration says, if that names a host name. The file is
/// replaced, never written to; a link in its place is replaced, too, and one in the place of `/etc` is not followed. A
/// zone without an `/etc` has no use for it.
///
/// # Errors
/// When it cannot be replaced.
pub(crate) fn keep_hostname(root: BorrowedFd<'_>, spec: &Spec) -> Result<(), Failed> {
    const NEW: &str = ".hostname.new";
    if !spec.keeps_hostname {
        return Ok(());
    }
    let failed = || Failed::to("write the host name to", "/etc/hostname");
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let etc = match zone_sys::path::beneath(root, "etc", flags) {
        Err(Errno::NOENT) => return Ok(()),
        other => other.map_err(failed())?,
    };
    let wanted = format!("{}\n", spec.hostname);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    if let Ok(fd) = openat(&etc, "hostname", flags, Mode::empty()) {
        let mut there = Vec::new();
        let longest = wanted.len() as u64 + 1;
        if std::fs::File::from(fd).take(longest).read_to_end(&mut there).is_ok() && there == wanted.as_bytes()
        {
            return Ok(());
        }
    }
    // What a bring-up that was killed has left.
    let _ = unlinkat(&etc, NEW, AtFlags::empty());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o644);
    let fd = openat(&etc, NEW, flags, mode).map_err(failed())?;
    let written = fchmod(&fd, mode)
        .and_then(|()| {
            let written = std::fs::File::from(fd).write_all(wanted.as_bytes());
            written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
        })
        .and_then(|()| renameat(&etc, NEW, &etc, "hostname"));
    if written.is_err() {
        let _ = unlinkat(&etc, NEW, AtFlags::empty());
    }
    written.map_err(failed())
}

/// Writes into the zone's /run, before the zone can, what programs other than init find there.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn describe(run: BorrowedFd<'_>, spec: &Spec, base: u32) -> Result<(), Failed> {
    let uuid = spec.uuid.hyphenated().to_string();
    let files = [
        ("host", [("container-manager", MANAGER), ("container-uuid", uuid.as_str())]),
        ("zone", [("name", spec.zone.as_str()), ("brand", spec.brand.as_str())]),
    ];
    for (dir, files) in files {
        for (file, text) in files {
            write(run, dir, file, text, base)
                .map_err(Failed::to("write the zone's", format!("/run/{dir}/{file}")))?;
        }
    }
    Ok(())
}

fn write(run: BorrowedFd<'_>, dir: &str, file: &str, text: &str, base: u32) -> Result<(), Errno> {
    match mkdirat(run, dir, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = openat(run, dir, flags, Mode::empty())?;
    fchmod(&dir, Mode::from_raw_mode(0o755))?;
    give(dir.as_fd(), base)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let fd = openat(&dir, file, flags, Mode::from_raw_mode(0o444))?;
    fchmod(&fd, Mode::from_raw_mode(0o444))?;
    give(fd.as_fd(), base)?;
    let written = writeln!(std::fs::File::from(fd), "{text}");
    written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

//! What the guest is told about where it runs.
//!
//! The rules are systemd's, for whatever runs a container (`CONTAINER_INTERFACE` of systemd.io); other inits take what
//! they know. The uuid reaches systemd by the environment, which then makes the machine id from it at the first boot, and
//! only then. Some of the zone's own files are written before it boots: `/etc/hostname`, if the configuration names a host
//! name, since most inits take that for the better one; `/etc/hosts` and `/etc/resolv.conf`, unless the guest has made them
//! its own.

use std::io::Write;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, chownat, fchmod, mkdirat, openat};
use rustix::io::Errno;

use crate::zoneroot::give;
use crate::{Failed, Spec, credentials, readiness};

mod etc;

use etc::Etc;

/// What `$container` says; systemd shows it as the virtualisation, `systemd-detect-virt` as `container-other`.
pub const MANAGER: &str = "zones";

/// Gives what is in the environment of everything that is started in the zone from outside.
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

/// Gives the environment of the init at this path, as seen inside.
#[must_use]
pub fn init_environment(spec: &Spec, init: &str) -> Vec<(String, String)> {
    let mut pairs = environment(spec);
    if readiness::notifies(spec, init) {
        pairs.push(("NOTIFY_SOCKET".to_owned(), readiness::SOCKET.to_owned()));
    }
    if !spec.credentials.is_empty() {
        pairs.push(("CREDENTIALS_DIRECTORY".to_owned(), credentials::DIRECTORY.to_owned()));
    }
    pairs
}

/// Makes `/etc/hostname` of a zone that is down say what its configuration says, if that names a host name. The file is
/// replaced, never written to; a link in its place is replaced, too, and one in the place of `/etc` is not followed. A
/// zone without an `/etc` has no use for it.
///
/// # Errors
/// When it cannot be replaced.
pub(crate) fn keep_hostname(root: BorrowedFd<'_>, spec: &Spec) -> Result<(), Failed> {
    if !spec.keeps_hostname {
        return Ok(());
    }
    let made = Etc::open(root).and_then(|etc| {
        let text = format!("{}\n", spec.hostname);
        etc.map_or(Ok(()), |etc| etc.make("hostname", text.as_bytes()))
    });
    made.map_err(Failed::to("write the host name to", "/etc/hostname"))
}

/// Makes `/etc/hostid` of a zone that is down say what its configuration says, if that names a host id, in the form that
/// gethostid(3) reads: four bytes in the machine's order. The file is replaced, as that of the host name is.
///
/// # Errors
/// When it cannot be replaced.
pub(crate) fn keep_hostid(root: BorrowedFd<'_>, spec: &Spec) -> Result<(), Failed> {
    let Some(id) = spec.hostid else { return Ok(()) };
    let made =
        Etc::open(root).and_then(|etc| etc.map_or(Ok(()), |etc| etc.make("hostid", &id.to_ne_bytes())));
    made.map_err(Failed::to("write the host id to", "/etc/hostid"))
}

/// Makes the zone's host name resolve in a zone that is down, by its `/etc/hosts`, if that is missing, empty, or was written here
/// before. One that the guest has made its own is left alone.
///
/// # Errors
/// When it cannot be looked at or replaced.
pub(crate) fn keep_hosts(root: BorrowedFd<'_>, spec: &Spec) -> Result<(), Failed> {
    let kept = Etc::open(root)
        .and_then(|etc| etc.map_or(Ok(false), |etc| etc.keep("hosts", &hosts(&spec.hostname))));
    kept.map(|_| ()).map_err(Failed::to("write the host name to", "/etc/hosts"))
}

/// Makes `/etc/resolv.conf` of a zone that is down have this text, by whose first line it is known as ours, if it is missing,
/// empty, or begins with that line. One that the guest has made its own, and a link, is left alone. The answer is whether
/// the file has the text now; in a zone without an `/etc` it has not.
///
/// # Errors
/// When it cannot be looked at or replaced.
pub fn keep_resolver(root: BorrowedFd<'_>, text: &str) -> Result<bool, Failed> {
    let kept = Etc::open(root).and_then(|etc| etc.map_or(Ok(false), |etc| etc.keep("resolv.conf", text)));
    kept.map_err(Failed::to("write the nameservers to", "/etc/resolv.conf"))
}

fn hosts(hostname: &str) -> String {
    let short = hostname.split('.').next().filter(|short| *short != hostname);
    let names = short.map_or_else(|| hostname.to_owned(), |short| format!("{hostname} {short}"));
    format!(
        "# Written by zones at each boot of this zone. Without this line the file is left alone.\n\
         127.0.0.1\tlocalhost\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         127.0.1.1\t{names}\n"
    )
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
            write_run(run, dir, file, &format!("{text}\n"), base)?;
        }
    }
    Ok(())
}

/// Makes the socket in the zone's /run at which its init says that it is ready, before the zone can. It is the zone's root's alone.
///
/// # Errors
/// When it cannot be made, or is there already.
pub(crate) fn listen(run: BorrowedFd<'_>, base: u32) -> Result<OwnedFd, Failed> {
    let failed = |errno| Failed::to("listen at the zone's", readiness::SOCKET)(errno);
    let host = directory(run, "host", base).map_err(failed)?;
    let socket = zone_sys::notify::bind_at(host.as_fd(), "notify").map_err(|error| failed(error.errno()))?;
    let owner = (Some(Uid::from_raw(base)), Some(Gid::from_raw(base)));
    chownat(&host, "notify", owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
    Ok(socket)
}

/// Writes a file into a directory of the zone's /run, before the zone can; `base` is the owner on the host.
///
/// # Errors
/// When it cannot be written, or is there already.
pub(crate) fn write_run(
    run: BorrowedFd<'_>,
    dir: &str,
    file: &str,
    text: &str,
    base: u32,
) -> Result<(), Failed> {
    write(run, dir, file, text, base).map_err(Failed::to("write the zone's", format!("/run/{dir}/{file}")))
}

/// Opens a directory of the zone's /run, and makes what is missing of the way.
fn directory(run: BorrowedFd<'_>, path: &str, base: u32) -> Result<OwnedFd, Errno> {
    let mut dir =
        run.try_clone_to_owned().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::MFILE))?;
    for name in path.split('/') {
        match mkdirat(&dir, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        dir = openat(&dir, name, flags, Mode::empty())?;
        fchmod(&dir, Mode::from_raw_mode(0o755))?;
        give(dir.as_fd(), base)?;
    }
    Ok(dir)
}

fn write(run: BorrowedFd<'_>, path: &str, file: &str, text: &str, base: u32) -> Result<(), Errno> {
    let dir = directory(run, path, base)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let fd = openat(&dir, file, flags, Mode::from_raw_mode(0o444))?;
    fchmod(&fd, Mode::from_raw_mode(0o444))?;
    give(fd.as_fd(), base)?;
    let written = std::fs::File::from(fd).write_all(text.as_bytes());
    written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_resolves_also_without_its_domain() {
        assert!(hosts("web").ends_with("\n127.0.1.1\tweb\n"));
        assert!(hosts("web.example.org").ends_with("\n127.0.1.1\tweb.example.org web\n"));
    }

    #[test]
    fn a_zone_without_etc_has_no_resolver() {
        let dir = tempfile::tempdir().unwrap();
        let root = std::fs::File::open(dir.path()).unwrap();
        assert!(!keep_resolver(root.as_fd(), "# ours\n").unwrap());
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        assert!(keep_resolver(root.as_fd(), "# ours\n").unwrap());
        assert_eq!(std::fs::read_to_string(dir.path().join("etc/resolv.conf")).unwrap(), "# ours\n");
    }
}

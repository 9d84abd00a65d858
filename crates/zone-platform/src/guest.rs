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

use zone_config::file::GUEST_MARKER;

use crate::zoneroot::give;
use crate::{Failed, Spec, credentials, readiness};

mod ifupdown;
mod place;

pub(crate) use ifupdown::interfaces;
use place::Place;

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
    let made = Place::etc(root).and_then(|etc| {
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
        Place::etc(root).and_then(|etc| etc.map_or(Ok(()), |etc| etc.make("hostid", &id.to_ne_bytes())));
    made.map_err(Failed::to("write the host id to", "/etc/hostid"))
}

/// Makes the zone's host name resolve in a zone that is down, by its `/etc/hosts`, if that is missing, empty, or was written here
/// before. One that the guest has made its own is left alone.
///
/// # Errors
/// When it cannot be looked at or replaced.
pub(crate) fn keep_hosts(root: BorrowedFd<'_>, spec: &Spec) -> Result<(), Failed> {
    let kept = Place::etc(root)
        .and_then(|etc| etc.map_or(Ok(false), |etc| etc.keep("hosts", &hosts(&spec.hostname))));
    kept.map(|_| ()).map_err(Failed::to("write the host name to", "/etc/hosts"))
}

/// Where a guest looks for its nameservers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resolver {
    /// In its `/etc/resolv.conf`, which has the text that was to be there.
    Kept,
    /// In this file below `/run`, to which its `/etc/resolv.conf` is a link.
    InRun(String),
    /// In a file that it has made its own; or it has no `/etc`.
    Guests,
}

/// Makes `/etc/resolv.conf` of a zone have this text, by whose first line it is known as ours, if it is missing, empty, or begins
/// with that line. One that the guest has made its own, and a link, is left alone: a link into `/run` is a guest's that leaves
/// the file to a program (systemd-resolved, resolvconf), and what is at its end goes with each halt.
///
/// # Errors
/// When it cannot be looked at or replaced.
pub(crate) fn keep_resolver(root: BorrowedFd<'_>, text: &str) -> Result<Resolver, Failed> {
    const NAME: &str = "resolv.conf";
    let kept = Place::etc(root).and_then(|etc| {
        let Some(etc) = etc else { return Ok(Resolver::Guests) };
        if etc.keep(NAME, text)? {
            return Ok(Resolver::Kept);
        }
        let link = etc.link(NAME);
        Ok(link.as_deref().and_then(below_run).map_or(Resolver::Guests, Resolver::InRun))
    });
    kept.map_err(Failed::to("write the nameservers to", "/etc/resolv.conf"))
}

/// Tells which file below `/run` a link in `/etc` leads to, if it leads there by its words alone.
fn below_run(link: &str) -> Option<String> {
    /// Bounds the directories on the way.
    const MOST: usize = 8;
    let below = link.strip_prefix("..").unwrap_or(link).strip_prefix('/')?;
    let below = below.strip_prefix("var/").unwrap_or(below).strip_prefix("run/")?;
    let parts: Vec<&str> = below.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let plain = !parts.is_empty() && parts.len() <= MOST && !parts.contains(&"..") && !below.ends_with('/');
    plain.then(|| parts.join("/"))
}

/// Makes a file below a zone's `/run` have this text, by whose first line it is known as ours, unless the guest has put one of
/// its own there, which is `false`. `base` is the owner on the host.
///
/// # Errors
/// When it cannot be looked at or replaced.
pub(crate) fn keep_run(run: BorrowedFd<'_>, path: &str, text: &str, base: u32) -> Result<bool, Failed> {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    let kept = Place::make_below(run, dir, base).and_then(|place| place.keep(name, text));
    kept.map_err(Failed::to("write the zone's", format!("/run/{path}")))
}

/// Takes a file below a zone's `/run` away that is ours.
///
/// # Errors
/// When it cannot be looked at or removed.
pub(crate) fn remove_run(run: BorrowedFd<'_>, path: &str) -> Result<(), Failed> {
    let (dir, name) = path.rsplit_once('/').unwrap_or((".", path));
    let removed = Place::below(run, dir).and_then(|place| place.map_or(Ok(()), |place| place.remove(name)));
    removed.map_err(Failed::to("remove the zone's", format!("/run/{path}")))
}

fn hosts(hostname: &str) -> String {
    let short = hostname.split('.').next().filter(|short| *short != hostname);
    let names = short.map_or_else(|| hostname.to_owned(), |short| format!("{hostname} {short}"));
    format!(
        "{GUEST_MARKER}\
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
    if spec.privileges.opened.nesting {
        write_run(run, "zone", "nesting", "yes\n", base)?;
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
        assert_eq!(keep_resolver(root.as_fd(), "# ours\n").unwrap(), Resolver::Guests);
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        assert_eq!(keep_resolver(root.as_fd(), "# ours\n").unwrap(), Resolver::Kept);
        assert_eq!(std::fs::read_to_string(dir.path().join("etc/resolv.conf")).unwrap(), "# ours\n");
    }

    #[test]
    fn a_link_into_run_names_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let root = std::fs::File::open(dir.path()).unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        let stub = "systemd/resolve/stub-resolv.conf";
        std::os::unix::fs::symlink(format!("../run/{stub}"), dir.path().join("etc/resolv.conf")).unwrap();
        let resolver = keep_resolver(root.as_fd(), "# ours\n").unwrap();
        assert_eq!(resolver, Resolver::InRun(stub.to_owned()));
        assert_eq!(below_run("/run/resolvconf/resolv.conf").as_deref(), Some("resolvconf/resolv.conf"));
        assert_eq!(
            below_run("/var/run//NetworkManager/./resolv.conf").as_deref(),
            Some("NetworkManager/resolv.conf")
        );
        assert_eq!(below_run("../run/resolv.conf").as_deref(), Some("resolv.conf"));
        let deep = format!("/run/{}x", "d/".repeat(8));
        for elsewhere in
            ["/run", "/run/", "/run/a/", "/run/../etc/passwd", "../../run/x", "run/x", "/etc/x", "...", &deep]
        {
            assert_eq!(below_run(elsewhere), None, "{elsewhere}");
        }
    }
}

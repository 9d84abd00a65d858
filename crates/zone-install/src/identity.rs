//! Which machine a root is.
//!
//! An archive or a directory is a copy of some machine, or an image that is copied many times. A zone that is made
//! of it is another machine, and must not have the name, the machine id, the host keys of ssh or the random seed of
//! the first one. So they are taken away or replaced, unless the caller says that the machine itself moves here.
//! debootstrap(8) takes the name and the resolver of the host, and makes a machine id that may be the host's.
//!
//! The nameservers that a copy names are those of the place where it was made. They stay until a boot knows better: the file
//! is marked as one that is not the guest's own.
//!
//! Files are reached below the root's descriptor, through links inside of it, and are replaced, never written to: a
//! link in a file's place is replaced and not followed.

use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use zone_config::file::GUEST_MARKER;

use crate::error::Error;

const DIR: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);
/// Bytes of a file that is looked at; a longer one is none that this knows.
const LONGEST: u64 = 64 << 10;

/// Whose identity a root has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// That of the machine it was copied from, or of an image.
    Copy,
    /// It is new, made on this host by a program that takes some of the host's.
    New,
}

/// What was changed to make a root a machine of its own. `Display` is a line for people.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// `etc/hostname`, and the line of `etc/hosts` that goes with it.
    HostName(String),
    /// The machine id is empty now.
    MachineId,
    /// So many keys are gone.
    SshHostKeys(usize),
    /// What systemd had saved for the random numbers and the secrets of one machine is gone.
    Secrets,
    /// The copy of the host's `resolv.conf` is gone.
    Resolver,
    /// Its time zone is the host's.
    TimeZone(String),
    /// Its locale is C.UTF-8, for it had none.
    Locale,
    /// The source's `resolv.conf` is marked as one that a boot may replace.
    Nameservers,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostName(name) => write!(f, "its host name is {name} (etc/hostname, etc/hosts)."),
            Self::MachineId => f.write_str("its machine id was emptied; the first boot makes its own."),
            Self::SshHostKeys(count) => write!(
                f,
                "{count} ssh host key files were removed; if its init makes no new ones, run ssh-keygen -A in it."
            ),
            Self::Secrets => {
                f.write_str("the random seed and the credential secret of its source were removed.")
            }
            Self::Resolver => f.write_str("the host's resolv.conf was not taken along."),
            Self::TimeZone(name) => write!(f, "its time zone is the host's, {name}."),
            Self::Locale => f.write_str("its locale is C.UTF-8."),
            Self::Nameservers => f.write_str(
                "its etc/resolv.conf names the nameservers of its source; a boot with a net replaces it, unless its first line is removed.",
            ),
        }
    }
}

/// Makes the root of a zone a machine of its own, and puts that on the disk. Says what was changed.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn renew(root: &Path, hostname: &str, origin: Origin) -> Result<Vec<Change>, Error> {
    let flags = DIR | OFlags::RDONLY | OFlags::NOFOLLOW;
    let top = zone_sys::path::unlinked(CWD, root, flags, Mode::empty())
        .map_err(|errno| Error::io("open", root, errno))?;
    let tree = Tree { root: top, shown: root.to_owned() };
    let mut changes = Vec::new();
    if let Some(etc) = tree.directory("etc")? {
        etc.replace("hostname", format!("{hostname}\n").as_bytes(), 0o644)?;
        if let Some(hosts) = etc.read("hosts")? {
            etc.replace("hosts", &with_hostname(&hosts, hostname), 0o644)?;
        }
        changes.push(Change::HostName(hostname.to_owned()));
        let known =
            etc.read("machine-id")?.filter(|id| !id.is_empty() && id.trim_ascii() != b"uninitialized");
        if known.is_some() {
            // Empty and not missing: then the first boot sets it and does not ask its questions (machine-id(5)).
            etc.replace("machine-id", b"", 0o444)?;
            changes.push(Change::MachineId);
        }
        changes.extend(renew_resolver(&etc, origin)?);
    }
    changes.extend(time_zone(&tree, origin, Path::new(HOST_ZONE))?);
    changes.extend(locale(&tree)?);
    if let Some(dbus) = tree.directory("var/lib/dbus")?
        && dbus.read("machine-id")?.is_some()
        && dbus.remove("machine-id")?
        && !changes.contains(&Change::MachineId)
    {
        // systemd takes this one when the other is empty.
        changes.push(Change::MachineId);
    }
    let mut secrets = false;
    for (directory, name) in [
        ("var/lib/systemd", "random-seed"),
        ("var/lib/systemd", "credential.secret"),
        ("var/lib/urandom", "random-seed"),
    ] {
        if let Some(directory) = tree.directory(directory)? {
            secrets |= directory.remove(name)?;
        }
    }
    if secrets {
        changes.push(Change::Secrets);
    }
    // New ones were made just now, by the package.
    if origin == Origin::Copy
        && let Some(ssh) = tree.directory("etc/ssh")?
    {
        let mut gone = 0;
        for name in ssh.names()?.iter().filter(|name| is_host_key(name)) {
            gone += usize::from(ssh.remove(name)?);
        }
        if gone > 0 {
            changes.push(Change::SshHostKeys(gone));
        }
    }
    zone_fail::pass!("fill.identity");
    rustix::fs::syncfs(&tree.root).map_err(|errno| Error::io("sync the file system of", root, errno))?;
    Ok(changes)
}

/// What says the host's time zone.
const HOST_ZONE: &str = "/etc/localtime";
/// Where time zones are, as links to them end.
const ZONES: &str = "usr/share/zoneinfo";

/// Gives a root the host's time zone, if it knows that one: one that was made here, and one that has none.
fn time_zone(tree: &Tree, origin: Origin, host: &Path) -> Result<Option<Change>, Error> {
    let link = std::fs::read_link(host).unwrap_or_default();
    let link = link.to_string_lossy();
    let Some((_, name)) = link.split_once("/zoneinfo/") else { return Ok(None) };
    let known = zone_sys::path::in_root(&tree.root, format!("{ZONES}/{name}"), OFlags::PATH).is_ok();
    let Some(etc) = tree.directory("etc")?.filter(|_| known) else { return Ok(None) };
    let text = format!("../{ZONES}/{name}");
    let has = rustix::fs::readlinkat(&etc.fd, "localtime", Vec::new());
    if has.as_ref().is_ok_and(|has| has.to_bytes().ends_with(format!("/zoneinfo/{name}").as_bytes()))
        || (origin == Origin::Copy && !matches!(has, Err(Errno::NOENT)))
    {
        return Ok(None);
    }
    etc.remove("localtime")?;
    rustix::fs::symlinkat(text.as_str(), &etc.fd, "localtime")
        .map_err(|errno| etc.fault("make", "localtime", errno))?;
    // Debian's name of it, beside the link.
    if etc.read("timezone")?.is_some() {
        etc.replace("timezone", format!("{name}\n").as_bytes(), 0o644)?;
    }
    Ok(Some(Change::TimeZone(name.to_owned())))
}

/// Gives a root that has no locale the one that every C library has.
fn locale(tree: &Tree) -> Result<Option<Change>, Error> {
    const TEXT: &[u8] = b"LANG=C.UTF-8\n";
    let Some(etc) = tree.directory("etc")? else { return Ok(None) };
    let default = tree.directory("etc/default")?;
    let known = [(Some(&etc), "locale.conf"), (default.as_ref(), "locale")];
    let has = |(place, name): &(Option<&Place>, &str)| {
        let stat = place.map(|place| rustix::fs::statat(&place.fd, *name, AtFlags::SYMLINK_NOFOLLOW));
        !matches!(stat, None | Some(Err(Errno::NOENT)))
    };
    if known.iter().any(has) {
        return Ok(None);
    }
    // Debian's place where there is one, else systemd's.
    match &default {
        Some(default) => default.replace("locale", TEXT, 0o644)?,
        None => etc.replace("locale.conf", TEXT, 0o644)?,
    }
    Ok(Some(Change::Locale))
}

/// Deals with the nameservers of where a root was made. A link is the image's own matter: it says which program names them.
fn renew_resolver(etc: &Place, origin: Origin) -> Result<Option<Change>, Error> {
    const NAME: &str = "resolv.conf";
    let Some(text) = etc.read(NAME)? else { return Ok(None) };
    let marker = GUEST_MARKER.as_bytes();
    match origin {
        Origin::New => Ok(etc.remove(NAME)?.then_some(Change::Resolver)),
        // An empty one is replaced as it is, and what says nothing needs no word.
        Origin::Copy if text.is_empty() || text.starts_with(marker) => Ok(None),
        Origin::Copy => {
            etc.replace(NAME, &[marker, &text].concat(), 0o644)?;
            Ok(Some(Change::Nameservers))
        }
    }
}

/// `ssh_host_ed25519_key`, and the public half beside it.
fn is_host_key(name: &str) -> bool {
    let name = name.strip_suffix(".pub").unwrap_or(name);
    name.starts_with("ssh_host_") && name.ends_with("_key")
}

/// A hosts(5) file that knows the name of this machine, in the line that Debian has for it.
fn with_hostname(hosts: &[u8], hostname: &str) -> Vec<u8> {
    let own = format!("127.0.1.1\t{hostname}\n").into_bytes();
    let is_own = |line: &[u8]| {
        line.strip_prefix(b"127.0.1.1").is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
    };
    let mut text = Vec::with_capacity(hosts.len() + own.len());
    let mut known = false;
    for line in hosts.split_inclusive(|byte| *byte == b'\n') {
        if !is_own(line) {
            text.extend_from_slice(line);
        } else if !known {
            known = true;
            text.extend_from_slice(&own);
        }
    }
    if !known {
        if text.last().is_some_and(|byte| *byte != b'\n') {
            text.push(b'\n');
        }
        text.extend_from_slice(&own);
    }
    text
}

struct Tree {
    root: OwnedFd,
    shown: PathBuf,
}

impl Tree {
    /// A directory of the root, through links inside of it; `None` when there is none.
    fn directory(&self, path: &str) -> Result<Option<Place>, Error> {
        let shown = self.shown.join(path);
        match zone_sys::path::in_root(&self.root, path, DIR | OFlags::RDONLY) {
            Ok(fd) => Ok(Some(Place { fd, shown })),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => Ok(None),
            Err(errno) => Err(Error::io("open", shown, errno)),
        }
    }
}

/// A directory of the root.
struct Place {
    fd: OwnedFd,
    shown: PathBuf,
}

impl Place {
    fn fault(&self, doing: &'static str, name: &str, source: impl Into<std::io::Error>) -> Error {
        Error::io(doing, self.shown.join(name), source)
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        let failed = |errno: Errno| Error::io("read", &self.shown, errno);
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd).map_err(failed)? {
            // A name that is no text is none that is looked for.
            if let Ok(name) = entry.map_err(failed)?.file_name().to_str() {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// What is in a regular file; `None` for anything else, and for a file that is too long.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => return Ok(None),
            Err(errno) => return Err(self.fault("open", name, errno)),
        };
        let stat = rustix::fs::fstat(fd.as_fd()).map_err(|errno| self.fault("look at", name, errno))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        File::from(fd)
            .take(LONGEST + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| self.fault("read", name, error))?;
        Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= LONGEST))
    }

    /// Puts a file of root's in the place of what is there, by a rename.
    fn replace(&self, name: &str, contents: &[u8], mode: u32) -> Result<(), Error> {
        let new = format!(".{name}.new");
        let _ = rustix::fs::unlinkat(&self.fd, &new, AtFlags::empty());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, &new, flags, Mode::from_raw_mode(mode))
            .map_err(|errno| self.fault("create", &new, errno))?;
        let written = rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode))
            .map_err(std::io::Error::from)
            .and_then(|()| File::from(fd).write_all(contents))
            .and_then(|()| Ok(rustix::fs::renameat(&self.fd, &new, &self.fd, name)?));
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&self.fd, &new, AtFlags::empty());
        }
        written.map_err(|error| self.fault("write", name, error))
    }

    /// Removes a file; false when none is there.
    fn remove(&self, name: &str) -> Result<bool, Error> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT | Errno::ISDIR) => Ok(false),
            Err(errno) => Err(self.fault("remove", name, errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn machine(root: &Path) {
        for directory in ["etc/ssh", "var/lib/dbus", "var/lib/systemd"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        for (file, text) in [
            ("etc/hostname", "old\n"),
            ("etc/hosts", "127.0.0.1\tlocalhost\n127.0.1.1\told.example old\n::1 localhost"),
            ("etc/locale.conf", "LANG=de_DE.UTF-8\n"),
            ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
            ("etc/resolv.conf", "nameserver 127.0.0.53\n"),
            ("etc/ssh/ssh_host_rsa_key", "secret"),
            ("etc/ssh/ssh_host_rsa_key.pub", "public"),
            ("etc/ssh/sshd_config", "Port 22\n"),
            ("var/lib/dbus/machine-id", "0123456789abcdef0123456789abcdef\n"),
            ("var/lib/systemd/random-seed", "seed"),
        ] {
            fs::write(root.join(file), text).unwrap();
        }
    }

    fn read(root: &Path, file: &str) -> String {
        fs::read_to_string(root.join(file)).unwrap()
    }

    #[test]
    fn a_copy_becomes_another_machine() {
        let root = tempfile::tempdir().unwrap();
        machine(root.path());
        let changes = renew(root.path(), "web", Origin::Copy).unwrap();
        assert_eq!(
            changes,
            [
                Change::HostName("web".into()),
                Change::MachineId,
                Change::Nameservers,
                Change::Secrets,
                Change::SshHostKeys(2)
            ]
        );
        assert_eq!(read(root.path(), "etc/hostname"), "web\n");
        assert_eq!(read(root.path(), "etc/hosts"), "127.0.0.1\tlocalhost\n127.0.1.1\tweb\n::1 localhost");
        assert_eq!(read(root.path(), "etc/machine-id"), "");
        assert_eq!(
            fs::metadata(root.path().join("etc/machine-id")).unwrap().permissions().mode() & 0o777,
            0o444
        );
        let resolver = format!("{GUEST_MARKER}nameserver 127.0.0.53\n");
        assert_eq!(read(root.path(), "etc/resolv.conf"), resolver, "good until a boot knows better");
        assert_eq!(read(root.path(), "etc/ssh/sshd_config"), "Port 22\n");
        for gone in ["etc/ssh/ssh_host_rsa_key", "var/lib/dbus/machine-id", "var/lib/systemd/random-seed"] {
            assert!(!root.path().join(gone).exists(), "{gone}");
        }
        // Once more: nothing is left to be changed but the name.
        assert_eq!(renew(root.path(), "web", Origin::Copy).unwrap(), [Change::HostName("web".into())]);
    }

    #[test]
    fn a_new_root_keeps_its_new_keys_and_not_the_hosts_resolver() {
        let root = tempfile::tempdir().unwrap();
        machine(root.path());
        let changes = renew(root.path(), "web", Origin::New).unwrap();
        assert!(changes.contains(&Change::Resolver) && changes.contains(&Change::MachineId), "{changes:?}");
        assert!(!root.path().join("etc/resolv.conf").exists());
        assert!(root.path().join("etc/ssh/ssh_host_rsa_key").exists());
    }

    #[test]
    fn links_are_replaced_and_lead_nowhere_outside() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("file"), "precious").unwrap();
        fs::write(outside.path().join("machine-id"), "precious").unwrap();
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::create_dir_all(root.path().join("var/lib")).unwrap();
        for name in ["hostname", "hosts", "machine-id", ".hostname.new"] {
            symlink(outside.path().join("file"), root.path().join("etc").join(name)).unwrap();
        }
        symlink(outside.path(), root.path().join("var/lib/dbus")).unwrap();
        symlink(outside.path(), root.path().join("etc/ssh")).unwrap();
        let changes = renew(root.path(), "web", Origin::Copy).unwrap();
        assert_eq!(changes, [Change::HostName("web".into()), Change::Locale]);
        assert_eq!(read(root.path(), "etc/hostname"), "web\n");
        for name in ["file", "machine-id"] {
            assert_eq!(read(outside.path(), name), "precious");
        }
        // No /etc at all is nothing to fail for.
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(renew(empty.path(), "web", Origin::Copy).unwrap(), []);
    }

    #[test]
    fn the_time_zone_is_the_hosts_if_the_root_knows_it() {
        let host = tempfile::tempdir().unwrap();
        let link = host.path().join("localtime");
        symlink("/usr/share/zoneinfo/Europe/Berlin", &link).unwrap();
        let root = tempfile::tempdir().unwrap();
        let tree = Tree {
            root: rustix::fs::openat(CWD, root.path(), DIR | OFlags::RDONLY, Mode::empty()).unwrap(),
            shown: root.path().to_owned(),
        };
        let set = |origin| time_zone(&tree, origin, &link).unwrap();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        assert_eq!(set(Origin::New), None, "it has no such time zone");
        fs::create_dir_all(root.path().join("usr/share/zoneinfo/Europe")).unwrap();
        fs::write(root.path().join("usr/share/zoneinfo/Europe/Berlin"), "").unwrap();
        fs::write(root.path().join("etc/timezone"), "Etc/UTC\n").unwrap();
        let berlin = Some(Change::TimeZone("Europe/Berlin".into()));
        assert_eq!(set(Origin::Copy), berlin, "an image without one");
        assert_eq!(read(root.path(), "etc/timezone"), "Europe/Berlin\n");
        assert_eq!(set(Origin::New), None, "it has it by now");
        let own = root.path().join("etc/localtime");
        assert_eq!(fs::read_link(&own).unwrap(), Path::new("../usr/share/zoneinfo/Europe/Berlin"));
        fs::remove_file(&own).unwrap();
        symlink("/usr/share/zoneinfo/Asia/Tokyo", &own).unwrap();
        assert_eq!(set(Origin::Copy), None, "an image's own matter");
        assert_eq!(set(Origin::New), berlin);
        assert_eq!(time_zone(&tree, Origin::New, Path::new("/nowhere")).unwrap(), None);
    }

    #[test]
    fn a_locale_is_given_to_who_has_none() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc/default")).unwrap();
        assert!(renew(root.path(), "web", Origin::Copy).unwrap().contains(&Change::Locale));
        assert_eq!(read(root.path(), "etc/default/locale"), "LANG=C.UTF-8\n");
        assert!(!renew(root.path(), "web", Origin::New).unwrap().contains(&Change::Locale));
    }

    #[test]
    fn hosts_know_the_name_once() {
        let text = |hosts: &str| String::from_utf8(with_hostname(hosts.as_bytes(), "web")).unwrap();
        assert_eq!(text("::1 localhost"), "::1 localhost\n127.0.1.1\tweb\n");
        assert_eq!(text("127.0.1.1 a\n127.0.1.1 b\n127.0.1.10 c\n"), "127.0.1.1\tweb\n127.0.1.10 c\n");
        assert_eq!(text(""), "127.0.1.1\tweb\n");
    }
}

//! What a sparse zone gets of the host's `/etc`.

use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RawMode};
use rustix::io::Errno;

use super::Builder;
use crate::error::Error;

/// Files and directories below `/etc` that programs in `/usr` need, and that say nothing about the host but
/// which packages it has. A `*` at the end stands for any ending.
///
/// Not here, on purpose: whatever holds passwords, keys or tokens, now or by habit (`shadow`, `ssh`,
/// `ssl/private`, `sudoers`, `environment`, `profile.d`, `pip.conf`, `npmrc`, `gitconfig`, `wgetrc`, `apt`,
/// the options of services in `default`), the host's identity (`machine-id`, `hostname`), its network and its
/// mounts, and what would start its services here (`init.d`, `cron.*`, `systemd`).
const ALLOWED: [&str; 76] = [
    // the loader and the C library
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "locale.conf",
    "locale.gen",
    "localtime",
    "timezone",
    "gai.conf",
    "host.conf",
    "rpc",
    "services",
    "protocols",
    "ethertypes",
    "netconfig",
    // which program is meant
    "alternatives",
    "shells",
    "debian_version",
    "debian_chroot",
    "lsb-release",
    "redhat-release",
    "system-release",
    "fedora-release",
    "issue",
    "issue.net",
    // shells and terminals
    "bash.bashrc",
    "bashrc",
    "inputrc",
    "skel",
    "terminfo",
    "zsh",
    "vim",
    "nanorc",
    "screenrc",
    "dircolors",
    "DIR_COLORS",
    // logging in
    "login.defs",
    "pam.conf",
    "pam.d",
    "security",
    "adduser.conf",
    "deluser.conf",
    "default/locale",
    "default/useradd",
    "default/nss",
    "authselect",
    // interpreters and libraries that keep their defaults here
    "perl",
    "python3",
    "python3.*",
    "java-*",
    "ruby",
    "gss",
    "fonts",
    "xml",
    "sgml",
    "magic",
    "magic.mime",
    "mime.types",
    "mailcap",
    "groff",
    "manpath.config",
    "man_db.conf",
    "xattr.conf",
    "papersize",
    "mke2fs.conf",
    "iproute2",
    "emacs",
    // whom to trust; the private keys beside are not named
    "ssl/certs",
    "ssl/openssl.cnf",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "pki/ca-trust",
    "pki/tls/certs",
    "pki/tls/cert.pem",
    // the message bus
    "dbus-1/system.d",
];

/// Deeper than this nothing in these directories is; a loop of bind mounts might be.
const DEEPEST: usize = 12;
/// Larger than this no configuration file is (the loader's cache of a big host has about 1 MB).
const LARGEST: u64 = 16 << 20;

/// How what is copied is opened: no link, and nothing that could make us wait.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// Copies what the list names and the host has.
pub(super) fn copy(builder: &mut Builder<'_>) -> Result<(), Error> {
    let etc = builder.host.join("etc");
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = match rustix::fs::openat(CWD, &etc, flags, Mode::empty()) {
        Ok(directory) => directory,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(Error::io("copy", etc, errno)),
    };
    for pattern in ALLOWED {
        for name in matches(&etc, pattern) {
            let entry = Path::new("etc").join(&name);
            let name = CString::new(name.into_os_string().into_vec());
            let name = name.map_err(|error| Error::io("copy", &etc, io::Error::from(error)))?;
            let found = rustix::fs::statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW);
            let kind = match found {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(Error::io("copy", builder.host.join(&entry), errno)),
            };
            one(builder, &entry, At { directory: &directory, name: &name, kind }, 0)?;
        }
    }
    Ok(())
}

/// The names that a pattern stands for.
fn matches(etc: &Path, pattern: &str) -> Vec<PathBuf> {
    let Some(start) = pattern.strip_suffix('*') else { return vec![pattern.into()] };
    let Ok(entries) = fs::read_dir(etc) else { return Vec::new() };
    let mut names: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| PathBuf::from(entry.file_name()))
        .filter(|name| name.to_str().is_some_and(|name| name.starts_with(start)))
        .collect();
    names.sort();
    names
}

/// Something of the host's: in which directory, under which name, and what it was when the directory was read.
#[derive(Clone, Copy)]
struct At<'a> {
    directory: &'a OwnedFd,
    name: &'a CStr,
    kind: FileType,
}

impl At<'_> {
    fn mode(self) -> Result<RawMode, Errno> {
        Ok(rustix::fs::statat(self.directory, self.name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode)
    }

    /// Opens it with its mode and size; `None` if not everybody may read it, whoever we are.
    fn open(self) -> Result<Option<(OwnedFd, RawMode, u64)>, Errno> {
        let fd = match rustix::fs::openat(self.directory, self.name, READ, Mode::empty()) {
            // Root may open everything; unit tests may be run by somebody else.
            Err(Errno::ACCESS) if !is_public(self.mode()?) => return Ok(None),
            opened => opened?,
        };
        let stat = rustix::fs::fstat(&fd)?;
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        Ok(is_public(stat.st_mode).then_some((fd, stat.st_mode, size)))
    }
}

/// Copies one of the host's to the same place in the zone, with all that is below it.
fn one(builder: &mut Builder<'_>, entry: &Path, at: At<'_>, depth: usize) -> Result<(), Error> {
    let from = builder.host.join(entry);
    let failed = |errno: Errno| Error::io("copy", &from, errno);
    match at.kind {
        FileType::Symlink => {
            // The text alone: in the zone it leads to the host's /usr, to a file of the zone's, or to nothing.
            let text = rustix::fs::readlinkat(at.directory, at.name, Vec::new()).map_err(failed)?;
            builder.link(entry, OsStr::from_bytes(text.as_bytes()))
        }
        FileType::Directory | FileType::RegularFile => {
            let Some((fd, mode, size)) = at.open().map_err(failed)? else {
                builder.made.withheld.push(Path::new("/").join(entry));
                return Ok(());
            };
            // It may be another one by now.
            match FileType::from_raw_mode(mode) {
                FileType::Directory if depth < DEEPEST => {
                    builder.directory(entry, mode & 0o755)?;
                    for (name, kind) in below(&fd).map_err(failed)? {
                        let entry = entry.join(OsStr::from_bytes(name.to_bytes()));
                        one(builder, &entry, At { directory: &fd, name: &name, kind }, depth + 1)?;
                    }
                    Ok(())
                }
                FileType::RegularFile if size <= LARGEST => {
                    let bytes = contents(&fd, size).map_err(failed)?;
                    builder.file(entry, mode & 0o755, &bytes)
                }
                _ => Ok(()),
            }
        }
        _ => {
            if !is_public(at.mode().map_err(failed)?) {
                builder.made.withheld.push(Path::new("/").join(entry));
            }
            Ok(())
        }
    }
}

/// What is in a directory, by name, with what the directory says that it is.
fn below(directory: &OwnedFd) -> Result<Vec<(CString, FileType)>, Errno> {
    let mut found = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let kind = match entry.file_type() {
            // Not every file system says.
            FileType::Unknown => {
                let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(stat.st_mode)
            }
            kind => kind,
        };
        found.push((name.to_owned(), kind));
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

/// Reads a file that has this size, mostly by one call; what has grown beyond the largest is cut.
fn contents(file: &OwnedFd, size: u64) -> Result<Vec<u8>, Errno> {
    let room = |size: u64| usize::try_from(size.min(LARGEST) + 1).unwrap_or(usize::MAX);
    let mut bytes = vec![0; room(size)];
    let mut filled = 0;
    loop {
        match rustix::io::retry_on_intr(|| rustix::io::read(file, &mut bytes[filled..]))? {
            0 => break,
            got => filled += got,
        }
        // A byte more than there should be was asked for, and not given.
        if filled as u64 == size {
            break;
        }
        if filled == bytes.len() {
            if filled as u64 > LARGEST {
                break;
            }
            bytes.resize(room(filled as u64 * 2), 0);
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// The second fence: what not everybody on the host may read is nobody's business in the zone, list or no.
fn is_public(mode: RawMode) -> bool {
    let needed = if FileType::from_raw_mode(mode) == FileType::Directory { 0o005 } else { 0o004 };
    mode & needed == needed
}

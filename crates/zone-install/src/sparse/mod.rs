//! The private part of a zone of brand `sparse`.
//!
//! Such a zone runs the host's own `/usr`, mounted read-only when the zone becomes ready. What is made here is
//! the rest: a root with the host's links into `/usr`, a small `/etc` of its own and an empty `/var`. It takes
//! no download and well under a second.
//!
//! The host's `/etc` is full of what must stay on the host: password hashes, keys, tokens in the options of
//! services, the network. So nothing is copied but what a list names (in `etc.rs`), and of that only what
//! everybody on the host may read.

mod accounts;
mod etc;
mod texts;

use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::error::Error;
use crate::install::Summary;
use crate::install::target::{Meta, Target};

/// Directories that may be links into `/usr` ("merged /usr") or directories of their own.
const MERGED: [&str; 7] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32", "libo32"];

/// Mount points and plain directories, with their modes.
const DIRECTORIES: [(&str, u32); 40] = [
    ("usr", 0o755),
    ("native", 0o755),
    ("native/sbin", 0o755),
    ("dev", 0o755),
    ("proc", 0o555),
    ("sys", 0o555),
    ("run", 0o755),
    ("tmp", 0o1777),
    ("root", 0o700),
    ("home", 0o755),
    ("mnt", 0o755),
    ("media", 0o755),
    ("opt", 0o755),
    ("srv", 0o755),
    ("boot", 0o755),
    ("etc", 0o755),
    ("etc/profile.d", 0o755),
    ("etc/systemd", 0o755),
    ("etc/systemd/system", 0o755),
    ("etc/dbus-1", 0o755),
    ("etc/default", 0o755),
    ("etc/ssl", 0o755),
    ("var", 0o755),
    ("var/backups", 0o755),
    ("var/cache", 0o755),
    ("var/cache/ldconfig", 0o700),
    ("var/empty", 0o755),
    ("var/lib", 0o755),
    ("var/lib/dbus", 0o755),
    ("var/lib/misc", 0o755),
    ("var/lib/systemd", 0o755),
    ("var/local", 0o755),
    ("var/log", 0o755),
    ("var/log/journal", 0o755),
    ("var/mail", 0o1777),
    ("var/opt", 0o755),
    ("var/spool", 0o755),
    ("var/spool/cron", 0o755),
    ("var/tmp", 0o1777),
    ("var/www", 0o755),
];

/// Links that are the same everywhere: name and text.
const LINKS: [(&str, &str); 9] = [
    ("native/sbin/reboot", "init"),
    ("native/sbin/halt", "init"),
    ("native/sbin/poweroff", "init"),
    ("native/sbin/shutdown", "init"),
    ("var/run", "/run"),
    ("var/lock", "/run/lock"),
    ("var/spool/mail", "../mail"),
    ("etc/os-release", "../usr/lib/os-release"),
    ("etc/mtab", "../proc/self/mounts"),
];

/// What was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skeleton {
    /// Counts of what was made.
    pub summary: Summary,
    /// The host's links into `/usr` that were repeated, as name and text, such as `lib64` and `usr/lib64`.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// Directories of the host, beside `/usr`, that have to be mounted read-only at the same place: those that
    /// are links into `/usr` on other hosts. Empty on a host with a merged `/usr`.
    pub host_directories: Vec<PathBuf>,
    /// Things of the host's `/etc` that are there but were not copied, because not everybody may read them.
    pub withheld: Vec<PathBuf>,
}

/// Makes the private part of a sparse zone in `root`, which is created when missing and must be empty
/// otherwise. `hostname` is the zone's name for itself.
///
/// Everything is `root:root` with ordinary modes (`shadow` and `gshadow` belong to the group `shadow` where
/// the host has one). `native/sbin/init` is an empty file: the zone's own init is mounted over it.
///
/// # Errors
/// [`Error::RootNotEmpty`], [`Error::NoSpace`], or [`Error::Io`] naming the entry.
pub fn skeleton(root: &Path, hostname: &str) -> Result<Skeleton, Error> {
    skeleton_of(Path::new("/"), root, hostname)
}

/// [`skeleton`] with another directory in the place of the host's `/`.
///
/// # Errors
/// As [`skeleton`].
pub fn skeleton_of(host: &Path, root: &Path, hostname: &str) -> Result<Skeleton, Error> {
    match rustix::fs::mkdir(root, rustix::fs::Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(Error::io("create", root, errno)),
    }
    let mut builder = Builder { host, target: Target::open(root)?, made: Skeleton::default() };
    for (name, mode) in DIRECTORIES {
        builder.directory(name, mode)?;
    }
    builder.merged()?;
    for (name, text) in LINKS {
        builder.link(name, text)?;
    }
    // Nothing to run in itself: what is mounted over it is.
    builder.file("native/sbin/init", 0o755, b"")?;
    accounts::make(&mut builder)?;
    texts::make(&mut builder, hostname)?;
    etc::copy(&mut builder)?;
    let Builder { target, mut made, .. } = builder;
    made.summary = target.finish()?;
    Ok(made)
}

struct Builder<'h> {
    host: &'h Path,
    target: Target,
    made: Skeleton,
}

impl Builder<'_> {
    fn directory(&mut self, name: impl AsRef<Path>, mode: u32) -> Result<(), Error> {
        self.target.directory(name.as_ref(), Meta::ours(mode))
    }

    fn link(&mut self, name: impl AsRef<Path>, text: impl AsRef<Path>) -> Result<(), Error> {
        self.target.symlink(name.as_ref(), text.as_ref(), &Meta::ours(0o777))
    }

    fn file(&mut self, name: impl AsRef<Path>, mode: u32, text: &[u8]) -> Result<(), Error> {
        self.file_with(name.as_ref(), &Meta::ours(mode), text)
    }

    fn file_with(&mut self, name: &Path, meta: &Meta, text: &[u8]) -> Result<(), Error> {
        let mut file = self.target.create_file(name)?;
        file.write_all(text).map_err(|source| self.target.fault("write", name, source))?;
        self.target.finish_file(&file, name, meta)?;
        self.target.grew(0, text.len() as u64, name)
    }

    /// `/bin`, `/lib` and their like, as the host has them.
    fn merged(&mut self) -> Result<(), Error> {
        for name in MERGED {
            let host = self.host.join(name);
            let Ok(stat) = host.symlink_metadata() else { continue };
            if stat.is_dir() {
                self.directory(name, 0o755)?;
                self.made.host_directories.push(Path::new("/").join(name));
            } else if stat.is_symlink() {
                let text = host.read_link().map_err(|source| Error::io("read link", &host, source))?;
                // A link to elsewhere than /usr would lead to nothing in the zone.
                if Path::new("/").join(&text).starts_with("/usr") {
                    self.link(name, &text)?;
                    self.made.links.push((name.into(), text));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

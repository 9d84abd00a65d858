//! What a sparse zone gets of the host's `/etc`.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

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

/// Copies what the list names and the host has.
pub(super) fn copy(builder: &mut Builder<'_>) -> Result<(), Error> {
    let etc = builder.host.join("etc");
    for pattern in ALLOWED {
        for name in matches(&etc, pattern) {
            one(builder, &Path::new("etc").join(name), 0)?;
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

fn one(builder: &mut Builder<'_>, name: &Path, depth: usize) -> Result<(), Error> {
    let from = builder.host.join(name);
    let failed = |source| Error::io("copy", &from, source);
    let stat = match from.symlink_metadata() {
        Ok(stat) => stat,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if stat.is_symlink() {
        // The text alone: in the zone it leads to the host's /usr, to a file of the zone's, or to nothing.
        let text = from.read_link().map_err(failed)?;
        return builder.link(name, text);
    }
    if !is_public(&stat) {
        builder.made.withheld.push(Path::new("/").join(name));
        return Ok(());
    }
    if stat.is_dir() {
        if depth == DEEPEST {
            return Ok(());
        }
        builder.directory(name, stat.mode() & 0o755)?;
        let mut names: Vec<_> = fs::read_dir(&from)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.file_name())).collect())
            .map_err(failed)?;
        names.sort();
        for below in names {
            one(builder, &name.join(below), depth + 1)?;
        }
    } else if stat.is_file() && stat.len() <= LARGEST {
        let bytes = fs::read(&from).map_err(failed)?;
        builder.file(name, stat.mode() & 0o755, &bytes)?;
    }
    Ok(())
}

/// The second fence: what not everybody on the host may read is nobody's business in the zone, list or no.
fn is_public(stat: &Metadata) -> bool {
    let needed = if stat.is_dir() { 0o005 } else { 0o004 };
    stat.mode() & needed == needed
}

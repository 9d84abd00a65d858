//! What the zone's init is given in secret, where systemd looks for it, and what cloud-init is given, where that looks.
//!
//! Both are file systems in memory that are never swapped out (ramfs), with files that only the zone's root reads, and read-only from
//! the beginning: nothing of them is on the zone's disk, or in any file of ours but the configuration.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid, chownat, fchmod, openat};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use zone_config::hostpath::{HostPath, HostPathError, shown};
use zone_sys::mount::{MountAttr, set_attr};

use crate::check::Check;
use crate::mounts::new_fs;
use crate::spec::Secret;
use crate::zoneroot::{Canonical, Kind, Making, give};
use crate::{Build, Failed, PlatformError, Spec};

/// Where the zone's init finds them, which `$CREDENTIALS_DIRECTORY` says.
pub(crate) const DIRECTORY: &str = "/run/host/credentials";
/// Where cloud-init looks for the files of its data source NoCloud.
const SEED: &str = "/var/lib/cloud/seed/nocloud";
/// The most bytes of all of them: what systemd takes.
const MOST: u64 = 1 << 20;

/// Why a file cannot be given to the zone.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// Its path is not fit.
    #[error("cannot give {what} to the zone")]
    Path {
        /// The credential, or cloud-init's user data.
        what: String,
        /// What is wrong.
        source: HostPathError,
    },
    /// It is not what it must be.
    #[error("cannot give {what} to the zone: {} {reason}", shown(.path))]
    Unfit {
        /// The credential, or cloud-init's user data.
        what: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is too much.
    #[error("the credentials of the zone have more than {} KiB in all, which systemd does not take", MOST >> 10)]
    TooMuch,
}

/// The files that are asked for, with what each is in words.
fn files(spec: &Spec) -> impl Iterator<Item = (String, &Path)> {
    let credentials = spec.credentials.iter().filter_map(|(name, secret)| match secret {
        Secret::File(path) => Some((format!("credential {name}"), path.as_path())),
        Secret::Data(_) => None,
    });
    credentials.chain(spec.user_data.as_deref().map(|path| ("user-data".to_owned(), path)))
}

/// Opens the files.
///
/// # Errors
/// When one is not there, or somebody else than root could have written it.
pub(crate) fn look(check: &mut Check<'_>) -> Result<(), PlatformError> {
    for (what, path) in files(check.spec) {
        match open(what, path) {
            Ok(fd) => check.found.secrets.push(fd),
            Err(error) => check.fail(error),
        }
    }
    Ok(())
}

fn open(what: String, path: &Path) -> Result<OwnedFd, CredentialError> {
    let found = match HostPath::open(path) {
        Ok(found) => found,
        Err(source) => return Err(CredentialError::Path { what, source }),
    };
    let stat = found.stat();
    let trusted = [0, rustix::process::geteuid().as_raw()].contains(&stat.st_uid);
    let reason = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if !trusted => "is not owned by root",
        FileType::RegularFile if stat.st_mode & 0o022 != 0 => "can be written by others than root",
        FileType::RegularFile => return Ok(found.into_fd()),
        _ => "is not a file",
    };
    Err(CredentialError::Unfit { what, path: path.to_owned(), reason })
}

/// Adds the file systems, each if there is something in it.
///
/// # Errors
/// When they cannot be made, or a file cannot be read.
pub(crate) fn bring_up(build: &mut Build<'_>) -> Result<(), PlatformError> {
    let mut opened = std::mem::take(&mut build.found.secrets).into_iter();
    let base = build.base();
    if !build.spec.credentials.is_empty() {
        let mount = memory(DIRECTORY)?;
        let mut left = MOST;
        for (name, secret) in &build.spec.credentials {
            let bytes = match secret {
                Secret::Data(data) => data.clone().into_bytes(),
                Secret::File(path) => read(opened.next(), path)?,
            };
            left = left.checked_sub(bytes.len() as u64).ok_or(CredentialError::TooMuch)?;
            write(mount.as_fd(), DIRECTORY, name, &bytes, base)?;
        }
        attach(build, mount, DIRECTORY, Making::Owned(base))?;
    }
    if let Some(path) = &build.spec.user_data {
        let mount = memory(SEED)?;
        write(mount.as_fd(), SEED, "user-data", &read(opened.next(), path)?, base)?;
        let (id, host) = (build.spec.uuid.hyphenated(), &build.spec.hostname);
        let meta = format!("instance-id: {id}\nlocal-hostname: {host}\n");
        write(mount.as_fd(), SEED, "meta-data", meta.as_bytes(), base)?;
        attach(build, mount, SEED, Making::Plain)?;
    }
    Ok(())
}

fn memory(at: &str) -> Result<OwnedFd, Failed> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    new_fs(at, "ramfs", &[("mode", "500")], attributes)
}

fn attach(
    build: &mut Build<'_>,
    mount: OwnedFd,
    at: &'static str,
    making: Making,
) -> Result<(), PlatformError> {
    let owner = (Some(Uid::from_raw(build.base())), Some(Gid::from_raw(build.base())));
    chownat(&mount, "", owner.0, owner.1, AtFlags::EMPTY_PATH).map_err(Failed::to("give the zone", at))?;
    set_attr(mount.as_fd(), MountAttr::RDONLY, MountAttr::empty(), false)
        .map_err(Failed::to("make read-only", at))?;
    build.attach(mount, &Canonical::fixed(at), Kind::Directory, making)
}

/// Reads a file by the descriptor that was looked at.
fn read(file: Option<OwnedFd>, path: &Path) -> Result<Vec<u8>, PlatformError> {
    let failed = |error: io::Error| Failed::to("read", shown(path))(error);
    let Some(file) = file else { return Err(failed(io::ErrorKind::NotFound.into()).into()) };
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat(CWD, own, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
    let mut bytes = Vec::new();
    File::from(file).take(MOST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MOST { Err(CredentialError::TooMuch.into()) } else { Ok(bytes) }
}

/// Writes a file that only the zone's root reads.
fn write(dir: BorrowedFd<'_>, at: &str, name: &str, bytes: &[u8], base: u32) -> Result<(), Failed> {
    let written = || -> Result<(), Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(dir, name, flags, Mode::from_raw_mode(0o400))?;
        fchmod(&file, Mode::from_raw_mode(0o400))?;
        give(file.as_fd(), base)?;
        let written = File::from(file).write_all(bytes);
        written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    };
    written().map_err(Failed::to("write the zone's", format!("{at}/{name}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_file_is_roots_and_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let unfit =
            |path: &Path| zone_sys::Chain(&open("credential x".into(), path).unwrap_err()).to_string();
        assert!(
            unfit(&path).contains("cannot give credential x to the zone: could not access"),
            "{}",
            unfit(&path)
        );
        fs::write(&path, "secret").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let found = open("credential x".into(), &path).unwrap();
        assert_eq!(read(Some(found), &path).unwrap(), b"secret");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
        assert!(unfit(&path).contains("can be written by others than root"));
        assert!(unfit(dir.path()).contains("is not a file"));
        symlink(&path, dir.path().join("link")).unwrap();
        assert!(unfit(&dir.path().join("link")).contains("is a symlink"));
        fs::write(&path, vec![0; usize::try_from(MOST + 1).unwrap()]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let found = open("credential x".into(), &path).unwrap();
        assert!(matches!(read(Some(found), &path), Err(PlatformError::Credential(CredentialError::TooMuch))));
    }

    #[test]
    fn a_secret_is_printed_by_nobody() {
        let secret = Secret::Data("hunter2".into());
        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}

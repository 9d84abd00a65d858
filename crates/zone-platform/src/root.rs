//! The zone's path and root: whether they are fit, and the root's mount.

use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, StatVfsMountFlags, StatxFlags, fstat, fstatvfs, openat, statx,
};
use rustix::io::Errno;
use zone_config::hostpath::{HostPath, HostPathError, shown};
use zone_config::{ZoneName, idmap};
use zone_sys::mount::MountAttr;

use crate::build::missing;
use crate::check::{Check, Purpose};
use crate::claims::{Claims, Conflict, Spot};
use crate::mountinfo::{self, Mount};
use crate::mounts::{Below, CopyError, copy_mapped};
use crate::{Build, Failed, PlatformError, Spec, ids, immutable, kernel};

mod others;

pub(crate) use others::{Extent, Other, others};

/// Nobody but root may reach into a zone from the host.
const ZONEPATH_MODES: [u32; 1] = [0o700];
/// What `/` has: in most distributions, and in those of the Fedora family.
const ROOT_MODES: [u32; 2] = [0o755, 0o555];

/// A zone's path or root that is not fit.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// Somebody else could change what the zone runs.
    #[error("{} is not owned by root: say 'chown root:root {}'", .0.display(), .0.display())]
    Owner(PathBuf),
    /// Others on the host could reach into the zone, or the zone's users could not reach their root.
    #[error("{} must have mode {wanted:04o}, not {found:04o}: say 'chmod {wanted:o} {}'", .path.display(), .path.display())]
    Mode {
        /// The directory whose mode is refused.
        path: PathBuf,
        /// The mode that it has.
        found: u32,
        /// What it must be.
        wanted: u32,
    },
    /// The root was replaced by something that leads elsewhere.
    #[error("{} is a symlink: put the zone's root itself there", .0.display())]
    Symlink(PathBuf),
    /// Not a directory.
    #[error("{} is not a directory", .0.display())]
    NotDirectory(PathBuf),
    /// There is nothing at the zone's root.
    #[error("{} does not exist: if its file system is not mounted, mount it; else uninstall the zone with -F and install it again", .0.display())]
    Missing(PathBuf),
    /// Somebody else than root could put another directory in its place.
    #[error(transparent)]
    Path(#[from] HostPathError),
    /// A zone could put another directory in its place.
    #[error("{} cannot be a zonepath: {source}", shown(.path))]
    Conflict {
        /// The zonepath that was looked at.
        path: PathBuf,
        /// Which zone could, and by what.
        source: Box<Conflict>,
    },
    /// Another zone has it.
    #[error("zone root {} already in use by zone {zone}: give one of the two another zonepath", .root.display())]
    InUse {
        /// This zone's root.
        root: PathBuf,
        /// The other zone, which is up.
        zone: ZoneName,
    },
    /// What was left below would be hidden or shown by the zone.
    #[error("These file-systems are mounted on subdirectories of {}: unmount them\n{}", .root.display(), list(.mounts))]
    MountsBelow {
        /// The zone's root on the host.
        root: PathBuf,
        /// The directories below the root that file systems are mounted on.
        mounts: Vec<PathBuf>,
    },
    /// A mount option that no zone can live with.
    #[error("{} is on a file system mounted {option}, {effect}: say 'mount -o remount,{remedy} {}'", .path.display(), .point.display())]
    MountOption {
        /// The zone's root on the host.
        path: PathBuf,
        /// The option, as mount(8) names it.
        option: &'static str,
        /// What it would do to the zone.
        effect: &'static str,
        /// The option that undoes it.
        remedy: &'static str,
        /// Where the file system is mounted.
        point: PathBuf,
    },
    /// A network file system, which no zone can have its root on.
    #[error("Zonepath {} is on an NFS mounted file system: a local file system must be used", .0.display())]
    Nfs(PathBuf),
    /// The owners of its files cannot be those of a zone.
    #[error(
        "{} is on a file system ({fstype}) that Linux {running} cannot id-map: put the zonepath on ext4 or xfs (since Linux 5.12), btrfs (5.15), f2fs (5.18), tmpfs (6.3) or ZFS (OpenZFS 2.2)",
        .path.display()
    )]
    NoIdmap {
        /// The zone's root on the host.
        path: PathBuf,
        /// The file system's type.
        fstype: String,
        /// The version of the kernel that runs.
        running: String,
        /// What the kernel answered to the id-mapping.
        #[source]
        source: Box<zone_sys::Error>,
    },
    /// The index cannot be read.
    #[error(transparent)]
    Index(#[from] zone_config::index::IndexError),
    /// A call to the system failed.
    #[error(transparent)]
    Failed(#[from] Failed),
}

fn list(mounts: &[PathBuf]) -> String {
    let lines: Vec<_> = mounts.iter().map(|mount| format!("  {}", mount.display())).collect();
    lines.join("\n")
}

/// A zone's root that was found fit.
#[derive(Debug)]
pub struct Root {
    /// Names the directory, with the owners that are on disk.
    pub fd: OwnedFd,
    /// Where it is, without symlinks.
    pub path: PathBuf,
    /// The type of its file system.
    pub fstype: String,
}

/// Checks all that can be checked of an installed zone's path and root while it is not running.
///
/// A `nodev` file system is fit: the zone's own /dev is in memory, and its root is mounted `nodev` anyway.
///
/// # Errors
/// [`RootError`]: the first thing that is not right.
fn find(claims: &Claims, spec: &Spec, owner: u32) -> Result<Root, RootError> {
    let place = place(claims, spec)?;
    let zonepath = place.path().to_owned();
    let Some(found) = place.into_found() else { return Err(RootError::Missing(zonepath)) };
    if found.path() != spec.zonepath {
        return Err(RootError::Missing(spec.zonepath.clone()));
    }
    fit(&zonepath, (found.stat().st_mode, found.stat().st_uid), 0, &ZONEPATH_MODES)?;
    let path = zonepath.join("root");
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = match openat(found.fd(), "root", flags, Mode::empty()) {
        Err(Errno::NOENT) => return Err(RootError::Missing(path)),
        opened => opened.map_err(Failed::to("open", path.display()))?,
    };
    let stat = fstat(&fd).map_err(Failed::to("look at", path.display()))?;
    fit(&path, (stat.st_mode, stat.st_uid), owner, &ROOT_MODES)?;
    for other in claims.others() {
        if other.meets(&zonepath, &stat) {
            return Err(RootError::InUse { root: path, zone: other.zone.clone() });
        }
    }
    let table = claims.table();
    let below: Vec<PathBuf> = mountinfo::below(table, &path).map(|mount| mount.point.clone()).collect();
    if !below.is_empty() {
        return Err(RootError::MountsBelow { root: path, mounts: below });
    }
    let fstype = check_mount(&path, fd.as_fd(), table)?;
    Ok(Root { fd, path, fstype })
}

/// Finds the zonepath, or the lowest directory above it that exists, and sees that nobody but the host's root can put
/// something else in its place.
fn place(claims: &Claims, spec: &Spec) -> Result<Spot, RootError> {
    let conflict = |source| RootError::Conflict { path: spec.zonepath.clone(), source: Box::new(source) };
    claims.check_zonepath(&Spot::named(&spec.zonepath)).map_err(conflict)?;
    let spot = Spot::found(HostPath::open_existing_part(&spec.zonepath)?);
    claims.check_zonepath(&spot).map_err(conflict)?;
    Ok(spot)
}

/// Looks at the zonepath, and at the root of a zone that has one.
pub(crate) fn look(check: &mut Check<'_>) -> Result<(), PlatformError> {
    let (spec, purpose) = (check.spec, check.purpose);
    let owner = match idmap::nested() {
        None => 0,
        Some(_) => spec.ids.or(ids::recorded(check.layout, &spec.zone)?).map_or(0, |ids| ids.base),
    };
    let claims = check.claims()?;
    if matches!(purpose, Purpose::Verify { installed: false, .. }) {
        return Ok(place(claims, spec).map(drop)?);
    }
    let root = find(claims, spec, owner)?;
    if root.fstype == "tmpfs" {
        check.warn(format!("{} is on a temporary file system.", spec.zonepath.display()));
    }
    check.found.root = Some(root);
    Ok(())
}

/// Mounts the root that was found fit.
pub(crate) fn bring_up(build: &mut Build<'_>) -> Result<(), PlatformError> {
    let found = build.found.root.as_ref().ok_or(missing("root", "check"))?;
    build.root = Some(mount(found, build.userns.as_fd(), immutable::attributes(build.spec.protection))?);
    Ok(())
}

/// A directory, owned by root, or by whoever is root in a zone in this one, with one of these modes.
fn fit(path: &Path, (mode, uid): (u32, u32), owner: u32, modes: &[u32]) -> Result<(), RootError> {
    match FileType::from_raw_mode(mode) {
        FileType::Directory => {}
        FileType::Symlink => return Err(RootError::Symlink(path.to_owned())),
        _ => return Err(RootError::NotDirectory(path.to_owned())),
    }
    if uid != owner {
        return Err(RootError::Owner(path.to_owned()));
    }
    let found = mode & 0o7777;
    if modes.contains(&found) {
        return Ok(());
    }
    Err(RootError::Mode { path: path.to_owned(), found, wanted: modes[0] })
}

/// Checks the mount that the root is on, and says the type of its file system.
fn check_mount(path: &Path, fd: BorrowedFd<'_>, table: &[Mount]) -> Result<String, RootError> {
    let mount = mount_of(fd, table);
    let fstype = mount.map_or_else(|| "of unknown type".to_owned(), |mount| mount.fstype.clone());
    if fstype == "nfs" || fstype == "nfs4" {
        return Err(RootError::Nfs(path.to_owned()));
    }
    let point = mount.map_or_else(|| PathBuf::from("MOUNT"), |mount| mount.point.clone());
    let flags = fstatvfs(fd).map_err(Failed::to("look at the file system of", path.display()))?.f_flag;
    for (flag, option, effect, remedy) in [
        (StatVfsMountFlags::NOSUID, "nosuid", "so that su, sudo and passwd would fail in the zone", "suid"),
        (StatVfsMountFlags::NOEXEC, "noexec", "so that no program would run in the zone", "exec"),
        (StatVfsMountFlags::RDONLY, "ro", "so that the zone could not write its files", "rw"),
    ] {
        if flags.contains(flag) {
            return Err(RootError::MountOption { path: path.to_owned(), option, effect, remedy, point });
        }
    }
    Ok(fstype)
}

/// The entry of the mount table that a descriptor is on.
pub(crate) fn mount_of<'a>(fd: BorrowedFd<'_>, table: &'a [Mount]) -> Option<&'a Mount> {
    // STATX_MNT_ID, Linux 5.8.
    let found = statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?;
    table.iter().find(|mount| mount.id == found.stx_mnt_id)
}

/// The mount of the zone's root, detached, with the owners of the zone.
///
/// Its device nodes cannot be opened: those of the zone are in its /dev, and one in an image is nobody's intention.
///
/// # Errors
/// [`RootError::NoIdmap`]
fn mount(root: &Root, userns: BorrowedFd<'_>, set: MountAttr) -> Result<OwnedFd, RootError> {
    // In a zone no mount of the host's file systems can be id-mapped: the files have the zone's owners already.
    let userns = idmap::nested().is_none().then_some(userns);
    copy_mapped(root.fd.as_fd(), userns, MountAttr::NODEV | set, Below::NOTHING).map_err(
        |error| match error {
            CopyError::Idmap(source) => RootError::NoIdmap {
                path: root.path.clone(),
                fstype: root.fstype.clone(),
                running: kernel::release(),
                source: Box::new(source),
            },
            CopyError::Other(source) => Failed::to("copy the mount of", root.path.display())(source).into(),
        },
    )
}

#[cfg(test)]
mod tests;

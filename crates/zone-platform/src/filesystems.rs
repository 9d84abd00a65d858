//! The `fs` resources: directories of the host (`lofs`) and memory (`tmpfs`).
//!
//! A lofs is mounted with the zone's owners, as the root is: what belongs to user 1000 on the host belongs to the zone's user 1000,
//! and the zone's root may do there what root may. That is what whoever shares a directory means; it also means that the zone
//! can leave set-user-ID programs there, of which `verify` warns where users of the host could run them.

use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use zone_config::config::{Fs, FsType};
use zone_config::filesystem::{self, OptionError};
use zone_config::{Layout, ZoneConfig, ZoneName};
use zone_sys::mount::MountAttr;

use crate::kernelfs::memory;
use crate::mounts::{copy_best, host_path};
use crate::zoneroot::{Canonical, Kind, Making};
use crate::{Build, Failed, PlatformError, root};

mod options;

use options::Options;

/// An `fs` resource that cannot be mounted.
#[derive(Debug, thiserror::Error)]
pub enum FsError {
    /// Its directory is none that anything of the configuration may be mounted on.
    #[error("invalid mount directory, type: \"{fstype}\", special: \"{special}\", dir: \"{dir}\": {reason}")]
    Directory {
        /// The type.
        fstype: &'static str,
        /// What was to be mounted.
        special: String,
        /// Where.
        dir: String,
        /// Why not.
        reason: String,
    },
    /// What is to be mounted is not fit.
    #[error("could not verify fs {dir}")]
    Unfit {
        /// Where it was to be mounted.
        dir: String,
        /// Why not.
        #[source]
        source: Unfit,
    },
}

/// What is wrong with what an `fs` resource mounts.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It is not there, or cannot be reached.
    #[error("could not access {}", .path.display())]
    Access {
        /// What.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: Errno,
    },
    /// Neither a directory nor a file.
    #[error("{} is {kind}: a lofs is of a directory, a regular file or a socket", .path.display())]
    Type {
        /// What.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// It would give the zone more than a directory.
    #[error("{} cannot be shared with a zone: {reason}", .path.display())]
    Forbidden {
        /// What.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A mount option.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// Another zone's files cannot be told from it.
    #[error(transparent)]
    Others(#[from] Box<root::RootError>),
    /// A call to the system failed.
    #[error(transparent)]
    Failed(#[from] Failed),
}

/// What of the host no zone gets a part of.
const FORBIDDEN: [&str; 3] = ["/proc", "/sys", "/dev"];

/// An `fs` resource that was found fit.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) dir: Canonical,
    pub(crate) fs: &'a Fs,
    pub(crate) options: Options<'a>,
    /// What a lofs is of, opened, and what kind of mount point that takes.
    pub(crate) source: Option<(OwnedFd, Kind)>,
}

/// Checks all `fs` resources; those that are fit are sorted, parents first.
pub(crate) fn plan<'a>(
    layout: &Layout,
    zone: &ZoneName,
    config: &'a ZoneConfig,
) -> (Vec<Plan<'a>>, Vec<FsError>) {
    let (mut plans, mut errors): (Vec<Plan<'a>>, Vec<FsError>) = (Vec::new(), Vec::new());
    for fs in &config.fs {
        match plan_one(layout, zone, config, fs) {
            Ok(plan) if plans.iter().any(|other| other.dir == plan.dir) => {
                errors.push(directory_error(fs, "another fs resource has this directory".to_owned()));
            }
            Ok(plan) => plans.push(plan),
            Err(error) => errors.push(error),
        }
    }
    plans.sort_by(|a, b| a.dir.cmp(&b.dir));
    (plans, errors)
}

fn plan_one<'a>(
    layout: &Layout,
    zone: &ZoneName,
    config: &ZoneConfig,
    fs: &'a Fs,
) -> Result<Plan<'a>, FsError> {
    let dir: Canonical = fs.dir.parse().map_err(|error| directory_error(fs, format!("{error}")))?;
    if let Some(reason) = filesystem::reserved(&fs.dir) {
        return Err(directory_error(fs, reason.to_owned()));
    }
    let unfit = |source: Unfit| FsError::Unfit { dir: fs.dir.clone(), source };
    let options = Options::parse(fs.fstype, &fs.options).map_err(|error| unfit(error.into()))?;
    let source = match fs.fstype {
        FsType::Tmpfs => None,
        FsType::Lofs => Some(source(layout, zone, config, &fs.special).map_err(unfit)?),
    };
    Ok(Plan { dir, fs, options, source })
}

fn directory_error(fs: &Fs, reason: String) -> FsError {
    let (special, dir) = (fs.special.clone(), fs.dir.clone());
    FsError::Directory { fstype: fs.fstype.as_str(), special, dir, reason }
}

fn source(
    layout: &Layout,
    zone: &ZoneName,
    config: &ZoneConfig,
    special: &str,
) -> Result<(OwnedFd, Kind), Unfit> {
    let given = Path::new(special);
    let access = |error: std::io::Error| Unfit::Access {
        path: given.to_owned(),
        source: Errno::from_io_error(&error).unwrap_or(Errno::IO),
    };
    if !given.is_absolute() {
        let reason = "it is not an absolute path".to_owned();
        return Err(Unfit::Forbidden { path: given.to_owned(), reason });
    }
    let path = std::fs::canonicalize(given).map_err(access)?;
    permitted(layout, zone, config, &path)?;
    let fd = host_path(&path).map_err(|source| Unfit::Access { path: path.clone(), source })?;
    let mode = fstat(&fd).map_err(Failed::to("look at", path.display()))?.st_mode;
    let kind = match FileType::from_raw_mode(mode) {
        FileType::Directory => return Ok((fd, Kind::Directory)),
        FileType::RegularFile | FileType::Socket => return Ok((fd, Kind::File)),
        FileType::BlockDevice | FileType::CharacterDevice => "a device",
        FileType::Fifo => "a fifo",
        _ => "none of them",
    };
    Err(Unfit::Type { path, kind })
}

/// Keeps from a zone what would make it more than a zone: the kernel's file systems, what zones are administered with,
/// and the files of zones, other or its own.
fn permitted(layout: &Layout, zone: &ZoneName, config: &ZoneConfig, path: &Path) -> Result<(), Unfit> {
    let forbid = |reason: String| Err(Unfit::Forbidden { path: path.to_owned(), reason });
    let overlaps = |other: &Path| path.starts_with(other) || other.starts_with(path);
    if path == Path::new("/") {
        return forbid("it is the host's root; share what is meant below it".to_owned());
    }
    if FORBIDDEN.iter().any(|dir| path.starts_with(dir)) {
        return forbid("it is the kernel's".to_owned());
    }
    for ours in [layout.run(), layout.etc()] {
        let ours = std::fs::canonicalize(&ours).unwrap_or(ours);
        if overlaps(&ours) {
            return forbid(format!("zones are administered through {}", ours.display()));
        }
    }
    let own = std::fs::canonicalize(&config.zonepath).unwrap_or_else(|_| config.zonepath.clone());
    if overlaps(&own) {
        return forbid(format!("the zone itself is in {}", own.display()));
    }
    let others = root::others(layout, zone).map_err(Box::new)?;
    match others.iter().find(|other| overlaps(&other.zonepath)) {
        Some(other) => forbid(format!("zone {} is in {}", other.zone, other.zonepath.display())),
        None => Ok(()),
    }
}

/// Mounts them all, detached.
///
/// # Errors
/// The first that is not fit.
pub(crate) fn bring_up(build: &mut Build<'_>) -> Result<(), PlatformError> {
    let snapshot = build.snapshot;
    let (plans, errors) = plan(build.layout, &snapshot.name, &snapshot.config);
    if let Some(error) = errors.into_iter().next() {
        return Err(error.into());
    }
    for plan in plans {
        let Plan { dir, fs, options, source } = plan;
        match source {
            None => {
                let mount = tmpfs(&fs.dir, build.base(), &options)?;
                let making = if options.read_only() { Making::Nothing } else { Making::Owned(build.base()) };
                build.attach(mount, &dir, Kind::Directory, making)?;
            }
            Some((fd, kind)) => {
                let (mount, shortfall) =
                    copy_best(fd.as_fd(), build.userns.as_fd(), options.attributes, options.recursive)
                        .map_err(Failed::to("copy the mount of", &fs.special))?;
                if let Some(shortfall) = shortfall {
                    build.warn(shortfall.warning(&fs.special));
                }
                let making = if options.read_only() { Making::Nothing } else { Making::Plain };
                build.attach_over(mount, &dir, kind, fd.as_fd(), making)?;
            }
        }
    }
    Ok(())
}

fn tmpfs(dir: &str, base: u32, options: &Options<'_>) -> Result<OwnedFd, Failed> {
    let attributes = [
        (MountAttr::RDONLY, MountAttrFlags::MOUNT_ATTR_RDONLY),
        (MountAttr::NOSUID, MountAttrFlags::MOUNT_ATTR_NOSUID),
        (MountAttr::NOEXEC, MountAttrFlags::MOUNT_ATTR_NOEXEC),
    ];
    let wanted = attributes.into_iter().filter(|(attr, _)| options.has(*attr)).map(|(_, flag)| flag);
    memory(dir, base, &options.values, wanted.fold(MountAttrFlags::MOUNT_ATTR_NODEV, |all, flag| all | flag))
}

/// Whether users of the host can reach a directory that the zone may write to: then they can run what the zone's root leaves there.
pub(crate) fn lets_users_gain(plan: &Plan<'_>) -> bool {
    use std::os::unix::fs::MetadataExt;
    let open_to_all = |dir: &Path| std::fs::metadata(dir).is_ok_and(|meta| meta.mode() & 0o001 != 0);
    let path = Path::new(&plan.fs.special);
    let ignored =
        plan.source.as_ref().and_then(|(fd, _)| rustix::fs::fstatvfs(fd).ok()).is_some_and(|stat| {
            use rustix::fs::StatVfsMountFlags as Flags;
            stat.f_flag.intersects(Flags::NOSUID | Flags::NOEXEC | Flags::RDONLY)
        });
    let is_dir = matches!(plan.source, Some((_, Kind::Directory)));
    is_dir && !plan.options.read_only() && !ignored && path.ancestors().all(open_to_all)
}

#[cfg(test)]
mod tests;

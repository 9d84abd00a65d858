//! The `fs` resources: directories of the host (`lofs`) and memory (`tmpfs`).
//!
//! A lofs is mounted with the zone's owners, as the root is: what belongs to user 1000 on the host belongs to the zone's user 1000,
//! and the zone's root may do there what root may. That is what whoever shares a directory means; it also means that the zone
//! can leave set-user-ID programs there, so one that users of the host can reach, by whatever mount, is refused. With
//! `owners=host` the zone's processes are there who they are for the host, and own nothing that they have not made.

use rustix::fd::{AsFd, OwnedFd};
use rustix::mount::MountAttrFlags;
use zone_config::filesystem;
use zone_sys::mount::MountAttr;

use crate::check::Check;
use crate::claims::Claims;
use crate::kernelfs::memory;
use crate::mounts::{CopyError, copy_best, copy_mapped};
use crate::spec::{self, Mount};
use crate::zoneroot::{Canonical, Kind, Making, Refusal};
use crate::{Build, Failed, PlatformError};

mod elsewhere;
mod options;
mod source;

pub(crate) use options::Options;
use source::Judge;
pub(crate) use source::Source;
pub use source::{Forbidden, Unfit};

/// An `fs` resource that cannot be mounted.
#[derive(Debug, thiserror::Error)]
pub enum FsError {
    /// Its directory is none that anything of the configuration may be mounted on.
    #[error("invalid mount directory, type: \"{fstype}\", special: \"{special}\", dir: \"{dir}\": {reason}")]
    Directory {
        /// The type of file system.
        fstype: &'static str,
        /// What was to be mounted.
        special: String,
        /// The directory in the zone.
        dir: String,
        /// Why nothing can be mounted there.
        reason: NoMountPoint,
    },
    /// What is to be mounted is not fit.
    #[error("could not verify fs {dir}")]
    Unfit {
        /// Where it was to be mounted.
        dir: String,
        /// Why it is not fit.
        #[source]
        source: Box<Unfit>,
    },
}

/// Why nothing can be mounted on a directory of a zone.
#[derive(Debug, thiserror::Error)]
pub enum NoMountPoint {
    /// Its path is not spelt in the only way it can be.
    #[error(transparent)]
    Path(#[from] Refusal),
    /// The platform mounts there itself.
    #[error("{0}")]
    Reserved(&'static str),
    /// Something else is mounted there.
    #[error("another fs resource has this directory")]
    Taken,
}

/// An `fs` resource that was found fit.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) dir: Canonical,
    pub(crate) mount: &'a Mount,
    pub(crate) options: Options<'a>,
    /// What a lofs is of, opened.
    pub(crate) source: Option<Source>,
}

/// Looks at all `fs` resources and opens what they mount; those that are fit are kept in order, parents first.
pub(crate) fn look(check: &mut Check<'_>) -> Result<(), PlatformError> {
    let (layout, spec) = (check.layout, check.spec);
    if spec.mounts.is_empty() {
        return Ok(());
    }
    let judge = Judge::new(layout)?;
    let mut plans: Vec<Plan<'_>> = Vec::new();
    for mount in &spec.mounts {
        match plan(&judge, check.claims()?, mount) {
            Ok(plan) if plans.iter().any(|other| other.dir == plan.dir) => {
                check.fail(directory_error(mount, NoMountPoint::Taken));
            }
            Ok(plan) => plans.push(plan),
            Err(error) => check.fail(error),
        }
    }
    plans.sort_by(|a, b| a.dir.cmp(&b.dir));
    check.found.mounts = plans;
    Ok(())
}

fn plan<'a>(judge: &Judge, claims: &Claims, mount: &'a Mount) -> Result<Plan<'a>, FsError> {
    let dir: Canonical = mount.at.parse().map_err(|error: Refusal| directory_error(mount, error.into()))?;
    if let Some(reason) = filesystem::reserved(&mount.at) {
        return Err(directory_error(mount, NoMountPoint::Reserved(reason)));
    }
    let unfit = |source: Unfit| FsError::Unfit { dir: mount.at.clone(), source: Box::new(source) };
    let options = Options::parse(mount.fstype(), &mount.options).map_err(|error| unfit(error.into()))?;
    let source = match &mount.source {
        spec::Source::Memory(_) => None,
        spec::Source::Host(path) => Some(judge.source(claims, path, mount.mapped, &options).map_err(unfit)?),
    };
    Ok(Plan { dir, mount, options, source })
}

fn directory_error(mount: &Mount, reason: NoMountPoint) -> FsError {
    let (special, dir) = (mount.special(), mount.at.clone());
    FsError::Directory { fstype: mount.fstype().as_str(), special, dir, reason }
}

/// Mounts them all, detached.
///
/// # Errors
/// When one of them cannot be mounted.
pub(crate) fn bring_up(build: &mut Build<'_>) -> Result<(), PlatformError> {
    for Plan { dir, mount: wanted, options, source } in std::mem::take(&mut build.found.mounts) {
        match source {
            None => {
                let mount = tmpfs(&wanted.at, build.base(), &options)?;
                let making = if options.read_only() { Making::Nothing } else { Making::Owned(build.base()) };
                build.attach(mount, &dir, Kind::Directory, making)?;
            }
            Some(source) => {
                let (mount, shortfall) = if wanted.mapped {
                    copy_best(source.fd(), build.userns.as_fd(), options.attributes, options.recursive)
                } else {
                    copy_mapped(source.fd(), None, options.attributes, options.recursive)
                        .map(|mount| (mount, None))
                        .map_err(CopyError::into_inner)
                }
                .map_err(Failed::to("copy the mount of", wanted.special()))?;
                if let Some(shortfall) = shortfall {
                    build.warn(shortfall.warning(&wanted.special()));
                }
                let making = if options.read_only() { Making::Nothing } else { Making::Plain };
                build.attach_over(mount, &dir, source.kind(), source.fd(), making)?;
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

#[cfg(test)]
mod tests;

//! The `fs` resources: directories of the host (`lofs`) and memory (`tmpfs`).
//!
//! A lofs is mounted with the zone's owners, as the root is: what belongs to user 1000 on the host belongs to the zone's user 1000,
//! and the zone's root may do there what root may. That is what whoever shares a directory means; it also means that the zone
//! can leave set-user-ID programs there, so one that users of the host can reach is refused.

use rustix::fd::{AsFd, OwnedFd};
use rustix::mount::MountAttrFlags;
use zone_config::config::{Fs, FsType};
use zone_config::filesystem;
use zone_config::{Layout, ZoneConfig, ZoneName};
use zone_sys::mount::MountAttr;

use crate::kernelfs::memory;
use crate::mounts::copy_best;
use crate::zoneroot::{Canonical, Kind, Making};
use crate::{Build, Failed, PlatformError};

mod options;
mod source;

use options::Options;
use source::Judge;
pub(crate) use source::Source;
pub use source::{Forbidden, Unfit};

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
        source: Box<Unfit>,
    },
}

/// An `fs` resource that was found fit.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) dir: Canonical,
    pub(crate) fs: &'a Fs,
    pub(crate) options: Options<'a>,
    /// What a lofs is of, opened.
    pub(crate) source: Option<Source>,
}

/// Checks all `fs` resources; those that are fit are sorted, parents first.
pub(crate) fn plan<'a>(
    layout: &Layout,
    zone: &ZoneName,
    config: &'a ZoneConfig,
) -> (Vec<Plan<'a>>, Vec<FsError>) {
    let (mut plans, mut errors): (Vec<Plan<'a>>, Vec<FsError>) = (Vec::new(), Vec::new());
    if config.fs.is_empty() {
        return (plans, errors);
    }
    let judge = match Judge::new(layout, zone, config) {
        Ok(judge) => judge,
        Err(error) => {
            let dir = config.fs[0].dir.clone();
            return (plans, vec![FsError::Unfit { dir, source: Box::new(Unfit::Others(Box::new(error))) }]);
        }
    };
    for fs in &config.fs {
        match plan_one(&judge, fs) {
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

fn plan_one<'a>(judge: &Judge, fs: &'a Fs) -> Result<Plan<'a>, FsError> {
    let dir: Canonical = fs.dir.parse().map_err(|error| directory_error(fs, format!("{error}")))?;
    if let Some(reason) = filesystem::reserved(&fs.dir) {
        return Err(directory_error(fs, reason.to_owned()));
    }
    let unfit = |source: Unfit| FsError::Unfit { dir: fs.dir.clone(), source: Box::new(source) };
    let options = Options::parse(fs.fstype, &fs.options).map_err(|error| unfit(error.into()))?;
    let source = match fs.fstype {
        FsType::Tmpfs => None,
        FsType::Lofs => Some(judge.source(fs, &options).map_err(unfit)?),
    };
    Ok(Plan { dir, fs, options, source })
}

fn directory_error(fs: &Fs, reason: String) -> FsError {
    let (special, dir) = (fs.special.clone(), fs.dir.clone());
    FsError::Directory { fstype: fs.fstype.as_str(), special, dir, reason }
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
            Some(source) => {
                let (mount, shortfall) =
                    copy_best(source.fd(), build.userns.as_fd(), options.attributes, options.recursive)
                        .map_err(Failed::to("copy the mount of", &fs.special))?;
                if let Some(shortfall) = shortfall {
                    build.warn(shortfall.warning(&fs.special));
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

/// Whether a zone cannot write to what this resource mounts.
pub(crate) fn is_read_only(fs: &Fs) -> bool {
    Options::parse(fs.fstype, &fs.options).is_ok_and(|options| options.read_only())
}

#[cfg(test)]
mod tests;

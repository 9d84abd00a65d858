//! The `fs` resources: directories of the host (`lofs`, `overlay`) and of servers (`nfs`), memory (`tmpfs`), and file systems on disks
//! and in images.
//!
//! A lofs is mounted with the zone's owners, as the root is: what belongs to user 1000 on the host belongs to the zone's user 1000,
//! and the zone's root may do there what root may. That is what whoever shares a directory means; it also means that the zone
//! can leave set-user-ID programs there, so one that users of the host can reach, by whatever mount, is refused. With
//! `owners=host` the zone's processes are there who they are for the host, and own nothing that they have not made.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use zone_config::{Snapshot, filesystem};
use zone_sys::mount::set_idmap;

use crate::check::{Check, Purpose};
use crate::claims::Claims;
use crate::devices::{given_disks, is_guarded};
use crate::kernelfs::memory;
use crate::mounts::{CopyError, Shortfall, copy_best, copy_mapped};
use crate::spec::{self, Mount};
use crate::step::TearDown;
use crate::zoneroot::{Canonical, Kind, Making, Refusal};
use crate::{Build, Failed, PlatformError, mountinfo};

mod count;
mod disk;
mod elsewhere;
mod forsake;
mod gone;
mod live;
pub mod mounter;
mod options;
mod overlay;
mod server;
mod source;

pub use count::BESIDE;
pub(crate) use disk::Disk;
pub use disk::DiskError;
pub use forsake::forsake;
pub use gone::Held;
pub use live::Stays;
pub(crate) use live::{differs, update};

pub(crate) use options::Options;
use overlay::Overlay;
use server::Server;
pub use server::ServerError;
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
    /// There are more than can be handed to zsched.
    #[error(
        "a zone as this one has at most {most} fs resources, and this one has {given}: share a directory above several of them instead"
    )]
    TooMany {
        /// As many as there can be.
        most: usize,
        /// As many as there are.
        given: usize,
    },
    /// An image that the zone had is still mounted.
    #[error(transparent)]
    Held(#[from] Held),
    /// One that a zone that lives has is not taken away.
    #[error(transparent)]
    Stays(Stays),
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
    pub(crate) source: Found,
}

/// What the zone itself may have mounted of disks, when they are looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Own<'a> {
    /// Nothing: it does not live.
    Nothing,
    /// These mounts.
    Of(&'a [mountinfo::Mount]),
    /// Whatever it has: it was looked at when the zone got it.
    Any,
}

/// What is mounted, found and opened.
#[derive(Debug)]
pub(crate) enum Found {
    Memory,
    /// What a lofs is of.
    Source(Source),
    Disk(Disk),
    Overlay(Overlay),
    Server(Server),
}

/// Looks at all `fs` resources and opens what they mount; those that are fit are kept in order, parents first.
pub(crate) fn look(check: &mut Check<'_>) -> Result<(), PlatformError> {
    let (layout, spec) = (check.layout, check.spec);
    if spec.mounts.is_empty() {
        return Ok(());
    }
    let (most, given) = (count::most(spec), spec.mounts.len());
    if given > most {
        return Err(FsError::TooMany { most, given }.into());
    }
    let (mut judge, old) = (Judge::new(layout)?, check.old);
    if spec.mounts.iter().any(|mount| matches!(mount.source, spec::Source::Disk(..))) {
        judge = judge.beside(given_disks(layout, check.claims()?, spec, old)?);
    }
    let lives = matches!(check.purpose, Purpose::Verify { .. }) && layout.snapshot(&spec.zone).exists();
    // A disk that a zone has which lives is in use by that zone.
    let inside = check.inside.take();
    let mut plans: Vec<Plan<'_>> = Vec::new();
    for mount in &spec.mounts {
        let has = old.is_some_and(|old| old.mounts.iter().any(|other| other.source == mount.source));
        // A server that a zone has which lives may be away just now, but whoever asks whether it could boot is told.
        let had = has || lives && !matches!(mount.source, spec::Source::Server(_));
        let own = match (&inside, had) {
            (_, true) => Own::Any,
            (Some(inside), false) => Own::Of(inside),
            (None, false) => Own::Nothing,
        };
        match plan(&judge, check.claims()?, mount, own) {
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

fn plan<'a>(judge: &Judge, claims: &Claims, mount: &'a Mount, own: Own<'_>) -> Result<Plan<'a>, FsError> {
    let dir: Canonical = mount.at.parse().map_err(|error: Refusal| directory_error(mount, error.into()))?;
    if let Some(reason) = filesystem::reserved(&mount.at) {
        return Err(directory_error(mount, NoMountPoint::Reserved(reason)));
    }
    let unfit = |source: Unfit| FsError::Unfit { dir: mount.at.clone(), source: Box::new(source) };
    let options = Options::parse(mount.fstype(), &mount.options).map_err(|error| unfit(error.into()))?;
    let source = match &mount.source {
        spec::Source::Memory(_) => Found::Memory,
        spec::Source::Host(path) => {
            Found::Source(judge.source(claims, path, mount.mapped, &options).map_err(unfit)?)
        }
        spec::Source::Overlay { lower, upper } => {
            let layers = Overlay::look(judge, claims, mount, lower, upper.as_deref());
            Found::Overlay(layers.map_err(unfit)?)
        }
        spec::Source::Server(_) if mount.mapped => return Err(unfit(ServerError::Owners.into())),
        spec::Source::Server(special) => {
            let found = Server::look(special, &options, judge.limit(), own);
            Found::Server(found.map_err(|error| unfit(error.into()))?)
        }
        spec::Source::Disk(path, fstype) => {
            Found::Disk(judge.disk(claims, path, *fstype, &options, own).map_err(unfit)?)
        }
    };
    Ok(Plan { dir, mount, options, source })
}

fn directory_error(mount: &Mount, reason: NoMountPoint) -> FsError {
    let (special, dir) = (mount.special(), mount.at.clone());
    FsError::Directory { fstype: mount.fstype().as_str(), special, dir, reason }
}

/// A file system that was mounted, detached.
#[derive(Debug)]
struct Made {
    mount: OwnedFd,
    kind: Kind,
    /// If its owners are still to be mapped, what is said when they cannot be.
    refusal: Option<Unfit>,
    /// What the mount lacks.
    shortfall: Option<Shortfall>,
}

impl Plan<'_> {
    /// Mounts it, detached; owners are mapped through `userns`, or are `base` where there are none.
    fn make(&self, userns: BorrowedFd<'_>, base: u32) -> Result<Made, PlatformError> {
        let Self { mount: wanted, options, .. } = self;
        let (kind, mut refusal, mut shortfall) = (Kind::Directory, None, None);
        let mount = match &self.source {
            Found::Memory => memory(&wanted.at, base, &options.values, options.mount_attributes())?,
            Found::Disk(disk) => {
                refusal = (wanted.mapped && disk.has_owners()).then(|| disk.cannot_be_mapped());
                disk.mount(&wanted.at, options, wanted.mapped.then_some(base))?
            }
            Found::Server(server) => server
                .mount(&wanted.at, options)
                .map_err(|source| FsError::Unfit { dir: wanted.at.clone(), source: Box::new(source) })?,
            Found::Overlay(overlay) => {
                overlay.mount(&wanted.at, wanted.mapped.then_some((userns, base)), options)?
            }
            Found::Source(source) => {
                let copied = if wanted.mapped {
                    copy_best(source.fd(), userns, options.attributes, options.below())
                } else {
                    copy_mapped(source.fd(), None, options.attributes, options.below())
                        .map(|mount| (mount, None))
                        .map_err(CopyError::into_inner)
                };
                let (mount, lacks) = copied.map_err(Failed::to("copy the mount of", wanted.special()))?;
                shortfall = lacks;
                return Ok(Made { mount, kind: source.kind(), refusal, shortfall });
            }
        };
        Ok(Made { mount, kind, refusal, shortfall })
    }

    /// Refuses what later brings what nobody has looked at, where nothing keeps the zone from devices on it.
    fn permit(&self, guarded: bool) -> Result<(), FsError> {
        match &self.source {
            Found::Source(source) if self.options.follows && !guarded => {
                let refusal = Unfit::Unguarded(source.path().to_owned());
                Err(FsError::Unfit { dir: self.mount.at.clone(), source: Box::new(refusal) })
            }
            _ => Ok(()),
        }
    }

    /// What may be made in it for others to be mounted on.
    fn making(&self, base: u32) -> Making {
        match &self.source {
            _ if self.options.read_only() => Making::Nothing,
            Found::Memory => Making::Owned(base),
            Found::Overlay(overlay) if overlay.is_read_only() => Making::Nothing,
            // Nor is anything made on a server, where it might be root's.
            Found::Server(_) => Making::Nothing,
            _ => Making::Plain,
        }
    }
}

/// Mounts them all, detached.
///
/// # Errors
/// When one of them cannot be mounted.
pub(crate) fn bring_up(build: &mut Build<'_>) -> Result<(), PlatformError> {
    let (mut mapped, base) = (Vec::new(), build.base());
    for plan in std::mem::take(&mut build.found.mounts) {
        let guarded =
            build.cgroup.as_ref().is_some_and(|cgroup| is_guarded(cgroup.as_fd(), build.layout.id()));
        plan.permit(guarded)?;
        let Made { mount, kind, refusal, shortfall } = plan.make(build.userns.as_fd(), base)?;
        if let Some(shortfall) = shortfall {
            build.warn(shortfall.warning(&plan.mount.special()));
        }
        if let Some(refusal) = refusal {
            let fail = Failed::to("duplicate the descriptor of", plan.mount.special());
            mapped.push((mount.try_clone().map_err(fail)?, refusal, plan.mount));
        }
        let making = plan.making(base);
        match &plan.source {
            Found::Source(source) => build.attach_over(mount, &plan.dir, kind, source.fd(), making)?,
            _ => build.attach(mount, &plan.dir, kind, making)?,
        }
    }
    // Only now: what was made in them for others to be mounted on was made as the host's root makes it.
    for (mount, refusal, wanted) in mapped {
        map_owners(mount.as_fd(), build.userns.as_fd(), refusal, wanted)?;
    }
    Ok(())
}

/// Maps the owners of a file system that was made; `refusal` is what is said when that cannot be.
fn map_owners(
    mount: BorrowedFd<'_>,
    userns: BorrowedFd<'_>,
    refusal: Unfit,
    wanted: &Mount,
) -> Result<(), PlatformError> {
    match set_idmap(mount, userns, false) {
        Ok(()) => Ok(()),
        Err(error) if error.errno() == Errno::INVAL => {
            Err(FsError::Unfit { dir: wanted.at.clone(), source: Box::new(refusal) }.into())
        }
        Err(error) => Err(Failed::to("map the owners of", wanted.special())(error).into()),
    }
}

/// Waits until no loop device is left of an image that the zone had: the kernel lets go of a file system after the last
/// process that was in it has gone. Whoever holds it is named.
pub(crate) fn tear_down(down: &TearDown<'_>) -> Result<(), PlatformError> {
    // A zone that comes back uses the same device again.
    let Ok(snapshot) = Snapshot::load(down.layout, down.zone) else { return Ok(()) };
    // What could only be read can be anybody's next, and may be another zone's already.
    let written = snapshot.config.fs.iter().map(Mount::of).filter(|mount| !mount.is_read_only());
    let images = written.filter_map(|mount| match mount.source {
        spec::Source::Disk(path, _) if !down.comes_back => Some(path),
        _ => None,
    });
    let limit = zone_fail::limit(&down.layout.run(), down.limit);
    Ok(gone::wait(&images.collect::<Vec<_>>(), limit).map_err(FsError::from)?)
}

#[cfg(test)]
mod tests;

//! What zones have of the host, and how that may lie to each other.
//!
//! Through an id-mapped mount the root of a zone writes as the host's root. So below a directory that a zone may write
//! to no path is the administrator's: the zone can put another directory there, or a symlink. Nothing that a
//! configuration names may therefore lie below one, be it another zone's or the same zone's own, nor anywhere where a
//! zone has its files. Two zones that share one and the same directory are what somebody may mean.
//!
//! Places are compared by their text and by the identity of every directory on the way, which also sees a
//! directory that is mounted under a second name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fd::BorrowedFd;
use rustix::fs::Stat;
use zone_config::hostpath::{FileId, HostPath, shown};
use zone_config::{Layout, ZoneConfig, ZoneName, sharing};

use crate::check::Purpose;
use crate::mountinfo::{self, Mount};
use crate::root::{Extent, Other, RootError, others};
use crate::spec::Source;
use crate::{Spec, reach, spec};

mod disks;

pub(crate) use disks::{Medium, whole};

/// A place on the host: what it is called, and what it is if that could be found out.
#[derive(Debug)]
pub(crate) struct Spot {
    path: PathBuf,
    found: Option<Found>,
}

/// What is at a place.
#[derive(Debug)]
enum Found {
    /// It was walked to, and is held.
    Walked(HostPath),
    /// It was looked at from the directory above, which was walked to.
    Beneath(Arc<HostPath>, FileId),
}

impl Found {
    fn id(&self) -> FileId {
        match self {
            Self::Walked(found) => found.id(),
            Self::Beneath(_, id) => *id,
        }
    }

    fn is_below(&self, directory: FileId) -> bool {
        match self {
            Self::Walked(found) => found.is_below(directory),
            Self::Beneath(above, _) => above.id() == directory || above.is_below(directory),
        }
    }
}

impl Spot {
    /// A place known by its name alone.
    pub(crate) fn named(path: &Path) -> Self {
        // Takes "//", "/./" and a slash at the end out.
        Self { path: path.components().collect(), found: None }
    }

    /// A place that was walked to.
    pub(crate) fn found(found: HostPath) -> Self {
        Self { path: found.path().to_owned(), found: Some(Found::Walked(found)) }
    }

    /// Where another zone is.
    fn of_zone(other: &Other, table: &[Mount]) -> Self {
        match &other.found {
            Some((above, id)) => {
                Self { path: other.zonepath.clone(), found: Some(Found::Beneath(above.clone(), *id)) }
            }
            None => Self::look(&other.zonepath, table),
        }
    }

    /// Looks for a place of the host's own: a name that cannot be walked is a name still. One on a file system that
    /// somebody else serves is not looked at, for that may not answer.
    pub(crate) fn look(path: &Path, table: &[Mount]) -> Self {
        if reach::is_served(table, path) {
            return Self::named(path);
        }
        if let Ok(found) = HostPath::open(path) {
            return Self::found(found);
        }
        // A symlink on the way is for others to refuse; here it counts where it leads.
        let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if reach::is_served(table, &real) {
            return Self::named(&real);
        }
        HostPath::open(&real).map_or_else(|_| Self::named(&real), Self::found)
    }

    /// The name.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The descriptor of what was found there.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self.found.as_ref()? {
            Found::Walked(found) => Some(found.fd()),
            Found::Beneath(..) => None,
        }
    }

    /// What was found there, as of the walk to it.
    fn stat(&self) -> Option<&Stat> {
        match self.found.as_ref()? {
            Found::Walked(found) => Some(found.stat()),
            Found::Beneath(..) => None,
        }
    }

    /// What was found there.
    pub(crate) fn into_found(self) -> Option<HostPath> {
        match self.found? {
            Found::Walked(found) => Some(found),
            Found::Beneath(..) => None,
        }
    }

    /// Whether this is in `other`, and not `other` itself.
    pub(crate) fn is_below(&self, other: &Self) -> bool {
        let by_name = self.path != other.path && self.path.starts_with(&other.path);
        let by_identity = match (&self.found, &other.found) {
            (Some(inner), Some(outer)) => inner.is_below(outer.id()),
            _ => false,
        };
        by_name || by_identity
    }

    fn is(&self, other: &Self) -> bool {
        let identity = |spot: &Self| spot.found.as_ref().map(Found::id);
        self.path == other.path || identity(self).is_some_and(|own| identity(other) == Some(own))
    }

    /// Whether one of the two is in the other.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.is(other) || self.is_below(other) || other.is_below(self)
    }
}

/// A directory of the host that a zone mounts.
#[derive(Debug)]
pub(crate) struct Share {
    zone: ZoneName,
    /// Where in the zone.
    dir: String,
    spot: Spot,
    writable: bool,
    /// Whether it is a disk, or where an overlay keeps what is changed: the content is the kernel's alone while it is mounted.
    disk: bool,
    /// Whether it is where an overlay keeps what is changed.
    upper: bool,
    /// Whether it counts for whoever has a device: only what is there, and what is asked about, can be written to.
    counts: bool,
}

/// Why a place lies where it must not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// A zone can have the name stand for anything.
    #[error(
        "it is below {}, where zone {zone} can put anything in its place (fs {dir}): take a directory beside it, or add option ro to that fs",
        shown(.source_path)
    )]
    BelowWritable {
        /// The zone that may write above.
        zone: ZoneName,
        /// Where that zone has it.
        dir: String,
        /// What it may write to.
        source_path: PathBuf,
    },
    /// The zone could have a name that another fs resource depends on stand for anything.
    #[error(
        "{}, which zone {zone} mounts (fs {dir}), is below it: take a directory beside it, or add option ro",
        shown(.source_path)
    )]
    AboveShared {
        /// The zone that mounts what is below.
        zone: ZoneName,
        /// Where that zone has it.
        dir: String,
        /// What it mounts.
        source_path: PathBuf,
    },
    /// Two would write to one disk, each as if alone.
    #[error(
        "zone {zone} has it for its own (fs {dir}): give each fs a disk, or an upper directory, of its own, or add option ro to both"
    )]
    SameDisk {
        /// The zone that has it.
        zone: ZoneName,
        /// Where that zone has it.
        dir: String,
    },
    /// A zone could write to it while the kernel has it mounted.
    #[error(
        "zone {zone} has it, the whole of it or a part of it as a device (match {device}), and could write to it while it is mounted: give the fs a disk of its own, or remove the device"
    )]
    Device {
        /// The zone that has the device.
        zone: ZoneName,
        /// The `match` of the device.
        device: String,
    },
    /// The loop device that an image is given could be one that a zone has, or is given by its pattern later.
    #[error(
        "zone {zone} has loop devices by a pattern (match {device}), and the one that the image is mounted by could be among them: name each of the zone's by a device of its own"
    )]
    Loops {
        /// The zone that has the devices.
        zone: ZoneName,
        /// The `match` of the devices.
        device: String,
    },
    /// The files of a zone would be another's.
    #[error("zone {zone} is in {}", shown(.zonepath))]
    OtherZone {
        /// The zone that owns the files.
        zone: ZoneName,
        /// The zonepath of that zone.
        zonepath: PathBuf,
    },
    /// The files of the zone would be in itself once more.
    #[error("the zone itself is in {}", shown(.0))]
    OwnZone(PathBuf),
}

/// All that zones have of the host, seen by one of them.
#[derive(Debug)]
pub(crate) struct Claims {
    own: ZoneName,
    own_zonepath: Spot,
    others: Vec<Other>,
    /// Where the others are, in their order; only if the zone itself has anything of the host that could be there.
    zonepaths: Vec<Spot>,
    shares: Vec<Share>,
    table: Vec<Mount>,
    /// Whether the configurations of all others count.
    tells_all: bool,
}

impl Claims {
    /// Collects what this zone's configuration asks for, and what the other zones have or will have at their next boot, as far
    /// as the two can meet.
    pub(crate) fn collect(layout: &Layout, spec: &Spec, purpose: Purpose) -> Result<Self, RootError> {
        let table = mountinfo::read()?;
        let mut shares = shares(&spec.zone, &spec.mounts, &table, true);
        // One that lives is looked at before it is booted anew, which what is only configured keeps no zone from.
        let tells_all = matches!(purpose, Purpose::Verify { .. }) && !layout.snapshot(&spec.zone).exists();
        let extent = match shares.is_empty() {
            _ if tells_all => Extent::All,
            true => Extent::Near,
            false => Extent::Places,
        };
        let others = others(layout, &spec.zone, &spec.zonepath, &table, extent)?;
        let (own_zonepath, zonepaths) = match shares.as_slice() {
            [] => (Spot::named(&spec.zonepath), Vec::new()),
            _ => {
                let zonepaths = others.iter().map(|other| Spot::of_zone(other, &table)).collect();
                (Spot::look(&spec.zonepath, &table), zonepaths)
            }
        };
        shares.extend(others.iter().flat_map(|other| shares_of(layout, other, &table, tells_all)));
        Ok(Self { own: spec.zone.clone(), own_zonepath, others, zonepaths, shares, table, tells_all })
    }

    /// The table of mounts that all was looked at with.
    pub(crate) fn table(&self) -> &[Mount] {
        &self.table
    }

    /// The other zones that have, or may have, files.
    pub(crate) fn others(&self) -> &[Other] {
        &self.others
    }

    /// Whether the zone may mount what is at `spot`.
    pub(crate) fn check_share(&self, spot: &Spot, writable: bool) -> Result<(), Conflict> {
        if spot.meets(&self.own_zonepath) {
            return Err(Conflict::OwnZone(self.own_zonepath.path.clone()));
        }
        if let Some(at) = self.zonepaths.iter().position(|other| spot.meets(other)) {
            let Other { zone, zonepath, .. } = &self.others[at];
            return Err(Conflict::OtherZone { zone: zone.clone(), zonepath: zonepath.clone() });
        }
        self.check_writers(spot)?;
        // Of an overlay of the zone's own that is looked at by itself.
        let is_own = |share: &Share| share.upper && share.zone == self.own;
        let disk =
            self.shares.iter().find(|share| writable && share.disk && !is_own(share) && share.spot.is(spot));
        if let Some(Share { zone, dir, .. }) = disk {
            return Err(Conflict::SameDisk { zone: zone.clone(), dir: dir.clone() });
        }
        // Of two fs resources of one zone the inner one is told.
        let mut of_others = self.shares.iter().filter(|share| share.zone != self.own);
        match of_others.find(|share| writable && share.spot.is_below(spot)) {
            None => Ok(()),
            Some(Share { zone, dir, spot, .. }) => Err(Conflict::AboveShared {
                zone: zone.clone(),
                dir: dir.clone(),
                source_path: spot.path.clone(),
            }),
        }
    }

    /// Whether the zone may mount the file system on a disk, or on an image, at `spot`.
    pub(crate) fn check_disk(&self, spot: &Spot, writable: bool) -> Result<(), Conflict> {
        self.check_share(spot, false)?;
        let both_read = |share: &Share| share.disk && !share.writable && !writable;
        let of_other = |share: &&Share| share.zone != self.own || !share.disk;
        let other =
            self.shares.iter().filter(of_other).find(|share| share.spot.is(spot) && !both_read(share));
        match other {
            None => Ok(()),
            Some(Share { zone, dir, .. }) => Err(Conflict::SameDisk { zone: zone.clone(), dir: dir.clone() }),
        }
    }

    /// Whether the overlay that the zone has at `dir` may keep its changes at `spot`: nobody else may have that.
    pub(crate) fn check_upper(&self, spot: &Spot, dir: &str) -> Result<(), Conflict> {
        let is_it = |share: &Share| share.upper && share.zone == self.own && share.dir == dir;
        match self.shares.iter().find(|share| share.spot.is(spot) && !is_it(share)) {
            None => Ok(()),
            Some(Share { zone, dir, .. }) => Err(Conflict::SameDisk { zone: zone.clone(), dir: dir.clone() }),
        }
    }

    /// Whether a zone can put something else in the place of `spot`.
    fn check_writers(&self, spot: &Spot) -> Result<(), Conflict> {
        match self.shares.iter().find(|share| share.writable && spot.is_below(&share.spot)) {
            None => Ok(()),
            Some(Share { zone, dir, spot, .. }) => Err(Conflict::BelowWritable {
                zone: zone.clone(),
                dir: dir.clone(),
                source_path: spot.path.clone(),
            }),
        }
    }

    /// Whether a zone's files may be at `spot`: nowhere where a zone can write.
    pub(crate) fn check_zonepath(&self, spot: &Spot) -> Result<(), Conflict> {
        let same = |share: &&Share| share.writable && share.spot.is(spot);
        match self.shares.iter().find(same) {
            None => self.check_writers(spot),
            Some(Share { zone, dir, spot, .. }) => Err(Conflict::BelowWritable {
                zone: zone.clone(),
                dir: dir.clone(),
                source_path: spot.path.clone(),
            }),
        }
    }
}

/// What another zone mounts: of one that lives as it was made, else as it is configured. A configuration that
/// cannot be read boots no zone.
fn shares_of(layout: &Layout, other: &Other, table: &[Mount], tells_all: bool) -> Vec<Share> {
    if let Some(mounts) = other.live.as_ref().and_then(|live| live.mounts.as_ref()) {
        return shares(&other.zone, mounts, table, true);
    }
    if !other.may_share {
        return Vec::new();
    }
    let path = layout.config(&other.zone);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    if !sharing::may_share(&text) {
        return Vec::new();
    }
    let config = ZoneConfig::parse(&text, &path);
    let mounts = config.map(|config| config.fs.iter().map(spec::Mount::of).collect::<Vec<_>>());
    mounts.map(|mounts| shares(&other.zone, &mounts, table, tells_all)).unwrap_or_default()
}

fn shares(zone: &ZoneName, mounts: &[spec::Mount], table: &[Mount], counts: bool) -> Vec<Share> {
    let upper_of = |mount: &spec::Mount| match &mount.source {
        Source::Overlay { upper, .. } => upper.clone(),
        _ => None,
    };
    let share = |mount: &spec::Mount, path: &Path| {
        let is_upper = upper_of(mount).is_some_and(|upper| upper == path);
        let is_layer = matches!(mount.source, Source::Overlay { .. });
        Share {
            zone: zone.clone(),
            dir: mount.at.clone(),
            spot: Spot::look(path, table),
            writable: if is_layer { is_upper } else { !mount.is_read_only() },
            upper: is_upper,
            counts,
            disk: is_upper || matches!(mount.source, Source::Disk(..)),
        }
    };
    mounts
        .iter()
        .flat_map(|mount| mount.paths().map(move |path| share(mount, path)).collect::<Vec<_>>())
        .collect()
}

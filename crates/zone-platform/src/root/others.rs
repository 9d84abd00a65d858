//! Where the other zones are: nothing of two zones may meet.
//!
//! Whoever boots looks at no more than what can meet. Of the zones that are up: their ids, and what they mount of the host. Of those that
//! are not: the ones whose paths meet by their text, which the index tells, and the few that may mount something of the host
//! ([`zone_config::sharing`]). Only a zone that mounts something itself has to know where all the others are, and
//! `verify` looks at them all.
//! Directories are looked at from the one above, which many zones share and which is walked once.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, openat, stat, statat};
use zone_config::hostpath::{FileId, HostPath};
use zone_config::snapshot::Outline;
use zone_config::{IdRange, Index, Layout, Noted, Snapshot, State, ZoneName, hostboot, sharing};

use super::RootError;
use crate::mountinfo::Mount;
use crate::{reach, spec};

/// Another zone that has, or may have, files.
#[derive(Debug, Clone)]
pub(crate) struct Other {
    /// What it runs with, if it lives.
    pub(crate) live: Option<Live>,
    /// Whether its configuration may have something of the host.
    pub(crate) may_share: bool,
    /// Its name.
    pub(crate) zone: ZoneName,
    /// Its path, without symlinks if it exists.
    pub(crate) zonepath: PathBuf,
    /// What is at its root. A file system that somebody else serves may not answer, and is not looked at.
    root: Option<FileId>,
    /// The directory above its path, as it was walked to, and what its path is.
    pub(crate) found: Option<(Arc<HostPath>, FileId)>,
}

/// What a zone that lives has of what no two may have.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    /// Its ids on the host.
    pub(crate) ids: IdRange,
    /// What it mounts, if there may be something of the host; `None` if that cannot be read.
    pub(crate) mounts: Option<Vec<spec::Mount>>,
}

impl Other {
    /// Whether a zonepath without symlinks and what is at its root are also this zone's, in part or in whole.
    pub(crate) fn meets(&self, zonepath: &Path, root: &Stat) -> bool {
        self.overlaps(zonepath) || self.root == Some(FileId::of(root))
    }

    /// Whether one of the two paths is within the other.
    pub(crate) fn overlaps(&self, path: &Path) -> bool {
        path.starts_with(&self.zonepath) || self.zonepath.starts_with(path)
    }
}

/// Which of the other zones are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All that have files, and all of their configurations.
    All,
    /// All that have files, for a zone that mounts something of the host.
    Places,
    /// Those that may meet a zone that mounts nothing of the host.
    Near,
}

/// The other zones of this layout that may meet this one: of those that are at least being installed the ones that are asked for, all
/// that live, also if the index has lost them.
///
/// # Errors
/// When the index, or what is kept of who mounts what of the host, cannot be read.
pub(crate) fn others(
    layout: &Layout,
    zone: &ZoneName,
    zonepath: &Path,
    table: &[Mount],
    extent: Extent,
) -> Result<Vec<Other>, RootError> {
    let sharing = match extent {
        Extent::All => None,
        Extent::Places => Some(sharing::names(layout, Some(zone))?),
        Extent::Near => Some(sharing::names(layout, None)?),
    };
    let mut live = running(layout, zone);
    let mut entries = match &sharing {
        Some(sharing) if extent == Extent::Near => {
            let wanted = sharing.iter().chain(live.keys()).cloned().collect();
            let mut entries = Index::named(layout, &wanted)?;
            let near = Index::overlapping(layout, zonepath)?;
            entries.extend(near.into_iter().filter(|entry| !wanted.contains(&entry.name)));
            entries
        }
        _ => Index::load(layout)?.entries().cloned().collect(),
    };
    entries.retain(|entry| entry.name != *zone);
    let mut view = View { table, any_served: reach::is_any_served(table), above: HashMap::new() };
    let mut others = Vec::new();
    // A zone in the index is where the index says, whatever its snapshot has.
    for entry in entries {
        let live = live.remove(&entry.name);
        if entry.state > State::Configured {
            let may_share = sharing.as_ref().is_none_or(|sharing| sharing.contains(&entry.name));
            others.push(view.other(&entry.name, &entry.zonepath, live, may_share));
        }
    }
    for (name, live) in live {
        if let Ok(snapshot) = Snapshot::load(layout, &name) {
            others.push(view.other(&name, &snapshot.config.zonepath, Some(live), true));
        }
    }
    Ok(others)
}

/// The zones that live, but for this one.
fn running(layout: &Layout, zone: &ZoneName) -> BTreeMap<ZoneName, Live> {
    /// So many snapshots are read rather than what is noted of them.
    const FEW: usize = 8;
    let names: Vec<ZoneName> = layout.run_zones().filter(|name| name != zone).collect();
    let forgets = hostboot::forgets(layout);
    let mut noted = (names.len() > FEW).then(|| Noted::load(layout.outlines()));
    let mut one = |name: ZoneName| {
        // A note is of the present boot.
        let load = || Outline::load(layout, &name).filter(|_| forgets || !hostboot::is_over(layout, &name));
        let outline = match &mut noted {
            Some(noted) => Outline::noted(noted, layout, &name, load),
            None => load(),
        }?;
        let mounts = if outline.shares { mounts_of(layout, &name) } else { Some(Vec::new()) };
        Some((name, Live { ids: outline.ids, mounts }))
    };
    let running = names.into_iter().filter_map(&mut one).collect();
    if let Some(noted) = noted {
        noted.save();
    }
    running
}

/// What a zone that lives mounts.
fn mounts_of(layout: &Layout, zone: &ZoneName) -> Option<Vec<spec::Mount>> {
    let snapshot = Snapshot::load(layout, zone).ok()?;
    Some(snapshot.config.fs.iter().map(spec::Mount::of).collect())
}

/// The directories of zones, as far as they have been looked at.
struct View<'a> {
    table: &'a [Mount],
    /// Whether anything is mounted that somebody else serves: without, no path needs to be asked for.
    any_served: bool,
    /// The directories above zonepaths, by their names; `None` for those that are not there.
    above: HashMap<PathBuf, Option<Above>>,
}

/// A directory above zonepaths.
struct Above {
    fd: OwnedFd,
    /// Its name without symlinks.
    real: PathBuf,
    /// The way to it, if that is one that a zonepath may have.
    walked: Option<Arc<HostPath>>,
}

impl View<'_> {
    fn other(&mut self, zone: &ZoneName, zonepath: &Path, live: Option<Live>, may_share: bool) -> Other {
        let (zone, zonepath) = (zone.clone(), zonepath.to_owned());
        let mut other = Other { live, may_share, zone, zonepath, root: None, found: None };
        let zonepath = &other.zonepath.clone();
        if self.any_served && reach::is_served(self.table, zonepath) {
            return other;
        }
        let Some((above, name)) = self.above(zonepath) else {
            return other.by_name();
        };
        match statat(&above.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::Directory => {
                other.root = statat(&above.fd, Path::new(name).join("root"), AtFlags::empty())
                    .ok()
                    .map(|root| FileId::of(&root));
                other.zonepath = above.real.join(name);
                other.found = above.walked.clone().map(|walked| (walked, FileId::of(&found)));
                other
            }
            // A symlink, a file or nothing.
            _ => other.by_name(),
        }
    }

    /// Finds the directory above a path, and the name of the path in it.
    fn above<'a>(&mut self, path: &'a Path) -> Option<(&Above, &'a OsStr)> {
        let Some(Component::Normal(name)) = path.components().next_back() else { return None };
        let dir = path.parent()?;
        if !self.above.contains_key(dir) {
            self.above.insert(dir.to_owned(), Above::open(dir));
        }
        Some((self.above.get(dir)?.as_ref()?, name))
    }
}

impl Above {
    fn open(dir: &Path) -> Option<Self> {
        let real = fs::canonicalize(dir).ok()?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(CWD, &real, flags, Mode::empty()).ok()?;
        let walked = HostPath::open(&real).ok().map(Arc::new);
        Some(Self { fd, real, walked })
    }
}

impl Other {
    /// Looks at it by its name alone, wherever that leads.
    fn by_name(mut self) -> Self {
        if let Ok(real) = fs::canonicalize(&self.zonepath) {
            self.zonepath = real;
        }
        self.root = stat(self.zonepath.join("root")).ok().map(|root| FileId::of(&root));
        self
    }
}

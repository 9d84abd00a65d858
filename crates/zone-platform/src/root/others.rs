//! Where the other zones are: nothing of two zones may meet.
//!
//! Every zone that boots looks at all that are installed, so what it looks at is no more than what can meet: of a zone that is
//! down its two directories and whether its configuration mounts anything of the host, of one that lives its ids and the same of its snapshot.
//! Directories are looked at from the one above, which many zones share and which is walked once.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, openat, stat, statat};
use zone_config::hostpath::{FileId, HostPath};
use zone_config::snapshot::Outline;
use zone_config::{IdRange, Index, Layout, Snapshot, State, ZoneName, hostboot};

use super::RootError;
use crate::mountinfo::Mount;
use crate::{reach, spec};

/// Another zone that has, or may have, files.
#[derive(Debug, Clone)]
pub(crate) struct Other {
    /// What it runs with, if it lives.
    pub(crate) live: Option<Live>,
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

/// All other zones of this layout that are at least being installed, and those that live though the index has lost them.
///
/// # Errors
/// When the index cannot be read.
pub(crate) fn others(layout: &Layout, zone: &ZoneName, table: &[Mount]) -> Result<Vec<Other>, RootError> {
    let index = Index::load(layout)?;
    let mut view = View { table, any_served: reach::is_any_served(table), above: HashMap::new() };
    let forgets = hostboot::forgets(layout);
    let running = |name: &ZoneName| {
        let outline = Outline::load(layout, name).filter(|_| forgets || !hostboot::is_over(layout, name))?;
        let mounts = if outline.shares { mounts_of(layout, name) } else { Some(Vec::new()) };
        Some(Live { ids: outline.ids, mounts })
    };
    let installed = index.entries().filter(|entry| entry.name != *zone && entry.state > State::Configured);
    // A zone in the index is where the index says, whatever its snapshot has.
    let mut others: Vec<Other> =
        installed.map(|entry| view.other(&entry.name, &entry.zonepath, running(&entry.name))).collect();
    let known: HashSet<&str> = index.entries().map(|entry| entry.name.as_str()).collect();
    for dir in fs::read_dir(layout.run()).into_iter().flatten().flatten() {
        let name = dir.file_name();
        let Some(name) = name.to_str().filter(|name| *name != zone.as_str() && !known.contains(name)) else {
            continue;
        };
        if let Ok(name) = name.parse::<ZoneName>()
            && let Some(live) = running(&name)
            && let Ok(snapshot) = Snapshot::load(layout, &name)
        {
            others.push(view.other(&name, &snapshot.config.zonepath, Some(live)));
        }
    }
    Ok(others)
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
    fn other(&mut self, zone: &ZoneName, zonepath: &Path, live: Option<Live>) -> Other {
        let mut other =
            Other { live, zone: zone.clone(), zonepath: zonepath.to_owned(), root: None, found: None };
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

//! Where the other zones are: nothing of two zones may meet.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::Stat;
use zone_config::{Index, Layout, Snapshot, State, ZoneName, hostboot};

use super::RootError;
use crate::{Spec, mountinfo, reach};

/// Another zone that has, or may have, files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Other {
    /// What it runs with, if it lives.
    pub(crate) live: Option<Box<Spec>>,
    /// Its name.
    pub(crate) zone: ZoneName,
    /// Its path, without symlinks if it exists.
    pub(crate) zonepath: PathBuf,
    /// Whether its file system is the host's own: one that somebody else serves may not answer.
    local: bool,
}

impl Other {
    /// Whether a zonepath without symlinks and what is at its root are also this zone's, in part or in whole.
    pub(crate) fn meets(&self, zonepath: &Path, root: &Stat) -> bool {
        self.overlaps(zonepath)
            || self.local
                && fs::metadata(self.zonepath.join("root"))
                    .is_ok_and(|other| (other.dev(), other.ino()) == (root.st_dev, root.st_ino))
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
pub(crate) fn others(layout: &Layout, zone: &ZoneName) -> Result<Vec<Other>, RootError> {
    let index = Index::load(layout)?;
    let table = mountinfo::read()?;
    let running = |name: &ZoneName| {
        let snapshot = (!hostboot::is_over(layout, name)).then(|| Snapshot::load(layout, name).ok());
        snapshot.flatten().map(|snapshot| Box::new(Spec::of(&snapshot)))
    };
    let other = |zone, zonepath: PathBuf, live| {
        let local = !reach::is_served(&table, &zonepath);
        let real = if local { fs::canonicalize(&zonepath).ok() } else { None };
        Other { zone, zonepath: real.unwrap_or(zonepath), local, live }
    };
    let installed = index.entries().filter(|entry| entry.name != *zone && entry.state > State::Configured);
    // A zone in the index is where the index says, whatever its snapshot has.
    let mut others: Vec<Other> = installed
        .map(|entry| other(entry.name.clone(), entry.zonepath.clone(), running(&entry.name)))
        .collect();
    let dirs = fs::read_dir(layout.run()).into_iter().flatten().flatten();
    for name in dirs.filter_map(|dir| dir.file_name().to_str()?.parse::<ZoneName>().ok()) {
        if name != *zone
            && index.get(&name).is_none()
            && let Some(live) = running(&name)
        {
            others.push(other(name, live.zonepath.clone(), Some(live)));
        }
    }
    Ok(others)
}

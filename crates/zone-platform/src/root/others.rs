//! Where the other zones are: nothing of two zones may meet.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::Stat;
use zone_config::{Index, Layout, Snapshot, State, ZoneName, hostboot};

use super::RootError;
use crate::{mountinfo, reach};

/// Another zone that has, or may have, files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    /// Its name.
    pub zone: ZoneName,
    /// Its path, without symlinks if it exists.
    pub zonepath: PathBuf,
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
pub fn others(layout: &Layout, zone: &ZoneName) -> Result<Vec<Other>, RootError> {
    let index = Index::load(layout)?;
    let table = mountinfo::read()?;
    let other = |zone, zonepath: PathBuf| {
        let local = !reach::is_served(&table, &zonepath);
        let real = if local { fs::canonicalize(&zonepath).ok() } else { None };
        Other { zone, zonepath: real.unwrap_or(zonepath), local }
    };
    let installed = index.entries().filter(|entry| entry.name != *zone && entry.state > State::Configured);
    let mut others: Vec<Other> =
        installed.map(|entry| other(entry.name.clone(), entry.zonepath.clone())).collect();
    // A zone in the index lives where the index says: only of the others is the snapshot worth reading.
    let running = fs::read_dir(layout.run()).into_iter().flatten().flatten();
    for name in running.filter_map(|dir| dir.file_name().to_str()?.parse::<ZoneName>().ok()) {
        if name != *zone
            && index.get(&name).is_none()
            && !hostboot::is_over(layout, &name)
            && let Ok(snapshot) = Snapshot::load(layout, &name)
        {
            others.push(other(name, snapshot.config.zonepath));
        }
    }
    Ok(others)
}

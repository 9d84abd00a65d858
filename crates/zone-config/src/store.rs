//! A configuration and its line in the index, changed together under the index lock.
//!
//! The order of the steps is such that after a crash between any two of them no zone of the index lacks its
//! file: at worst a file is left that no line names, which a `commit` registers and a `create -F` writes over.

use std::path::PathBuf;

use crate::config::ConfigError;
use crate::document::Document;
use crate::file::{self, FileError, FileLock};
use crate::index::{Entry, Index, IndexError};
use crate::{Layout, State, ZoneName};

/// A change of a zone's configuration that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The index refused it or could not be written.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The configuration could not be written or removed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The zone has left the state in which this may be changed, since the configuration was read.
    #[error("Zone {zone} is {state}; {change} not allowed.")]
    State {
        /// The zone.
        zone: ZoneName,
        /// Its state.
        state: State,
        /// What was to be done.
        change: &'static str,
    },
}

/// Reads what is set in a zone's configuration.
///
/// # Errors
/// When there is none, or it cannot be read or understood.
pub fn load(layout: &Layout, zone: &ZoneName) -> Result<Document, ConfigError> {
    let path = layout.config(zone);
    let bytes = file::read_if_there(&path)?.ok_or_else(|| ConfigError::NoSuchZone(zone.clone()))?;
    // A byte that is not UTF-8 becomes one that no value allows, and is reported where it stands.
    Ok(Document::parse(&String::from_utf8_lossy(&bytes), &path)?)
}

/// Writes a zone's configuration, with a line in the index when it has none yet, under the name `to`, which is
/// another than `zone` when the zone is renamed.
///
/// # Errors
/// When a zone that is above configured would be renamed or moved, when `to` is in use, or when a file cannot be
/// written; nothing is then changed.
pub fn save(layout: &Layout, zone: &ZoneName, to: &ZoneName, document: &Document) -> Result<(), StoreError> {
    let zonepath = document.globals.text("zonepath").map(PathBuf::from).unwrap_or_default();
    let file = layout.config(to);
    let mut before = None;
    let changed = Index::update(layout, |index| {
        match index.get(zone).cloned() {
            Some(entry) => {
                let sealed = |change| StoreError::State { zone: zone.clone(), state: entry.state, change };
                if entry.state != State::Configured && zone != to {
                    return Err(sealed("set zonename"));
                }
                if entry.state != State::Configured && entry.zonepath != zonepath {
                    return Err(sealed("set zonepath"));
                }
                index.rename(zone, to)?;
                index.set_zonepath(to, zonepath)?;
            }
            None => {
                index.add(Entry { name: to.clone(), state: State::Configured, zonepath, uuid: None })?;
            }
        }
        file::make_dir_to_stay(&layout.etc(), 0o755)?;
        let old = file::read_if_there(&file)?;
        file::replace(&file, document.to_toml().as_bytes(), 0o644)?;
        before = Some(old);
        Ok(())
    });
    if let (Err(_), Some(old)) = (&changed, before) {
        // The index could not be written: the file goes back to what the index still says. If that fails too, the
        // first failure is the one to tell.
        let _ = match old {
            Some(old) => file::replace(&file, &old, 0o644),
            None => file::remove(&file),
        };
    }
    changed?;
    if zone != to {
        file::remove(&layout.config(zone))?;
    }
    Ok(())
}

/// Removes a zone's line in the index and its configuration; nothing else of it.
///
/// # Errors
/// When the zone is above configured and not `force`, or when a file cannot be written.
pub fn delete(layout: &Layout, zone: &ZoneName, force: bool) -> Result<(), StoreError> {
    Index::update(layout, |index| match index.get(zone) {
        Some(entry) if entry.state != State::Configured && !force => {
            Err(StoreError::State { zone: zone.clone(), state: entry.state, change: "delete" })
        }
        Some(_) => Ok(index.remove(zone).map(|_| ())?),
        // A configuration without a line is what a crash leaves.
        None => Ok(()),
    })?;
    file::remove(&layout.config(zone))?;
    // The last that is of the zone; not if somebody is at it.
    let locks = [layout.lock(zone), layout.oplock(zone)];
    if locks.iter().any(|lock| lock.exists())
        && let [Ok(Some(lock)), Ok(Some(oplock))] = locks.map(|lock| FileLock::try_take(&lock))
    {
        lock.discard();
        oplock.discard();
        let _ = std::fs::remove_dir(layout.zone_run(zone));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;
    use std::fs;

    fn document(zonepath: &str) -> Document {
        let mut document = Document::default();
        let row = schema::global("zonepath").unwrap();
        document.globals.set(row, row.read(zonepath).unwrap());
        document
    }

    #[test]
    fn the_file_and_the_line_live_and_die_together() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        let (web, db): (ZoneName, ZoneName) = ("web".parse().unwrap(), "db".parse().unwrap());
        save(&layout, &web, &web, &document("/zones/web")).unwrap();
        save(&layout, &web, &db, &document("/zones/db")).unwrap();
        assert!(!layout.config(&web).exists());
        assert_eq!(load(&layout, &db).unwrap(), document("/zones/db"));
        assert_eq!(fs::read_to_string(layout.index()).unwrap(), "db:configured:/zones/db:\n");

        Index::update(&layout, |index| index.set_state(&db, State::Installed)).unwrap();
        assert!(matches!(save(&layout, &db, &web, &document("/zones/db")), Err(StoreError::State { .. })));
        let refused = save(&layout, &db, &db, &document("/zones/x")).unwrap_err();
        assert_eq!(refused.to_string(), "Zone db is installed; set zonepath not allowed.");
        assert!(delete(&layout, &db, false).is_err());
        assert_eq!(load(&layout, &db).unwrap(), document("/zones/db"));
        delete(&layout, &db, true).unwrap();
        assert!(!layout.config(&db).exists());
        assert_eq!(fs::read_to_string(layout.index()).unwrap(), "");
    }
}

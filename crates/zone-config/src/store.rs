//! A configuration and its line in the index, changed together under the index lock.
//!
//! The order of the steps is such that after a crash between any two of them no zone of the index lacks its
//! file: at worst a file is left that no line names, which a `commit` registers and a `create -F` writes over.

use std::io;
use std::path::{Path, PathBuf};

use crate::addresses;
use crate::config::ConfigError;
use crate::document::Document;
use crate::file::{self, FileError, FileLock};
use crate::idmap::{self, IdMapError};
use crate::index::{Entry, Index, IndexError};
use crate::schema::{self, ValueError};
use crate::{IdRange, Layout, State, ZoneName, change, sharing};

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
        /// The zone that was to be changed.
        zone: ZoneName,
        /// The state that it is in by now.
        state: State,
        /// What was to be done.
        change: &'static str,
    },
    /// The zone has got files, which go by what was to be changed.
    #[error("Zone {zone} is {state}; set {property} not allowed.")]
    Sealed {
        /// The zone that was to be changed.
        zone: ZoneName,
        /// The state that it is in by now.
        state: State,
        /// The property's name.
        property: &'static str,
    },
    /// What was to be saved was made from what is not there any more.
    #[error(
        "Zone {0}: the configuration was changed or deleted by somebody else since it was read, and is left as it is; begin anew with 'zonecfg -z {0}'"
    )]
    Stale(ZoneName),
    /// Without its configuration nobody would know whose files these are.
    #[error(
        "Zone {zone} has its files in {}; delete not allowed.  Remove them with 'zoneadm -z {zone} uninstall', or move them away to keep them.",
        .root.display()
    )]
    Root {
        /// The zone that was to be deleted.
        zone: ZoneName,
        /// Its root on the host.
        root: PathBuf,
    },
    /// An install or uninstall is under way.
    #[error("Zone {0}: another zoneadm may have an operation in progress; delete not allowed.")]
    Busy(ZoneName),
    /// The zone's ids could not be looked up or given back.
    #[error(transparent)]
    Ids(#[from] IdMapError),
}

/// A zonepath that could not be written down.
#[derive(Debug, thiserror::Error)]
pub enum RelocateError {
    /// The configuration cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It is none that a configuration can have.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// The configuration or the index cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a configuration that is saved may write over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// Whatever is there.
    Any,
    /// Nothing: no zone may have the name.
    Nothing,
    /// The configuration from which it was made, by its [`change::version`].
    Version(String),
}

/// Reads what is set in a zone's configuration.
///
/// # Errors
/// When there is none, or it cannot be read or understood.
pub fn load(layout: &Layout, zone: &ZoneName) -> Result<Document, ConfigError> {
    let path = layout.config(zone);
    let bytes =
        file::read_if_there(&path, file::DOCUMENT)?.ok_or_else(|| ConfigError::NoSuchZone(zone.clone()))?;
    // A byte that is not UTF-8 becomes one that no value allows, and is reported where it stands.
    Ok(Document::parse(&String::from_utf8_lossy(&bytes), &path)?)
}

/// The text of a zone's configuration as it is on disk, with its comments; empty where there is none that can be read.
pub fn written(layout: &Layout, zone: &ZoneName) -> String {
    let bytes = file::read_if_there(&layout.config(zone), file::DOCUMENT).ok().flatten().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Writes a zone's configuration, with a line in the index when it has none yet, under the name `to`, which is
/// another than `zone` when the zone is renamed.
///
/// # Errors
/// When a sealed property of a zone above configured would be changed, when `to` is in use, when there is another configuration than
/// `base`, or when a file cannot be written; nothing is then changed.
pub fn save(
    layout: &Layout,
    zone: &ZoneName,
    to: &ZoneName,
    document: &Document,
    base: &Base,
) -> Result<(), StoreError> {
    if sharing::may_share(&document.to_toml()) {
        // Before it is there: a name too many is no harm.
        sharing::add(layout, to)?;
    }
    {
        let _lock = lock(layout)?;
        put(layout, zone, to, document, |entry| may_save(layout, zone, to, document, base, entry))?;
        if zone != to {
            // Before somebody else can have the old name.
            file::remove(&layout.config(zone))?;
        }
    }
    if zone != to {
        // A name too many is no harm.
        let _ = sharing::forget(layout, zone);
    }
    Ok(())
}

/// Writes that a zone's files are in `zonepath` now, whatever state it is in. Who is killed within it does the same again.
///
/// # Errors
/// When the configuration cannot be read or understood, or a file cannot be written; nothing is then changed.
pub fn set_zonepath(layout: &Layout, zone: &ZoneName, zonepath: &Path) -> Result<(), RelocateError> {
    // Before it is read: what somebody commits meanwhile is kept.
    let _lock = lock(layout)?;
    let mut document = load(layout, zone)?;
    if let Some(row) = schema::global("zonepath") {
        document.globals.set(row, row.read(&zonepath.to_string_lossy())?);
    }
    Ok(put(layout, zone, zone, &document, |_| Ok(()))?)
}

/// Takes the lock of the index, under which configurations are written, too.
fn lock(layout: &Layout) -> Result<FileLock, StoreError> {
    let lock = FileLock::take(&layout.index_lock())?;
    zone_fail::pass!("index.locked");
    Ok(lock)
}

/// Looks again, under the lock, at what was seen when the configuration was read: others install and commit meanwhile.
fn may_save(
    layout: &Layout,
    zone: &ZoneName,
    to: &ZoneName,
    document: &Document,
    base: &Base,
    entry: Option<&Entry>,
) -> Result<(), StoreError> {
    // What cannot be understood can only be written over.
    let there = load(layout, zone).ok();
    if let Some(entry) = entry.filter(|entry| entry.state != State::Configured) {
        let sealed = |property| StoreError::Sealed { zone: zone.clone(), state: entry.state, property };
        if zone != to {
            return Err(sealed("zonename"));
        }
        if entry.zonepath != zonepath_of(document) {
            return Err(sealed("zonepath"));
        }
        if let Some(property) = there.as_ref().and_then(|there| change::sealed(there, document)) {
            return Err(sealed(property));
        }
    }
    match (base, entry, there) {
        (Base::Any, ..) | (Base::Nothing, None, _) => Ok(()),
        (Base::Nothing, Some(_), _) => Err(IndexError::InUse(zone.clone()).into()),
        (Base::Version(read), _, Some(there)) if *read == change::version(&there) => Ok(()),
        (Base::Version(_), ..) => Err(StoreError::Stale(zone.clone())),
    }
}

fn zonepath_of(document: &Document) -> PathBuf {
    document.globals.text("zonepath").map(PathBuf::from).unwrap_or_default()
}

/// Writes the file and the line, if `may` lets it. The caller has the lock of the index.
fn put(
    layout: &Layout,
    zone: &ZoneName,
    to: &ZoneName,
    document: &Document,
    may: impl FnOnce(Option<&Entry>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let zonepath = zonepath_of(document);
    let file = layout.config(to);
    let mut before = None;
    let changed = Index::update_locked(layout, |index| {
        may(index.get(zone))?;
        let old = document.text.0.clone().unwrap_or_else(|| written(layout, zone));
        let text = document.to_toml_over(&old);
        file::check_size(&file, text.as_bytes(), file::DOCUMENT)?;
        if index.get(zone).is_some() {
            index.rename(zone, to)?;
            index.set_zonepath(to, zonepath)?;
        } else {
            index.add(Entry { name: to.clone(), state: State::Configured, zonepath, uuid: None })?;
        }
        file::make_dir_to_stay(&layout.etc(), 0o755)?;
        // What cannot be read cannot be put back, and is no reason not to write over it.
        let old = file::read_if_there(&file, file::DOCUMENT).ok();
        file::replace(&file, text.as_bytes(), document.mode())?;
        before = old;
        // Before the index: if a crash comes between, the same command does it all again.
        Ok(addresses::rename(layout, zone, to)?)
    });
    if let (Err(_), Some(old)) = (&changed, before) {
        // The index could not be written: the file goes back to what the index still says. If that fails too, the
        // first failure is the one to tell.
        let _ = match old {
            Some(old) => file::replace(&file, &old, mode_of(&old)),
            None => file::remove(&file),
        };
        let _ = addresses::rename(layout, to, zone);
    }
    changed
}

/// The mode of a file with this text: what is no configuration may have secrets.
fn mode_of(text: &[u8]) -> u32 {
    let document = Document::parse(&String::from_utf8_lossy(text), Path::new(""));
    document.map_or(0o600, |document| document.mode())
}

/// What became of a zone that was to be given files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is incomplete now, and has these ids.
    Incomplete(IdRange),
    /// It was not configured any more, but in this state; nothing was changed.
    Already(State),
}

/// Takes a configured zone to incomplete and gives it its ids, so that an uninstall finds what is made from here on. The disk is waited
/// for once for all of it.
///
/// # Errors
/// When there are no ids for it, or a file cannot be read or written; nothing is then changed.
pub fn begin(layout: &Layout, zone: &ZoneName) -> Result<Begun, StoreError> {
    let _lock = FileLock::take(&layout.index_lock())?;
    zone_fail::pass!("index.locked");
    let (before, index) = Index::changed(layout, |index| {
        let state = index.get(zone).map_or(State::Configured, |entry| entry.state);
        if state == State::Configured {
            index.set_state(zone, State::Incomplete)?;
        }
        Ok::<_, StoreError>(state)
    })?;
    if before != State::Configured {
        return Ok(Begun::Already(before));
    }
    let (range, ids) = idmap::given(layout, zone, Path::new("/etc"))?;
    file::make_dir_to_stay(&layout.etc(), 0o755)?;
    // The index first: what an incomplete zone has, an uninstall gives back.
    let files: Vec<_> = index.into_iter().chain(ids).collect();
    if let Err(error) = file::replace_all(&files) {
        // If what was replaced cannot be put back, the first failure is the one to tell.
        let _ = idmap::release_locked(layout, zone);
        if let Ok(((), Some(index))) =
            Index::changed(layout, |index| index.set_state(zone, State::Configured))
        {
            let _ = file::replace_all(&[index]);
        }
        return Err(error.into());
    }
    Ok(Begun::Incomplete(range))
}

/// Whether there is nothing of a zone's root that would be left without a name, and with ids that nobody would own.
///
/// # Errors
/// [`StoreError::Root`] when the zone is incomplete or installed and a root is there, or cannot be looked for.
pub fn may_delete(layout: &Layout, zone: &ZoneName) -> Result<(), StoreError> {
    match Index::load(layout)?.get(zone) {
        Some(entry) if entry.state != State::Configured && !is_missing(&root(entry)) => {
            Err(StoreError::Root { zone: zone.clone(), root: root(entry) })
        }
        _ => Ok(()),
    }
}

/// Removes a zone's line in the index and its configuration, frees its addresses, and gives its ids back if no file can have
/// them any more; no file of the zone's own. The answer is the ids that stay reserved.
///
/// # Errors
/// When a root of the zone is there, when it is above configured and not `force`, when a command is at work on it, or when a file
/// cannot be written.
pub fn delete(layout: &Layout, zone: &ZoneName, force: bool) -> Result<Option<IdRange>, StoreError> {
    let oplock = FileLock::try_take(&layout.oplock(zone))?;
    let oplock = oplock.ok_or_else(|| StoreError::Busy(zone.clone()))?;
    let deleted = delete_locked(layout, zone, force);
    if deleted.is_ok() {
        FileLock::discard_if_free(&layout.unit_lock(zone));
    }
    // The last that is of the zone; not if a daemon is there. What was made for a zone that cannot be deleted goes too.
    if !layout.lock(zone).exists() {
        oplock.discard();
    } else if deleted.is_ok()
        && let Ok(Some(lock)) = FileLock::try_take(&layout.lock(zone))
    {
        lock.discard();
        oplock.discard();
    }
    // Removes nothing but an empty directory.
    let _ = std::fs::remove_dir(layout.zone_run(zone));
    deleted
}

fn delete_locked(layout: &Layout, zone: &ZoneName, force: bool) -> Result<Option<IdRange>, StoreError> {
    may_delete(layout, zone)?;
    let index = Index::load(layout)?;
    let entry = index.get(zone);
    if let Some(entry) = entry
        && entry.state != State::Configured
        && !force
    {
        return Err(StoreError::State { zone: zone.clone(), state: entry.state, change: "delete" });
    }
    let mut kept = match idmap::lookup(layout, zone) {
        Err(IdMapError::File(error)) => return Err(IdMapError::File(error).into()),
        // A line that was edited into nonsense stays for whoever has to correct it, and keeps no configuration.
        recorded => recorded.ok().flatten(),
    };
    // Where the zonepath itself is missing, it may be on a disk that is not mounted. Only here is it looked at: a zone that was never
    // installed has no ids, and its zonepath may be on a file system that does not answer.
    if kept.is_some()
        && let Some(entry) = entry
        && entry.zonepath.is_dir()
        && is_missing(&root(entry))
    {
        idmap::release(layout, zone)?;
        kept = None;
    }
    let seen = entry.map(|entry| entry.state);
    {
        // Until all is gone: who has read the zone, and saves it in between, would be told that it is saved.
        let _lock = lock(layout)?;
        Index::update_locked(layout, |index| match index.get(zone) {
            // It may have come further meanwhile only by a hand that knows no locks.
            Some(entry) if Some(entry.state) != seen => {
                Err(StoreError::State { zone: zone.clone(), state: entry.state, change: "delete" })
            }
            Some(_) => Ok(index.remove(zone).map(|_| ())?),
            // A configuration without a line is what a crash leaves.
            None => Ok(()),
        })?;
        // The configuration goes last: as long as it is there, the zone can be deleted again.
        addresses::release(layout, zone)?;
        file::remove(&layout.moving(zone))?;
        file::remove(&layout.config(zone))?;
    }
    // A name too many is no harm, and the zone is deleted.
    let _ = sharing::forget(layout, zone);
    Ok(kept)
}

fn root(entry: &Entry) -> PathBuf {
    entry.zonepath.join("root")
}

fn is_missing(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests;

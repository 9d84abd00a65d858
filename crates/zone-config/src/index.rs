//! `/etc/zones/index`: which zones there are and how far each has come, below ready.
//!
//! One line a zone, `name:state:path:uuid`, as on Solaris; the path is in double quotes when it has a colon.
//! Comments, blank lines, the line of `global` and lines that make no sense stay where they are, byte for
//! byte: a file that was truncated or edited into nonsense loses nothing by our writing it.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::file::{self, FileError, FileLock, Next};
use crate::lines;
use crate::{Layout, State, ZoneName};

mod line;

use line::Line;

/// What the index says about one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, once in the index.
    pub name: ZoneName,
    /// Configured, incomplete or installed.
    pub state: State,
    /// Where it is installed, or would be.
    pub zonepath: PathBuf,
    /// Given when the state first goes above configured, gone when it is back there.
    pub uuid: Option<Uuid>,
}

/// A line of the index that is neither a zone nor a comment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}, line {line}: {reason}; the line is kept as it is", .path.display())]
pub struct IndexProblem {
    /// The index's path, with the root.
    pub path: PathBuf,
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it, and what a line should be.
    pub reason: String,
}

/// A change of the index that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Reading, locking or writing it failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// No line for that zone.
    #[error("{0}: No such zone configured")]
    NoSuchZone(ZoneName),
    /// A second line for one zone.
    #[error("{0}: Zone name already in use")]
    InUse(ZoneName),
    /// A state that is derived from what lives, never stored.
    #[error("{zone}: the index cannot hold the state '{state}', only configured, incomplete and installed")]
    NotStored {
        /// The zone whose line was to be changed.
        zone: ZoneName,
        /// The state that was to be written.
        state: State,
    },
    /// A path that its line could not hold.
    #[error("{zone}: zonepath {path:?} must be valid UTF-8 without double quotes and control characters")]
    Path {
        /// The zone whose line was to be written.
        zone: ZoneName,
        /// The zonepath that does not fit into a line.
        path: PathBuf,
    },
}

/// The index in memory.
#[derive(Clone, Debug, Default)]
pub struct Index {
    path: PathBuf,
    lines: Vec<Line>,
}

impl Index {
    /// Reads the index as it is now. It is replaced by rename, so that no lock is needed to read; a missing one is empty.
    ///
    /// # Errors
    /// When it is there and cannot be read. Lines that make no sense are no error: see [`Self::problems`].
    pub fn load(layout: &Layout) -> Result<Self, IndexError> {
        let path = layout.index();
        let bytes = file::read_if_there(&path, file::TABLE)?.unwrap_or_default();
        Ok(Self { lines: lines::parse(&bytes), path })
    }

    /// Finds the line of one zone in the index as it is now, without keeping what the others have; `None` if there is no line
    /// for it. As in all of the index, the first line that makes sense rules.
    ///
    /// # Errors
    /// When the index is there and cannot be read.
    pub fn find(layout: &Layout, zone: &ZoneName) -> Result<Option<Entry>, IndexError> {
        let is_of_zone = |line: &[u8]| {
            line.strip_prefix(zone.as_str().as_bytes()).is_some_and(|rest| rest.starts_with(b":"))
        };
        let found = file::scan_lines(&layout.index(), file::TABLE, |line| {
            match is_of_zone(line).then(|| lines::read::<Entry>(line)) {
                Some(Ok(Some(entry))) => ControlFlow::Break(entry),
                _ => ControlFlow::Continue(()),
            }
        });
        Ok(found?)
    }

    /// Finds the zones whose paths are within this one, or have it within them, going by their text, without keeping what the
    /// others have.
    ///
    /// # Errors
    /// When the index is there and cannot be read.
    pub fn overlapping(layout: &Layout, path: &Path) -> Result<Vec<Entry>, IndexError> {
        let mut found = Vec::new();
        let overlaps = |other: &Path| other.starts_with(path) || path.starts_with(other);
        let scanned: Option<()> = file::scan_lines(&layout.index(), file::TABLE, |line| {
            if line::path_of(line).is_some_and(overlaps)
                && let Ok(Some(entry)) = lines::read::<Entry>(line)
            {
                found.push(entry);
            }
            ControlFlow::Continue(())
        })?;
        debug_assert_eq!(scanned, None);
        // A second line of a zone makes no sense.
        let mut rules = Vec::new();
        for entry in found {
            if Self::find(layout, &entry.name)?.as_ref() == Some(&entry) && !rules.contains(&entry) {
                rules.push(entry);
            }
        }
        Ok(rules)
    }

    /// Finds the zones of these names, without keeping what the others have.
    ///
    /// # Errors
    /// When the index is there and cannot be read.
    pub fn named(layout: &Layout, names: &BTreeSet<ZoneName>) -> Result<Vec<Entry>, IndexError> {
        let mut found: Vec<Entry> = Vec::new();
        if names.is_empty() {
            return Ok(found);
        }
        let mut known = HashSet::new();
        let scanned: Option<()> = file::scan_lines(&layout.index(), file::TABLE, |line| {
            let name = line.split(|&byte| byte == b':').next().and_then(|name| str::from_utf8(name).ok());
            if name.is_some_and(|name| names.contains(name))
                && let Ok(Some(entry)) = lines::read::<Entry>(line)
                && known.insert(entry.name.clone())
            {
                found.push(entry);
            }
            ControlFlow::Continue(())
        })?;
        debug_assert_eq!(scanned, None);
        Ok(found)
    }

    /// Changes the index under its lock: reads it, lets `change` work on it, and writes it if that succeeded and
    /// made a difference. When this returns an error, the file is as it was.
    ///
    /// The lock is also that of the id map: `change` must not allocate or release ids.
    ///
    /// # Errors
    /// Those of `change`, and those of locking, reading and writing.
    pub fn update<T, E, F>(layout: &Layout, change: F) -> Result<T, E>
    where
        E: From<IndexError>,
        F: FnOnce(&mut Self) -> Result<T, E>,
    {
        let _lock = FileLock::take(&layout.index_lock()).map_err(IndexError::from)?;
        zone_fail::pass!("index.locked");
        Self::update_locked(layout, change)
    }

    /// Changes the index as [`Self::update`] does, for a caller who has the lock.
    ///
    /// # Errors
    /// Those of `change`, and those of reading and writing.
    pub(crate) fn update_locked<T, E, F>(layout: &Layout, change: F) -> Result<T, E>
    where
        E: From<IndexError>,
        F: FnOnce(&mut Self) -> Result<T, E>,
    {
        let (answer, next) = Self::changed(layout, change)?;
        if let Some(Next { path, contents, mode }) = next {
            file::make_dir_to_stay(&layout.etc(), 0o755).map_err(IndexError::from)?;
            file::replace(&path, &contents, mode).map_err(IndexError::from)?;
        }
        Ok(answer)
    }

    /// Lets `change` work on the index, and gives what the file is to be if that made a difference. The caller has the lock.
    pub(crate) fn changed<T, E, F>(layout: &Layout, change: F) -> Result<(T, Option<Next>), E>
    where
        E: From<IndexError>,
        F: FnOnce(&mut Self) -> Result<T, E>,
    {
        let mut index = Self::load(layout)?;
        let before = index.lines.clone();
        let answer = change(&mut index)?;
        let next = (index.lines != before).then(|| Next {
            contents: lines::print(&index.lines),
            path: index.path,
            mode: 0o644,
        });
        Ok((answer, next))
    }

    /// The zones, in the file's order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.lines.iter().filter_map(Line::record)
    }

    /// Finds a zone's entry; `None` if there is no line for it.
    pub fn get(&self, zone: &ZoneName) -> Option<&Entry> {
        self.entries().find(|entry| entry.name == *zone)
    }

    /// The zone that has this uuid.
    pub fn by_uuid(&self, uuid: Uuid) -> Option<&Entry> {
        self.entries().find(|entry| entry.uuid == Some(uuid))
    }

    /// The lines that make no sense, for whoever can tell a person.
    pub fn problems(&self) -> Vec<IndexProblem> {
        let problem = |(number, line): (usize, &Line)| match line {
            Line::Garbage { reason, .. } => {
                Some(IndexProblem { path: self.path.clone(), line: number + 1, reason: reason.clone() })
            }
            _ => None,
        };
        self.lines.iter().enumerate().filter_map(problem).collect()
    }

    /// Adds a zone after the others.
    ///
    /// # Errors
    /// [`IndexError::InUse`], [`IndexError::NotStored`], [`IndexError::Path`].
    pub fn add(&mut self, entry: Entry) -> Result<(), IndexError> {
        if self.get(&entry.name).is_some() {
            return Err(IndexError::InUse(entry.name));
        }
        check(&entry)?;
        self.lines.push(Line::of(entry));
        Ok(())
    }

    /// Takes a zone out.
    ///
    /// # Errors
    /// [`IndexError::NoSuchZone`].
    pub fn remove(&mut self, zone: &ZoneName) -> Result<Entry, IndexError> {
        let found = self.get(zone).cloned().ok_or_else(|| IndexError::NoSuchZone(zone.clone()))?;
        self.lines.retain(|line| line.record() != Some(&found));
        Ok(found)
    }

    /// Sets a zone's state. Going above configured for the first time gives it a uuid, going back takes it away.
    ///
    /// # Errors
    /// [`IndexError::NoSuchZone`], [`IndexError::NotStored`].
    pub fn set_state(&mut self, zone: &ZoneName, state: State) -> Result<(), IndexError> {
        self.change(zone, |entry| {
            entry.state = state;
            entry.uuid = match state {
                State::Configured => None,
                _ => Some(entry.uuid.unwrap_or_else(Uuid::new_v4)),
            };
        })
    }

    /// Sets where a zone is.
    ///
    /// # Errors
    /// [`IndexError::NoSuchZone`], [`IndexError::Path`].
    pub fn set_zonepath(&mut self, zone: &ZoneName, zonepath: PathBuf) -> Result<(), IndexError> {
        self.change(zone, |entry| entry.zonepath = zonepath)
    }

    /// Gives a zone another name, in the same line.
    ///
    /// # Errors
    /// [`IndexError::NoSuchZone`], [`IndexError::InUse`].
    pub fn rename(&mut self, zone: &ZoneName, to: &ZoneName) -> Result<(), IndexError> {
        if zone != to && self.get(to).is_some() {
            return Err(IndexError::InUse(to.clone()));
        }
        self.change(zone, |entry| entry.name = to.clone())
    }

    fn change(&mut self, zone: &ZoneName, how: impl FnOnce(&mut Entry)) -> Result<(), IndexError> {
        let line = self.lines.iter_mut().find(|line| line.record().is_some_and(|e| e.name == *zone));
        let Some((line, old)) = line.and_then(|line| line.record().cloned().map(|old| (line, old))) else {
            return Err(IndexError::NoSuchZone(zone.clone()));
        };
        let mut new = old.clone();
        how(&mut new);
        check(&new)?;
        if new != old {
            *line = Line::of(new);
        }
        Ok(())
    }
}

/// The text of an entry's line, without the line break.
impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.zonepath.display();
        write!(f, "{}:{}:", self.name, self.state)?;
        if self.zonepath.as_os_str().as_encoded_bytes().contains(&b':') {
            write!(f, "\"{path}\":")?;
        } else {
            write!(f, "{path}:")?;
        }
        self.uuid.map_or(Ok(()), |uuid| f.write_str(uuid.hyphenated().to_string().as_str()))
    }
}

fn check(entry: &Entry) -> Result<(), IndexError> {
    if !entry.state.is_stored() {
        return Err(IndexError::NotStored { zone: entry.name.clone(), state: entry.state });
    }
    match entry.zonepath.to_str() {
        Some(path) if !path.chars().any(|c| c == '"' || c.is_control()) => Ok(()),
        _ => Err(IndexError::Path { zone: entry.name.clone(), path: entry.zonepath.clone() }),
    }
}

#[cfg(test)]
mod tests;

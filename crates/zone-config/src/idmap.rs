//! The range of ids that a zone owns on the host: `/etc/zones/idmap`.
//!
//! Every zone lives in a user namespace, and the ids of no two of them meet on the host. The range is given
//! at install and kept until uninstall; it is also written to `/etc/subuid` and `/etc/subgid`, where
//! useradd(8), newuidmap(1) and systemd-nspawn(1) look before they take one.

use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::file::{self, FileError, FileLock, Next};
use crate::settings::SettingsError;
use crate::{Layout, Settings, ZoneName};

mod ranges;

/// How many ids a zone has: 0 to 65535, as many as 16 bits of an on-disk owner ever needed.
pub const COUNT: u32 = 65_536;
/// The first id that may be a zone's: what systemd calls the container range begins here.
pub const FIRST: u32 = 524_288;
/// The last id that may be a zone's: above it systemd's foreign and dynamic ranges and the sign bit begin.
pub const LAST: u32 = 1_879_048_191;

/// Which ids zones are given here, and how many each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    first: u32,
    last: u32,
    count: u32,
}

/// That of the host.
const HOST: Room = Room { first: FIRST, last: LAST, count: COUNT };

impl Room {
    /// Where this program runs: in a zone it is what that has itself, of which the first part is its own.
    fn here() -> Self {
        static HERE: OnceLock<Room> = OnceLock::new();
        *HERE.get_or_init(|| nested().map_or(HOST, Self::within))
    }

    /// That of a zone that has so many ids.
    fn within(ids: u32) -> Self {
        let count = (ids / PARTS).max(1);
        Self { first: count, last: ids.saturating_sub(1), count }
    }

    fn slots(self) -> u32 {
        (self.last.saturating_sub(self.first) + 1) / self.count
    }
}

/// How many parts a zone's ids have, for itself and for zones in it.
const PARTS: u32 = 8;

/// How many ids there are where this program runs, if it runs in a user namespace, such as a zone.
#[must_use]
pub fn nested() -> Option<u32> {
    let text = std::fs::read_to_string("/proc/self/uid_map").ok()?;
    let mut words = text.split_ascii_whitespace().map(str::parse::<u32>);
    let (inside, outside, count) = (words.next()?.ok()?, words.next()?.ok()?, words.next()?.ok()?);
    (inside == 0 && (outside, count) != (0, u32::MAX)).then_some(count)
}

/// A run of ids on the host; the zone sees them from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdRange {
    /// What the zone's id 0 is on the host.
    pub base: u32,
    /// How many ids there are, from the first on.
    pub count: u32,
}

impl IdRange {
    /// What `/proc/PID/uid_map` and `gid_map` are to be given.
    pub fn map_text(self) -> String {
        format!("0 {} {}\n", self.base, self.count)
    }

    /// Whether a host id is one of these.
    pub fn contains(self, id: u32) -> bool {
        self.overlaps(Self { base: id, count: 1 })
    }

    /// Whether the two have an id in common.
    pub fn overlaps(self, other: Self) -> bool {
        let ends = |range: Self| u64::from(range.base) + u64::from(range.count);
        u64::from(self.base) < ends(other) && u64::from(other.base) < ends(self)
    }
}

impl fmt::Display for IdRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.base, self.count)
    }
}

/// No range could be had or given back.
#[derive(Debug, thiserror::Error)]
pub enum IdMapError {
    /// A file of ids could not be read, locked or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// All ranges are taken.
    #[error(
        "no free range of {COUNT} ids for zone '{zone}' between {first} and {last}: uninstall a zone or free a range in /etc/subuid"
    )]
    Full {
        /// The zone that was to have one.
        zone: ZoneName,
        /// The first id that it could have been given.
        first: u32,
        /// The last one.
        last: u32,
    },
    /// What holds for all zones, the ids that they may be given among it, cannot be read.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Two zones have ids in common: each could read, change and signal what is the other's.
    #[error(
        "{}, line {line}: zone '{zone}' has the ids {range}, and zone '{other}' has {theirs}: no two zones may have an id in common; correct the line that was edited",
        .path.display()
    )]
    Overlap {
        /// The id map's path, with the root.
        path: PathBuf,
        /// The zone's line, counted from 1.
        line: usize,
        /// The zone that was asked for.
        zone: ZoneName,
        /// The range that its line gives it.
        range: IdRange,
        /// Who else has some of these ids.
        other: String,
        /// The range that the other's line gives that one.
        theirs: IdRange,
    },
    /// The zone's recorded range is one we never give.
    #[error("{}, line {line}: {reason}", .path.display())]
    Record {
        /// The id map's path, with the root.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

/// Gives a zone its range of ids: the recorded one when there is one, else a free one, recorded before this
/// returns. The search starts where a hash of root and name points, so that a zone that is made again, or
/// made on another host, mostly has the range it had.
///
/// Takes the index lock.
///
/// # Errors
/// [`IdMapError`].
pub fn allocate(layout: &Layout, zone: &ZoneName) -> Result<IdRange, IdMapError> {
    allocate_beside(layout, zone, Path::new("/etc"))
}

/// The range a zone has, if it has one.
///
/// # Errors
/// When the id map cannot be read, the zone's line in it makes no sense, or another zone has some of these ids.
pub fn lookup(layout: &Layout, zone: &ZoneName) -> Result<Option<IdRange>, IdMapError> {
    let path = layout.idmap();
    let prefix = format!("{zone}:");
    let mut number = 0;
    let own = file::scan_lines(&path, file::TABLE, |line| {
        number += 1;
        match line.starts_with(prefix.as_bytes()) {
            true => ControlFlow::Break(String::from_utf8_lossy(line).into_owned()),
            false => ControlFlow::Continue(()),
        }
    })?;
    let Some(own) = own else { return Ok(None) };
    let range = ranges::read_line(&own).map(|(_, range)| range).filter(|range| is_ours(*range));
    let reason = || {
        let Room { first, last, count } = Room::here();
        format!("not '{zone}:BASE:{count}' with BASE a multiple of {count} between {first} and {last}")
    };
    let Some(range) = range else {
        return Err(IdMapError::Record { path, line: number, reason: reason() });
    };
    // The file may have been replaced meanwhile, so the zone's own line is known by its being the first again.
    let mut passed_own = false;
    let shared = file::scan_lines(&path, file::TABLE, |line| {
        if !passed_own && line.starts_with(prefix.as_bytes()) {
            passed_own = true;
            return ControlFlow::Continue(());
        }
        match ranges::read_line(&String::from_utf8_lossy(line)).filter(|(_, theirs)| theirs.overlaps(range)) {
            Some((other, theirs)) => ControlFlow::Break((other.to_owned(), theirs)),
            None => ControlFlow::Continue(()),
        }
    })?;
    match shared {
        None => Ok(Some(range)),
        Some((other, theirs)) => {
            Err(IdMapError::Overlap { path, line: number, zone: zone.clone(), range, other, theirs })
        }
    }
}

/// Gives a zone's range back; a zone without one is fine. Takes the index lock.
///
/// # Errors
/// When a file of ids cannot be read or written.
pub fn release(layout: &Layout, zone: &ZoneName) -> Result<(), IdMapError> {
    let _lock = FileLock::take(&layout.index_lock())?;
    release_locked(layout, zone)
}

/// As [`release`], for whoever has the lock.
pub(crate) fn release_locked(layout: &Layout, zone: &ZoneName) -> Result<(), IdMapError> {
    let owner = owner(zone);
    let registers = registers(layout).map(|path| ranges::edit(&path, &owner, None));
    file::replace_all(&changes(registers)?)?;
    zone_fail::pass!("idmap.unregistered");
    // The record goes last: as long as it is there, the range is nobody else's.
    let record = ranges::edit(&layout.idmap(), zone.as_str(), None);
    Ok(file::replace_all(&changes([record])?)?)
}

/// Those files that are to be changed at all.
fn changes<const N: usize>(edited: [Result<Option<Next>, FileError>; N]) -> Result<Vec<Next>, FileError> {
    edited.into_iter().filter_map(Result::transpose).collect()
}

fn allocate_beside(layout: &Layout, zone: &ZoneName, host_etc: &Path) -> Result<IdRange, IdMapError> {
    let _lock = FileLock::take(&layout.index_lock())?;
    let (range, records) = given(layout, zone, host_etc)?;
    file::make_dir_to_stay(&layout.etc(), 0o755)?;
    file::replace_all(&records)?;
    Ok(range)
}

/// Finds the range that a zone is to have, and what the files of ids are to be for it, in the order in which they are to be
/// replaced: the record first, or nobody would give back what is registered. The caller has the lock.
pub(crate) fn given(
    layout: &Layout,
    zone: &ZoneName,
    host_etc: &Path,
) -> Result<(IdRange, Vec<Next>), IdMapError> {
    let owner = owner(zone);
    let range = match lookup(layout, zone)? {
        Some(range) => range,
        None => {
            let taken = taken(layout, &owner, host_etc)?;
            let (first, last) = match nested() {
                None => Settings::load(layout)?.ids(),
                Some(_) => (Room::here().first, Room::here().last),
            };
            let chosen = choose(layout, zone, &taken, first, last);
            chosen.ok_or_else(|| IdMapError::Full { zone: zone.clone(), first, last })?
        }
    };
    // All three are looked at even when the record was there: a crash may have come between them.
    let [subuid, subgid] = registers(layout).map(|path| ranges::edit(&path, &owner, Some(range)));
    let record = ranges::edit(&layout.idmap(), zone.as_str(), Some(range));
    Ok((range, changes([record, subuid, subgid])?))
}

fn choose(layout: &Layout, zone: &ZoneName, taken: &[IdRange], first: u32, last: u32) -> Option<IdRange> {
    let room = Room::here();
    let lowest = first.saturating_sub(room.first).div_ceil(room.count);
    let slots = ((last.min(room.last).saturating_sub(room.first) + 1) / room.count)
        .checked_sub(lowest)
        .filter(|&n| n > 0)?;
    let start = u32::try_from(layout.id().of_zone(zone) % u64::from(slots)).unwrap_or_default();
    let free = free_slots(room, taken);
    (0..slots)
        .map(|step| lowest + (start + step) % slots)
        .find(|slot| free[*slot as usize])
        .map(|slot| IdRange { base: room.first + slot * room.count, count: room.count })
}

/// For each slot whether none of these ranges meets it, in time that grows with the ranges, not with their sizes.
fn free_slots(room: Room, taken: &[IdRange]) -> Vec<bool> {
    // How many ranges begin in each slot, less those that ended before it.
    let slots = room.slots() as usize;
    let mut edges = vec![0_i64; slots + 1];
    let ours = IdRange { base: room.first, count: room.last.saturating_sub(room.first) + 1 };
    for range in taken.iter().filter(|range| range.count > 0 && range.overlaps(ours)) {
        let slot = |id: u64| {
            let at = (id.clamp(room.first.into(), room.last.into()) - u64::from(room.first))
                / u64::from(room.count);
            usize::try_from(at).unwrap_or_default().min(slots.saturating_sub(1))
        };
        let last = u64::from(range.base) + u64::from(range.count) - 1;
        edges[slot(range.base.into())] += 1;
        edges[slot(last) + 1] -= 1;
    }
    let depths = edges.iter().scan(0, |depth, edge| {
        *depth += edge;
        Some(*depth)
    });
    depths.take(slots).map(|depth| depth == 0).collect()
}

/// Every range that somebody else has: other zones, subordinate ids of users, and the users and groups themselves.
fn taken(layout: &Layout, owner: &str, host_etc: &Path) -> Result<Vec<IdRange>, FileError> {
    let mut taken: Vec<IdRange> =
        ranges::read(&layout.idmap())?.into_iter().map(|(_, range)| range).collect();
    let host = ["subuid", "subgid"].map(|name| host_etc.join(name));
    for path in host.into_iter().chain(registers(layout)) {
        let others = ranges::read(&path)?.into_iter().filter(|(who, _)| who != owner);
        taken.extend(others.map(|(_, range)| range));
    }
    for name in ["passwd", "group"] {
        taken.extend(ranges::read_ids(&host_etc.join(name))?);
    }
    Ok(taken)
}

fn is_ours(range: IdRange) -> bool {
    let Room { first, last, count } = Room::here();
    range.count == count
        && range.base.is_multiple_of(count)
        && (first..=last.saturating_sub(count - 1)).contains(&range.base)
}

/// Under what name a zone's range stands in the subordinate id files; no user can be called so as to meet it by chance.
fn owner(zone: &ZoneName) -> String {
    format!("zone-{zone}")
}

fn registers(layout: &Layout) -> [PathBuf; 2] {
    ["etc/subuid", "etc/subgid"].map(|name| layout.root().join(name))
}

#[cfg(test)]
mod tests;

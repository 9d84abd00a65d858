//! The addresses that zones have in the managed network: `/etc/zones/addresses`.
//!
//! A line for each net of a zone, `ZONE NET ADDRESS ...`, written when the net is given addresses and kept
//! until the zone is deleted: a zone has the same addresses for its life. Comments, blank lines and lines
//! that make no sense stay where they are, byte for byte. Which addresses there are to give is for `zone-net`
//! to say.

use std::fmt;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::file::{self, FileError, FileLock};
use crate::lines;
use crate::net::is_link_name;
use crate::{Layout, ZoneName};

mod line;

use line::Line;

/// The addresses of one net of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The zone whose they are.
    pub zone: ZoneName,
    /// The net, by the name of its link inside.
    pub net: String,
    /// Its addresses, at least one, of either family.
    pub addresses: Vec<IpAddr>,
}

/// Recorded addresses that cannot be used, or cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum AddressesError {
    /// The file could not be read, locked or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A line makes no sense, so that nobody knows which addresses are taken.
    #[error("{}, line {line}: {reason}; correct the line, or remove it if the zone is gone", .path.display())]
    Line {
        /// The path of the file of addresses.
        path: PathBuf,
        /// The number of the line, counted from 1.
        line: usize,
        /// What is wrong with it, and what a line should be.
        reason: String,
    },
    /// Two nets have one address: neither would be reached.
    #[error(
        "{}, line {line}: net {} of zone '{}' has the address {address}, and so has net {} of zone '{}'; correct the line that was edited",
        .path.display(), .record.net, .record.zone, .other.net, .other.zone
    )]
    Shared {
        /// The path of the file of addresses.
        path: PathBuf,
        /// The net's line, counted from 1.
        line: usize,
        /// The address that both have.
        address: IpAddr,
        /// What is recorded for the net.
        record: Box<Record>,
        /// What is recorded for another net.
        other: Box<Record>,
    },
    /// The name of a net that no line can hold.
    #[error("net {0:?}: the name of a link has 1 to 15 bytes without blanks, '/', ':', '%' and quotes")]
    Net(String),
}

/// The file of addresses, read into memory.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    path: PathBuf,
    lines: Vec<Line>,
}

impl Addresses {
    /// Reads the addresses as they are now. The file is replaced by rename, so that no lock is needed to
    /// read; a missing one is empty.
    ///
    /// # Errors
    /// When it is there and cannot be read. Lines that make no sense are no error: see [`Self::check`].
    pub fn load(layout: &Layout) -> Result<Self, FileError> {
        let path = layout.addresses();
        let bytes = file::read_if_there(&path, file::TABLE)?.unwrap_or_default();
        Ok(Self { lines: lines::parse(&bytes), path })
    }

    /// Changes the addresses under the lock of the managed network: reads the file, lets `change` work on it,
    /// and writes it if that succeeded and made a difference. When this returns an error, the file is as it
    /// was.
    ///
    /// Whoever holds the lock of the index may call this, and not the other way round.
    ///
    /// # Errors
    /// Those of `change`, and those of locking, reading and writing.
    pub fn update<T, E, F>(layout: &Layout, change: F) -> Result<T, E>
    where
        E: From<FileError>,
        F: FnOnce(&mut Self) -> Result<T, E>,
    {
        let _lock = FileLock::take(&layout.network_lock())?;
        let mut addresses = Self::load(layout)?;
        let before = addresses.lines.clone();
        let answer = change(&mut addresses)?;
        if addresses.lines != before {
            let bytes = lines::print(&addresses.lines);
            file::check_size(&addresses.path, &bytes, file::TABLE)?;
            file::make_dir_to_stay(&layout.etc(), 0o755)?;
            file::replace(&addresses.path, &bytes, 0o644)?;
        }
        Ok(answer)
    }

    /// Gives the path of the file that was read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lists the records, in the file's order.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.lines.iter().filter_map(Line::record)
    }

    /// Finds the record of a net.
    ///
    /// # Errors
    /// When the net's line makes no sense, or another net has one of its addresses.
    pub fn get(&self, zone: &ZoneName, net: &str) -> Result<Option<&Record>, AddressesError> {
        let Some((at, found)) = self.lines.iter().enumerate().find(|(_, line)| line.is_of_net(zone, net))
        else {
            return Ok(None);
        };
        let Some(record) = found.record() else { return Err(self.problem(at)) };
        let others = self.lines.iter().enumerate().filter(|(other, _)| *other != at);
        for other in others.filter_map(|(_, line)| line.record()) {
            if let Some(address) = record.addresses.iter().find(|address| other.addresses.contains(address)) {
                return Err(AddressesError::Shared {
                    path: self.path.clone(),
                    line: at + 1,
                    address: *address,
                    record: Box::new(record.clone()),
                    other: Box::new(other.clone()),
                });
            }
        }
        Ok(Some(record))
    }

    /// Checks that every line makes sense, as whoever gives a new address must know: what stands in another
    /// line may be taken.
    ///
    /// # Errors
    /// [`AddressesError::Line`] with the first that does not.
    pub fn check(&self) -> Result<(), AddressesError> {
        match self.lines.iter().position(|line| matches!(line, Line::Garbage { .. })) {
            Some(at) => Err(self.problem(at)),
            None => Ok(()),
        }
    }

    /// Makes a record the only one of its net; one without addresses removes it.
    ///
    /// # Errors
    /// [`AddressesError::Net`].
    pub fn set(&mut self, record: Record) -> Result<(), AddressesError> {
        if !is_link_name(&record.net) {
            return Err(AddressesError::Net(record.net));
        }
        let same = |line: &Line| line.is_of_net(&record.zone, &record.net);
        let at = self.lines.iter().position(same);
        if at.is_some_and(|at| self.lines[at].record() == Some(&record)) {
            return Ok(());
        }
        self.lines.retain(|line| !same(line));
        if !record.addresses.is_empty() {
            let at = at.unwrap_or(self.lines.len()).min(self.lines.len());
            self.lines.insert(at, Line::of(record));
        }
        Ok(())
    }

    /// Removes the lines of a zone's nets, also those that make no sense, but for the nets of these names.
    pub fn remove(&mut self, zone: &ZoneName, but: &[&str]) {
        self.lines.retain(|line| !line.is_of(zone) || but.iter().any(|net| line.is_of_net(zone, net)));
    }

    /// Gives the lines of a zone to another name, in place of what that one had. A zone without lines has
    /// been renamed before and is left as it is.
    pub fn rename(&mut self, zone: &ZoneName, to: &ZoneName) {
        if zone == to || !self.lines.iter().any(|line| line.is_of(zone)) {
            return;
        }
        self.remove(to, &[]);
        for line in self.lines.iter_mut().filter(|line| line.is_of(zone)) {
            line.rename(to);
        }
    }

    fn problem(&self, at: usize) -> AddressesError {
        let reason = match &self.lines[at] {
            Line::Garbage { reason, .. } => reason.clone(),
            _ => String::new(),
        };
        AddressesError::Line { path: self.path.clone(), line: at + 1, reason }
    }
}

/// Finds what is recorded of a net, without a lock and without keeping what others have. `None` unless that is one line that
/// makes sense, with addresses that stand nowhere else in the file: what to do about anything else, [`Addresses::get`] says.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn find(layout: &Layout, zone: &ZoneName, net: &str) -> Result<Option<Record>, FileError> {
    let path = layout.addresses();
    let mut own = Vec::new();
    let is_own = |line: &[u8]| {
        let mut words = line::words(line);
        words.next() == Some(zone.as_str().as_bytes()) && words.next() == Some(net.as_bytes())
    };
    let scanned = file::scan_lines(&path, file::TABLE, |line| {
        if is_own(line) {
            own.push(lines::read::<Record>(line).ok().flatten());
        }
        ControlFlow::<()>::Continue(())
    })?;
    let [Some(record)] = own.as_slice() else { return Ok(None) };
    let is_ours = |word: &[u8]| {
        let address = str::from_utf8(word).ok().and_then(|word| word.parse::<IpAddr>().ok());
        address.is_some_and(|address| record.addresses.contains(&address))
    };
    let shared = file::scan_lines(&path, file::TABLE, |line| {
        let says_nothing = matches!(lines::read::<Record>(line), Ok(None));
        match !says_nothing && !is_own(line) && line::words(line).any(is_ours) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })?;
    Ok((scanned.is_none() && shared.is_none()).then(|| record.clone()))
}

/// Frees the addresses of a zone; a zone without any is fine. Takes the lock of the managed network.
///
/// # Errors
/// When the file cannot be read or written.
pub fn release(layout: &Layout, zone: &ZoneName) -> Result<(), FileError> {
    if_there(layout, |addresses| addresses.remove(zone, &[]))
}

/// Frees the addresses of the nets of a zone that it has no more: all but those with these names. Takes the
/// lock of the managed network.
///
/// # Errors
/// When the file cannot be read or written.
pub fn retain(layout: &Layout, zone: &ZoneName, nets: &[&str]) -> Result<(), FileError> {
    // Mostly there is nothing to free, and to see that takes no lock.
    let gone = |line: &[u8]| {
        let mut words = line::words(line);
        let is_of_zone = words.next() == Some(zone.as_str().as_bytes());
        is_of_zone && !words.next().is_some_and(|net| nets.iter().any(|kept| kept.as_bytes() == net))
    };
    let found = file::scan_lines(&layout.addresses(), file::TABLE, |line| match gone(line) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    })?;
    if found.is_none() {
        return Ok(());
    }
    if_there(layout, |addresses| addresses.remove(zone, nets))
}

/// Gives the addresses of a zone to its new name. Idempotent; takes the lock of the managed network.
///
/// # Errors
/// When the file cannot be read or written.
pub fn rename(layout: &Layout, zone: &ZoneName, to: &ZoneName) -> Result<(), FileError> {
    if_there(layout, |addresses| addresses.rename(zone, to))
}

/// An installation that never had a managed network needs no lock of it.
fn if_there(layout: &Layout, change: impl FnOnce(&mut Addresses)) -> Result<(), FileError> {
    if !layout.addresses().exists() {
        return Ok(());
    }
    Addresses::update(layout, |addresses| {
        change(addresses);
        Ok(())
    })
}

/// The text of a record's line, without the line break.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.zone, self.net)?;
        self.addresses.iter().try_for_each(|address| write!(f, " {address}"))
    }
}

#[cfg(test)]
mod tests;

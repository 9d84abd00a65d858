//! Unpacking a tar archive that nobody vouches for.
//!
//! What an archive can do is bounded: entries are made below the root's file descriptor (see
//! [`target`](super::target)), names that would leave it stop the install, devices are left out, extensions,
//! maps, what has to be remembered until the end and the decompressor's memory have limits, and the disk is not filled to the last block.

mod attributes;
mod decoder;
mod format;
mod input;
mod members;
mod name;
mod pax;
mod sparse;
mod worker;

use std::cell::Cell;
use std::collections::HashSet;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use self::members::{Kind, Member, Members};
use self::sparse::Layout;
pub use self::worker::{Worker, decompress_worker};
use super::Summary;
use super::target::Target;
use crate::error::Error;
use crate::progress::{Meter, Options, Phase, Reporter};

/// An archive that is open and has a first entry; nothing has been made of it yet.
pub struct Archive {
    members: Members,
    first: Member,
    /// Bytes of the file read so far.
    position: Rc<Cell<u64>>,
    size: Option<u64>,
    rest: Rc<Cell<bool>>,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Archive {
    /// Opens an archive, and reads as far as its first entry. `.tar`, `.tar.gz`, `.tar.xz` and `.tar.zst` are told
    /// apart by their first bytes, not by their names.
    ///
    /// With a `worker` the decompressor is a process of its own that has no privileges: better for an archive from
    /// somewhere else, and faster, since it has a processor of its own.
    ///
    /// # Errors
    /// [`Error::NotAnArchive`]; those of [`Archive::unpack`] for the first entry; [`Error::Io`] when the archive
    /// cannot be opened or the worker not be started.
    pub fn open(archive: &Path, worker: Option<&Worker>) -> Result<Self, Error> {
        let input = input::open(archive, worker)?;
        let mut members = Members::new(input.bytes, archive);
        let Some(first) = members.next()? else {
            let found = "an archive without entries";
            return Err(Error::NotAnArchive { archive: archive.to_owned(), found });
        };
        Ok(Self { members, first, position: input.position, size: input.size, rest: input.rest })
    }

    /// Unpacks it to `ZONEPATH/root`.
    ///
    /// Owners (the numbers), modes with setuid, times, hard links, links, pipes, holes, long names, access control
    /// lists and those extended attributes that belong to the files are kept. Devices and file flags (chattr(1))
    /// are left out and counted.
    ///
    /// Names are relative to the root, with or without a leading `./`. An entry or a hard link whose name is
    /// absolute or has `..` in it is refused and ends the install. Entries below a link (`lib -> usr/lib`, then
    /// `lib/x`) go where the link leads *inside the root*.
    ///
    /// Of several entries with one name the last one counts, whatever they are, as with tar(1): only a directory
    /// that has something in it gives way to nothing but a directory. Behind the end, zeros are padding; anything
    /// else is left out and told ([`Summary::rest`]).
    ///
    /// # Errors
    /// [`Error::Leaves`], [`Error::Malformed`], [`Error::TooLong`], [`Error::Truncated`], [`Error::Archive`],
    /// [`Error::Blocked`], [`Error::NotReplaced`], [`Error::RootNotEmpty`], [`Error::NoSpace`],
    /// [`Error::Interrupted`], or [`Error::Io`] naming the entry.
    pub fn unpack(
        self,
        zonepath: &Path,
        options: &Options,
        report: &mut Reporter<'_>,
    ) -> Result<Summary, Error> {
        let Self { mut members, first, position, size, rest } = self;
        let mut meter = Meter::new(Phase::Unpacking, options, report);
        meter.phase(Phase::Unpacking, size, None);
        let mut unpacker = Unpacker {
            target: Target::create(zonepath)?.unvouched(),
            position,
            devices: Devices::default(),
            buffer: vec![0; 128 << 10],
        };
        let mut next = Some(first);
        while let Some(member) = next {
            unpacker.put(member, &mut members, &mut meter)?;
            next = members.next()?;
        }
        while members.drain()? {
            meter.set(unpacker.position.get(), Path::new(""))?;
        }
        unpacker.target.summary.rest = rest.get() || members.has_rest();
        meter.phase(Phase::Syncing, None, None);
        unpacker.target.finish()
    }
}

/// Opens an archive and unpacks it, with the decompressor in this process.
///
/// # Errors
/// Those of [`Archive::open`] and [`Archive::unpack`].
pub fn from_archive(
    archive: &Path,
    zonepath: &Path,
    options: &Options,
    report: &mut Reporter<'_>,
) -> Result<Summary, Error> {
    Archive::open(archive, None)?.unpack(zonepath, options, report)
}

struct Unpacker {
    target: Target,
    position: Rc<Cell<u64>>,
    devices: Devices,
    buffer: Vec<u8>,
}

/// Names of the devices that were left out: hard links to them are, too.
#[derive(Default)]
struct Devices {
    names: HashSet<PathBuf>,
    bytes: usize,
}

impl Devices {
    /// Bytes of names that are remembered. Nothing is made for a device: without a bound an archive of nothing else would take all of the
    /// memory. A hard link to one that is not remembered is one to nothing.
    const MOST: usize = 16 << 20;

    fn remember(&mut self, name: PathBuf) {
        let weight = Self::weight(&name);
        if self.bytes + weight <= Self::MOST && self.names.insert(name) {
            self.bytes += weight;
        }
    }

    fn forget(&mut self, name: &Path) {
        if self.names.remove(name) {
            self.bytes -= Self::weight(name);
        }
    }

    fn weight(name: &Path) -> usize {
        name.as_os_str().len() + size_of::<PathBuf>()
    }
}

impl Unpacker {
    fn put(&mut self, member: Member, members: &mut Members, meter: &mut Meter<'_>) -> Result<(), Error> {
        let Member { name, kind, meta, left } = member;
        meter.at(self.position.get());
        meter.entry(&name)?;
        self.target.summary.left += left;
        if name.as_os_str().is_empty() && kind != Kind::Directory {
            return Err(members.malformed("stands for the root but is no directory"));
        }
        let left_out = match &kind {
            Kind::Device => true,
            Kind::HardLink(earlier) => self.devices.names.contains(earlier),
            _ => false,
        };
        if left_out {
            // The last entry of a name counts: what was there before is not there any more.
            self.target.remove(&name)?;
            self.target.summary.devices_skipped += 1;
            self.devices.remember(name);
            return Ok(());
        }
        self.devices.forget(&name);
        match kind {
            Kind::Directory => self.target.directory(&name, meta),
            Kind::Symlink(text) => self.target.symlink(&name, &text, &meta),
            Kind::Fifo => self.target.fifo(&name, &meta),
            // Left out above.
            Kind::Device => Ok(()),
            Kind::HardLink(earlier) => {
                if self.target.hard_link(&name, &earlier)? {
                    return Ok(());
                }
                Err(members.malformed("is a hard link to an entry that is not there"))
            }
            Kind::File(layout) => {
                let file = self.target.create_file(&name)?;
                self.fill(&file, &layout, &name, members, meter)?;
                self.target.finish_file(&file, &name, &meta)
            }
        }
    }

    fn fill(
        &mut self,
        file: &std::fs::File,
        layout: &Layout,
        name: &Path,
        members: &mut Members,
        meter: &mut Meter<'_>,
    ) -> Result<(), Error> {
        let mut written = 0;
        for (offset, length) in &layout.extents {
            let (mut at, end) = (*offset, offset + length);
            while at < end {
                let most = usize::try_from(end - at).unwrap_or(usize::MAX).min(self.buffer.len());
                let got = members.read(&mut self.buffer[..most])?;
                if got == 0 {
                    return Err(members.malformed("has less data than it says"));
                }
                file.write_all_at(&self.buffer[..got], at)
                    .map_err(|source| self.target.fault("write", name, source))?;
                at += got as u64;
                written += got as u64;
                self.target.grew(0, got as u64, name)?;
                meter.set(self.position.get(), name)?;
            }
        }
        if written < layout.size {
            file.set_len(layout.size).map_err(|source| self.target.fault("write", name, source))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

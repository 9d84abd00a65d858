//! Unpacking a tar archive that nobody vouches for.
//!
//! What an archive can do is bounded: entries are made below the root's file descriptor (see
//! [`target`](super::target)), names that would leave it stop the install, devices are left out, extensions,
//! maps and the decompressor's memory have limits, and the disk is not filled to the last block.

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

use self::input::Input;
use self::members::{Kind, Member, Members};
use self::sparse::Layout;
pub use self::worker::{Worker, decompress_worker};
use super::Summary;
use super::target::Target;
use crate::error::Error;
use crate::progress::{Meter, Options, Phase, Reporter};

/// Unpacks `archive` to `ZONEPATH/root`.
///
/// `.tar`, `.tar.gz`, `.tar.xz` and `.tar.zst` are told apart by their first bytes, not by their names. Owners
/// (the numbers), modes with setuid, times, hard links, links, pipes, holes, long names and those extended
/// attributes that belong to the files are kept. Devices are left out and counted.
///
/// Names are relative to the root, with or without a leading `./`. An entry or a hard link whose name is
/// absolute or has `..` in it is refused and ends the install. Entries below a link (`lib -> usr/lib`, then
/// `lib/x`) go where the link leads *inside the root*. Of several entries with one name the last one counts.
///
/// # Errors
/// [`Error::NotAnArchive`], [`Error::Leaves`], [`Error::Malformed`], [`Error::Truncated`], [`Error::Archive`],
/// [`Error::RootNotEmpty`], [`Error::NoSpace`], [`Error::Interrupted`], or [`Error::Io`] naming the entry.
pub fn from_archive(
    archive: &Path,
    zonepath: &Path,
    options: &Options,
    report: &mut Reporter<'_>,
) -> Result<Summary, Error> {
    unpack(input::open(archive, None)?, archive, zonepath, options, report)
}

/// As [`from_archive`], with the decompressor in a process of its own that has no privileges: better for an
/// archive from somewhere else, and faster, since it has a processor of its own.
///
/// # Errors
/// As [`from_archive`], and [`Error::Io`] when the worker cannot be started.
pub fn from_archive_apart(
    worker: &Worker,
    archive: &Path,
    zonepath: &Path,
    options: &Options,
    report: &mut Reporter<'_>,
) -> Result<Summary, Error> {
    unpack(input::open(archive, Some(worker))?, archive, zonepath, options, report)
}

fn unpack(
    input: Input,
    archive: &Path,
    zonepath: &Path,
    options: &Options,
    report: &mut Reporter<'_>,
) -> Result<Summary, Error> {
    let mut meter = Meter::new(Phase::Unpacking, options, report);
    meter.phase(Phase::Unpacking, input.size, None);
    let mut members = Members::new(input.bytes, archive);
    // The first one is read before anything is made: what is no archive leaves no trace.
    let Some(first) = members.next()? else {
        return Err(Error::NotAnArchive { archive: archive.to_owned(), found: "an archive without entries" });
    };
    let mut unpacker = Unpacker {
        target: Target::create(zonepath)?,
        position: input.position,
        devices: HashSet::new(),
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
    meter.phase(Phase::Syncing, None, None);
    unpacker.target.finish()
}

struct Unpacker {
    target: Target,
    position: Rc<Cell<u64>>,
    /// Devices that were left out: hard links to them are, too.
    devices: HashSet<PathBuf>,
    buffer: Vec<u8>,
}

impl Unpacker {
    fn put(&mut self, member: Member, members: &mut Members, meter: &mut Meter<'_>) -> Result<(), Error> {
        let Member { name, kind, meta, lost } = member;
        meter.at(self.position.get());
        meter.entry(&name)?;
        self.target.summary.xattrs_skipped += lost;
        if name.as_os_str().is_empty() && kind != Kind::Directory {
            return Err(members.malformed("stands for the root but is no directory"));
        }
        match kind {
            Kind::Directory => self.target.directory(&name, meta),
            Kind::Symlink(text) => self.target.symlink(&name, &text, &meta),
            Kind::Fifo => self.target.fifo(&name, &meta),
            Kind::Device => {
                self.target.summary.devices_skipped += 1;
                self.devices.insert(name);
                Ok(())
            }
            Kind::HardLink(earlier) if self.devices.contains(&earlier) => {
                self.target.summary.devices_skipped += 1;
                self.devices.insert(name);
                Ok(())
            }
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

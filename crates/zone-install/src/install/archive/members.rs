//! The archive as a sequence of members: headers, their extensions, and the data behind them.
//!
//! Field layout is the `tar` crate's business. Its iterator is not used: it keeps an extension of any length
//! in memory, splits attribute values at newlines and knows only one of the four forms of sparse files.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::Timespec;
use tar::{EntryType, Header};

use super::attributes;
use super::format::{BLOCK, is_header};
use super::name::{self, Wrong};
use super::pax::Records;
use super::sparse::{self, Layout};
use crate::error::Error;
use crate::install::Left;
use crate::install::target::{Meta, Owner, both};

/// The longest extension (name, link, records, sparse map) that is taken into memory, and the most of all records in force
/// together. Attributes are at most 64 KiB each and names 4 KiB, so only a hostile or a very fragmented one is longer.
const LONGEST_EXTENSION: u64 = 4 << 20;

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    File(Layout),
    Directory,
    /// With the link's text.
    Symlink(PathBuf),
    /// With the earlier member's name.
    HardLink(PathBuf),
    Fifo,
    Device,
}

/// One member; its data is read from [`Members`].
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// Below the root.
    pub(super) name: PathBuf,
    pub(super) kind: Kind,
    pub(super) meta: Meta,
    /// What of it cannot be taken along.
    pub(super) left: Left,
}

/// Reads members one after the other.
pub(super) struct Members {
    input: Box<dyn Read>,
    archive: PathBuf,
    /// Name of the member at hand as it stands in the archive, for messages.
    current: PathBuf,
    /// Data of the member at hand that has not been read yet, and what pads it to a whole block.
    data: u64,
    padding: u64,
    global: Records,
    ended: bool,
    /// Something was found behind the end.
    rest: bool,
}

/// Extensions that precede a member.
#[derive(Default)]
struct Before {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    records: Records,
}

impl Members {
    pub(super) fn new(input: Box<dyn Read>, archive: &Path) -> Self {
        Self {
            input,
            archive: archive.to_owned(),
            current: PathBuf::new(),
            data: 0,
            padding: 0,
            global: Records::default(),
            ended: false,
            rest: false,
        }
    }

    /// The next member, or `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<Member>, Error> {
        let mut before = Before { records: self.global.clone(), ..Before::default() };
        loop {
            self.skip()?;
            let Some(block) = self.header()? else { return Ok(None) };
            let header = Header::from_byte_slice(&block);
            let size = self.number(header.entry_size(), "has an unreadable size")?;
            match header.entry_type() {
                EntryType::GNULongName => before.name = Some(self.long_name(size)?),
                EntryType::GNULongLink => before.link = Some(self.long_name(size)?),
                EntryType::XHeader => self.records(size, &mut before.records, Records::add)?,
                EntryType::XGlobalHeader => {
                    // Held once, they are changed where they are.
                    self.global = Records::default();
                    self.records(size, &mut before.records, Records::add_global)?;
                    self.global = before.records.global();
                }
                // A volume's label.
                kind if kind.as_byte() == b'V' => self.begin(size),
                _ => return self.member(header, size, &before).map(Some),
            }
        }
    }

    fn member(&mut self, header: &Header, size: u64, before: &Before) -> Result<Member, Error> {
        let records = &before.records;
        let raw = records
            .get("GNU.sparse.name")
            .or_else(|| records.get("path"))
            .or(before.name.as_deref())
            .map_or_else(|| header.path_bytes().into_owned(), <[u8]>::to_vec);
        self.current = sparse::path(&raw);
        let name = name::inside(&raw).map_err(|wrong| self.wrong(wrong))?;
        let size = match records.number("size") {
            Some(size) => size.ok_or_else(|| self.malformed("has an unreadable size"))?,
            None => size,
        };
        let (meta, left) = self.meta(header, records)?;
        let kind = match header.entry_type() {
            // Before there was a type for directories, a name with a slash at its end was one.
            EntryType::Regular | EntryType::Continuous if raw.ends_with(b"/") => Kind::Directory,
            EntryType::Regular | EntryType::Continuous => {
                self.begin(size);
                Kind::File(self.pax_layout(records, size)?)
            }
            EntryType::GNUSparse => {
                let layout = self.gnu_layout(header, size)?;
                self.begin(size);
                Kind::File(layout)
            }
            // Its size is a hint and no data follows (POSIX); but a list of names follows GNU's own kind.
            EntryType::Directory => Kind::Directory,
            kind if kind.as_byte() == b'D' => {
                self.begin(size);
                Kind::Directory
            }
            EntryType::Symlink => Kind::Symlink(sparse::path(&self.link(header, before)?)),
            EntryType::Link => {
                let target = self.link(header, before)?;
                let inside = name::inside(&target)
                    .map_err(|_| self.wrong(Wrong::Leaves("it is a hard link to something outside")))?;
                Kind::HardLink(inside)
            }
            EntryType::Fifo => Kind::Fifo,
            EntryType::Char | EntryType::Block => Kind::Device,
            _ => return Err(self.malformed("is of an unknown type")),
        };
        Ok(Member { name, kind, meta, left })
    }

    fn link(&self, header: &Header, before: &Before) -> Result<Vec<u8>, Error> {
        let raw = before
            .records
            .get("linkpath")
            .or(before.link.as_deref())
            .map(<[u8]>::to_vec)
            .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned))
            .unwrap_or_default();
        if raw.len() > name::LONGEST_PATH {
            return Err(self.wrong(Wrong::TooLong("a link's text of more than 4095 bytes")));
        }
        if raw.is_empty() || raw.contains(&0) {
            return Err(self.malformed("is a link to nothing, or to a name that is no name"));
        }
        Ok(raw)
    }

    fn meta(&self, header: &Header, records: &Records) -> Result<(Meta, Left), Error> {
        let id = |key, field: io::Result<u64>| {
            let value = match records.number(key) {
                Some(value) => value,
                None => field.ok(),
            };
            // The last one means "leave it" to chown(2).
            value
                .and_then(|value| u32::try_from(value).ok())
                .filter(|value| *value != u32::MAX)
                .ok_or_else(|| self.malformed("has an unreadable owner or group"))
        };
        let time = match records.time("mtime") {
            Some(time) => time,
            // Base-256 fields may be negative, and are then two's complement.
            None => header.mtime().ok().map(|time| (i64::from_ne_bytes(time.to_ne_bytes()), 0)),
        };
        let (seconds, nanos) = time.ok_or_else(|| self.malformed("has an unreadable time"))?;
        let mode = header.mode().map_err(|_| self.malformed("has an unreadable mode"))? & 0o7777;
        let attributes::Attributes { xattrs, acls, left } = attributes::of(records);
        let times = both(Timespec { tv_sec: seconds, tv_nsec: nanos.into() });
        let owner = Owner::new(id("uid", header.uid())?, id("gid", header.gid())?);
        Ok((Meta { mode, owner: Some(owner), times: Some(times), xattrs, acls }, left))
    }

    fn gnu_layout(&mut self, header: &Header, size: u64) -> Result<Layout, Error> {
        let bad = "has an unreadable sparse map";
        let gnu = header.as_gnu().ok_or_else(|| self.malformed(bad))?;
        let real = self.number(gnu.real_size(), bad)?;
        let mut map = Vec::new();
        sparse::gnu_entries(&gnu.sparse, &mut map).ok_or_else(|| self.malformed(bad))?;
        let mut more = gnu.is_extended();
        while more {
            let mut extension = tar::GnuExtSparseHeader::new();
            self.exactly(extension.as_mut_bytes())?;
            sparse::gnu_entries(extension.sparse(), &mut map).ok_or_else(|| self.malformed(bad))?;
            more = extension.is_extended();
            if map.len() > sparse::MOST_EXTENTS {
                return Err(self.malformed(bad));
            }
        }
        Layout::new(real, map, size).ok_or_else(|| self.malformed(bad))
    }

    fn pax_layout(&mut self, records: &Records, size: u64) -> Result<Layout, Error> {
        let bad = "has an unreadable sparse map";
        if records.prefixed("GNU.sparse.").next().is_none() {
            return Ok(Layout::plain(size));
        }
        if records.number("GNU.sparse.major") == Some(Some(1)) {
            let real = records.number("GNU.sparse.realsize").flatten();
            let real = real.ok_or_else(|| self.malformed(bad))?;
            let map = self.map_in_data().map_err(|error| self.broken(error))?;
            let map = map.ok_or_else(|| self.malformed(bad))?;
            return Layout::new(real, map, self.data).ok_or_else(|| self.malformed(bad));
        }
        sparse::from_records(records)
            .and_then(|(real, map)| Layout::new(real, map, size))
            .ok_or_else(|| self.malformed(bad))
    }

    /// The map of form 1.0: decimal numbers, a line each, padded to a whole block of the data.
    fn map_in_data(&mut self) -> io::Result<Option<Vec<(u64, u64)>>> {
        let mut parser = sparse::Lines::default();
        let mut block = [0; BLOCK];
        while !parser.complete() {
            if self.data < BLOCK as u64 {
                return Ok(None);
            }
            self.input.read_exact(&mut block)?;
            self.data -= BLOCK as u64;
            if parser.feed(&block).is_none() {
                return Ok(None);
            }
        }
        Ok(Some(parser.map()))
    }

    fn begin(&mut self, size: u64) {
        self.data = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
    }

    /// Reads data of the member at hand; 0 at its end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let want = usize::try_from(self.data).unwrap_or(usize::MAX).min(buffer.len());
        if want == 0 {
            return Ok(0);
        }
        let got = loop {
            match self.input.read(&mut buffer[..want]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => return Err(self.broken(io::ErrorKind::UnexpectedEof.into())),
                other => break other.map_err(|error| self.broken(error))?,
            }
        };
        self.data -= got as u64;
        Ok(got)
    }

    /// Passes over what is left of the member at hand.
    fn skip(&mut self) -> Result<(), Error> {
        let left = self.data.saturating_add(std::mem::take(&mut self.padding));
        self.data = 0;
        let passed = io::copy(&mut self.input.by_ref().take(left), &mut io::sink())
            .map_err(|error| self.broken(error))?;
        if passed < left {
            return Err(self.broken(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }

    /// The next header; `None` at the mark that ends the archive, or where it simply ends between members.
    fn header(&mut self) -> Result<Option<[u8; BLOCK]>, Error> {
        let mut block = [0; BLOCK];
        if self.ended {
            return Ok(None);
        }
        let mut filled = 0;
        while filled < BLOCK {
            match self.input.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => break,
                Ok(0) => return Err(self.broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(got) => filled += got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(error)),
            }
        }
        if filled == 0 || block.iter().all(|byte| *byte == 0) {
            self.ended = true;
            return Ok(None);
        }
        if !is_header(&block) {
            return Err(self.malformed("is followed by something that is no tar header"));
        }
        Ok(Some(block))
    }

    /// Reads on after the end, so that the decompressor sees its own end and checks the whole. True when there
    /// is more.
    pub(super) fn drain(&mut self) -> Result<bool, Error> {
        let mut bytes = vec![0; 1 << 16];
        let got = match self.input.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            other => other.map_err(|error| self.broken(error))?,
        };
        self.rest |= bytes[..got].iter().any(|byte| *byte != 0);
        Ok(got > 0)
    }

    /// Whether there was anything but padding behind the end, as far as that was read.
    pub(super) fn has_rest(&self) -> bool {
        self.rest
    }

    /// Takes an extension into memory, where so many bytes are already.
    fn extension(&mut self, size: u64, before: usize) -> Result<Vec<u8>, Error> {
        if size.saturating_add(before as u64) > LONGEST_EXTENSION {
            return Err(self.malformed("is followed by extended headers of more than 4 MiB"));
        }
        self.begin(size);
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        self.exactly(&mut bytes)?;
        self.data = 0;
        Ok(bytes)
    }

    fn long_name(&mut self, size: u64) -> Result<Vec<u8>, Error> {
        let mut name = self.extension(size, 0)?;
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        name.truncate(end);
        Ok(name)
    }

    fn records(
        &mut self,
        size: u64,
        records: &mut Records,
        add: fn(&mut Records, &[u8]) -> Option<()>,
    ) -> Result<(), Error> {
        let bytes = self.extension(size, records.bytes())?;
        add(records, &bytes).ok_or_else(|| self.malformed("is followed by an unreadable extended header"))
    }

    fn exactly(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.input.read_exact(bytes).map_err(|error| self.broken(error))
    }

    fn number(&self, field: io::Result<u64>, why: &'static str) -> Result<u64, Error> {
        // Beyond what a file offset can say, sums of sizes would overflow.
        field.ok().filter(|value| i64::try_from(*value).is_ok()).ok_or_else(|| self.malformed(why))
    }

    fn wrong(&self, wrong: Wrong) -> Error {
        match wrong {
            Wrong::Leaves(why) => {
                Error::Leaves { archive: self.archive.clone(), entry: self.current.clone(), why }
            }
            Wrong::TooLong(what) => {
                Error::TooLong { archive: self.archive.clone(), entry: self.current.clone(), what }
            }
            Wrong::Malformed(why) => self.malformed(why),
        }
    }

    /// An error of the member at hand.
    pub(super) fn malformed(&self, why: &'static str) -> Error {
        Error::Malformed { archive: self.archive.clone(), entry: self.current.clone(), why }
    }

    fn broken(&self, source: io::Error) -> Error {
        let (archive, entry) = (self.archive.clone(), self.current.clone());
        if source.kind() == io::ErrorKind::UnexpectedEof {
            return Error::Truncated { archive, entry };
        }
        Error::Archive { archive, entry, source }
    }
}

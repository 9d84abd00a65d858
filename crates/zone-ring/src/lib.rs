//! What a zone's console said: a ring of bytes in a memfd that outlives its writers.
//!
//! The keeper of a zone and its daemon take turns in writing to one ring, and either may be killed
//! at any instruction. Everything goes through `pread` and `pwrite` (a mapping could fault), nothing
//! allocates, and every offset is absolute: byte 0 is the first that the console ever said.
//!
//! # What is kept
//!
//! Two areas: the *first* part of the current boot (why did it not come up?) and the *newest* part of
//! everything (what happened last?). What fell between them is gone, and a reader is told how much.
//! A ring never takes more than `4096 + first_cap + newest_cap` bytes, and pages that were never
//! written take none.
//!
//! # Order of writes, and what a kill can cost
//!
//! 1. An append longer than [`GUARD`] first commits how far it will reach into the rolling area.
//! 2. The bytes go into the areas.
//! 3. A commit publishes the new total, and reserves [`GUARD`] bytes for the next append.
//!
//! A commit writes the slot that is *not* in force, with a checksum; a torn slot leaves the other one
//! in force. A reader trusts nothing that a reserved append may have overwritten. So whoever opens the
//! ring after a kill finds every byte of every finished append that the sizes allow, and none of the
//! unfinished one: the loss is at most that append.
//!
//! One writer at a time: that is the business of whoever hands the descriptor over. A writer that
//! takes over calls [`Ring::reload`] (or opens it anew).
#![no_std]
#![forbid(unsafe_code)]

mod error;
mod header;
#[cfg(test)]
mod tests;

pub use error::Error;

use header::{DATA, Header, SLOT_LEN, SLOT_STEP};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::SealFlags;
use rustix::io::Errno;

/// Bytes of the first part that a ring keeps unless told otherwise.
pub const DEFAULT_FIRST_CAP: u64 = 32 << 10;
/// Bytes of the newest part that a ring keeps unless told otherwise.
pub const DEFAULT_NEWEST_CAP: u64 = 96 << 10;
/// An append up to this long needs no commit beforehand. One read from a pty gives less.
pub const GUARD: u64 = 4096;
/// The rolling area must hold the guard and something beside it.
pub const MIN_NEWEST_CAP: u64 = 2 * GUARD;

/// A ring, and the descriptor it lives in.
#[derive(Debug)]
pub struct Ring<F> {
    fd: F,
    header: Header,
}

/// What [`Ring::read_from`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Bytes after the offset asked for that are no longer kept; reading went on behind them.
    pub lost: u64,
    /// Bytes put into the buffer.
    pub len: usize,
}

impl<F: AsFd> Ring<F> {
    /// Makes an empty ring of `first_cap` and `newest_cap` bytes in `fd`, usually a new memfd, whose
    /// size is then sealed if it can be.
    ///
    /// # Errors
    /// [`Error::Sizes`] when `newest_cap` is below [`MIN_NEWEST_CAP`] or either is above 64 MiB;
    /// [`Error::Io`] when the file cannot be sized or written.
    pub fn create(fd: F, first_cap: u64, newest_cap: u64) -> Result<Self, Error> {
        header::caps_are_sane(first_cap, newest_cap)?;
        let mut id = [0; 8];
        rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())
            .map_err(|errno| Error::Io { operation: "getrandom", errno })?;
        let header = Header {
            seq: 0,
            id: u64::from_le_bytes(id),
            first_cap,
            newest_cap,
            total: 0,
            reserved: GUARD,
            floor: 0,
            boot_start: 0,
            boots: 0,
            logged: 0,
        };
        rustix::fs::ftruncate(&fd, DATA + first_cap + newest_cap)
            .map_err(|errno| Error::Io { operation: "ftruncate", errno })?;
        // Only a memfd that allows sealing takes it; the ring works without.
        let _ = rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW);
        let mut ring = Self { fd, header };
        ring.commit()?;
        Ok(ring)
    }

    /// Opens the ring in `fd` as the last commit left it.
    ///
    /// # Errors
    /// [`Error::NotARing`] when neither slot of the header is whole or the file is too short;
    /// [`Error::Io`] when it cannot be read.
    pub fn open(fd: F) -> Result<Self, Error> {
        let header = load(fd.as_fd())?;
        Ok(Self { fd, header })
    }

    /// Reads the header again: another writer had the ring meanwhile.
    ///
    /// # Errors
    /// As [`Ring::open`]; the ring is then as it was.
    pub fn reload(&mut self) -> Result<(), Error> {
        self.header = load(self.fd.as_fd())?;
        Ok(())
    }

    /// Adds `bytes` to what is kept. The total grows even when writing fails, so offsets stay true;
    /// what was kept before is then given up, since it may be half overwritten.
    ///
    /// # Errors
    /// [`Error::Io`] when a write fails (no memory for a page of the memfd, most likely).
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        let stored = self.store(bytes);
        let end = self.header.total + bytes.len() as u64;
        if stored.is_err() {
            self.header.floor = end;
            self.header.boot_start = end;
        }
        self.header.total = end;
        self.header.reserved = end + GUARD;
        stored.and(self.commit())
    }

    /// The current boot begins here: the first part starts anew.
    ///
    /// # Errors
    /// [`Error::Io`] when the header cannot be written.
    pub fn mark_boot(&mut self) -> Result<(), Error> {
        self.header.boot_start = self.header.total;
        self.header.boots += 1;
        self.commit()
    }

    /// Remembers that the log on disk has everything before `offset`.
    ///
    /// # Errors
    /// [`Error::Io`] when the header cannot be written.
    pub fn set_logged(&mut self, offset: u64) -> Result<(), Error> {
        self.header.logged = offset.min(self.header.total);
        self.commit()
    }

    /// Reads what was said at `offset` and after it, as much as is kept in one piece and fits `buffer`.
    /// At or behind the end it finds nothing. The next offset is `offset + lost + len`.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read.
    pub fn read_from(&self, offset: u64, buffer: &mut [u8]) -> Result<Read, Error> {
        let header = &self.header;
        let start = self.available(offset);
        let (area, cap, position, end) = if start >= self.oldest() {
            (self.newest_area(), header.newest_cap, start % header.newest_cap, header.total)
        } else {
            (DATA, header.first_cap, start - header.boot_start, self.first_end())
        };
        let len = size(end - start).min(buffer.len());
        let straight = size(cap - position).min(len);
        let (head, tail) = buffer[..len].split_at_mut(straight);
        read_all(self.fd.as_fd(), head, area + position)?;
        read_all(self.fd.as_fd(), tail, area)?;
        Ok(Read { lost: start.saturating_sub(offset), len })
    }

    /// The offset from which the last `count` bytes can be replayed: `total - count`, or the next one
    /// that is still kept. `u64::MAX` finds the oldest there is.
    #[must_use]
    pub fn replay_start(&self, count: u64) -> u64 {
        self.available(self.header.total.saturating_sub(count))
    }

    /// The first offset at or after `offset` that is still kept; the end when none is.
    #[must_use]
    pub fn available(&self, offset: u64) -> u64 {
        let oldest = self.oldest();
        if offset >= oldest {
            offset.min(self.header.total)
        } else if self.header.boot_start < oldest && offset < self.first_end() {
            offset.max(self.header.boot_start)
        } else {
            oldest
        }
    }

    /// Bytes ever written: the offset of the next one.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.header.total
    }

    /// The offset at which the current boot began.
    #[must_use]
    pub fn boot_start(&self) -> u64 {
        self.header.boot_start
    }

    /// How many boots were marked.
    #[must_use]
    pub fn boots(&self) -> u64 {
        self.header.boots
    }

    /// The log on disk has everything before this offset.
    #[must_use]
    pub fn logged(&self) -> u64 {
        self.header.logged
    }

    /// Random, made with the ring: an offset means something only together with it.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.header.id
    }

    /// The descriptor.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Gives the descriptor back.
    pub fn into_fd(self) -> F {
        self.fd
    }

    /// The oldest offset of the rolling area that no append may have touched.
    fn oldest(&self) -> u64 {
        self.header
            .reserved
            .saturating_sub(self.header.newest_cap)
            .max(self.header.floor)
            .min(self.header.total)
    }

    fn first_end(&self) -> u64 {
        self.header.total.min(self.header.boot_start + self.header.first_cap)
    }

    fn newest_area(&self) -> u64 {
        DATA + self.header.first_cap
    }

    /// Steps 1 and 2 of an append.
    fn store(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let Header { total, first_cap, newest_cap, boot_start, .. } = self.header;
        let len = bytes.len() as u64;
        if len > GUARD {
            self.header.reserved = total + len;
            self.commit()?;
        }
        let said = total - boot_start;
        let room = size(first_cap.saturating_sub(said)).min(bytes.len());
        write_all(self.fd.as_fd(), &bytes[..room], DATA + said)?;

        let skip = len.saturating_sub(newest_cap);
        let kept = &bytes[size(skip)..];
        let position = (total + skip) % newest_cap;
        let straight = size(newest_cap - position).min(kept.len());
        let (head, tail) = kept.split_at(straight);
        write_all(self.fd.as_fd(), head, self.newest_area() + position)?;
        write_all(self.fd.as_fd(), tail, self.newest_area())
    }

    fn commit(&mut self) -> Result<(), Error> {
        self.header.seq += 1;
        write_all(self.fd.as_fd(), &self.header.encode(), (self.header.seq & 1) * SLOT_STEP)
    }
}

fn load(fd: BorrowedFd<'_>) -> Result<Header, Error> {
    let mut best: Option<Header> = None;
    for slot in 0..2 {
        let mut bytes = [0; SLOT_LEN];
        match read_all(fd, &mut bytes, slot * SLOT_STEP) {
            Ok(()) => {}
            Err(Error::TooShort) => continue,
            Err(error) => return Err(error),
        }
        if let Some(found) = Header::decode(&bytes)
            && best.is_none_or(|known| known.seq < found.seq)
        {
            best = Some(found);
        }
    }
    let mut header = best.ok_or(Error::NotARing)?;
    // A long append that was killed may have overwritten more than the next, shorter one will reserve.
    header.floor = header.floor.max(header.reserved.saturating_sub(header.newest_cap)).min(header.total);
    let stat = rustix::fs::fstat(fd).map_err(|errno| Error::Io { operation: "fstat", errno })?;
    let needed = DATA + header.first_cap + header.newest_cap;
    if u64::try_from(stat.st_size).is_ok_and(|len| len >= needed) { Ok(header) } else { Err(Error::TooShort) }
}

fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8], mut offset: u64) -> Result<(), Error> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(fd, bytes, offset) {
            Ok(0) => return Err(Error::Io { operation: "pwrite", errno: Errno::NOSPC }),
            Ok(written) => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::Io { operation: "pwrite", errno }),
        }
    }
    Ok(())
}

fn read_all(fd: BorrowedFd<'_>, mut buffer: &mut [u8], mut offset: u64) -> Result<(), Error> {
    while !buffer.is_empty() {
        match rustix::io::pread(fd, &mut *buffer, offset) {
            Ok(0) => return Err(Error::TooShort),
            Ok(read) => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::Io { operation: "pread", errno }),
        }
    }
    Ok(())
}

/// A length that may exceed the address space only where it is capped afterwards anyway.
fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

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
//! written take none. Of the newest part [`window`] bytes are made ready for what comes next, so
//! `newest_cap - window` are what is always kept.
//!
//! # Order of writes, and what a kill can cost
//!
//! 1. [`Ring::prepare`] commits how far what comes next will reach into the rolling area, fills that
//!    with bytes that no text has, and commits that it is filled.
//! 2. [`Ring::receive`] has the kernel put what the console says straight there: it is in the pty, or
//!    it is in the ring, and never in a process alone.
//! 3. [`Ring::publish`] commits the new total.
//!
//! A commit writes the slot that is *not* in force, with a checksum; a torn slot leaves the other one
//! in force. A reader trusts nothing that a writer may have overwritten. Whoever takes over after a
//! kill ([`Ring::inherit`], [`Ring::reload`]) looks where the filling begins behind the total, and
//! publishes what stands before it. So a kill at any instruction costs no byte of text. The filling
//! varies, and is of bytes that are none in UTF-8: of other output it can cost as many of the last
//! bytes before the kill as happen to be those of the filling at that place, of random bytes one in
//! 250 times one.
//!
//! One writer at a time: that is the business of whoever hands the descriptor over.
#![forbid(unsafe_code)]

mod error;
mod filling;
mod header;
#[cfg(test)]
mod tests;
mod write;

pub use error::Error;

use header::{DATA, Header, SLOT_LEN, SLOT_STEP};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::SealFlags;
use rustix::io::Errno;
use zone_sys::landing::Landing;

/// Bytes of the first part that a ring keeps unless told otherwise.
pub const DEFAULT_FIRST_CAP: u64 = 32 << 10;
/// Bytes of the rolling area unless told otherwise: 96 KiB of the newest part, and a window.
pub const DEFAULT_NEWEST_CAP: u64 = 160 << 10;
/// With less room than this nothing is read: one read from a pty gives no more.
pub const ONE_READ: u64 = 4096;
/// The rolling area must hold a window, which must hold one read, and as much beside it.
pub const MIN_NEWEST_CAP: u64 = 2 * ONE_READ;

/// How much of a rolling area of `newest_cap` bytes is made ready for what comes next: the most that
/// is received before it is published.
#[must_use]
pub const fn window(newest_cap: u64) -> u64 {
    let half = newest_cap / 2;
    if half < 64 << 10 { half } else { 64 << 10 }
}

/// A ring, and the descriptor it lives in.
#[derive(Debug)]
pub struct Ring<F> {
    fd: F,
    header: Header,
    /// Bytes received behind the total and not published yet.
    received: u64,
    /// Where the kernel puts what is received; made with the first room.
    landing: Option<Landing>,
    /// How many more writes of this ring are carried out before its process dies.
    #[cfg(test)]
    lives: Option<u32>,
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
            reserved: 0,
            prepared: 0,
            floor: 0,
            boot_start: 0,
            boots: 0,
            logged: 0,
        };
        rustix::fs::ftruncate(&fd, DATA + first_cap + newest_cap)
            .map_err(|errno| Error::Io { operation: "ftruncate", errno })?;
        // Only a memfd that allows sealing takes it; the ring works without.
        let _ = rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW);
        let mut ring = Self::of(fd, header);
        ring.commit()?;
        Ok(ring)
    }

    fn of(fd: F, header: Header) -> Self {
        Self {
            fd,
            header,
            received: 0,
            landing: None,
            #[cfg(test)]
            lives: None,
        }
    }

    /// Opens the ring in `fd` as the last commit left it, to read it. A writer [inherits](Ring::inherit) it.
    ///
    /// # Errors
    /// [`Error::NotARing`] when neither slot of the header is whole or the file is too short;
    /// [`Error::Io`] when it cannot be read.
    pub fn open(fd: F) -> Result<Self, Error> {
        let header = load(fd.as_fd())?;
        Ok(Self::of(fd, header))
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

    /// Whether so much is in no log yet that it is time to have it logged: as much again is kept before anything of it is lost.
    #[must_use]
    pub fn log_is_due(&self) -> bool {
        let kept = self.header.newest_cap - window(self.header.newest_cap);
        self.header.total.saturating_sub(self.header.logged) >= kept / 2
    }

    /// Random, made with the ring: an offset means something only together with it.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.header.id
    }

    /// Borrows the descriptor of the memory.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Gives the descriptor back.
    pub fn into_fd(self) -> F {
        self.fd
    }

    /// The oldest offset of the rolling area that no writer may have touched.
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
    // What a writer that was killed may have overwritten stays so, whatever is reserved next.
    header.floor = header.floor.max(header.reserved.saturating_sub(header.newest_cap)).min(header.total);
    let stat = rustix::fs::fstat(fd).map_err(|errno| Error::Io { operation: "fstat", errno })?;
    let needed = DATA + header.first_cap + header.newest_cap;
    if u64::try_from(stat.st_size).is_ok_and(|len| len >= needed) { Ok(header) } else { Err(Error::TooShort) }
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

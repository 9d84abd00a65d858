//! The writer's half: making room, receiving, publishing, and what is done after a writer was killed.

use crate::header::{DATA, SLOT_STEP};
use crate::{Error, ONE_READ, Ring, filling, load, read_all, size, window};
use rustix::fd::AsFd;
use rustix::io::Errno;
use std::io::IoSlice;
use zone_sys::landing::Landing;

/// A piece of what is copied or looked through, on the stack.
const PIECE: usize = 4096;
/// Periods of the filling that are written at once.
const PERIODS: usize = 17;

impl<F: AsFd> Ring<F> {
    /// Opens the ring in `fd` to write it. What an earlier writer received and did not come to publish,
    /// since it was killed, is published.
    ///
    /// # Errors
    /// As [`Ring::open`].
    pub fn inherit(fd: F) -> Result<Self, Error> {
        let mut ring = Self::open(fd)?;
        ring.recover()?;
        Ok(ring)
    }

    /// As [`Ring::inherit`], for a ring that was open all the time: another writer had it until now.
    ///
    /// # Errors
    /// As [`Ring::open`]; the ring is then as it was.
    pub fn reload(&mut self) -> Result<(), Error> {
        self.header = load(self.fd.as_fd())?;
        self.received = 0;
        self.recover()
    }

    /// Looks for what is received behind the total.
    fn recover(&mut self) -> Result<(), Error> {
        let (total, mut until) = (self.header.total, self.header.prepared);
        let mut piece = [0; PIECE];
        while until > total {
            let start = total.max(until.saturating_sub(PIECE as u64));
            let piece = &mut piece[..size(until - start)];
            self.read_newest(start, piece)?;
            let said = filling::begins(start, piece);
            if said > 0 {
                self.received = start + said as u64 - total;
                return self.publish();
            }
            until = start;
        }
        Ok(())
    }

    /// Makes room for what is received next, at least [`ONE_READ`] and mostly [`window`] bytes. With
    /// something received and not yet published it makes none.
    ///
    /// # Errors
    /// [`Error::Io`] when the room cannot be mapped or written (no memory for a page, most likely).
    /// There is none then, and what is read elsewhere can be [appended](Ring::append).
    pub fn prepare(&mut self) -> Result<(), Error> {
        if self.landing.is_none() {
            let landing = Landing::new(&self.fd, size(self.newest_area() + self.header.newest_cap));
            self.landing = Some(landing.map_err(|e| Error::Io { operation: "mmap", errno: e.errno() })?);
        }
        if self.received > 0 || self.room() >= ONE_READ {
            return Ok(());
        }
        let until = self.header.total + window(self.header.newest_cap);
        if self.header.reserved < until {
            self.header.reserved = until;
            self.commit()?;
        }
        self.fill(self.header.prepared, until)?;
        self.header.prepared = until;
        self.commit()
    }

    /// How much can be received.
    fn room(&self) -> u64 {
        self.header.prepared - self.header.total - self.received
    }

    /// Reads from `from`, straight to where it stays. It counts once it is [published](Ring::publish),
    /// by whomever.
    ///
    /// # Errors
    /// `ENOBUFS` when there is not enough room left: publish and [prepare](Ring::prepare). What
    /// `readv(2)` says.
    pub fn receive(&mut self, from: impl AsFd) -> rustix::io::Result<usize> {
        let (room, Some(landing)) = (self.room(), &self.landing) else { return Err(Errno::NOBUFS) };
        if room < ONE_READ {
            return Err(Errno::NOBUFS);
        }
        let at = self.header.total + self.received;
        let (cap, position) = (self.header.newest_cap, at % self.header.newest_cap);
        let straight = room.min(cap - position);
        let area = |start: u64, len: u64| {
            let start = size(self.newest_area() + start);
            start..start + size(len)
        };
        let (head, tail) = (area(position, straight), area(0, room - straight));
        let read = landing.read(from, head, tail).map_err(|e| e.errno())?;
        self.received += read as u64;
        Ok(read)
    }

    /// Commits what was received.
    ///
    /// # Errors
    /// [`Error::Io`] when the first part of a boot or the header cannot be written.
    pub fn publish(&mut self) -> Result<(), Error> {
        if self.received == 0 {
            return Ok(());
        }
        let kept = self.keep_first();
        self.header.total += self.received;
        self.received = 0;
        if kept.is_err() {
            self.header.boot_start = self.header.total;
        }
        if self.room() < ONE_READ {
            // Said with this commit, it needs none of its own.
            self.header.reserved = self.header.total + window(self.header.newest_cap);
        }
        kept.and(self.commit())
    }

    /// Copies what of the received belongs to the first part of the boot.
    fn keep_first(&mut self) -> Result<(), Error> {
        let total = self.header.total;
        let said = total - self.header.boot_start;
        let until = total + self.received.min(self.header.first_cap.saturating_sub(said));
        let (mut at, mut piece) = (total, [0; PIECE]);
        while at < until {
            let piece = &mut piece[..size(until - at).min(PIECE)];
            self.read_newest(at, piece)?;
            self.write_all(piece, DATA + at - self.header.boot_start)?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// Adds `bytes`, which were read elsewhere, to what is kept. The total grows even when writing fails,
    /// so offsets stay true; what was kept before is then given up, since it may be half overwritten.
    ///
    /// # Errors
    /// [`Error::Io`] when a write fails.
    pub fn append(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let end = self.header.total + self.received + bytes.len() as u64;
            match self.append_piece(bytes) {
                Ok(len) => bytes = &bytes[len..],
                Err(error) => {
                    self.header.total = end;
                    self.header.floor = end;
                    self.header.boot_start = end;
                    self.header.prepared = end;
                    self.header.reserved = self.header.reserved.max(end);
                    self.received = 0;
                    let _ = self.commit();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn append_piece(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.publish()?;
        self.prepare()?;
        let len = size(self.room()).min(bytes.len());
        self.write_newest(self.header.total, &bytes[..len])?;
        self.received = len as u64;
        self.publish()?;
        Ok(len)
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

    /// Reads from the rolling area, wherever the total is.
    fn read_newest(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let position = offset % self.header.newest_cap;
        let straight = size(self.header.newest_cap - position).min(buffer.len());
        let (head, tail) = buffer.split_at_mut(straight);
        read_all(self.fd.as_fd(), head, self.newest_area() + position)?;
        read_all(self.fd.as_fd(), tail, self.newest_area())
    }

    fn write_newest(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let position = offset % self.header.newest_cap;
        let straight = size(self.header.newest_cap - position).min(bytes.len());
        let (head, tail) = bytes.split_at(straight);
        self.write_all(head, self.newest_area() + position)?;
        self.write_all(tail, self.newest_area())
    }

    /// Writes the filling from one offset to another.
    fn fill(&mut self, mut from: u64, until: u64) -> Result<(), Error> {
        while from < until {
            let position = from % self.header.newest_cap;
            let end = until.min(from + self.header.newest_cap - position);
            let (mut parts, mut used, mut at) = ([IoSlice::new(&[]); PERIODS], 0, from);
            while at < end && used < PERIODS {
                let filling = filling::from(at, end - at);
                parts[used] = IoSlice::new(filling);
                at += filling.len() as u64;
                used += 1;
            }
            from += self.write(&parts[..used], self.newest_area() + position)?;
        }
        Ok(())
    }

    pub(crate) fn commit(&mut self) -> Result<(), Error> {
        self.header.seq += 1;
        self.write_all(&self.header.encode(), (self.header.seq & 1) * SLOT_STEP)
    }

    fn write_all(&mut self, mut bytes: &[u8], mut offset: u64) -> Result<(), Error> {
        while !bytes.is_empty() {
            let written = self.write(&[IoSlice::new(bytes)], offset)?;
            bytes = &bytes[size(written)..];
            offset += written;
        }
        Ok(())
    }

    fn write(&mut self, parts: &[IoSlice<'_>], offset: u64) -> Result<u64, Error> {
        #[cfg(test)]
        if let Some(lives) = &mut self.lives {
            *lives =
                lives.checked_sub(1).ok_or(Error::Io { operation: "living", errno: Errno::OWNERDEAD })?;
        }
        match rustix::io::retry_on_intr(|| rustix::io::pwritev(&self.fd, parts, offset)) {
            Ok(0) => Err(Error::Io { operation: "pwritev", errno: Errno::NOSPC }),
            Ok(written) => Ok(written as u64),
            Err(errno) => Err(Error::Io { operation: "pwritev", errno }),
        }
    }
}

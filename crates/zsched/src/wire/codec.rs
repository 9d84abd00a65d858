//! Integers one behind the other, without an allocator.

use super::{End, RESERVE};

/// Writes integers one behind the other; what does not fit is not written.
pub(super) struct Writer<'a>(pub(super) &'a mut [u8]);

impl Writer<'_> {
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if let Some((head, rest)) = std::mem::take(&mut self.0).split_at_mut_checked(bytes.len()) {
            head.copy_from_slice(bytes);
            self.0 = rest;
        }
    }
    pub(super) fn u32(&mut self, n: u32) {
        self.bytes(&n.to_le_bytes());
    }
    pub(super) fn i32(&mut self, n: i32) {
        self.bytes(&n.to_le_bytes());
    }
    pub(super) fn u64(&mut self, n: u64) {
        self.bytes(&n.to_le_bytes());
    }
    pub(super) fn restarts(&mut self, restarts: u32) {
        self.u32(restarts);
        self.bytes(&[0; RESERVE]);
    }
    pub(super) fn end(&mut self, end: Option<End>) {
        let (kind, value) = match end {
            None => (0, 0),
            Some(End::Exited(status)) => (1, status),
            Some(End::Killed(signal)) => (2, signal),
        };
        self.u32(kind);
        self.i32(value);
    }
}

/// Reads integers one behind the other; `None` past the end.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }
    pub(super) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.take(4)?.first_chunk()?))
    }
    pub(super) fn i32(&mut self) -> Option<i32> {
        Some(i32::from_le_bytes(*self.take(4)?.first_chunk()?))
    }
    pub(super) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(*self.take(8)?.first_chunk()?))
    }
    pub(super) fn counted(&mut self) -> Option<&'a [u8]> {
        let n = usize::try_from(self.u32()?).ok()?;
        self.take(n)
    }
    pub(super) fn restarts(&mut self) -> Option<u32> {
        let restarts = self.u32()?;
        self.take(RESERVE).map(|_| restarts)
    }
    /// How a first process ended; the outer `None` for what is no such thing.
    pub(super) fn end(&mut self) -> Option<Option<End>> {
        match (self.u32()?, self.i32()?) {
            (0, _) => Some(None),
            (1, status) => Some(Some(End::Exited(status))),
            (2, signal) => Some(Some(End::Killed(signal))),
            _ => None,
        }
    }
}

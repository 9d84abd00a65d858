//! Files with holes, in the four forms GNU tar has written over the years.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::pax::{Records, number};

/// More extents than this are taken for an attack: 16 bytes each are kept in memory.
pub(super) const MOST_EXTENTS: usize = 1 << 18;

/// Where a file's data goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// Size of the file.
    pub(super) size: u64,
    /// Offsets and lengths of what is stored, in order and apart. Together they are the member's data.
    pub(super) extents: Vec<(u64, u64)>,
}

impl Layout {
    /// A file without holes.
    pub(super) fn plain(size: u64) -> Self {
        Self { size, extents: vec![(0, size)] }
    }

    /// `None` unless the extents are in order, apart, inside the file, and as long as the data together.
    pub(super) fn new(size: u64, extents: Vec<(u64, u64)>, data: u64) -> Option<Self> {
        let (mut end, mut sum) = (0u64, 0u64);
        if extents.len() > MOST_EXTENTS || i64::try_from(size).is_err() {
            return None;
        }
        for (offset, length) in &extents {
            if *offset < end {
                return None;
            }
            end = offset.checked_add(*length)?;
            sum = sum.checked_add(*length)?;
        }
        (end <= size && sum == data).then_some(Self { size, extents })
    }
}

/// The map in a GNU header or its extensions.
pub(super) fn gnu_entries(entries: &[tar::GnuSparseHeader], map: &mut Vec<(u64, u64)>) -> Option<()> {
    for entry in entries.iter().filter(|entry| !entry.is_empty()) {
        map.push((entry.offset().ok()?, entry.length().ok()?));
    }
    Some(())
}

/// The maps that lie in the records: 0.0 (a record for each number) and 0.1 (one record).
pub(super) fn from_records(records: &Records) -> Option<(u64, Vec<(u64, u64)>)> {
    let size = records.number("GNU.sparse.size").or_else(|| records.number("GNU.sparse.realsize"))??;
    let mut numbers = Vec::new();
    if let Some(list) = records.get("GNU.sparse.map") {
        for text in list.split(|byte| *byte == b',') {
            numbers.push(number(text)?);
        }
    } else {
        for (key, value) in records.iter() {
            if key == b"GNU.sparse.offset" || key == b"GNU.sparse.numbytes" {
                numbers.push(number(value)?);
            }
        }
    }
    Some((size, pairs(&numbers)?))
}

fn pairs(numbers: &[u64]) -> Option<Vec<(u64, u64)>> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[offset, length]| (*offset, *length)).collect())
}

/// Reads the map of form 1.0 block by block: how many extents, then offset and length of each, a line each.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
    count: Option<usize>,
    numbers: Vec<u64>,
}

impl Lines {
    pub(super) fn complete(&self) -> bool {
        self.count.is_some_and(|count| self.numbers.len() == count * 2)
    }

    /// `None` when it is no such map.
    pub(super) fn feed(&mut self, block: &[u8]) -> Option<()> {
        for byte in block {
            if self.complete() {
                break;
            }
            if *byte != b'\n' {
                self.partial.push(*byte);
                continue;
            }
            let value = number(&self.partial)?;
            self.partial.clear();
            if self.count.is_some() {
                self.numbers.push(value);
            } else {
                self.count = Some(usize::try_from(value).ok().filter(|count| *count <= MOST_EXTENTS)?);
            }
        }
        (self.partial.len() < 32).then_some(())
    }

    pub(super) fn map(self) -> Vec<(u64, u64)> {
        pairs(&self.numbers).unwrap_or_default()
    }
}

/// Bytes from an archive as a path.
pub(super) fn path(raw: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(raw.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn maps_that_lie_are_refused() {
        assert!(Layout::new(10, vec![(0, 2), (4, 2)], 4).is_some());
        assert!(Layout::new(10, vec![(0, 2), (4, 2)], 5).is_none(), "sum");
        assert!(Layout::new(5, vec![(0, 2), (4, 2)], 4).is_none(), "end");
        assert!(Layout::new(10, vec![(4, 2), (0, 2)], 4).is_none(), "order");
        assert!(Layout::new(10, vec![(0, 3), (2, 2)], 5).is_none(), "overlap");
        assert!(Layout::new(u64::MAX, vec![], 0).is_none(), "size");
        assert!(Layout::new(10, vec![(u64::MAX, 2)], 2).is_none(), "overflow");
    }

    #[test]
    fn lines_may_run_over_blocks() {
        let mut lines = Lines::default();
        lines.feed(b"2\n0\n51").unwrap();
        assert!(!lines.complete());
        lines.feed(b"2\n4096\n1\n\0\0\0").unwrap();
        assert!(lines.complete());
        assert_eq!(lines.map(), [(0, 512), (4096, 1)]);
        assert!(Lines::default().feed(b"99999999999\n").is_none());
        assert!(Lines::default().feed(b"-1\n").is_none());
    }

    proptest! {
        #[test]
        fn any_block_is_survived(block in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut lines = Lines::default();
            let _ = lines.feed(&block);
        }
    }
}

//! The header of a ring: two slots written in turn, so that one of them is always whole.

use crate::Error;

/// Bytes of one slot: thirteen little-endian 64-bit words, the last a checksum of the others.
pub(crate) const SLOT_LEN: usize = 104;
/// Distance between the two slots.
pub(crate) const SLOT_STEP: u64 = 512;
/// Where the first data area begins: the header has a page of its own.
pub(crate) const DATA: u64 = 4096;
/// No area may be larger than this, so that a damaged header cannot send a reader far astray.
pub(crate) const MAX_CAP: u64 = 64 << 20;

const WORDS: usize = SLOT_LEN / 8;
const MAGIC: u64 = u64::from_le_bytes(*b"ZCRING\0\x02");

/// What a slot says. Offsets are absolute: byte 0 is the first the console ever said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Grows with every commit; the valid slot with the larger one counts.
    pub(crate) seq: u64,
    /// Tells this ring from any other, so that an offset is never applied to the wrong one.
    pub(crate) id: u64,
    pub(crate) first_cap: u64,
    pub(crate) newest_cap: u64,
    /// Bytes ever written.
    pub(crate) total: u64,
    /// A writer may already have touched the rolling area up to here.
    pub(crate) reserved: u64,
    /// Up to here what is behind the total was filled, so that what came since can be told from it.
    pub(crate) prepared: u64,
    /// Nothing before this offset may be trusted (a write failed there).
    pub(crate) floor: u64,
    /// Where the current boot began.
    pub(crate) boot_start: u64,
    /// How many boots were marked.
    pub(crate) boots: u64,
    /// The log on disk has everything before this.
    pub(crate) logged: u64,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; SLOT_LEN] {
        let words = [
            MAGIC,
            self.seq,
            self.id,
            self.first_cap,
            self.newest_cap,
            self.total,
            self.reserved,
            self.prepared,
            self.floor,
            self.boot_start,
            self.boots,
            self.logged,
        ];
        let mut slot = [0; SLOT_LEN];
        for (to, word) in slot.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        let sum = checksum(&slot[..SLOT_LEN - 8]);
        slot[SLOT_LEN - 8..].copy_from_slice(&sum.to_le_bytes());
        slot
    }

    /// `None` for a slot that was never written, is torn, or makes no sense.
    pub(crate) fn decode(slot: &[u8; SLOT_LEN]) -> Option<Self> {
        let mut words = [0_u64; WORDS];
        for (word, from) in words.iter_mut().zip(slot.chunks_exact(8)) {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(from);
            *word = u64::from_le_bytes(bytes);
        }
        let [
            magic,
            seq,
            id,
            first_cap,
            newest_cap,
            total,
            reserved,
            prepared,
            floor,
            boot_start,
            boots,
            logged,
            sum,
        ] = words;
        let header = Self {
            seq,
            id,
            first_cap,
            newest_cap,
            total,
            reserved,
            prepared,
            floor,
            boot_start,
            boots,
            logged,
        };
        (magic == MAGIC && sum == checksum(&slot[..SLOT_LEN - 8]) && header.is_sane()).then_some(header)
    }

    fn is_sane(&self) -> bool {
        caps_are_sane(self.first_cap, self.newest_cap).is_ok()
            && self.floor <= self.total
            && self.boot_start <= self.total
            && self.total <= self.prepared
            && self.prepared <= self.reserved
            && self.reserved < u64::MAX / 2
    }
}

/// Whether a ring may have areas of these sizes.
pub(crate) fn caps_are_sane(first_cap: u64, newest_cap: u64) -> Result<(), Error> {
    if first_cap > MAX_CAP || !(crate::MIN_NEWEST_CAP..=MAX_CAP).contains(&newest_cap) {
        return Err(Error::Sizes { first_cap, newest_cap });
    }
    Ok(())
}

/// FNV-1a: enough to tell a torn slot, and a few lines.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            seq: 7,
            id: 99,
            first_cap: 0,
            newest_cap: crate::MIN_NEWEST_CAP,
            total: 10,
            reserved: 20,
            prepared: 15,
            floor: 0,
            boot_start: 3,
            boots: 1,
            logged: 5,
        }
    }

    #[test]
    fn a_slot_survives_the_round_trip() {
        assert_eq!(Header::decode(&header().encode()), Some(header()));
    }

    #[test]
    fn a_torn_slot_is_none() {
        let whole = header().encode();
        let newer = Header { seq: 9, total: 11, ..header() }.encode();
        for cut in 0..SLOT_LEN {
            let mut torn = whole;
            torn[..cut].copy_from_slice(&newer[..cut]);
            if torn != whole && torn != newer {
                assert_eq!(Header::decode(&torn), None, "torn after {cut} bytes");
            }
        }
        assert_eq!(Header::decode(&[0; SLOT_LEN]), None);
    }

    #[test]
    fn a_header_that_lies_is_none() {
        for lie in [
            Header { total: 30, ..header() },
            Header { prepared: 9, ..header() },
            Header { prepared: 21, ..header() },
            Header { boot_start: 11, ..header() },
            Header { floor: 11, ..header() },
            Header { newest_cap: 1, ..header() },
            Header { newest_cap: u64::MAX, ..header() },
        ] {
            assert_eq!(Header::decode(&lie.encode()), None);
        }
    }
}

//! What stands where nothing was said yet.

/// The filling repeats after this many bytes.
pub(crate) const PERIOD: usize = 4096;

/// Bytes that do not occur in UTF-8, in no order, so that no output happens to go on like it for long.
static FILLING: [u8; PERIOD] = make();

const fn make() -> [u8; PERIOD] {
    const NEVER: [u8; 13] = [0xc0, 0xc1, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff];
    let (mut filling, mut at, mut state) = ([0; PERIOD], 0, 1_u32);
    while at < PERIOD {
        // The generator of ANSI C's example of rand(3); its upper bits will do.
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        filling[at] = NEVER[(state >> 16) as usize % NEVER.len()];
        at += 1;
    }
    filling
}

/// The filling from the absolute `offset` on, up to `most` bytes of it, at most to the end of the period.
pub(crate) fn from(offset: u64, most: u64) -> &'static [u8] {
    let start = usize::try_from(offset % PERIOD as u64).unwrap_or(0);
    let most = usize::try_from(most).unwrap_or(PERIOD).min(PERIOD - start);
    &FILLING[start..start + most]
}

/// How many of `bytes`, which stand at `offset`, come before the filling that they end with.
pub(crate) fn begins(offset: u64, bytes: &[u8]) -> usize {
    let at = |index: usize| from(offset + index as u64, 1).first();
    bytes.iter().enumerate().rposition(|(index, byte)| Some(byte) != at(index)).map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_has_a_byte_of_it() {
        let all: String = (0..=char::MAX as u32).filter_map(char::from_u32).collect();
        let mut used = [false; 256];
        all.bytes().for_each(|byte| used[usize::from(byte)] = true);
        assert!(FILLING.iter().all(|byte| !used[usize::from(*byte)]));
    }

    #[test]
    fn its_beginning_is_found() {
        for offset in [0, 5, 4000, 123_456_789] {
            for len in 0..300 {
                let mut bytes = vec![b'x'; len];
                let filled = from(offset + len as u64, 100);
                bytes.extend(filled);
                assert_eq!(begins(offset, &bytes), len, "at {offset}");
            }
        }
        assert_eq!(begins(0, from(0, 100)), 0);
    }
}

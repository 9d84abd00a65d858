//! The 64-bit FNV-1a hash, which unlike the standard library's is the same in every build and on every host.

/// The hash of no bytes.
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// Hashes bytes. Not for what an adversary may choose.
#[must_use]
pub fn fnv1a(bytes: &[u8]) -> u64 {
    fnv1a_after(BASIS, bytes)
}

/// Hashes more bytes behind those that `hash` is of.
#[must_use]
pub fn fnv1a_after(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(fnv1a_after(fnv1a(b"foo"), b"bar"), fnv1a(b"foobar"));
    }
}

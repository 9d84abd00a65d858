//! Reading the attributes of an answer, whatever else is among them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::NlasIterator;

/// Calls `each` with kind and value of every attribute. Ends at one that is cut off.
pub(crate) fn each<'a>(bytes: &'a [u8], mut each: impl FnMut(u16, &'a [u8])) {
    for attribute in NlasIterator::new(bytes).map_while(Result::ok) {
        let value = attribute.into_inner().get(HEADER..usize::from(attribute.length()));
        each(attribute.kind(), value.unwrap_or_default());
    }
}

/// The value of the first attribute of a kind.
pub(crate) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    let mut found = None;
    each(bytes, |this, value| {
        if this == kind && found.is_none() {
            found = Some(value);
        }
    });
    found
}

/// The bytes of attributes behind a header of `length` bytes.
pub(crate) fn behind(payload: &[u8], length: usize) -> &[u8] {
    payload.get(length..).unwrap_or_default()
}

/// A number of one byte.
pub(super) fn u8(value: &[u8]) -> Option<u8> {
    value.first().copied()
}

/// A number of two bytes.
pub(super) fn u16(value: &[u8]) -> Option<u16> {
    value.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

/// A number of four bytes.
pub(super) fn u32(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

/// A number of eight bytes at an offset.
pub(super) fn u64_at(value: &[u8], offset: usize) -> Option<u64> {
    behind(value, offset).first_chunk().map(|bytes| u64::from_ne_bytes(*bytes))
}

/// A number of four bytes at an offset.
pub(super) fn u32_at(value: &[u8], offset: usize) -> Option<u32> {
    u32(behind(value, offset))
}

/// A text that ends at a NUL. The kernel's names and aliases are bytes; what is no UTF-8 is replaced.
pub(crate) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}

/// An address of four or sixteen bytes.
pub(crate) fn ip(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => value.first_chunk::<4>().map(|bytes| Ipv4Addr::from(*bytes).into()),
        16 => value.first_chunk::<16>().map(|bytes| Ipv6Addr::from(*bytes).into()),
        _ => None,
    }
}

const HEADER: usize = netlink_packet_core::NLA_HEADER_SIZE;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_cut_off_ends_the_list() {
        let bytes = [5, 0, 1, 0, b'a', 0, 0, 0, 8, 0, 2, 0x80, 1, 0, 0, 0, 9, 0, 3, 0, 1];
        let mut seen = Vec::new();
        each(&bytes, |kind, value| seen.push((kind, value.to_vec())));
        assert_eq!(seen, [(1, b"a".to_vec()), (2, vec![1, 0, 0, 0])]);
        assert_eq!(find(&bytes, 2).and_then(u32), Some(1));
        assert_eq!(find(&bytes, 3), None);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            each(&bytes, |_, value| {
                let _ = (u8(value), u16(value), u32(value), u64_at(value, 8), text(value), ip(value));
            });
        }
    }
}

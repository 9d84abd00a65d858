//! The forms an archive comes in, told by its first bytes.

/// Bytes in a block of a tar archive.
pub(super) const BLOCK: usize = 512;
/// Bytes that tell one compressed form from another.
pub(super) const MAGIC: usize = 6;

/// How the tar bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Tar,
    Gzip,
    Xz,
    Zstd,
}

/// What the first block says, or what the file is instead.
pub(super) fn recognise(start: &[u8]) -> Result<Format, &'static str> {
    match start {
        [] => Err("empty"),
        [0x1f, 0x8b, ..] => Ok(Format::Gzip),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Ok(Format::Xz),
        // A frame, or a frame to be skipped (RFC 8878, 3.1).
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Format::Zstd),
        [b'B', b'Z', b'h', ..] => Err("compressed with bzip2"),
        [b'P', b'K', 3, 4, ..] => Err("a zip archive"),
        [0x5d, 0, 0, ..] => Err("compressed with lzma"),
        [0x1f, 0x9d, ..] => Err("compressed with compress"),
        [0x04, 0x22, 0x4d, 0x18, ..] => Err("compressed with lz4"),
        _ if start.len() == BLOCK && (is_header(start) || start.iter().all(|byte| *byte == 0)) => {
            Ok(Format::Tar)
        }
        _ => Err("not an archive"),
    }
}

/// True when the checksum of a tar header holds. Old writers summed the bytes as signed ones.
pub(super) fn is_header(block: &[u8]) -> bool {
    let Some(bytes) = block.get(..BLOCK) else { return false };
    let header = tar::Header::from_byte_slice(bytes);
    let Ok(said) = header.cksum() else { return false };
    let (mut unsigned, mut signed) = (0u32, 0i64);
    for (index, byte) in bytes.iter().enumerate() {
        let byte = if (148..156).contains(&index) { b' ' } else { *byte };
        unsigned += u32::from(byte);
        signed += i64::from(i8::from_ne_bytes([byte]));
    }
    said == unsigned || i64::from(said) == signed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        assert_eq!(recognise(&[0x1f, 0x8b, 8]), Ok(Format::Gzip));
        assert_eq!(recognise(b"\xfd7zXZ\0\0"), Ok(Format::Xz));
        assert_eq!(recognise(b"\x28\xb5\x2f\xfd\0"), Ok(Format::Zstd));
        assert_eq!(recognise(b"BZh91"), Err("compressed with bzip2"));
        assert_eq!(recognise(b""), Err("empty"));
        assert_eq!(recognise(&[b'x'; 512]), Err("not an archive"));
        let mut header = tar::Header::new_gnu();
        header.set_path("x").unwrap();
        header.set_cksum();
        assert_eq!(recognise(header.as_bytes()), Ok(Format::Tar));
        header.as_mut_bytes()[0] = b'y';
        assert_eq!(recognise(header.as_bytes()), Err("not an archive"));
    }
}

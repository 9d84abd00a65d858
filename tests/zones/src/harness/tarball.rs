//! Tar archives as no `tar` would write them.

/// An entry of an archive (pax, "ustar interchange format").
pub(crate) struct TarEntry<'a> {
    /// Its name, as hostile as you like.
    pub(crate) name: &'a str,
    /// `b'0'` file, `b'1'` hard link, `b'2'` symbolic link, `b'3'` character device, `b'5'` directory.
    pub(crate) kind: u8,
    /// Where a link leads.
    pub(crate) link: &'a str,
    /// What is in a file.
    pub(crate) content: &'a [u8],
}

const BLOCK: usize = 512;

/// A file.
pub(crate) fn file<'a>(name: &'a str, content: &'a [u8]) -> TarEntry<'a> {
    TarEntry { name, kind: b'0', link: "", content }
}

/// A symbolic link.
pub(crate) fn symlink<'a>(name: &'a str, to: &'a str) -> TarEntry<'a> {
    TarEntry { name, kind: b'2', link: to, content: b"" }
}

/// A hard link.
pub(crate) fn hard_link<'a>(name: &'a str, to: &'a str) -> TarEntry<'a> {
    TarEntry { name, kind: b'1', link: to, content: b"" }
}

/// The bytes of an archive of these entries.
pub(crate) fn tarball(entries: &[TarEntry<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend(header(entry));
        bytes.extend(entry.content);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    }
    bytes.resize(bytes.len() + 2 * BLOCK, 0);
    bytes
}

fn header(entry: &TarEntry<'_>) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    put(0, entry.name.as_bytes());
    put(100, b"0000755\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", entry.content.len()).as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[entry.kind]);
    put(157, entry.link.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

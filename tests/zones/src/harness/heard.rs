//! What somebody has said so far, and how far a test has listened.

/// Bytes that came, the last of which a test has not looked at.
#[derive(Debug, Default)]
pub(super) struct Heard {
    bytes: Vec<u8>,
    read: usize,
}

impl Heard {
    /// More came.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Everything up to the end of the next `text`, if that came.
    pub(super) fn up_to(&mut self, text: &str) -> Option<String> {
        let fresh = &self.bytes[self.read..];
        let at = fresh.windows(text.len()).position(|window| window == text.as_bytes())?;
        self.take(at + text.len()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The next `count` bytes, if that many came.
    pub(super) fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        let bytes = self.bytes.get(self.read..self.read + count)?.to_vec();
        self.read += count;
        Some(bytes)
    }

    /// What came and was not looked at yet.
    pub(super) fn rest(&self) -> String {
        String::from_utf8_lossy(&self.bytes[self.read..]).into_owned()
    }

    /// All that ever came.
    pub(super) fn all(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

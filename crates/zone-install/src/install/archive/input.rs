//! The archive as a stream of tar bytes: what it is compressed with is told from its first bytes.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use super::worker::{Piped, Worker};
use crate::error::Error;

pub(super) const BLOCK: usize = 512;
/// What a decompressor may use: enough for `xz -9` and the largest window zstd(1) takes without being asked,
/// and little enough that an archive cannot exhaust the machine.
const MOST_MEMORY: u64 = 256 << 20;
const WINDOW_LOG: u32 = 27;

/// A stream of tar bytes.
pub(super) struct Input {
    /// Decompressed bytes.
    pub(super) bytes: Box<dyn Read>,
    /// Bytes of the file consumed so far.
    pub(super) position: Rc<Cell<u64>>,
    /// Size of the file, where it has one.
    pub(super) size: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Tar,
    Gzip,
    Xz,
    Zstd,
}

/// Opens the archive; a worker, if there is one, decompresses it.
pub(super) fn open(archive: &Path, worker: Option<&Worker>) -> Result<Input, Error> {
    let failed = |source| Error::io("open", archive, source);
    let mut file = File::open(archive).map_err(failed)?;
    let stat = file.metadata().map_err(failed)?;
    if stat.is_dir() {
        return Err(Error::NotAnArchive { archive: archive.to_owned(), found: "a directory" });
    }
    let mut start = Vec::with_capacity(BLOCK);
    file.by_ref().take(BLOCK as u64).read_to_end(&mut start).map_err(failed)?;
    let format =
        recognise(&start).map_err(|found| Error::NotAnArchive { archive: archive.to_owned(), found })?;
    let position = Rc::new(Cell::new(0));
    let size = stat.is_file().then_some(stat.len());
    if let Some(worker) = worker
        && stat.is_file()
        && format != Format::Tar
    {
        file.rewind().map_err(failed)?;
        let piped = Piped::start(worker, file, Rc::clone(&position))
            .map_err(|source| Error::io("run the decompressor", &worker.program, source))?;
        return Ok(Input { bytes: Box::new(BufReader::with_capacity(1 << 17, piped)), position, size });
    }
    let rest: Box<dyn Read> = if stat.is_file() {
        file.rewind().map_err(failed)?;
        Box::new(file)
    } else {
        // A pipe cannot go back.
        Box::new(io::Cursor::new(start).chain(file))
    };
    let counted = Counted { inner: rest, position: Rc::clone(&position) };
    let bytes = decoder(format, BufReader::with_capacity(1 << 17, counted)).map_err(|source| {
        Error::Archive { archive: archive.to_owned(), entry: Path::new("").to_owned(), source }
    })?;
    Ok(Input { bytes, position, size })
}

/// The decompressor of a format, with its limits.
pub(super) fn decoder(format: Format, counted: BufReader<impl Read + 'static>) -> io::Result<Box<dyn Read>> {
    Ok(match format {
        Format::Tar => Box::new(counted),
        Format::Gzip => Box::new(MultiGzDecoder::new(counted)),
        Format::Xz => {
            let stream = Stream::new_stream_decoder(MOST_MEMORY, CONCATENATED)?;
            Box::new(XzDecoder::new_stream(counted, stream))
        }
        Format::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(counted)?;
            decoder.window_log_max(WINDOW_LOG)?;
            Box::new(decoder)
        }
    })
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

/// Counts what is read.
struct Counted {
    inner: Box<dyn Read>,
    position: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.position.set(self.position.get() + got as u64);
        Ok(got)
    }
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

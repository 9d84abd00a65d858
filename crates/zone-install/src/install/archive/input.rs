//! The archive as a stream of tar bytes: what it is compressed with is told from its first bytes.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;
use std::rc::Rc;

use super::decoder::Decoder;
use super::format::{BLOCK, Format, recognise};
use super::worker::{Piped, Worker};
use crate::error::Error;

/// A stream of tar bytes.
pub(super) struct Input {
    /// Decompressed bytes.
    pub(super) bytes: Box<dyn Read>,
    /// Bytes of the file consumed so far.
    pub(super) position: Rc<Cell<u64>>,
    /// Size of the file, where it has one.
    pub(super) size: Option<u64>,
    /// Raised when something was found behind the end of the compressed data that is not part of it.
    pub(super) rest: Rc<Cell<bool>>,
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
    let rest = Rc::new(Cell::new(false));
    if let Some(worker) = worker
        && stat.is_file()
        && format != Format::Tar
    {
        file.rewind().map_err(failed)?;
        let piped = Piped::start(worker, file, Rc::clone(&position), Rc::clone(&rest))
            .map_err(|source| Error::io("run the decompressor", &worker.program, source))?;
        return Ok(Input { bytes: Box::new(BufReader::with_capacity(1 << 17, piped)), position, size, rest });
    }
    let whole: Box<dyn Read> = if stat.is_file() {
        file.rewind().map_err(failed)?;
        Box::new(file)
    } else {
        // A pipe cannot go back.
        Box::new(io::Cursor::new(start).chain(file))
    };
    let counted = Counted { inner: whole, position: Rc::clone(&position) };
    let bytes: Box<dyn Read> = match format {
        Format::Tar => Box::new(BufReader::with_capacity(1 << 17, counted)),
        packed => Box::new(Decoder::new(packed, counted, Rc::clone(&rest))),
    };
    Ok(Input { bytes, position, size, rest })
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

//! Decompressing an archive to its end, and what may come behind that.
//!
//! gzip(1), xz(1) and zstd(1) all take several streams one after the other, and differ in what else they take
//! behind the last. Here one rule holds for all: bytes of value zero are padding, as tapes and block devices have
//! it, and are passed over; another stream of the same form goes on; anything else is not part of the archive. It
//! is not read, and that is told: gzip(1) warns of it, and tar(1) does not look behind the mark that ends an
//! archive.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use flate2::bufread::GzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::Stream;

use super::format::{Format, MAGIC, recognise};

/// Bytes of memory that a decompressor may use: enough for `xz -9` and the largest window zstd(1) takes without
/// being asked, and little enough that an archive cannot exhaust the machine.
const MOST_MEMORY: u64 = 256 << 20;
/// The largest window of zstd, as a power of two.
const WINDOW_LOG: u32 = 27;
/// Bytes that are read from the file at a time.
const CHUNK: usize = 1 << 17;

/// Reads the decompressed bytes of all streams.
pub(super) struct Decoder<R: Read> {
    format: Format,
    state: State<R>,
    /// Raised when something is found behind the last stream.
    rest: Rc<Cell<bool>>,
}

enum State<R: Read> {
    /// Before a stream, or behind the last one.
    Between(Ahead<R>),
    Gzip(GzDecoder<Ahead<R>>),
    Xz(XzDecoder<Ahead<R>>),
    Zstd(zstd::Decoder<'static, Ahead<R>>),
    Ended,
}

impl<R: Read> Decoder<R> {
    /// Decompresses `input`, which begins with a stream of this format.
    pub(super) fn new(format: Format, input: R, rest: Rc<Cell<bool>>) -> Self {
        Self { format, state: State::Between(Ahead::new(input)), rest }
    }

    /// Begins the next stream, or ends.
    fn next(&mut self) -> io::Result<()> {
        let State::Between(input) = &mut self.state else { return Ok(()) };
        input.skip_zeros()?;
        let magic = input.peek()?;
        let goes_on = recognise(magic) == Ok(self.format);
        if !magic.is_empty() && !goes_on {
            self.rest.set(true);
        }
        let State::Between(input) = std::mem::replace(&mut self.state, State::Ended) else { return Ok(()) };
        if goes_on {
            self.state = match self.format {
                // A plain archive has nothing to be decompressed, and is not read by this.
                Format::Tar => State::Ended,
                Format::Gzip => State::Gzip(GzDecoder::new(input)),
                Format::Xz => {
                    State::Xz(XzDecoder::new_stream(input, Stream::new_stream_decoder(MOST_MEMORY, 0)?))
                }
                Format::Zstd => {
                    let mut decoder = zstd::Decoder::with_buffer(input)?.single_frame();
                    decoder.window_log_max(WINDOW_LOG)?;
                    State::Zstd(decoder)
                }
            };
        }
        Ok(())
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let got = match &mut self.state {
                State::Ended => return Ok(0),
                State::Between(_) => {
                    self.next()?;
                    continue;
                }
                State::Gzip(decoder) => decoder.read(buffer)?,
                State::Xz(decoder) => decoder.read(buffer)?,
                State::Zstd(decoder) => decoder.read(buffer)?,
            };
            if got > 0 {
                return Ok(got);
            }
            self.state = match std::mem::replace(&mut self.state, State::Ended) {
                State::Gzip(decoder) => State::Between(decoder.into_inner()),
                State::Xz(decoder) => State::Between(decoder.into_inner()),
                State::Zstd(decoder) => State::Between(decoder.finish()),
                other => other,
            };
        }
    }
}

/// A buffered reader that can look at the bytes to come.
struct Ahead<R: Read> {
    /// Bytes that were looked at and not taken yet.
    front: Vec<u8>,
    inner: BufReader<R>,
}

impl<R: Read> Ahead<R> {
    fn new(inner: R) -> Self {
        Self { front: Vec::with_capacity(MAGIC), inner: BufReader::with_capacity(CHUNK, inner) }
    }

    fn skip_zeros(&mut self) -> io::Result<()> {
        loop {
            let bytes = self.fill_buf()?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            if zeros == 0 {
                return Ok(());
            }
            self.consume(zeros);
        }
    }

    /// The next bytes, as many as tell a form; fewer at the end.
    fn peek(&mut self) -> io::Result<&[u8]> {
        while self.front.len() < MAGIC {
            let more = self.inner.fill_buf()?;
            let taken = more.len().min(MAGIC - self.front.len());
            if taken == 0 {
                break;
            }
            self.front.extend_from_slice(&more[..taken]);
            self.inner.consume(taken);
        }
        Ok(&self.front)
    }
}

impl<R: Read> Read for Ahead<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let got = bytes.len().min(buffer.len());
        buffer[..got].copy_from_slice(&bytes[..got]);
        self.consume(got);
        Ok(got)
    }
}

impl<R: Read> BufRead for Ahead<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.front.is_empty() { self.inner.fill_buf() } else { Ok(&self.front) }
    }

    fn consume(&mut self, amount: usize) {
        if self.front.is_empty() {
            self.inner.consume(amount);
        } else {
            self.front.drain(..amount);
        }
    }
}

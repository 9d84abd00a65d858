//! What our own client and the server say after the `OK` when the client asked for `frames`.
//!
//! A plain client gets raw bytes and has no way to tell the guest's words from a notice, nor to send
//! a window size. With frames both are kept apart, on the same connection. A frame is four bytes of
//! header, `[kind, 0, length low, length high]`, and `length` bytes of payload. Numbers are
//! little-endian. A frame of a kind that the receiver does not know is passed over.
//!
//! | from the server | payload |
//! |---|---|
//! | `D` data | the guest's output |
//! | `R` replay | the guest's output from before this connection |
//! | `P` position | ring identity, 8 bytes; absolute offset of the next data or replay byte, 8 bytes |
//! | `L` lost | count of bytes that will never come, 8 bytes; the offset moves on by it |
//! | `N` notice | its text, without brackets |
//! | `E` end | one byte, an [`End`]; the server closes the connection |
//!
//! | from the client | payload |
//! |---|---|
//! | `D` data | input for the guest |
//! | `W` window | rows, 2 bytes; columns, 2 bytes |
//!
//! A connection that closes without an `E` was broken off: the daemon died, and a client may come
//! back with `resume=` and the offset it had reached.

use crate::ident::Position;
use crate::term::Size;
use std::borrow::Cow;

/// Bytes of a frame's header.
pub const HEADER_LEN: usize = 4;
/// The most bytes of a payload.
pub const MAX_PAYLOAD: usize = u16::MAX as usize;
/// What the server puts into one data frame at most: what is unsent of a frame is kept per client.
pub const MAX_DATA: usize = 16 << 10;
/// A frame other than data is never longer.
const MAX_CONTROL: usize = 8 << 10;

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client wanted it so at a halt, or the zone is being uninstalled.
    Notice,
    /// Another client has taken over.
    TakenOver,
    /// The daemon ends in good order, and the console with it.
    Leaving,
    /// The daemon is about to be restarted: come back.
    Restarting,
}

impl End {
    fn code(self) -> u8 {
        match self {
            Self::Notice => 0,
            Self::TakenOver => 1,
            Self::Leaving => 2,
            Self::Restarting => 3,
        }
    }

    fn from_code(code: u8) -> Self {
        match code {
            1 => Self::TakenOver,
            2 => Self::Leaving,
            3 => Self::Restarting,
            _ => Self::Notice,
        }
    }
}

/// One frame, or a part of a data frame as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Bytes for or from the guest.
    Data(&'a [u8]),
    /// Bytes the guest said before.
    Replay(&'a [u8]),
    /// Where the next data byte stands.
    Position(Position),
    /// So many bytes will never come.
    Lost(u64),
    /// Carries a notice's text, in the client's language, without a newline.
    Notice(Cow<'a, str>),
    /// Says that the connection ends after this, and why.
    End(End),
    /// The client's window has this size.
    Window(Size),
}

/// The header of a frame of `kind` with `len` bytes of payload (at most [`MAX_PAYLOAD`]).
#[must_use]
pub(crate) fn header(kind: u8, len: usize) -> [u8; HEADER_LEN] {
    let [low, high] = u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes();
    [kind, 0, low, high]
}

impl Frame<'_> {
    /// Adds the frame to `out`; data longer than [`MAX_PAYLOAD`] as several.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Data(bytes) => chunks(b'D', bytes, out),
            Self::Replay(bytes) => chunks(b'R', bytes, out),
            Self::Position(position) => {
                out.extend(header(b'P', 16));
                out.extend(position.ring.to_le_bytes());
                out.extend(position.offset.to_le_bytes());
            }
            Self::Lost(count) => {
                out.extend(header(b'L', 8));
                out.extend(count.to_le_bytes());
            }
            Self::Notice(text) => {
                let text = &text[..text.floor_char_boundary(MAX_CONTROL)];
                out.extend(header(b'N', text.len()));
                out.extend(text.as_bytes());
            }
            Self::End(end) => {
                out.extend(header(b'E', 1));
                out.push(end.code());
            }
            Self::Window(size) => {
                out.extend(header(b'W', 4));
                out.extend(size.rows.to_le_bytes());
                out.extend(size.cols.to_le_bytes());
            }
        }
    }
}

fn chunks(kind: u8, bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.chunks(MAX_PAYLOAD) {
        out.extend(header(kind, chunk.len()));
        out.extend(chunk);
    }
}

/// The peer does not speak frames: a header with a wrong second byte, or a short frame that is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other side of the console connection does not speak frames")]
pub struct NotAFrame;

/// Takes frames out of a stream of bytes, however it is cut. Data is handed on as it arrives.
#[derive(Debug, Default)]
pub struct Decoder {
    header: [u8; HEADER_LEN],
    have: usize,
    /// Payload bytes of the present frame that are still to come.
    left: usize,
    control: Vec<u8>,
}

impl Decoder {
    /// Takes the next frame, or part of a data frame, from the front of `bytes`. `None`: all bytes
    /// were taken and there is no frame yet.
    ///
    /// # Errors
    /// [`NotAFrame`]; nothing more can be understood then.
    pub fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Result<Option<Frame<'a>>, NotAFrame> {
        loop {
            if self.have < HEADER_LEN {
                if self.have == 0 {
                    self.control.clear();
                }
                let part = take(bytes, HEADER_LEN - self.have);
                self.header[self.have..self.have + part.len()].copy_from_slice(part);
                self.have += part.len();
                if self.have < HEADER_LEN {
                    return Ok(None);
                }
                self.left = usize::from(u16::from_le_bytes([self.header[2], self.header[3]]));
                self.check()?;
            }
            let part = take(bytes, self.left);
            self.left -= part.len();
            if self.left == 0 {
                self.have = 0;
            }
            match self.header[0] {
                b'D' if !part.is_empty() => return Ok(Some(Frame::Data(part))),
                b'R' if !part.is_empty() => return Ok(Some(Frame::Replay(part))),
                b'P' | b'L' | b'N' | b'E' | b'W' => self.control.extend_from_slice(part),
                _ => {}
            }
            if self.left > 0 {
                return Ok(None);
            }
            if let Some(frame) = control_of(self.header[0], &self.control) {
                return Ok(Some(frame));
            }
        }
    }

    fn check(&self) -> Result<(), NotAFrame> {
        let fits = match self.header[0] {
            b'P' => self.left == 16,
            b'L' => self.left == 8,
            b'E' => self.left == 1,
            b'W' => self.left == 4,
            b'N' => self.left <= MAX_CONTROL,
            _ => true,
        };
        if self.header[1] == 0 && fits { Ok(()) } else { Err(NotAFrame) }
    }
}

fn take<'a>(bytes: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (part, rest) = bytes.split_at(most.min(bytes.len()));
    *bytes = rest;
    part
}

fn control_of(kind: u8, payload: &[u8]) -> Option<Frame<'static>> {
    Some(match kind {
        b'P' => Frame::Position(Position {
            ring: u64::from_le_bytes(payload.get(..8)?.try_into().ok()?),
            offset: u64::from_le_bytes(payload.get(8..)?.try_into().ok()?),
        }),
        b'L' => Frame::Lost(u64::from_le_bytes(payload.try_into().ok()?)),
        b'N' => Frame::Notice(Cow::Owned(String::from_utf8_lossy(payload).into_owned())),
        b'E' => Frame::End(End::from_code(*payload.first()?)),
        b'W' => Frame::Window(Size {
            rows: u16::from_le_bytes(payload.get(..2)?.try_into().ok()?),
            cols: u16::from_le_bytes(payload.get(2..)?.try_into().ok()?),
        }),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(frames: &[Frame<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        frames.iter().for_each(|frame| frame.encode(&mut out));
        out
    }

    /// What arrives, data joined, as text that can be compared.
    fn decode(bytes: &[u8], step: usize) -> Result<Vec<String>, NotAFrame> {
        let (mut decoder, mut seen) = (Decoder::default(), Vec::<String>::new());
        let mut data = Vec::new();
        for mut piece in bytes.chunks(step) {
            while let Some(frame) = decoder.next(&mut piece)? {
                if let Frame::Data(part) = frame {
                    data.extend_from_slice(part);
                } else {
                    if !data.is_empty() {
                        seen.push(format!("{:?}", Frame::Data(&data)));
                        data.clear();
                    }
                    seen.push(format!("{frame:?}"));
                }
            }
        }
        if !data.is_empty() {
            seen.push(format!("{:?}", Frame::Data(&data)));
        }
        Ok(seen)
    }

    #[test]
    fn every_frame_survives_any_cut() {
        let long = vec![7; 3000];
        let frames = [
            Frame::Position(Position { ring: u64::MAX, offset: 77 }),
            Frame::Data(&long),
            Frame::Lost(12),
            Frame::Notice("NOTICE: Zone halted".into()),
            Frame::Window(Size { rows: 24, cols: 80 }),
            Frame::Data(b"x"),
            Frame::End(End::Restarting),
        ];
        let expected: Vec<String> = frames.iter().map(|frame| format!("{frame:?}")).collect();
        for step in [1, 2, 3, 5, 1000, 100_000] {
            assert_eq!(decode(&encode(&frames), step).as_ref(), Ok(&expected), "cut every {step} bytes");
        }
    }

    #[test]
    fn unknown_kinds_are_passed_over() {
        let mut bytes = vec![b'?', 0, 3, 0, 1, 2, 3];
        bytes.extend(encode(&[Frame::Lost(1)]));
        assert_eq!(decode(&bytes, 1), Ok(vec!["Lost(1)".into()]));
    }

    #[test]
    fn what_is_no_frame_is_told() {
        assert_eq!(decode(b"ls -l\n", 100), Err(NotAFrame));
        assert_eq!(decode(&[b'W', 0, 5, 0], 100), Err(NotAFrame));
    }

    #[test]
    fn data_of_any_length_is_divided() {
        let long = vec![1; 3 * MAX_PAYLOAD + 5];
        assert_eq!(
            decode(&encode(&[Frame::Data(&long)]), 999),
            Ok(vec![format!("{:?}", Frame::Data(&long))])
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn never_panics_and_never_hoards(bytes in prop::collection::vec(any::<u8>(), 0..300), step in 1..50_usize) {
            let mut decoder = Decoder::default();
            for mut piece in bytes.chunks(step) {
                loop {
                    match decoder.next(&mut piece) {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(NotAFrame) => return Ok(()),
                    }
                }
            }
            prop_assert!(decoder.control.len() <= MAX_CONTROL);
        }
    }
}

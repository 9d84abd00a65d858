//! Frames of a console connection, from either side.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zone_console::frame::{Decoder, Frame, NotAFrame};

/// The frames in order, with adjoining pieces of data put together: how they are cut says nothing.
fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Frame<'static>>, Vec<Vec<u8>>, bool) {
    let (mut others, mut data) = (Vec::new(), vec![Vec::new()]);
    let mut decoder = Decoder::default();
    for mut piece in pieces {
        loop {
            match decoder.next(&mut piece) {
                Ok(None) => break,
                Ok(Some(Frame::Data(bytes) | Frame::Replay(bytes))) => {
                    if let Some(last) = data.last_mut() {
                        last.extend_from_slice(bytes);
                    }
                }
                Ok(Some(Frame::Notice(text))) => others.push(Frame::Notice(text.into_owned().into())),
                Ok(Some(Frame::Position(position))) => others.push(Frame::Position(position)),
                Ok(Some(Frame::Lost(count))) => others.push(Frame::Lost(count)),
                Ok(Some(Frame::End(end))) => others.push(Frame::End(end)),
                Ok(Some(Frame::Window(size))) => others.push(Frame::Window(size)),
                Err(NotAFrame) => return (others, data, true),
            }
            if data.len() <= others.len() {
                data.push(Vec::new());
            }
        }
        assert!(piece.is_empty());
    }
    (others, data, false)
}

fuzz_target!(|bytes: &[u8]| {
    let (others, data, broken) = decode(std::iter::once(bytes));
    assert_eq!(decode(bytes.chunks(1)), (others.clone(), data, broken));
    let mut encoded = Vec::new();
    others.iter().for_each(|frame| frame.encode(&mut encoded));
    assert_eq!(decode(std::iter::once(encoded.as_slice())).0, others);
});

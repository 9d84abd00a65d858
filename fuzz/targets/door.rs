//! What comes in through a zone's door: the cutting into messages, and the messages.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/zone-door/src/wire.rs"]
#[allow(dead_code, reason = "the crate keeps its wire to itself, and half of it is for the other side")]
mod wire;

use wire::{Call, Frame, Framer, Reply};

const LIMIT: usize = 256;

fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Frame> {
    let (mut framer, mut frames) = (Framer::new(LIMIT), Vec::new());
    for piece in pieces {
        framer.push(piece);
        frames.extend(std::iter::from_fn(|| framer.next()));
        assert!(framer.len() <= LIMIT);
    }
    frames
}

fuzz_target!(|bytes: &[u8]| {
    let whole = frames(std::iter::once(bytes));
    assert_eq!(frames(bytes.chunks(1)), whole);
    for frame in &whole {
        let Frame::Message(message) = frame else { continue };
        if let Ok(call) = serde_json::from_slice::<Call<'_>>(message) {
            let parameters = call.parameters.map_or("{}", |value| value.get());
            let _ = serde_json::from_str::<serde_json::Value>(parameters);
        }
        let _ = serde_json::from_slice::<Reply>(message);
    }
});

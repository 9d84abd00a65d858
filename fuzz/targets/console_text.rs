//! A guest's output on its way to a terminal that must not obey it, and what is told of a guest.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zone_console::sanitize::{Filter, Purpose, is_harmless, visible};

fn filter<'a>(purpose: Purpose, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let (mut filter, mut out) = (Filter::new(purpose), Vec::new());
    pieces.for_each(|piece| filter.push(piece, &mut out));
    filter.finish(&mut out);
    out
}

fuzz_target!(|bytes: &[u8]| {
    for purpose in [Purpose::Log, Purpose::Replay] {
        let whole = filter(purpose, std::iter::once(bytes));
        assert_eq!(filter(purpose, bytes.chunks(1)), whole);
        if purpose == Purpose::Log {
            let text = String::from_utf8(whole).expect("text only");
            assert!(text.chars().all(|c| is_harmless(c) || matches!(c, '\n' | '\t')), "{text:?}");
        }
    }
    assert!(visible(&String::from_utf8_lossy(bytes)).chars().all(is_harmless));
});

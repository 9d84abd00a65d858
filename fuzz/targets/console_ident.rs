//! The line by which a client of a console says who it is; anybody who can connect sends it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zone_console::ident::{Answer, Ident, LineReader, MAX_LINE};

fuzz_target!(|bytes: &[u8]| {
    let whole = LineReader::default().push(bytes);

    // However it is cut, the same is understood.
    let mut reader = LineReader::default();
    let mut bytewise = None;
    for (index, byte) in bytes.iter().enumerate() {
        if let Some((ident, used)) = reader.push(std::slice::from_ref(byte)) {
            assert_eq!(used, 1);
            bytewise = Some((ident, index + 1));
            break;
        }
    }
    assert_eq!(whole, bytewise);

    if let Some((Some(ident), used)) = whole {
        assert!(used <= MAX_LINE + 1);
        // What was understood, said again, is understood as the same, but for what no locale has.
        let line = ident.line();
        let again = Ident::parse(line.strip_suffix('\n').unwrap_or(&line).as_bytes()).expect("it is a line");
        assert_eq!(
            (again.pid, again.disconnect, again.options),
            (ident.pid, ident.disconnect, ident.options)
        );
        if !ident.locale.contains(char::is_control) {
            assert_eq!(again.locale, ident.locale);
        }
    }
    if let Some(answer) = Answer::parse(bytes) {
        let line = answer.line();
        assert_eq!(Answer::parse(line.trim_end().as_bytes()), Some(answer));
    }
});

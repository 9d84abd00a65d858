//! The language of zonecfg: files from somewhere else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zone_config::command::Script;
use zone_config::lex::{Lexer, TokenKind, quote};

fuzz_target!(|text: &str| {
    let tokens = Lexer::new(text, 1).count();
    assert!(tokens <= text.chars().count());
    let lines = text.matches('\n').count() + 1;
    let mut commands = 0;
    for command in Script::new(text, 1) {
        let place = match &command {
            Ok(located) => located.place,
            Err(error) => error.place,
        };
        assert!((1..=lines).contains(&place.line) && place.column >= 1, "{place:?}");
        commands += 1;
    }
    assert!(commands <= tokens);
    // A value survives being written.
    if !text.contains(['"', '\n']) {
        let kinds: Vec<TokenKind> = Lexer::new(&quote(text), 1).map(|token| token.kind).collect();
        let [TokenKind::Word(value) | TokenKind::Quoted(value)] = kinds.as_slice() else {
            panic!("{kinds:?}");
        };
        assert_eq!(value, text);
    }
});

//! The escape character: typed at the start of a line, before a full stop, it ends the session; before a question mark it
//! tells what there is.
//!
//! Nothing else that is typed is lost: the escape character before any other is sent with it, and
//! typed twice it is sent once, as rlogin(1) has it.

use rustix::termios::{SpecialCodeIndex, Termios};

/// The escape character of those who did not choose another.
pub(crate) const DEFAULT: u8 = b'~';

/// What was typed so far.
#[derive(Debug, Clone)]
pub(crate) struct Escape {
    escape: Option<u8>,
    /// Ends the input, and after the escape character the session.
    eof: u8,
    /// After these a line starts.
    enders: Vec<u8>,
    at_start: bool,
    /// The escape character was typed and may mean something.
    pending: bool,
    /// It was asked what there is.
    asked: bool,
}

impl Escape {
    /// For `escape` (`None`: there is none) on a terminal with these settings.
    pub(crate) fn new(escape: Option<u8>, terminal: Option<&Termios>) -> Self {
        let code = |index, default| terminal.map_or(default, |t| t.special_codes[index]);
        let mut enders = vec![b'\r', b'\n'];
        // A terminal has 0 for a character that it has not.
        enders.extend(
            [
                code(SpecialCodeIndex::VKILL, 0x15),
                code(SpecialCodeIndex::VEOL, 0),
                code(SpecialCodeIndex::VSUSP, 0x1a),
                code(SpecialCodeIndex::VINTR, 0x03),
            ]
            .into_iter()
            .filter(|&c| c != 0),
        );
        let eof = code(SpecialCodeIndex::VEOF, 0x04);
        Self { escape, eof, enders, at_start: true, pending: false, asked: false }
    }

    /// The escape character itself.
    pub(crate) fn character(&self) -> Option<u8> {
        self.escape
    }

    /// Adds to `out` what of `typed` is to be sent; says whether the session is to end.
    pub(crate) fn filter(&mut self, typed: &[u8], out: &mut Vec<u8>) -> bool {
        for &c in typed {
            if std::mem::take(&mut self.pending) {
                if c == b'.' || (c == self.eof && c != 0) {
                    return true;
                }
                if c == b'?' {
                    self.asked = true;
                    self.at_start = true;
                    continue;
                }
                if Some(c) != self.escape {
                    out.extend(self.escape);
                }
            } else if self.at_start && Some(c) == self.escape {
                self.pending = true;
                self.at_start = false;
                continue;
            }
            out.push(c);
            self.at_start = self.enders.contains(&c);
        }
        false
    }

    /// What there is, if that was asked for since.
    pub(crate) fn take_help(&mut self) -> Option<String> {
        let escape = char::from(self.escape.filter(|_| std::mem::take(&mut self.asked))?);
        Some(format!(
            "{escape}?\r\n{escape}.  ends this session; what runs in it is hung up\r\n{escape}?  this text\r\n\
             {escape}{escape}  sends {escape}\r\n(at the start of a line only)\r\n"
        ))
    }

    /// Nothing more is typed: what was held back is sent.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.pending) {
            out.extend(self.escape);
        }
    }
}

/// Reads the value of `-e`: one character, or a backslash and its number in octal, at most `\377`.
pub(crate) fn parse(text: &[u8]) -> Option<u8> {
    match text {
        [b'\\', digits @ ..] if (1..=3).contains(&digits.len()) && digits != b"\\" => {
            let text = std::str::from_utf8(digits).ok().filter(|t| !t.starts_with('+'))?;
            u8::from_str_radix(text, 8).ok()
        }
        [b'\\', b'\\'] => Some(b'\\'),
        [one] => Some(*one),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is sent of `typed`, and whether that ends the session.
    fn typed(text: &str) -> (String, bool) {
        let mut escape = Escape::new(Some(DEFAULT), None);
        let mut out = Vec::new();
        let end = escape.filter(text.as_bytes(), &mut out);
        (String::from_utf8(out).unwrap(), end)
    }

    #[test]
    fn only_at_the_start_of_a_line() {
        for (text, sent, end) in [
            ("~.", "", true),
            ("ls\r~.", "ls\r", true),
            ("ls\n~.rest", "ls\n", true),
            ("x\u{3}~.", "x\u{3}", true),
            ("~\u{4}", "", true),
            ("ls ~.", "ls ~.", false),
            ("a~.", "a~.", false),
        ] {
            assert_eq!(typed(text), (sent.to_owned(), end), "{text:?}");
        }
    }

    #[test]
    fn nothing_is_lost() {
        for (text, sent) in [
            ("~x", "~x"),
            ("~/bin\r", "~/bin\r"),
            ("~?~x", "~x"),
            ("a~?", "a~?"),
            ("~~.", "~."),
            ("~~", "~"),
            ("~~~", "~~"),
            ("~\r~x", "~\r~x"),
            ("~", ""),
        ] {
            assert_eq!(typed(text), (sent.to_owned(), false), "{text:?}");
        }
        let mut escape = Escape::new(Some(DEFAULT), None);
        let mut out = Vec::new();
        escape.filter(b"~", &mut out);
        escape.finish(&mut out);
        assert_eq!(out, b"~");
    }

    #[test]
    fn what_there_is_is_told_when_asked() {
        let mut escape = Escape::new(Some(b'%'), None);
        let mut out = Vec::new();
        assert!(!escape.filter(b"x\r%?ls", &mut out));
        assert_eq!(out, b"x\rls");
        assert!(escape.take_help().is_some_and(|text| text.contains("\r\n%.  ends")));
        assert_eq!(escape.take_help(), None);
    }

    #[test]
    fn the_character_can_be_chosen() {
        assert_eq!(parse(b"%"), Some(b'%'));
        assert_eq!(parse(b"\\001"), Some(1));
        assert_eq!(parse(b"\\1"), Some(1));
        assert_eq!(parse(b"\\377"), Some(255));
        assert_eq!(parse(b"\\"), Some(b'\\'));
        assert_eq!(parse(b"\\\\"), Some(b'\\'));
        for bad in [&b""[..], b"ab", b"\\400", b"\\8", b"\\1234", b"\\+1", b"\\-1", b"\\x41", "é".as_bytes()]
        {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        for n in 0..=255_u8 {
            assert_eq!(parse(format!("\\{n:o}").as_bytes()), Some(n));
        }
    }

    proptest! {
        #[test]
        fn without_an_escape_character_all_is_sent(text in prop::collection::vec(any::<u8>(), 0..99)) {
            let mut out = Vec::new();
            prop_assert!(!Escape::new(None, None).filter(&text, &mut out));
            prop_assert_eq!(out, text);
        }

        #[test]
        fn cuts_do_not_matter(text in "[~.a\r]{0,30}", cut in 0..30_usize) {
            let cut = cut.min(text.len());
            let mut escape = Escape::new(Some(DEFAULT), None);
            let mut out = Vec::new();
            let mut end = escape.filter(&text.as_bytes()[..cut], &mut out);
            if !end {
                end = escape.filter(&text.as_bytes()[cut..], &mut out);
            }
            prop_assert_eq!((String::from_utf8(out).unwrap(), end), typed(&text));
        }

        #[test]
        fn only_doubled_escapes_shrink(text in "[~a\r]{0,30}") {
            let mut escape = Escape::new(Some(DEFAULT), None);
            let mut out = Vec::new();
            prop_assert!(!escape.filter(text.as_bytes(), &mut out));
            escape.finish(&mut out);
            // At the start of a line and only there, two are sent as one.
            let mut expected = String::new();
            for line in text.split_inclusive('\r') {
                expected += line.strip_prefix("~~").map_or(line.to_owned(), |rest| format!("~{rest}")).as_str();
            }
            prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
        }

        #[test]
        fn octal_never_panics(text in prop::collection::vec(any::<u8>(), 0..6)) {
            let _ = parse(&text);
        }
    }
}

//! Takes out of a stream of terminal output what the terminal that shows it later must not obey.

use super::is_harmless;

/// A control sequence with more parameters than this is nothing that a terminal draws with.
const MAX_SEQUENCE: usize = 64;
/// A string (title, clipboard...) that has not ended after this much is no string.
const MAX_STRING: usize = 4096;

const ESC: u8 = 0x1b;

/// What the output is shown for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To read: text and line ends remain, escape sequences go, other controls become visible.
    Log,
    /// To stand on a terminal above what comes next: drawing remains (colours, moves, erasing), and
    /// whatever asks the terminal for an answer, changes its modes, title or clipboard goes. An
    /// answer to a question asked long ago would be typed into the guest.
    Replay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Text,
    /// After ESC, and after ESC with characters that demand one more.
    Escape,
    /// After ESC `[`.
    Control,
    /// In a string that ends with BEL or ESC `\`: so many bytes.
    String(usize),
    /// After an ESC in a string.
    StringEscape,
}

/// The filter. Cuts may fall anywhere; it remembers.
#[derive(Debug)]
pub struct Filter {
    purpose: Purpose,
    state: State,
    /// The sequence so far, from its ESC, or the bytes so far of a character.
    held: Vec<u8>,
    /// A carriage return whose line feed may follow ([`Purpose::Log`]).
    returned: bool,
}

impl Filter {
    /// A filter at the beginning of a stream, or in its middle: the first sequence may be cut.
    #[must_use]
    pub fn new(purpose: Purpose) -> Self {
        Self { purpose, state: State::Text, held: Vec::new(), returned: false }
    }

    /// Filters `bytes` into `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            self.step(*byte, out);
        }
    }

    /// The stream ends, or something else follows: an unfinished sequence goes, and the terminal
    /// draws as before the replay.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.state == State::Text && !self.held.is_empty() {
            replacement(out);
        }
        *self = Self::new(self.purpose);
        if self.purpose == Purpose::Replay {
            out.extend(b"\x1b[m\x1b(B");
        }
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) {
        match (self.state, byte) {
            (State::Text, _) => self.text(byte, out),
            // CAN and SUB end any sequence.
            (_, 0x18 | 0x1a) => self.drop_sequence(),
            (State::String(_), ESC) => self.state = State::StringEscape,
            (State::String(_), 0x07) | (State::StringEscape, b'\\') => self.drop_sequence(),
            (State::String(length), _) if length < MAX_STRING => self.state = State::String(length + 1),
            (State::String(_), _) => self.drop_sequence(),
            // ESC that is not followed by a backslash ends the string and begins another sequence.
            (State::StringEscape, _) => {
                self.begin();
                self.step(byte, out);
            }
            (_, ESC) => self.begin(),
            (State::Escape, b'[') if self.held.len() == 1 => {
                self.held.push(byte);
                self.state = State::Control;
            }
            (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') if self.held.len() == 1 => {
                self.state = State::String(0);
            }
            (State::Escape, 0x20..=0x2f) | (State::Control, 0x20..=0x3f)
                if self.held.len() < MAX_SEQUENCE =>
            {
                self.held.push(byte);
            }
            (State::Escape, 0x30..=0x7e) | (State::Control, 0x40..=0x7e) => {
                self.held.push(byte);
                if self.purpose == Purpose::Replay && draws(&self.held) {
                    out.append(&mut self.held);
                }
                self.drop_sequence();
            }
            // A control within a sequence acts at once; anything else was no sequence after all.
            (State::Escape | State::Control, 0..0x20) => {
                let held = std::mem::take(&mut self.held);
                self.control(byte, out);
                self.held = held;
            }
            _ => self.drop_sequence(),
        }
    }

    fn begin(&mut self) {
        self.state = State::Escape;
        self.held.clear();
        self.held.push(ESC);
    }

    fn drop_sequence(&mut self) {
        self.state = State::Text;
        self.held.clear();
    }

    fn text(&mut self, byte: u8, out: &mut Vec<u8>) {
        if byte < 0x80 && !self.held.is_empty() {
            self.held.clear();
            self.character(char::REPLACEMENT_CHARACTER, out);
        }
        match byte {
            ESC => self.begin(),
            0..0x20 | 0x7f => self.control(byte, out),
            0x20..0x80 => self.character(byte.into(), out),
            _ => {
                self.held.push(byte);
                self.decode(out);
            }
        }
    }

    /// Takes what is whole from the held bytes, none of which is ASCII.
    fn decode(&mut self, out: &mut Vec<u8>) {
        match str::from_utf8(&self.held) {
            Ok(text) => {
                let found = text.chars().next();
                self.held.clear();
                found.into_iter().for_each(|c| self.character(c, out));
            }
            Err(error) => {
                if let Some(bad) = error.error_len() {
                    let rest = self.held.split_off(bad);
                    self.held.clear();
                    self.character(char::REPLACEMENT_CHARACTER, out);
                    for byte in rest {
                        self.text(byte, out);
                    }
                }
            }
        }
    }

    fn character(&mut self, c: char, out: &mut Vec<u8>) {
        self.end_line(out);
        if is_harmless(c) {
            let mut buffer = [0; 4];
            out.extend(c.encode_utf8(&mut buffer).as_bytes());
        } else if self.purpose == Purpose::Log {
            out.extend(c.escape_default().to_string().as_bytes());
        }
    }

    fn control(&mut self, byte: u8, out: &mut Vec<u8>) {
        match (self.purpose, byte) {
            (Purpose::Replay, 0x08..=0x0d) => out.push(byte),
            (Purpose::Replay, _) => {}
            (Purpose::Log, b'\r') => self.returned = true,
            (Purpose::Log, b'\n') => {
                self.returned = false;
                out.push(byte);
            }
            (Purpose::Log, _) => {
                self.end_line(out);
                match byte {
                    b'\t' => out.push(byte),
                    _ => out.extend([b'^', byte ^ 0x40]),
                }
            }
        }
    }

    /// A carriage return alone ends a line too: what overwrites it is better read below it.
    fn end_line(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.returned) {
            out.push(b'\n');
        }
    }
}

fn replacement(out: &mut Vec<u8>) {
    out.extend("\u{fffd}".as_bytes());
}

/// Whether a sequence only draws: moves, colours, erases, inserts, scrolls, or selects between text
/// and line drawing.
fn draws(sequence: &[u8]) -> bool {
    match sequence {
        [ESC, b'[', parameters @ .., last] => {
            parameters.iter().all(|c| matches!(c, b'0'..=b'9' | b';' | b':'))
                && matches!(last, b'A'..=b'H' | b'f' | b'd' | b'm' | b'J'..=b'M' | b'P' | b'S' | b'T' | b'X' | b'@')
        }
        [ESC, b'(', b'B' | b'0'] => true,
        [ESC, last] => matches!(last, b'7' | b'8' | b'D' | b'E' | b'M'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filter(purpose: Purpose, bytes: &[u8], step: usize) -> Vec<u8> {
        let (mut filter, mut out) = (Filter::new(purpose), Vec::new());
        bytes.chunks(step).for_each(|chunk| filter.push(chunk, &mut out));
        filter.finish(&mut out);
        out
    }

    fn log(bytes: &[u8]) -> String {
        String::from_utf8(filter(Purpose::Log, bytes, 1)).unwrap()
    }

    fn replay(bytes: &[u8]) -> String {
        let text = String::from_utf8(filter(Purpose::Replay, bytes, 1)).unwrap();
        text.strip_suffix("\x1b[m\x1b(B").unwrap().to_owned()
    }

    #[test]
    fn a_log_reads_as_text() {
        assert_eq!(
            log(b"[\x1b[0;32m  OK  \x1b[0m] Started\r\n\tx\x07\x00\x7f"),
            "[  OK  ] Started\n\tx^G^@^?"
        );
        assert_eq!(log(b"10%\r20%\r\r\nend"), "10%\n20%\nend");
        assert_eq!(
            log(b"a\x1b]0;title\x07b\x1b]0;title\x1b\\c\x1bPq#\x1b\\d\x1b(0e\x1b#8f\x1bcg"),
            "abcdefg"
        );
        assert_eq!(log("na\u{ef}ve \u{65e5}\u{202e}x\u{9b}31m".as_bytes()), "naïve 日\\u{202e}x\\u{9b}31m");
        assert_eq!(log(b"\xff\xc3(\xe6\x97"), "\u{fffd}\u{fffd}(\u{fffd}");
    }

    #[test]
    fn a_replay_draws_and_asks_nothing() {
        let drawing = "\x1b[1;31mred\x1b[m\r\n\x1b[2J\x1b[3;4H\x1b[K\x08\x1b7\x1b8\x1b(0q\x1b(B";
        assert_eq!(replay(drawing.as_bytes()), drawing);
        // Identify, report, window report, modes, title, clipboard, status string, answerback, reset.
        assert_eq!(
            replay(b"<\x1b[c\x1b[>c\x1b[6n\x1b[?6n\x1b[18t\x1b[?1049h\x1b[4l\x1b]52;c;?\x07\x1bP$qm\x1b\\\x05\x1bc\x1bZ\x07\x0e>"),
            "<>"
        );
    }

    #[test]
    fn a_sequence_that_never_ends_does_not_swallow_everything() {
        let mut bytes = b"\x1b]".to_vec();
        bytes.extend(vec![b'x'; 2 * MAX_STRING]);
        bytes.extend(b"\nend");
        assert!(log(&bytes).ends_with("\nend"));
        assert!(log(&[b"\x1b[", vec![b'1'; 300].as_slice(), b"\nend"].concat()).ends_with("\nend"));
        assert_eq!(log(b"a\x1b[1\x18b\x1b]x\x1ac"), "abc");
        assert_eq!(log(b"\x1b]x\x1b[1mc"), "c");
        assert_eq!(log(b"\x1b[1\n;2mc"), "\nc");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_dangerous_is_left(bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), Just(ESC), Just(b'['), Just(b']'), Just(b'c'), Just(b'n'), Just(b'\r')], 0..300), step in 1..20_usize) {
            let text = String::from_utf8(filter(Purpose::Log, &bytes, step)).unwrap();
            prop_assert!(text.chars().all(|c| is_harmless(c) || matches!(c, '\n' | '\t')));
            let text = String::from_utf8(filter(Purpose::Replay, &bytes, step)).unwrap();
            for sequence in text.split('\x1b').skip(1) {
                let end = match sequence.as_bytes()[0] {
                    b'[' => sequence.find(|c: char| c.is_ascii_alphabetic() || c == '@').unwrap(),
                    b'(' => 1,
                    _ => 0,
                };
                prop_assert!(draws(format!("\x1b{}", &sequence[..=end]).as_bytes()), "{:?}", sequence);
            }
            prop_assert!(text.chars().all(|c| is_harmless(c) || matches!(c, '\x08'..='\x0d' | '\x1b')));
        }

        #[test]
        fn cuts_make_no_difference(bytes in prop::collection::vec(any::<u8>(), 0..200), step in 1..20_usize) {
            for purpose in [Purpose::Log, Purpose::Replay] {
                prop_assert_eq!(filter(purpose, &bytes, step), filter(purpose, &bytes, 1000));
            }
        }
    }
}

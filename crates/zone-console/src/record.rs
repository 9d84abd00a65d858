//! A recording of a session, as asciicast v2: a line of JSON with the terminal's size, then one for
//! each piece of output, each change of size and, if wished, each piece of input.
//!
//! The format: <https://docs.asciinema.org/manual/asciicast/v2/>.

use crate::term::Size;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Writes a recording. Each event is written at once, so that a killed session leaves a whole file.
#[derive(Debug)]
pub struct Recorder<W> {
    out: W,
    output: Utf8,
    input: Utf8,
}

impl<W: Write> Recorder<W> {
    /// Begins a recording with its header.
    ///
    /// # Errors
    /// What writing to `out` says.
    pub fn new(mut out: W, title: &str, size: Size, began: SystemTime) -> io::Result<Self> {
        // The format demands a size; the one it supposes when none is known is 80 by 24.
        let (cols, rows) = if size.rows == 0 || size.cols == 0 { (80, 24) } else { (size.cols, size.rows) };
        let mut line = format!("{{\"version\":2,\"width\":{cols},\"height\":{rows},\"timestamp\":");
        let _ = write!(line, "{}", began.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
        line.push_str(",\"title\":");
        quote(title, &mut line);
        line.push_str("}\n");
        out.write_all(line.as_bytes())?;
        Ok(Self { out, output: Utf8::default(), input: Utf8::default() })
    }

    /// Adds what the guest said `at` after the beginning.
    ///
    /// # Errors
    /// What writing says.
    pub fn output(&mut self, at: Duration, bytes: &[u8]) -> io::Result<()> {
        let text = self.output.push(bytes);
        self.event(at, 'o', &text)
    }

    /// Adds what was typed `at` after the beginning. Mind that passwords are typed too.
    ///
    /// # Errors
    /// What writing says.
    pub fn input(&mut self, at: Duration, bytes: &[u8]) -> io::Result<()> {
        let text = self.input.push(bytes);
        self.event(at, 'i', &text)
    }

    /// Adds a change of the terminal's size.
    ///
    /// # Errors
    /// What writing says.
    pub fn resize(&mut self, at: Duration, size: Size) -> io::Result<()> {
        self.event(at, 'r', &format!("{}x{}", size.cols, size.rows))
    }

    fn event(&mut self, at: Duration, kind: char, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let mut line = format!("[{}.{:06},\"{kind}\",", at.as_secs(), at.subsec_micros());
        quote(text, &mut line);
        line.push_str("]\n");
        self.out.write_all(line.as_bytes())
    }
}

/// Makes text of bytes that may be cut within a character. What is no UTF-8 becomes U+FFFD.
#[derive(Debug, Default)]
struct Utf8 {
    begun: Vec<u8>,
}

impl Utf8 {
    fn push(&mut self, bytes: &[u8]) -> String {
        self.begun.extend_from_slice(bytes);
        let mut text = String::with_capacity(self.begun.len());
        let mut rest = 0;
        for chunk in self.begun.utf8_chunks() {
            text.push_str(chunk.valid());
            rest += chunk.valid().len();
            if chunk.invalid().is_empty() {
                continue;
            }
            // At the very end it may be the beginning of a character.
            let at_end = rest + chunk.invalid().len() == self.begun.len();
            let unfinished =
                str::from_utf8(chunk.invalid()).err().is_some_and(|error| error.error_len().is_none());
            if at_end && unfinished {
                break;
            }
            text.push(char::REPLACEMENT_CHARACTER);
            rest += chunk.invalid().len();
        }
        self.begun.drain(..rest);
        text
    }
}

/// Adds `text` as a JSON string.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(pieces: &[&[u8]]) -> Vec<serde_json::Value> {
        let mut file = Vec::new();
        let began = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let mut recorder =
            Recorder::new(&mut file, "zone \"web\"", Size { rows: 25, cols: 81 }, began).unwrap();
        for piece in pieces {
            recorder.output(Duration::from_millis(1500), piece).unwrap();
        }
        recorder.resize(Duration::from_secs(2), Size { rows: 30, cols: 100 }).unwrap();
        recorder.input(Duration::from_secs(3), b"ls\r").unwrap();
        String::from_utf8(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn is_an_asciicast() {
        let lines = record(&[b"\x1b[1mhi\r\n\"\\\x7f"]);
        assert_eq!(
            lines[0],
            serde_json::json!({
                "version": 2, "width": 81, "height": 25, "timestamp": 1_700_000_000, "title": "zone \"web\""
            })
        );
        assert_eq!(lines[1], serde_json::json!([1.5, "o", "\x1b[1mhi\r\n\"\\\x7f"]));
        assert_eq!(lines[2], serde_json::json!([2.0, "r", "100x30"]));
        assert_eq!(lines[3], serde_json::json!([3.0, "i", "ls\r"]));
    }

    #[test]
    fn a_size_that_is_not_known_is_the_usual_one() {
        let mut file = Vec::new();
        Recorder::new(&mut file, "", Size::default(), UNIX_EPOCH).unwrap();
        assert!(file.starts_with(b"{\"version\":2,\"width\":80,\"height\":24,"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn cuts_within_characters_do_not_show(text in any::<String>(), step in 1..5_usize) {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(step).collect();
            let said: String = record(&pieces).iter().skip(1).filter(|line| line[1] == "o")
                .map(|line| line[2].as_str().unwrap().to_owned()).collect();
            prop_assert_eq!(said, text);
        }

        #[test]
        fn any_bytes_are_text(bytes in prop::collection::vec(any::<u8>(), 0..100), step in 1..5_usize) {
            let mut utf8 = Utf8::default();
            let mut said = String::new();
            for piece in bytes.chunks(step) {
                said += &utf8.push(piece);
                prop_assert!(utf8.begun.len() < 4);
            }
            let whole = String::from_utf8_lossy(&bytes).into_owned();
            let unfinished = format!("{said}{}", char::REPLACEMENT_CHARACTER);
            prop_assert!(whole == said || whole == unfinished);
        }
    }
}

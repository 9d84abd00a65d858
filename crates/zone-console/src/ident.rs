//! The line by which a client of the console says who it is.
//!
//! `IDENT <pid> <locale> <0|1>\n`, as Solaris has it: the pid is what stands after `IDENT `, the flag
//! is the *last* character (1: disconnect me at a halt), the locale is what stands between them. The
//! pid is a claim; the server goes by the kernel's word.
//!
//! Options follow the locale after semicolons, so the line's grammar is the old one; a client that
//! gives none gets exactly what it always got. Unknown options are passed over (a composite locale
//! has semicolons of its own).
//!
//! | option | means |
//! |---|---|
//! | `watch` | read only, beside the holder |
//! | `steal` | take the holder's place |
//! | `replay=N` | begin with the last N bytes that are kept, or `all` |
//! | `size=ROWSxCOLS` | the window's size, to be applied now |
//! | `frames` | speak [frames](crate::frame) after the `OK` |
//! | `resume=RING:OFFSET` | go on where an earlier connection ended (both from its position frame) |
//!
//! The answer is a line, too: `OK`, the pid of the process that has the console, or `FULL` from a daemon that has no
//! descriptor for another client. Only after `OK` the connection stays.

use crate::term::Size;

/// The longest line that is read, in bytes.
pub const MAX_LINE: usize = 4096;

/// Who a client says it is, and what it wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ident {
    /// The process id it claims.
    pub pid: i64,
    /// The locale in which it wants its notices.
    pub locale: String,
    /// Disconnect it when the zone halts or fails to boot.
    pub disconnect: bool,
    /// What it wants beyond Solaris.
    pub options: Options,
}

/// What a client may want beyond Solaris.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Reads only: nothing that it sends reaches the zone.
    pub watch: bool,
    /// Take over from the present holder.
    pub steal: bool,
    /// Bytes of earlier output to begin with; `u64::MAX` is all there is.
    pub replay: Option<u64>,
    /// The window's size, in characters; `None` leaves the console's as it is.
    pub size: Option<Size>,
    /// Frames after the `OK`.
    pub frames: bool,
    /// Where to go on.
    pub resume: Option<Position>,
}

/// A place in the output of a console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The ring's identity: an offset means nothing in another one.
    pub ring: u64,
    /// The absolute offset of the next byte.
    pub offset: u64,
}

impl Ident {
    /// Reads a line without its newline; `None` if it is not of the form.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let rest = line.strip_prefix(b"IDENT ")?.trim_ascii_start();
        let digits = rest.iter().skip_while(|c| **c == b'-').take_while(|c| c.is_ascii_digit()).count();
        let sign = usize::from(rest.first() == Some(&b'-'));
        let (pid, rest) = rest.split_at(sign + digits);
        let pid = str::from_utf8(pid).ok()?.parse().ok()?;
        let (flag, rest) = rest.trim_ascii_start().split_last()?;
        // What stands before the flag is the blank that divides it from the locale.
        let locale = rest.split_last().map_or(&[][..], |(_, locale)| locale);
        let mut words = locale.split(|c| *c == b';');
        let locale = words.next().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
        let mut options = Options::default();
        for word in words {
            // An option that is no text is none of ours.
            options.read(str::from_utf8(word).unwrap_or_default());
        }
        Some(Self { pid, locale, disconnect: matches!(flag, b'1'..=b'9'), options })
    }

    /// The line, with its newline. Characters of the locale that would break the line are left out.
    #[must_use]
    pub fn line(&self) -> String {
        let locale: String = self.locale.chars().filter(|c| !c.is_control() && *c != ';').collect();
        format!("IDENT {} {}{} {}\n", self.pid, locale, self.options.suffix(), u8::from(self.disconnect))
    }
}

impl Options {
    fn read(&mut self, word: &str) {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match name {
            "watch" => self.watch = true,
            "steal" => self.steal = true,
            "frames" => self.frames = true,
            "replay" if value == "all" => self.replay = Some(u64::MAX),
            "replay" => self.replay = value.parse().ok().or(self.replay),
            "size" => self.size = read_size(value).or(self.size),
            "resume" => self.resume = read_position(value).or(self.resume),
            _ => {}
        }
    }

    fn suffix(&self) -> String {
        let mut text = String::new();
        for (wanted, word) in [(self.watch, ";watch"), (self.steal, ";steal"), (self.frames, ";frames")] {
            if wanted {
                text.push_str(word);
            }
        }
        match self.replay {
            Some(u64::MAX) => text.push_str(";replay=all"),
            Some(count) => text.push_str(&format!(";replay={count}")),
            None => {}
        }
        if let Some(Size { rows, cols }) = self.size {
            text.push_str(&format!(";size={rows}x{cols}"));
        }
        if let Some(Position { ring, offset }) = self.resume {
            text.push_str(&format!(";resume={ring:x}:{offset}"));
        }
        text
    }
}

fn read_size(text: &str) -> Option<Size> {
    let (rows, cols) = text.split_once('x')?;
    Some(Size { rows: rows.parse().ok()?, cols: cols.parse().ok()? })
}

fn read_position(text: &str) -> Option<Position> {
    let (ring, offset) = text.split_once(':')?;
    Some(Position { ring: u64::from_str_radix(ring, 16).ok()?, offset: offset.parse().ok()? })
}

/// Collects a line from a client that may send it byte by byte, or never.
#[derive(Debug, Default)]
pub struct LineReader {
    line: Vec<u8>,
    too_long: bool,
}

impl LineReader {
    /// Takes bytes up to and with the first newline. `None`: the line goes on.
    /// `Some((ident, used))`: the line ended after `used` of these bytes, and `ident` is `None` when
    /// it was malformed or longer than [`MAX_LINE`] (it is then eaten, not kept).
    pub fn push(&mut self, bytes: &[u8]) -> Option<(Option<Ident>, usize)> {
        let end = bytes.iter().position(|c| *c == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        if self.line.len() + part.len() > MAX_LINE {
            self.too_long = true;
            self.line = Vec::new();
        }
        if !self.too_long {
            self.line.extend_from_slice(part);
        }
        let used = end? + 1;
        let ident = if self.too_long { None } else { Ident::parse(&self.line) };
        Some((ident, used))
    }
}

/// What the server answers to the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The console is yours.
    Ok,
    /// The process with this id has it.
    Busy(i32),
    /// The daemon has no room for another client; the line was not read.
    Full,
}

impl Answer {
    /// The line, with its newline.
    #[must_use]
    pub fn line(self) -> String {
        match self {
            Self::Ok => "OK\n".into(),
            Self::Busy(pid) => format!("{pid}\n"),
            Self::Full => "FULL\n".into(),
        }
    }

    /// Reads a line without its newline; `None` if it is none of them.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        match line {
            b"OK" => Some(Self::Ok),
            b"FULL" => Some(Self::Full),
            _ => str::from_utf8(line).ok()?.parse().ok().map(Self::Busy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(pid: i64, locale: &str, disconnect: bool) -> Option<Ident> {
        Some(Ident { pid, locale: locale.into(), disconnect, options: Options::default() })
    }

    #[test]
    fn reads_what_solaris_reads() {
        assert_eq!(Ident::parse(b"IDENT 123 C 0"), plain(123, "C", false));
        assert_eq!(Ident::parse(b"IDENT 123 en_US.UTF-8 1"), plain(123, "en_US.UTF-8", true));
        assert_eq!(Ident::parse(b"IDENT 123 C 0\r"), plain(123, "C", false));
        assert_eq!(Ident::parse(b"IDENT   7   C 1"), plain(7, "C", true));
        assert_eq!(Ident::parse(b"IDENT 7 a b 1"), plain(7, "a b", true));
        assert_eq!(Ident::parse(b"IDENT 7 1"), plain(7, "", true));
        // The client of 2005 sends no flag: its locale loses two characters, as it always did.
        assert_eq!(Ident::parse(b"IDENT 7 C"), plain(7, "", false));
    }

    #[test]
    fn refuses_what_is_no_identification() {
        for bad in [
            &b""[..],
            b"IDENT",
            b"IDENT ",
            b"IDENT x C 0",
            b"ident 1 C 0",
            b"IDENT 1",
            b"IDENT 1 ",
            b"IDENT --1 C 0",
            b"IDENT 99999999999999999999 C 0",
            b"GET / HTTP/1.1",
        ] {
            assert_eq!(Ident::parse(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn options_stand_after_the_locale() {
        let ident =
            Ident::parse(b"IDENT 1 de_DE;watch;steal;replay=all;size=24x80;frames;resume=ff:12 1").unwrap();
        assert_eq!(ident.locale, "de_DE");
        assert_eq!(
            ident.options,
            Options {
                watch: true,
                steal: true,
                replay: Some(u64::MAX),
                size: Some(Size { rows: 24, cols: 80 }),
                frames: true,
                resume: Some(Position { ring: 255, offset: 12 }),
            }
        );
        let odd =
            Ident::parse(b"IDENT 1 LC_CTYPE=C;LC_TIME=C;replay=;size=1;resume=:;size=70000x1 0").unwrap();
        assert_eq!((odd.locale.as_str(), odd.options), ("LC_CTYPE=C", Options::default()));
    }

    #[test]
    fn a_line_that_is_too_long_is_eaten() {
        let mut reader = LineReader::default();
        for _ in 0..100 {
            assert_eq!(reader.push(&[b'x'; 100]), None);
            assert!(reader.line.capacity() <= 2 * MAX_LINE);
        }
        assert_eq!(reader.push(b"x\nrest"), Some((None, 2)));
    }

    #[test]
    fn answers_survive_the_round_trip() {
        for answer in [Answer::Ok, Answer::Busy(4711), Answer::Full] {
            assert_eq!(Answer::parse(answer.line().trim_end().as_bytes()), Some(answer));
        }
        assert_eq!(Answer::parse(b"what"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn never_panics(line in prop::collection::vec(any::<u8>(), 0..200), head in prop::bool::ANY) {
            let mut bytes = if head { b"IDENT 1 ".to_vec() } else { Vec::new() };
            bytes.extend(line);
            let _ = Ident::parse(&bytes);
        }

        #[test]
        fn a_line_comes_back_however_it_is_cut(
            pid in any::<i32>(), locale in "[A-Za-z0-9_.@-]{0,20}", disconnect: bool, watch: bool, steal: bool,
            frames: bool, replay: Option<u64>, size: Option<(u16, u16)>, resume: Option<(u64, u64)>, cut in 0..80_usize,
        ) {
            let ident = Ident {
                pid: pid.into(), locale, disconnect,
                options: Options {
                    watch, steal, frames, replay,
                    size: size.map(|(rows, cols)| Size { rows, cols }),
                    resume: resume.map(|(ring, offset)| Position { ring, offset }),
                },
            };
            let line = ident.line() + "more";
            let (head, tail) = line.as_bytes().split_at(cut.min(line.len() - 5));
            let mut reader = LineReader::default();
            prop_assert_eq!(reader.push(head), None);
            prop_assert_eq!(reader.push(tail), Some((Some(ident), tail.len() - 4)));
        }
    }
}

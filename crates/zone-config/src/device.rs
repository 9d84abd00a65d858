//! What a `device` resource may say: which nodes of the host's `/dev` a zone has, by name.
//!
//! All of it is text, so that `zonecfg commit` refuses what a boot would refuse. What is there is `zone-platform`'s to look at.

use std::fmt;
use std::str::FromStr;

/// Bounds a pattern, in bytes and in parts.
const MOST_BYTES: usize = 255;
const MOST_PARTS: usize = 8;

/// The name of device nodes below `/dev`, in which `*`, `?` and `[a-z]` stand for parts of names, and never for a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<String>,
}

/// A pattern that names no devices that a zone can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is not a path below `/dev`.
    #[error("a path below /dev, such as /dev/net/tun or /dev/snd/*, without '.', '..', quotes and '\\'")]
    Path,
    /// It would give the zone whatever the host has.
    #[error(
        "a name that begins with a letter or digit: one that begins with '*', '?' or '[' names all devices of the host"
    )]
    All,
    /// A bracket is not closed, or nothing is in it.
    #[error("a '[' has characters behind it and a ']'")]
    Bracket,
}

/// Devices that no zone gets, and names that a zone has of its own, with the reason.
const NEVER: [(&str, &str); 25] = [
    ("mem", "it is the host's memory"),
    ("kmem", "it is the host's memory"),
    ("port", "it is the host's hardware"),
    ("kmsg", "it is the host's log"),
    ("console", OWN),
    ("tty", OWN),
    ("null", OWN),
    ("zero", OWN),
    ("full", OWN),
    ("random", OWN),
    ("urandom", OWN),
    ("ptmx", OWN),
    ("pts", OWN),
    ("shm", OWN),
    ("mqueue", OWN),
    ("fd", OWN),
    ("stdin", OWN),
    ("stdout", OWN),
    ("stderr", OWN),
    ("core", OWN),
    ("log", OWN),
    ("initctl", OWN),
    ("hugepages", "it is a file system: memory is no device"),
    ("block", "numbers of devices are the host's to give: name the devices"),
    ("char", "numbers of devices are the host's to give: name the devices"),
];
const OWN: &str = "the zone has its own";

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let below = text.strip_prefix("/dev/").unwrap_or(text);
        let parts: Vec<String> = below.split('/').map(str::to_owned).collect();
        let plain = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '"' | '\\' | ',');
        let proper = |part: &String| !part.is_empty() && !matches!(part.as_str(), "." | "..");
        let fits = text.len() <= MOST_BYTES && parts.len() <= MOST_PARTS && text.chars().all(plain);
        if !fits || !parts.iter().all(proper) {
            return Err(PatternError::Path);
        }
        if !parts[0].starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err(PatternError::All);
        }
        if parts.iter().any(|part| tokens(part).is_none()) {
            return Err(PatternError::Bracket);
        }
        Ok(Self { parts })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/dev/{}", self.parts.join("/"))
    }
}

impl Pattern {
    /// Its parts, the first below `/dev`.
    #[must_use]
    pub fn parts(&self) -> &[String] {
        &self.parts
    }

    /// Whether it names one device and no other.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        !self.parts.iter().any(|part| is_wild(part))
    }

    /// Why a zone gets nothing by it, whatever the host has.
    #[must_use]
    pub fn refused(&self) -> Option<&'static str> {
        if is_wild(&self.parts[0]) { None } else { never(&self.parts[0]) }
    }
}

/// Whether a part of a pattern stands for more than itself.
#[must_use]
pub fn is_wild(part: &str) -> bool {
    part.contains(['*', '?', '['])
}

/// Why no zone gets what has this name in `/dev`; `None` if one may.
#[must_use]
pub fn never(name: &str) -> Option<&'static str> {
    NEVER.iter().find(|(never, _)| *never == name).map(|(_, reason)| *reason)
}

/// Whether a part of a pattern stands for a name.
#[must_use]
pub fn fits(part: &str, name: &str) -> bool {
    let Some(tokens) = tokens(part) else { return false };
    let name: Vec<char> = name.chars().collect();
    // Where to go on when the rest does not fit: the last star takes one more.
    let (mut at, mut to, mut star) = (0, 0, None);
    while to < name.len() {
        match tokens.get(at) {
            Some(Token::Any) => {
                star = Some((at, to));
                at += 1;
            }
            Some(token) if token.takes(name[to]) => (at, to) = (at + 1, to + 1),
            _ => match star {
                Some((star_at, taken)) => {
                    star = Some((star_at, taken + 1));
                    (at, to) = (star_at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    tokens[at..].iter().all(|token| *token == Token::Any)
}

/// Understands the mode of a device node: three or four octal digits, and no bit but those of reading, writing and executing.
#[must_use]
pub fn mode(word: &str) -> Option<u32> {
    let digits = (3..=4).contains(&word.len()) && word.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    u32::from_str_radix(word, 8).ok().filter(|mode| digits && *mode <= 0o777)
}

/// A part of a pattern's part.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    Any,
    One,
    Is(char),
    Of { not: bool, ranges: Vec<(char, char)> },
}

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Any | Self::One => true,
            Self::Is(own) => *own == c,
            Self::Of { not, ranges } => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *not,
        }
    }
}

/// Takes a part apart; `None` if a bracket has no end or nothing in it.
fn tokens(part: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = part.chars();
    while let Some(c) = rest.next() {
        tokens.push(match c {
            '*' => Token::Any,
            '?' => Token::One,
            '[' => {
                let (inside, behind) = rest.as_str().split_once(']')?;
                rest = behind.chars();
                let (not, inside) = inside.strip_prefix('!').map_or((false, inside), |inside| (true, inside));
                Token::Of { not, ranges: ranges(inside)? }
            }
            c => Token::Is(c),
        });
    }
    Some(tokens)
}

fn ranges(inside: &str) -> Option<Vec<(char, char)>> {
    let all: Vec<char> = inside.chars().collect();
    let mut ranges = Vec::new();
    let mut at = 0;
    while let Some(&from) = all.get(at) {
        match (all.get(at + 1), all.get(at + 2)) {
            (Some('-'), Some(&to)) => {
                ranges.push((from, to));
                at += 3;
            }
            _ => {
                ranges.push((from, from));
                at += 1;
            }
        }
    }
    (!ranges.is_empty()).then_some(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pattern_names_devices() {
        for (text, literal) in [
            ("/dev/net/tun", true),
            ("net/tun", true),
            ("/dev/snd/*", false),
            ("ttyS[0-3]", false),
            ("dri/card?", false),
        ] {
            assert_eq!(text.parse::<Pattern>().unwrap().is_literal(), literal, "{text}");
        }
        for text in [
            "",
            "/",
            "/dev",
            "/dev/",
            "/etc/passwd",
            "../mem",
            "/dev/../mem",
            "net//tun",
            "a b",
            "a\\b",
            "a\"",
            "./a",
        ] {
            assert_eq!(text.parse::<Pattern>(), Err(PatternError::Path), "{text}");
        }
        for text in ["*", "/dev/*", "?da", "[a-z]*", "**/mem", "-x", "*/*"] {
            assert_eq!(text.parse::<Pattern>(), Err(PatternError::All), "{text}");
        }
        for text in ["sd[", "sd[]", "sd[!]", "snd/[a"] {
            assert_eq!(text.parse::<Pattern>(), Err(PatternError::Bracket), "{text}");
        }
        assert_eq!("/dev/".repeat(60).parse::<Pattern>(), Err(PatternError::Path));
        assert!("mem".parse::<Pattern>().unwrap().refused().is_some());
        assert!("pts/0".parse::<Pattern>().unwrap().refused().is_some());
        assert!("fuse".parse::<Pattern>().unwrap().refused().is_none());
    }

    #[test]
    fn a_part_stands_for_names() {
        for (part, name) in [
            ("*", "x"),
            ("tty*", "tty"),
            ("tty*0", "ttyUSB0"),
            ("*a*b*", "xaybz"),
            ("ttyS[0-3]", "ttyS3"),
            ("ttyS[!0-3]", "ttyS4"),
            ("sd?", "sda"),
            ("x[a-]", "x-"),
        ] {
            assert!(fits(part, name), "{part} {name}");
        }
        for (part, name) in [
            ("tty", "ttyS0"),
            ("tty*0", "ttyS1"),
            ("sd?", "sda1"),
            ("ttyS[0-3]", "ttyS4"),
            ("", "x"),
            ("*a*b*", "xbya"),
        ] {
            assert!(!fits(part, name), "{part} {name}");
        }
        // As bad as it gets, and soon over.
        assert!(!fits(&"*a".repeat(100), &"a".repeat(99)));
    }

    proptest! {
        #[test]
        fn a_name_stands_for_itself(name in "[a-z0-9]{1,12}", part in "[a*?\\[\\]!-]{0,12}") {
            prop_assert!(fits(&name, &name));
            let _ = fits(&part, &name);
        }
    }
}

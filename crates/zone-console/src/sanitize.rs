//! Text of a guest or a client, made harmless for a terminal: the one filter through which every program
//! sends what was, or may have been, chosen inside a zone (names of files and programs, fields of its
//! `/etc/passwd`, boot arguments), to whatever it prints, logs or passes on.

use std::borrow::Cow;

mod filter;

pub use filter::{Filter, Purpose};

/// The most characters of foreign text that a notice repeats.
const MAX_CHARS: usize = 512;

/// Whether a terminal would show `c` as itself: no control character, and none of the invisible
/// ones that reorder or hide what stands beside them.
#[must_use]
pub fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// `text` on one line for a notice: what is not harmless is escaped as in Rust (`\u{1b}`), and what
/// is longer than 512 characters is cut.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (count, c) in text.chars().enumerate() {
        if count == MAX_CHARS {
            out.push_str("...");
            break;
        }
        push_visible(c, &mut out);
    }
    out
}

/// Escapes everything in a message that a terminal would obey, as [`visible`] does, but leaves line ends and
/// tabs, and cuts nothing. Allocates only when there is something to escape.
#[must_use]
pub fn harmless(text: &str) -> Cow<'_, str> {
    let passes = |c: char| is_harmless(c) || matches!(c, '\n' | '\t');
    if text.chars().all(passes) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if passes(c) {
            out.push(c);
        } else {
            push_visible(c, &mut out);
        }
    }
    Cow::Owned(out)
}

/// Adds `c` to `out`, escaped if it is not harmless.
pub(crate) fn push_visible(c: char, out: &mut String) {
    if is_harmless(c) {
        out.push(c);
    } else {
        out.extend(c.escape_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_what_a_terminal_would_obey() {
        assert_eq!(visible("-s \x1b]0;x\x07\r\n"), "-s \\u{1b}]0;x\\u{7}\\r\\n");
        assert_eq!(visible("naïve 日本"), "naïve 日本");
        assert_eq!(visible("a\u{202e}b\u{9b}"), "a\\u{202e}b\\u{9b}");
    }

    #[test]
    fn messages_keep_their_lines() {
        assert!(matches!(harmless("plain\ttext\nand more"), Cow::Borrowed("plain\ttext\nand more")));
        assert_eq!(harmless("a\x1b[2Jb\u{202e}c\nd\r"), "a\\u{1b}[2Jb\\u{202e}c\nd\\r");
        assert_eq!(harmless(&"\x07".repeat(600)).len(), 600 * "\\u{7}".len());
    }

    #[test]
    fn cuts_what_is_long() {
        assert_eq!(visible(&"x".repeat(600)).len(), 515);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn never_lets_a_control_through(text in any::<String>()) {
            prop_assert!(visible(&text).chars().all(is_harmless));
            prop_assert!(harmless(&text).chars().all(|c| is_harmless(c) || matches!(c, '\n' | '\t')));
        }
    }
}

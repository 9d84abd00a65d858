//! The words of a source, as far as literals can be told from what is none. A parser of Rust would be a second copy of what
//! derive macros are made of, in every build.

/// A part of a source. Numbers, characters and comments are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name or keyword.
    Word(String),
    /// A string, and its line.
    Text(String, usize),
    /// A bracket that opens.
    Open(char),
    /// One that closes.
    Close,
    /// Any other character.
    Mark(char),
}

/// Takes a source apart.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let line = || source[..source.len() - rest.len()].matches('\n').count() + 1;
        if let Some(length) = comment(rest) {
            rest = &rest[length..];
        } else if let Some((text, length)) = raw(rest) {
            found.push(Token::Text(text.to_owned(), line()));
            rest = &rest[length..];
        } else if c == '"' {
            let length = quoted(rest);
            found.push(Token::Text(plain(&rest[1..length - 1]), line()));
            rest = &rest[length..];
        } else if c == '\'' {
            rest = &rest[character(rest)..];
        } else if c.is_alphanumeric() || c == '_' {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            found.push(Token::Word(rest[..length].to_owned()));
            rest = &rest[length..];
        } else {
            match c {
                '(' | '[' | '{' => found.push(Token::Open(c)),
                ')' | ']' | '}' => found.push(Token::Close),
                c if c.is_whitespace() => {}
                c => found.push(Token::Mark(c)),
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    found
}

/// The length of a comment that begins here.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    text.starts_with("/*").then(|| text.find("*/").map_or(text.len(), |at| at + 2))
}

/// A raw string that begins here, and its length with quotes. Bytes are words and strings: none is said.
fn raw(text: &str) -> Option<(&str, usize)> {
    let marks = text.strip_prefix('r')?;
    let inside = marks.trim_start_matches('#');
    let end = format!("\"{}", &marks[..marks.len() - inside.len()]);
    let length = inside.strip_prefix('"')?.find(&end)?;
    let begin = text.len() - inside.len() + 1;
    Some((&text[begin..begin + length], begin + length + end.len()))
}

/// The length of a string with its quotes.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    let end = text[1..].find(|c| {
        let is_end = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        is_end
    });
    end.map_or(text.len(), |at| at + 2)
}

/// The length of a character with its quotes; of a lifetime, of its mark.
fn character(text: &str) -> usize {
    let inside = &text[1..];
    let length = match inside.chars().next() {
        Some('\\') => inside[2..].find('\'').map(|at| at + 2),
        Some(c) => inside[c.len_utf8()..].starts_with('\'').then(|| c.len_utf8()),
        None => None,
    };
    length.map_or(1, |length| length + 2)
}

/// What a string says.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('\\') {
        out.push_str(before);
        let c = behind.chars().next().unwrap_or_default();
        rest = &behind[c.len_utf8()..];
        match c {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            '\n' => rest = rest.trim_start(),
            'x' => {
                out.extend(
                    rest.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).map(char::from),
                );
                rest = rest.get(2..).unwrap_or_default();
            }
            'u' => {
                let (digits, behind) = rest.split_once('}').unwrap_or((rest, ""));
                let number = u32::from_str_radix(digits.trim_start_matches('{'), 16).ok();
                out.extend(number.and_then(char::from_u32));
                rest = behind;
            }
            c => out.push(c),
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_taken_apart() {
        let word = |text: &str| Token::Word(text.to_owned());
        let text = |text: &str, line| Token::Text(text.to_owned(), line);
        let source =
            "f<'a>('\\'', '\"', \"a\\n\\\"b\\\n   c\") // \"no\"\n/* \" */ r#\"x\"y\"#; 'x' \"\\u{e4}\\x41\"";
        assert_eq!(
            tokens(source),
            [
                word("f"),
                Token::Mark('<'),
                word("a"),
                Token::Mark('>'),
                Token::Open('('),
                Token::Mark(','),
                Token::Mark(','),
                text("a\n\"bc", 1),
                Token::Close,
                text("x\"y", 3),
                Token::Mark(';'),
                text("\u{e4}A", 3),
            ]
        );
    }
}

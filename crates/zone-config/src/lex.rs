//! The words of the `zonecfg` language, each with its place.
//!
//! * A line break or `;` ends a command; `#` begins a comment where a command may begin, and nowhere else.
//! * A word runs up to a blank, a line break or one of `" ; = [ ] ( )`; within brackets and parentheses a comma
//!   ends it too.
//! * `"..."` is one word with anything in it but a quote and a line break; there are no escapes, and a quote
//!   that is not closed on its line is refused. Within parentheses quotes have no meaning and are refused.

use std::borrow::Cow;
use std::iter::Peekable;
use std::str::Chars;

/// Where a token begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Counted from 1, or from what the lexer was told.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A word without quotes.
    Word(String),
    /// What stood between quotes.
    Quoted(String),
    /// What stood behind a quote that is not closed on its line.
    Unclosed(String),
    /// `=`
    Equals,
    /// `,` within brackets or parentheses.
    Comma,
    /// `[`
    OpenList,
    /// `]`
    CloseList,
    /// `(`
    OpenComplex,
    /// `)`
    CloseComplex,
    /// A quote where quotes have no meaning.
    Stray(char),
    /// The end of a command.
    End,
}

/// A word or mark of the language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it begins.
    pub place: Place,
}

/// Cuts a text into tokens. Every text can be cut; what makes no sense is for the parser to say.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    place: Place,
    /// Whether a command may begin here, and with it a comment.
    fresh: bool,
    /// Open brackets and parentheses.
    lists: usize,
    complexes: usize,
}

impl<'a> Lexer<'a> {
    /// Begins at the start of `text`, whose first line has the number `line`.
    pub fn new(text: &'a str, line: usize) -> Self {
        let place = Place { line, column: 1 };
        Self { rest: text.chars().peekable(), place, fresh: true, lists: 0, complexes: 0 }
    }

    fn take(&mut self) -> Option<char> {
        let taken = self.rest.next()?;
        self.place = match taken {
            '\n' => Place { line: self.place.line + 1, column: 1 },
            _ => Place { column: self.place.column + 1, ..self.place },
        };
        Some(taken)
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while self.rest.peek().is_some_and(|&next| belongs(next)) {
            taken.extend(self.take());
        }
        taken
    }

    fn kind(&mut self, first: char) -> TokenKind {
        let nested = self.lists + self.complexes > 0;
        match first {
            '\n' | ';' => {
                (self.lists, self.complexes) = (0, 0);
                TokenKind::End
            }
            '=' => TokenKind::Equals,
            ',' if nested => TokenKind::Comma,
            '[' => {
                self.lists += 1;
                TokenKind::OpenList
            }
            ']' => {
                self.lists = self.lists.saturating_sub(1);
                TokenKind::CloseList
            }
            '(' => {
                self.complexes += 1;
                TokenKind::OpenComplex
            }
            ')' => {
                self.complexes = self.complexes.saturating_sub(1);
                TokenKind::CloseComplex
            }
            '"' if self.complexes > 0 => TokenKind::Stray('"'),
            '"' => {
                let text = self.take_while(|c| c != '"' && c != '\n');
                if self.rest.peek() == Some(&'"') {
                    self.take();
                    TokenKind::Quoted(text)
                } else {
                    TokenKind::Unclosed(text)
                }
            }
            _ => {
                let more = self.take_while(|c| is_bare(c) && !(nested && c == ','));
                TokenKind::Word(format!("{first}{more}"))
            }
        }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        self.take_while(is_blank);
        if self.fresh && self.rest.peek() == Some(&'#') {
            self.take_while(|c| c != '\n');
        }
        let place = self.place;
        let first = self.take()?;
        let kind = self.kind(first);
        self.fresh = kind == TokenKind::End;
        Some(Token { kind, place })
    }
}

/// A value as the language writes it: in quotes when it is not one bare word.
pub fn quote(value: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:-+@%".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        Cow::Borrowed(value)
    } else {
        Cow::Owned(format!("\"{value}\""))
    }
}

fn is_blank(c: char) -> bool {
    // Files from elsewhere end their lines with CR LF.
    matches!(c, ' ' | '\t' | '\r')
}

fn is_bare(c: char) -> bool {
    !is_blank(c) && !matches!(c, '\n' | '"' | ';' | '=' | '[' | ']' | '(' | ')')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds(text: &str) -> Vec<TokenKind> {
        Lexer::new(text, 1).map(|token| token.kind).collect()
    }

    fn word(text: &str) -> TokenKind {
        TokenKind::Word(text.to_owned())
    }

    #[test]
    fn words_and_marks() {
        use TokenKind::{CloseComplex, CloseList, Comma, End, Equals, OpenComplex, OpenList, Quoted, Stray};
        let quoted = |text: &str| Quoted(text.to_owned());
        assert_eq!(
            kinds("set a=\"b # ; c\"; x#y,z"),
            [word("set"), word("a"), Equals, quoted("b # ; c"), End, word("x#y,z")]
        );
        assert_eq!(kinds("[a,\"b,c\"]"), [OpenList, word("a"), Comma, quoted("b,c"), CloseList]);
        assert_eq!(kinds("(\"a)"), [OpenComplex, Stray('"'), word("a"), CloseComplex]);
        assert_eq!(kinds(" # x ; y\r\n;#z\na#b"), [End, End, End, word("a#b")]);
        assert_eq!(kinds("\"open\nend"), [TokenKind::Unclosed("open".to_owned()), End, word("end")]);
        assert_eq!(kinds("[a\nb,c"), [OpenList, word("a"), End, word("b,c")]);
    }

    #[test]
    fn places() {
        let places: Vec<_> = Lexer::new("é x\n  y", 5).map(|t| (t.place.line, t.place.column)).collect();
        assert_eq!(places, [(5, 1), (5, 3), (5, 4), (6, 3)]);
    }

    proptest! {
        #[test]
        fn every_text_can_be_cut(text in "([ -~]|\n|é){0,60}") {
            let tokens: Vec<_> = Lexer::new(&text, 1).collect();
            prop_assert!(tokens.iter().all(|token| token.place.line <= text.matches('\n').count() + 1));
        }

        #[test]
        fn what_was_quoted_comes_back(value in "[^\"\\n]{0,20}") {
            let found = kinds(&format!("set x={}", quote(&value)));
            let (TokenKind::Word(text) | TokenKind::Quoted(text)) = &found[3] else { panic!("{found:?}") };
            prop_assert_eq!(text, &value);
            prop_assert_eq!(found.len(), 4);
        }
    }
}

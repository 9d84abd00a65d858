//! From tokens to commands.

use std::collections::HashSet;

use super::table::{COMMANDS, CommandSpec, has_json, spec};
use super::{Command, Qualifier, Template, Term};
use crate::lex::{Lexer, Place, Token, TokenKind};
use crate::nearest::did_you_mean;

/// Most `property=value` pairs after a resource type.
const MAX_QUALIFIERS: usize = 3;

/// Why two options of `create` are refused; no other command has two that take a word.
const ONE_SOURCE: &str = "-b, -t, -a and -f exclude each other";

/// A command, and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The line and column at which the command begins.
    pub place: Place,
    /// The command that was parsed.
    pub command: Command,
}

/// A command that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct SyntaxError {
    /// Where it goes wrong.
    pub place: Place,
    /// What is expected there, and what was found.
    pub reason: String,
    /// The forms of the command, when it is one.
    pub usage: &'static [&'static str],
}

/// The commands of a text, one after another. After one that cannot be understood, the next begins behind its end.
#[derive(Clone, Debug)]
pub struct Script<'a> {
    tokens: Lexer<'a>,
}

impl<'a> Script<'a> {
    /// Begins at the start of `text`, whose first line has the number `line`.
    pub fn new(text: &'a str, line: usize) -> Self {
        Self { tokens: Lexer::new(text, line) }
    }
}

impl Iterator for Script<'_> {
    type Item = Result<Located, SyntaxError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut end = None;
            let mut tokens = Vec::new();
            for token in self.tokens.by_ref() {
                if token.kind == TokenKind::End {
                    end = Some(token.place);
                    break;
                }
                tokens.push(token);
            }
            match tokens.split_first() {
                None if end.is_none() => return None,
                None => {}
                Some((first, rest)) => {
                    let place = first.place;
                    if let Some(open) =
                        tokens.iter().find(|token| matches!(token.kind, TokenKind::Unclosed(_)))
                    {
                        let reason = said(&open.kind);
                        return Some(Err(SyntaxError { place: open.place, reason, usage: &[] }));
                    }
                    let command = Parser::of(first, rest, end).and_then(|mut parser| parser.command());
                    return Some(command.map(|command| Located { place, command }));
                }
            }
        }
    }
}

/// One command's tokens, and how far they have been read.
struct Parser<'a> {
    tokens: std::iter::Peekable<std::slice::Iter<'a, Token>>,
    spec: &'static CommandSpec,
    /// Where a missing word would be.
    end: Place,
}

/// The options a command was given.
#[derive(Default)]
struct Options {
    letters: HashSet<char>,
    /// The last option that takes a word, and that.
    word: Option<(char, String)>,
    json: bool,
    help: bool,
}

impl<'a> Parser<'a> {
    fn of(first: &Token, rest: &'a [Token], end: Option<Place>) -> Result<Self, SyntaxError> {
        let name = match &first.kind {
            TokenKind::Word(word) if word == "?" => Some("help"),
            TokenKind::Word(word) => Some(word.as_str()),
            _ => None,
        };
        let spec = name.and_then(spec).ok_or_else(|| {
            let names: Vec<&str> = COMMANDS.iter().map(|row| row.name).collect();
            let meant = match &first.kind {
                TokenKind::Word(word) => did_you_mean(word, names.iter().copied()),
                _ => String::new(),
            };
            let allowed = names.join(", ");
            let reason = format!("{} is not a command; allowed: {allowed}{meant}", said(&first.kind));
            SyntaxError { place: first.place, reason, usage: &[] }
        })?;
        let last = rest.last().map_or(first.place, |token| token.place);
        Ok(Self { tokens: rest.iter().peekable(), spec, end: end.unwrap_or(last) })
    }

    fn command(&mut self) -> Result<Command, SyntaxError> {
        let Options { letters, word, json, help } = self.options()?;
        if help {
            return Ok(Command::Help { topic: Some(self.spec.name.to_owned()) });
        }
        let force = letters.contains(&'F');
        let command = match self.spec.name {
            "create" => {
                let template = match (letters.contains(&'b'), word) {
                    (true, Some(_)) => return Err(self.error(self.end, ONE_SOURCE)),
                    (true, None) => Template::Blank,
                    (false, Some(('a', zonepath))) => Template::Detached(zonepath),
                    (false, Some(('f', file))) => Template::File(file),
                    (false, Some((_, zone))) => Template::Zone(zone),
                    (false, None) => Template::Default,
                };
                Command::Create { force, template }
            }
            "add" => {
                Command::Add { what: self.word("a resource or property")?, value: self.optional_term()? }
            }
            "set" => {
                let property = self.word("a property")?;
                self.mark(&TokenKind::Equals, &format!("'=' after '{property}'"))?;
                Command::Set { property, value: self.term()? }
            }
            "clear" => Command::Clear { property: self.word("a property")? },
            "remove" => {
                let what = self.word("a resource or property")?;
                let qualifiers = self.qualifiers()?;
                let value = if qualifiers.is_empty() { self.optional_term()? } else { None };
                Command::Remove { force, what, qualifiers, value }
            }
            "select" => {
                Command::Select { resource: self.word("a resource")?, qualifiers: self.qualifiers()? }
            }
            "end" => Command::End,
            "cancel" => Command::Cancel,
            "info" => {
                let what = self.optional_word();
                Command::Info { json, what, qualifiers: self.qualifiers()? }
            }
            "export" => Command::Export { json, file: word.map(|(_, file)| file) },
            "edit" => Command::Edit,
            "verify" => Command::Verify,
            "commit" => Command::Commit,
            "revert" => Command::Revert { force },
            "delete" => Command::Delete { force },
            "exit" => Command::Exit { force },
            // Of "help add net" it is the net that is asked about.
            _ => {
                let first = self.optional_word();
                Command::Help { topic: self.optional_word().or(first) }
            }
        };
        match self.tokens.next() {
            None => Ok(command),
            Some(extra) => {
                let reason = format!(
                    "{} was not expected here; a value with blanks or any of ;=[]() goes in double quotes",
                    said(&extra.kind)
                );
                Err(self.error(extra.place, &reason))
            }
        }
    }

    /// Reads options up to the first word that is none, as getopt(3) does.
    fn options(&mut self) -> Result<Options, SyntaxError> {
        let mut options = Options::default();
        loop {
            let word = match self.tokens.peek().map(|token| (&token.kind, token.place)) {
                Some((TokenKind::Word(word), place)) if word.starts_with('-') && word != "-" => (word, place),
                _ => return Ok(options),
            };
            self.tokens.next();
            let (word, place) = word;
            match word.as_str() {
                "--" => return Ok(options),
                "-?" | "--help" => options.help = true,
                "--json" if has_json(self.spec.name) => options.json = true,
                _ => self.letters(word, place, &mut options)?,
            }
        }
    }

    fn letters(&mut self, word: &str, place: Place, options: &mut Options) -> Result<(), SyntaxError> {
        let mut rest = word[1..].chars();
        while let Some(letter) = rest.next() {
            let known = self.spec.options.find(letter).filter(|_| letter != ':');
            let Some(at) = known else {
                let reason = format!("'{}' has no option '{word}'", self.spec.name);
                return Err(self.error(place, &reason));
            };
            if self.spec.options[at + 1..].starts_with(':') {
                let word = match rest.as_str() {
                    "" => self.word(&format!("a word after -{letter}"))?,
                    attached => attached.to_owned(),
                };
                if options.word.as_ref().is_some_and(|(other, _)| *other != letter) {
                    return Err(self.error(place, ONE_SOURCE));
                }
                options.word = Some((letter, word));
                return Ok(());
            }
            options.letters.insert(letter);
        }
        Ok(())
    }

    fn optional_word(&mut self) -> Option<String> {
        let next =
            self.tokens.next_if(|token| matches!(token.kind, TokenKind::Word(_) | TokenKind::Quoted(_)));
        next.and_then(|token| match &token.kind {
            TokenKind::Word(word) | TokenKind::Quoted(word) => Some(word.clone()),
            _ => None,
        })
    }

    fn word(&mut self, expected: &str) -> Result<String, SyntaxError> {
        self.optional_word().ok_or_else(|| self.expected(expected))
    }

    fn mark(&mut self, mark: &TokenKind, expected: &str) -> Result<(), SyntaxError> {
        match self.tokens.next_if(|token| token.kind == *mark) {
            Some(_) => Ok(()),
            None => Err(self.expected(expected)),
        }
    }

    fn qualifiers(&mut self) -> Result<Vec<Qualifier>, SyntaxError> {
        let mut qualifiers: Vec<Qualifier> = Vec::new();
        loop {
            // A word without '=' behind it is the value in `remove PROPERTY VALUE`, and not ours.
            let mut ahead = self.tokens.clone();
            let (name, equals) = (ahead.next(), ahead.next());
            if !equals.is_some_and(|token| token.kind == TokenKind::Equals) {
                return Ok(qualifiers);
            }
            let place = name.map_or(self.end, |token| token.place);
            let name = self.word("a property")?;
            self.tokens.next();
            if qualifiers.len() == MAX_QUALIFIERS {
                let reason = format!("more than {MAX_QUALIFIERS} PROPERTY=VALUE");
                return Err(self.error(place, &reason));
            }
            if qualifiers.iter().any(|(other, _)| *other == name) {
                return Err(self.error(place, &format!("'{name}' is given twice")));
            }
            qualifiers.push((name, self.term()?));
        }
    }

    fn optional_term(&mut self) -> Result<Option<Term>, SyntaxError> {
        if self.tokens.peek().is_none() { Ok(None) } else { self.term().map(Some) }
    }

    fn term(&mut self) -> Result<Term, SyntaxError> {
        if self.tokens.next_if(|token| token.kind == TokenKind::OpenList).is_none() {
            return self.simple();
        }
        let mut items = Vec::new();
        if self.tokens.next_if(|token| token.kind == TokenKind::CloseList).is_some() {
            return Ok(Term::List(items));
        }
        loop {
            items.push(self.simple()?);
            if self.tokens.next_if(|token| token.kind == TokenKind::CloseList).is_some() {
                return Ok(Term::List(items));
            }
            self.mark(&TokenKind::Comma, "',' or ']'")?;
        }
    }

    fn simple(&mut self) -> Result<Term, SyntaxError> {
        if self.tokens.next_if(|token| token.kind == TokenKind::OpenComplex).is_none() {
            return self.word("a value").map(Term::Word);
        }
        let mut pairs = Vec::new();
        loop {
            let name = self.word("a name in (NAME=VALUE)")?;
            self.mark(&TokenKind::Equals, &format!("'=' after '{name}'"))?;
            pairs.push((name, self.word("a value")?));
            if self.tokens.next_if(|token| token.kind == TokenKind::CloseComplex).is_some() {
                return Ok(Term::Complex(pairs));
            }
            self.mark(&TokenKind::Comma, "',' or ')'")?;
        }
    }

    /// The error of what comes next, or of nothing coming.
    fn expected(&mut self, expected: &str) -> SyntaxError {
        let (place, found) = match self.tokens.peek() {
            Some(token) => (token.place, said(&token.kind)),
            None => (self.end, "the end of the command".to_owned()),
        };
        self.error(place, &format!("expected {expected}, found {found}"))
    }

    fn error(&self, place: Place, reason: &str) -> SyntaxError {
        SyntaxError { place, reason: reason.to_owned(), usage: self.spec.usage }
    }
}

fn said(kind: &TokenKind) -> String {
    match kind {
        TokenKind::Word(word) => format!("'{word}'"),
        TokenKind::Quoted(text) => format!("\"{text}\""),
        TokenKind::Unclosed(text) => format!("a quote that is not closed, before {text}"),
        TokenKind::Equals => "'='".to_owned(),
        TokenKind::Comma => "','".to_owned(),
        TokenKind::OpenList => "'['".to_owned(),
        TokenKind::CloseList => "']'".to_owned(),
        TokenKind::OpenComplex => "'('".to_owned(),
        TokenKind::CloseComplex => "')'".to_owned(),
        TokenKind::Stray(mark) => format!("a {mark} within parentheses"),
        TokenKind::End => "the end of the command".to_owned(),
    }
}

#[cfg(test)]
mod tests;

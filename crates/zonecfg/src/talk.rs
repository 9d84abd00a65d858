//! What the session says and asks.

use std::io::{self, BufRead, IsTerminal, Write};

use zone_locale::Locale;

use crate::help;

/// The three streams, and whether there is a person behind them.
pub struct Talk<'a> {
    /// What was asked for.
    pub out: &'a mut dyn Write,
    /// Warnings and errors.
    pub err: &'a mut dyn Write,
    /// Whether standard input is a terminal, so that there is somebody to ask.
    pub person: bool,
    /// Who says what is no answer.
    pub program: &'a str,
}

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `y` or `yes`.
    Yes,
    /// Anything else: no is the default.
    No,
    /// There is nobody to ask.
    Nobody,
}

impl<'a> Talk<'a> {
    /// Talks through these streams; asks when standard input is a terminal.
    pub fn new(out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        Self { out, err, person: io::stdin().is_terminal(), program: "zonecfg" }
    }

    /// Asks a question whose default is no.
    ///
    /// # Errors
    /// When the streams cannot be used.
    pub fn ask(&mut self, question: &str) -> io::Result<Answer> {
        if !self.person {
            return Ok(Answer::Nobody);
        }
        write!(self.out, "{} (y/[n])? ", zone_locale::here(question))?;
        self.out.flush()?;
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line)? == 0 {
            // The person has gone.
            self.person = false;
            writeln!(self.out)?;
            return Ok(Answer::Nobody);
        }
        Ok(if Locale::here().is_yes(&line) { Answer::Yes } else { Answer::No })
    }

    /// Shows a help text, as wide as the terminal is, if there is one.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn help(&mut self, text: &str) -> io::Result<()> {
        let text = zone_locale::here(text);
        match zone_sys::stdio::terminal_columns() {
            Some(columns) => self.out.write_all(help::fit(&text, columns).as_bytes()),
            None => self.out.write_all(text.as_bytes()),
        }
    }

    /// Says something that is no answer, in the language of whoever called; a standard error that is gone silences it.
    pub fn note(&mut self, text: &str) {
        let _ = writeln!(self.err, "{}: {}", self.program, zone_locale::here(text));
    }
}

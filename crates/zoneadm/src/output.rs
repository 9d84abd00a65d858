//! Standard output: results, for people or for programs.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use crate::message::{Failure, Outcome, harmless};

/// Standard output, buffered; must be ended with [`Output::end`] so that nothing is lost unsaid.
#[derive(Debug)]
pub(crate) struct Output {
    to: BufWriter<StdoutLock<'static>>,
    terminal: bool,
}

impl Output {
    /// Takes standard output for the rest of the program.
    pub(crate) fn new() -> Self {
        let stdout = io::stdout().lock();
        let terminal = stdout.is_terminal();
        Self { to: BufWriter::new(stdout), terminal }
    }

    /// Standard output, unbuffered, for what comes as bytes.
    ///
    /// # Errors
    /// If the program was started without one: Rust's runtime would let all that is written vanish.
    pub(crate) fn raw() -> Outcome<StdoutLock<'static>> {
        is_open().map_err(failed)?;
        Ok(io::stdout().lock())
    }

    /// Writes one line.
    pub(crate) fn line(&mut self, text: &str) -> Outcome {
        let text = if self.terminal { harmless(text) } else { text.into() };
        writeln!(self.to, "{text}").map_err(failed)
    }

    /// Writes one line that only people read, in the language of whoever called.
    pub(crate) fn said(&mut self, text: &str) -> Outcome {
        self.line(&zone_locale::here(text))
    }

    /// Writes a value as JSON, indented, for this is read by people too.
    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> Outcome {
        serde_json::to_writer_pretty(&mut self.to, value).map_err(|error| failed(error.into()))?;
        writeln!(self.to).map_err(failed)
    }

    /// Sees that everything has left.
    pub(crate) fn end(mut self) -> Outcome {
        is_open().and_then(|()| self.to.flush()).map_err(failed)
    }
}

/// Fails as a write to a closed descriptor does, if standard output was closed when the program was started.
fn is_open() -> io::Result<()> {
    if zone_sys::stdio::was_closed(1) { Err(rustix::io::Errno::BADF.into()) } else { Ok(()) }
}

fn failed(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Unread,
        _ => Failure::general(anyhow::Error::new(error).context("cannot write to standard output")),
    }
}

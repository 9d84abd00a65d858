//! The line that a person types: with history, completion and a pager for what is long.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use crate::complete::{Place, complete};

/// How many lines of the past are kept.
const HISTORY: usize = 500;

/// Reads lines.
pub struct Reader {
    editor: Editor<Words, FileHistory>,
    history: Option<PathBuf>,
}

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// This line.
    Line(String),
    /// ^C: the line is given up, and nothing else.
    Cleared,
    /// ^D at the start of a line, or the terminal is gone.
    End,
}

impl Reader {
    /// Takes the terminal of standard input.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn new() -> io::Result<Self> {
        let config = Config::builder()
            .max_history_size(HISTORY)
            .and_then(|config| config.history_ignore_dups(true))
            .map_err(io::Error::other)?
            .completion_type(CompletionType::List)
            .auto_add_history(true)
            .bracketed_paste(true)
            .build();
        let history = FileHistory::with_config(&config);
        let mut editor = Editor::with_history(config, history).map_err(io::Error::other)?;
        editor.set_helper(Some(Words(Place::default())));
        let history = history_file();
        if let Some(path) = &history {
            // There may be none yet.
            let _ = editor.load_history(path);
        }
        Ok(Self { editor, history })
    }

    /// Reads a line that is typed at this place.
    pub fn read(&mut self, prompt: &str, place: Place) -> Typed {
        if let Some(Words(known)) = self.editor.helper_mut() {
            *known = place;
        }
        match self.editor.readline(prompt) {
            Ok(line) => Typed::Line(line),
            Err(ReadlineError::Interrupted) => Typed::Cleared,
            Err(_) => Typed::End,
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(path) = &self.history {
            // Nothing depends on it.
            let _ = path.parent().map(std::fs::create_dir_all);
            let _ = self.editor.save_history(path);
        }
    }
}

/// Where the past is kept, as the XDG base directories have it; nowhere for who has no home.
fn history_file() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("zones/zonecfg_history"))
}

/// Completes words.
struct Words(Place);

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(complete(line.get(..at).unwrap_or_default(), &self.0))
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}
impl Validator for Words {}
impl Helper for Words {}

/// Shows a text: by a pager, if there is one and the text does not fit the terminal.
///
/// # Errors
/// When standard output cannot be written.
pub fn page(text: &str) -> io::Result<()> {
    let rows = rustix::termios::tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_row));
    let pager = std::env::var_os("PAGER").filter(|pager| !pager.is_empty()).unwrap_or_else(|| "less".into());
    if rows > 0 && text.lines().count() >= rows && pager != "cat" {
        let started = Command::new("/bin/sh")
            .args(["-c", "exec $0"])
            .arg(&pager)
            .env("LESS", std::env::var("LESS").unwrap_or_else(|_| "FRX".to_owned()))
            .stdin(Stdio::piped())
            .spawn();
        if let Ok(mut child) = started {
            let fed = child.stdin.take().map(|mut pipe| pipe.write_all(text.as_bytes()));
            // Whoever leaves it before the end has seen enough.
            let status = child.wait()?;
            // 127: there is no such program.
            if status.code() != Some(127) {
                return fed.map_or(Ok(()), |_| Ok(()));
            }
        }
    }
    let mut out = io::stdout();
    out.write_all(text.as_bytes())?;
    out.flush()
}

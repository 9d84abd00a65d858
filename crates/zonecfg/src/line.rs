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
use zone_config::schema::{Property, RESOURCES, Resource};

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
            .auto_add_history(false)
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
        let open = place.resource;
        if let Some(Words(known)) = self.editor.helper_mut() {
            *known = place;
        }
        match self.editor.readline(prompt) {
            Ok(line) => {
                if !may_be_secret(&line, open) {
                    // That it is not known again is nothing to fail for.
                    let _ = self.editor.add_history_entry(&line);
                }
                Typed::Line(line)
            }
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

/// Tells whether a line may have what is shown to nobody, and must not be in a file of ours: one that is typed within a resource that
/// has such a property or names the resource, and one that sets the property, though it be in the wrong place.
fn may_be_secret(line: &str, open: Option<&Resource>) -> bool {
    let is_of_name = |c: char| c.is_alphanumeric() || c == '-';
    let names = |resource: &Resource| line.split(|c| !is_of_name(c)).any(|word| word == resource.name);
    let sets = |row: &Property| {
        line.match_indices(row.name).any(|(at, name)| {
            !line[..at].ends_with(is_of_name) && line[at + name.len()..].trim_start().starts_with('=')
        })
    };
    RESOURCES.iter().any(|resource| {
        let mut secret = resource.properties.iter().filter(|row| row.secret).peekable();
        secret.peek().is_some() && (open == Some(resource) || names(resource) || secret.any(sets))
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use zone_config::schema;

    #[test]
    fn a_secret_is_in_no_history() {
        for line in [
            "add credential; set name=a; set data=hunter2; end",
            "select credential data=hunter2",
            "set credential:data=\"hunter2",
            "set data = hunter2",
            "info;set data=hunter2",
        ] {
            assert!(may_be_secret(line, None), "{line}");
        }
        let credential = schema::resource("credential");
        assert!(may_be_secret("set data \"hunter2", credential) && may_be_secret("hunter2", credential));
        for line in ["set user-data=/srv/x", "add fs; set dir=/data; set special=/credentials", "info"] {
            assert!(!may_be_secret(line, None) && !may_be_secret(line, schema::resource("fs")), "{line}");
        }
    }
}

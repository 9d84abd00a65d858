//! `edit`: the configuration as a text, in the editor of whoever wants to see it whole.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;

use zone_config::ZoneName;
use zone_config::document::{Document, Handwritten};
use zone_config::{change, file, store};
use zone_sys::Chain;

use super::Session;
use crate::error::Failure;
use crate::talk::{Answer, Talk};

/// The editor of those who have chosen none.
const EDITOR: &str = "vi";

impl Session {
    /// Has a person edit the configuration, and commits what verifies. What does not may be edited again.
    ///
    /// # Errors
    /// When there is nobody to edit it, when no editor can be run, or when what was edited was given up.
    pub(super) fn edit(&mut self, talk: &mut Talk<'_>) -> Result<(), Failure> {
        if !talk.person {
            return Err(Failure::NoTerminal("edit"));
        }
        let editor = self.editor()?;
        if editor.open().is_some() {
            return Err(Failure::ResourceOpen);
        }
        let (zone, before) = (editor.zone.clone(), editor.document.clone());
        let sealed = self.disk.state.filter(|state| *state > zone_config::State::Configured);
        // With what people have written into the file beside it; what runs has no file of theirs.
        let shown = match (&self.live, &self.disk.name) {
            (None, Some(name)) => before.to_toml_over(&store::written(&self.layout, name)),
            _ => before.to_toml(),
        };
        let mut text = shown.clone();
        loop {
            text = typed(&zone, &text).map_err(|source| Failure::Edited { zone: zone.clone(), source })?;
            let understood = Document::parse(&text, Path::new("the edited text"))
                .map_err(|error| Chain(&error).to_string());
            let found = understood.and_then(|document| {
                match change::sealed(&before, &document).filter(|_| sealed.is_some()) {
                    Some(name) => Err(format!("Zone {zone} already installed; set {name} not allowed.")),
                    None => Ok(Document { text: Handwritten(Some(text.clone())), ..document }),
                }
            });
            match found {
                Ok(document) if text == shown || (self.live.is_some() && document == before) => {
                    talk.note("nothing was changed");
                    return Ok(());
                }
                Ok(document) => {
                    self.editor()?.document = document;
                    match self.commit(talk) {
                        Ok(()) => return Ok(()),
                        Err(failure) => talk.note(&Chain(&failure).to_string()),
                    }
                }
                Err(reason) => talk.note(&reason),
            }
            if talk.ask("Edit again, or give it up")? != Answer::Yes {
                self.editor()?.document = before;
                return Err(Failure::NotSaved);
            }
        }
    }
}

/// What an editor has made of a text.
fn typed(zone: &ZoneName, text: &str) -> io::Result<String> {
    // Of ours alone, by a name that nobody has guessed.
    let mut file = tempfile::Builder::new().prefix(&format!("zone-{zone}-")).suffix(".toml").tempfile()?;
    file.write_all(text.as_bytes())?;
    file.flush()?;
    let chosen = ["VISUAL", "EDITOR"]
        .into_iter()
        .find_map(|name| std::env::var_os(name).filter(|text| !text.is_empty()));
    let editor = chosen.unwrap_or_else(|| EDITOR.into());
    // As git(1) does: it may have arguments.
    let status =
        Command::new("/bin/sh").args(["-c", "exec $0 \"$1\""]).arg(&editor).arg(file.path()).status()?;
    if !status.success() {
        return Err(io::Error::other(format!("the editor {} ended with {status}", editor.display())));
    }
    // By its name: editors put another file in its place.
    let bytes = file::read_at_most(fs::File::open(file.path())?, file::DOCUMENT)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

//! The commands that `zonecfg export` of illumos and Solaris writes.

use zone_config::command::{Command, Script, Term};

use super::{Foreign, MOST_PROPERTIES, Resource, Wrong};

/// Where boot arguments begin, which illumos writes without quotes even where they have blanks.
const BOOTARGS: &str = "set bootargs=";

/// Reads commands.
pub(super) fn parse(text: &str) -> Result<Foreign, Wrong> {
    let text: String = text.lines().map(|line| quoted(line) + "\n").collect();
    let mut foreign = Foreign::default();
    let mut open: Option<Resource> = None;
    for found in Script::new(&text, 1) {
        let located = found.map_err(|error| (error.place.line, error.reason))?;
        let done = take(&mut foreign, &mut open, located.command);
        done.map_err(|reason| (located.place.line, reason))?;
    }
    match open {
        Some(open) => Err((text.lines().count(), format!("the file ends in the resource {}", open.name))),
        None => Ok(foreign),
    }
}

fn take(foreign: &mut Foreign, open: &mut Option<Resource>, command: Command) -> Result<(), String> {
    match (open.as_mut(), command) {
        (None, Command::Create { .. } | Command::Verify | Command::Commit | Command::Exit { .. }) => {}
        (None, Command::Set { property, value }) => foreign.set(&property, value)?,
        (None, Command::Clear { property }) => foreign.set(&property, Term::Word(String::new()))?,
        (None, Command::Add { what, value: None }) => *open = Some(Resource::new(&what)),
        (Some(resource), Command::Set { .. } | Command::Add { .. })
            if resource.values.len() >= MOST_PROPERTIES =>
        {
            return Err(format!("a resource has at most {MOST_PROPERTIES} values"));
        }
        (Some(resource), Command::Set { property, value }) => {
            resource.values.retain(|(name, _)| *name != property);
            resource.put(&property, value);
        }
        (Some(resource), Command::Clear { property }) => {
            resource.values.retain(|(name, _)| *name != property);
        }
        (Some(resource), Command::Add { what, value: Some(value) }) => resource.put(&what, value),
        (Some(_), Command::End) => {
            if let Some(resource) = open.take() {
                foreign.add(resource)?;
            }
        }
        (Some(_), Command::Cancel) => *open = None,
        (_, command) => {
            return Err(format!("'{}' was not expected here: export writes no such command", command.name()));
        }
    }
    Ok(())
}

impl Resource {
    /// Adds a value; a list as its items.
    fn put(&mut self, name: &str, value: Term) {
        match value {
            Term::List(items) => items.into_iter().for_each(|item| self.put(name, item)),
            Term::Word(word) => self.word(name, word),
            Term::Complex(_) => self.values.push((name.to_owned(), value)),
        }
    }
}

/// A line, its boot arguments in quotes.
fn quoted(line: &str) -> String {
    match line.strip_prefix(BOOTARGS) {
        Some(words) if !words.contains('"') => format!("{BOOTARGS}\"{}\"", words.trim_end()),
        _ => line.to_owned(),
    }
}

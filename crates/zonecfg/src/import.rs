//! Configurations of illumos and Solaris: what their files say, and what of that a zone on Linux can have.
//!
//! A file is either the XML of `/etc/zones/NAME.xml`, which a detached zone has too, or the commands that `zonecfg export`
//! writes there. Both are read into names and words, with nothing understood; [`adopt()`] then does what a person would type.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use zone_config::command::Term;
use zone_config::document::MOST_RESOURCES;
use zone_config::file;

mod adopt;
mod script;
mod words;
mod xml;

pub use adopt::adopt;

/// The brand here that is like one of illumos or Solaris; `None` for a word that is none of theirs.
pub fn brand(there: &str) -> Option<&'static str> {
    words::is_brand(there).then(|| words::brand(there, false))
}

/// The line that tells of it.
pub fn brand_told(there: &str, here: &str) -> String {
    format!("brand {there} (it is {here})")
}

/// Tells whether a line is about the brand.
pub fn is_brand_told(line: &str) -> bool {
    line.split(' ').next() == Some("brand")
}

/// The manifest in the zonepath of a zone that was detached.
pub const DETACHED: &str = "SUNWdetached.xml";

/// A configuration as the other system writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    /// The zone's own properties.
    pub globals: Vec<(String, Term)>,
    /// Its resources.
    pub resources: Vec<Resource>,
    /// What the file has that is neither.
    pub left_out: LeftOut,
}

/// What is left out, by its names: each once, in the order in which it was met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    names: Vec<String>,
    known: HashSet<String>,
}

impl LeftOut {
    fn add(&mut self, what: impl Into<String>) {
        let what = what.into();
        if self.known.insert(what.clone()) {
            self.names.push(what);
        }
    }
}

/// Bounds the properties of a zone, and the values of a resource.
const MOST_PROPERTIES: usize = 1000;

/// A resource as the other system writes it: its type, and its properties in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The type's name in the language.
    pub name: String,
    /// The properties; one that is a list is there once for each item.
    pub values: Vec<(String, Term)>,
}

/// A file that is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The answer of the system.
        source: io::Error,
    },
    /// What the file says at a line makes no sense.
    #[error("On line {line} of {}: {reason}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// The directory is not that of a zone that was detached.
    #[error("invalid path to detached zone: there is no {DETACHED} in {}", .0.display())]
    NotDetached(PathBuf),
}

/// What is wrong at a line.
pub type Wrong = (usize, String);

/// Reads the configuration in a file.
///
/// # Errors
/// When it cannot be read, is larger than a configuration may be, or makes no sense.
pub fn read(path: &Path) -> Result<Foreign, ImportError> {
    let failed = |source| ImportError::Read { path: path.to_owned(), source };
    let bytes = File::open(path).and_then(|file| file::read_at_most(file, file::DOCUMENT)).map_err(failed)?;
    understand(path, bytes)
}

fn understand(path: &Path, bytes: Vec<u8>) -> Result<Foreign, ImportError> {
    let text = String::from_utf8(bytes)
        .map_err(|error| ImportError::Read { path: path.to_owned(), source: io::Error::other(error) })?;
    parse(&text).map_err(|(line, reason)| ImportError::Line {
        path: path.to_owned(),
        line,
        reason: shown(&reason),
    })
}

/// Reads the configuration of a zone that was detached, from its zonepath.
///
/// # Errors
/// As [`read`], when there is none, and when it is no regular file: it comes with the zone, from elsewhere.
pub fn read_detached(zonepath: &Path) -> Result<Foreign, ImportError> {
    let path = zonepath.join(DETACHED);
    match file::read_if_there(&path, file::DOCUMENT) {
        Ok(Some(bytes)) => understand(&path, bytes),
        Ok(None) => Err(ImportError::NotDetached(zonepath.to_owned())),
        Err(error) if error.source.kind() == io::ErrorKind::NotADirectory => {
            Err(ImportError::NotDetached(zonepath.to_owned()))
        }
        Err(error) => Err(ImportError::Read { path, source: error.source }),
    }
}

/// Reads a text, XML or commands.
///
/// # Errors
/// With the line, and what is wrong there.
pub fn parse(text: &str) -> Result<Foreign, Wrong> {
    if text.trim_start_matches('\u{feff}').trim_start().starts_with('<') {
        xml::parse(text)
    } else {
        script::parse(text)
    }
}

/// What a file says, as it is shown: nothing in it moves a cursor, and it has an end.
fn shown(text: &str) -> String {
    const MOST: usize = 300;
    let harmless = text.chars().map(|c| if c.is_control() { '?' } else { c });
    let mut shown: String = harmless.clone().take(MOST).collect();
    if harmless.count() > MOST {
        shown.push_str("...");
    }
    shown
}

impl Foreign {
    /// Sets a property of the zone; what is empty is as good as not set there.
    ///
    /// # Errors
    /// When there are as many as are read.
    fn set(&mut self, name: &str, value: Term) -> Result<(), String> {
        self.globals.retain(|(other, _)| other != name);
        if self.globals.len() >= MOST_PROPERTIES {
            return Err(format!("a zone has at most {MOST_PROPERTIES} properties"));
        }
        if value != Term::Word(String::new()) {
            self.globals.push((name.to_owned(), value));
        }
        Ok(())
    }

    /// Adds a resource.
    ///
    /// # Errors
    /// When there are as many as a zone can have.
    fn add(&mut self, resource: Resource) -> Result<(), String> {
        if self.resources.len() >= MOST_RESOURCES {
            return Err(format!("a zone has at most {MOST_RESOURCES} resources"));
        }
        self.resources.push(resource);
        Ok(())
    }
}

impl Resource {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), values: Vec::new() }
    }

    /// Sets a property to a word; what is empty is as good as not set there.
    fn word(&mut self, name: &str, word: impl Into<String>) {
        let word = word.into();
        if !word.is_empty() {
            self.values.push((name.to_owned(), Term::Word(word)));
        }
    }

    /// The word that a property has.
    fn text(&self, name: &str) -> Option<&str> {
        self.values.iter().find_map(|(other, term)| match term {
            Term::Word(word) if other == name => Some(word.as_str()),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;

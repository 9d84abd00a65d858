//! `cargo xtask messages`: the lists of what is said to people, in the PO files of `zone-locale`, one for each language.
//!
//! | module | is |
//! |---|---|
//! | `source` | the texts in the crates' sources |
//! | `lex` | a source, taken apart |
//! | `key` | a text of a source as it stands in the lists |
//! | `words` | what other programs and libraries say, and which words stand in holes |
//! | `check` | what is wrong with a list |

mod check;
mod key;
mod lex;
mod source;
mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use polib::catalog::Catalog;
use polib::message::Message;
use polib::metadata::CatalogMetadata;

use crate::{paths, say};

/// The languages that have a list. Of those that are not complete the test says only what is wrong in what is translated.
const LANGUAGES: [Language; 2] =
    [Language { name: "de", complete: true }, Language { name: "fr", complete: false }];

/// A language that there is a list for.
struct Language {
    name: &'static str,
    /// Whether each message must be translated.
    complete: bool,
}

impl Language {
    fn path(&self) -> PathBuf {
        paths::top().join("crates/zone-locale/po").join(self.name).with_extension("po")
    }

    fn load(&self) -> Result<Catalog> {
        let path = self.path();
        let failed = |error| anyhow::anyhow!("{}: {error}", path.display());
        if path.exists() {
            polib::po_file::parse(&path).map_err(failed)
        } else {
            Ok(Catalog::new(CatalogMetadata::new()))
        }
    }
}

/// What to do with the lists.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Change nothing; fail if a message is missing or wrong in a list
    #[arg(long)]
    check: bool,
}

/// A message, and where it stands: crates, or files with lines.
type All = BTreeMap<String, Vec<Place>>;

/// Where a message stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// The crate, below `crates`; or what else it is of.
    of: String,
    /// The file and its line, for a person.
    at: String,
}

/// Brings the lists up to date, or says what is wrong with them.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let all = all()?;
    if args.check {
        let faults = faults(&all)?;
        faults.iter().for_each(|fault| println!("{fault}"));
        say::note(&format!("{} messages, {} faults", all.len(), faults.len()));
        return Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    for language in &LANGUAGES {
        let empty = update(language, &all)?;
        say::note(&format!(
            "{}: {} messages, {empty} to be translated",
            language.path().display(),
            all.len()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Finds every message.
fn all() -> Result<All> {
    let mut all = All::new();
    let mut add = |key: String, of: &str, at: String| {
        let places = all.entry(key).or_default();
        places.push(Place { of: of.to_owned(), at });
    };
    for found in source::all(paths::top())? {
        add(found.key, &found.of, found.at);
    }
    for (name, command) in [
        ("crates/zoneadm", zoneadm::command()),
        ("crates/zonecfg", zonecfg::command()),
        ("crates/zlogin", zlogin::command()),
        ("crates/zonename", zonename::command()),
    ] {
        for text in zone_locale::help::texts(&command) {
            add(key::escaped(&text), name, format!("the help of {name}"));
        }
    }
    for message in zone_locale::Message::ALL {
        add(
            message.english().to_owned(),
            "crates/zone-locale",
            "crates/zone-locale/src/notices.rs".to_owned(),
        );
    }
    for (of, texts) in words::ALL {
        for text in *texts {
            add((*text).to_owned(), of, format!("xtask/src/messages/words.rs, {of}"));
        }
    }
    for places in all.values_mut() {
        places.sort();
        places.dedup_by(|one, other| one.of == other.of);
    }
    if all.is_empty() {
        bail!("no source has a message");
    }
    Ok(all)
}

/// Writes a list with every message that there is, and no other. Gives how many have no translation.
fn update(language: &Language, all: &All) -> Result<usize> {
    let old = language.load()?;
    let mut metadata = CatalogMetadata::new();
    "zones".clone_into(&mut metadata.project_id_version);
    "1.0".clone_into(&mut metadata.mime_version);
    "text/plain; charset=UTF-8".clone_into(&mut metadata.content_type);
    "8bit".clone_into(&mut metadata.content_transfer_encoding);
    language.name.clone_into(&mut metadata.language);
    let mut new = Catalog::new(metadata);
    let mut sorted: Vec<_> = all.iter().collect();
    sorted.sort_by(|(one, ones), (other, others)| (&ones[0].of, one).cmp(&(&others[0].of, other)));
    let mut empty = 0;
    for (english, places) in sorted {
        let own = old.find_message(None, english, None).and_then(|message| message.msgstr().ok());
        let own = own.unwrap_or_default();
        empty += usize::from(own.is_empty());
        let of: Vec<_> = places.iter().map(|place| place.of.as_str()).collect();
        let message = Message::build_singular()
            .with_source(of.join(" "))
            .with_msgid(english.clone())
            .with_msgstr(own.to_owned())
            .done();
        new.append_or_update(message);
    }
    let path = language.path();
    polib::po_file::write_to_file(&new, &path).with_context(|| path.display().to_string())?;
    Ok(empty)
}

/// Says what is wrong with the lists.
fn faults(all: &All) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for language in &LANGUAGES {
        let catalog = language.load()?;
        let entries: BTreeMap<&str, &str> = catalog
            .messages()
            .map(|message| (message.msgid(), message.msgstr().unwrap_or_default()))
            .collect();
        faults.extend(check::faults(language, all, &entries));
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_has_its_translations() {
        let faults = faults(&all().unwrap()).unwrap();
        assert!(
            faults.is_empty(),
            "{}\nrun `cargo xtask messages`, and translate what is new in crates/zone-locale/po",
            faults.join("\n")
        );
    }
}

//! What of another system's configuration a zone on Linux can have.
//!
//! Everything is given to the editor as a person would type it, so that no value gets in that the language refuses. What is
//! refused, and what Linux has nothing for, is left out and told of by its name.

use zone_config::brand;
use zone_config::command::Term;
use zone_config::net::Address;
use zone_config::schema::{self, Property};
use zone_config::value::Shape;

use super::{Foreign, LeftOut, Resource, shown, words};
use crate::editor::Editor;
use crate::tokens;

/// The property that tells resources of a type from each other, for types that are not known here.
const KEYS: [&str; 7] = ["name", "dir", "physical", "linkname", "match", "user", "id"];

/// Sets what can be set, and returns the names of the rest.
pub fn adopt(foreign: Foreign, editor: &mut Editor) -> Vec<String> {
    let Foreign { globals, resources, left_out } = foreign;
    let mut adopting = Adopting { editor, left_out };
    let inherits = |one: &Resource| one.name == "inherit-pkg-dir" && one.text("dir") == Some("/usr");
    let shares = resources.iter().any(inherits);
    let shared_ip =
        globals.iter().any(|(name, value)| name == "ip-type" && *value == Term::Word("shared".into()));
    let is_branded = globals.iter().any(|(name, _)| name == "brand");
    for (name, value) in globals {
        adopting.global(&name, value, shares);
    }
    if !is_branded {
        // Nothing is written where it is the brand of that system itself.
        adopting.brand("native", shares);
    }
    for resource in resources {
        adopting.resource(resource, shared_ip);
    }
    told(&adopting.left_out)
}

/// What was left out, for one line: the first, and how many more there are.
fn told(left_out: &LeftOut) -> Vec<String> {
    const MOST: usize = 50;
    let left_out = &left_out.names;
    let more = left_out.len().saturating_sub(MOST);
    let more = (more > 0).then(|| format!("and {more} more"));
    left_out.iter().take(MOST).map(|what| shown(what)).chain(more).collect()
}

struct Adopting<'a> {
    editor: &'a mut Editor,
    left_out: LeftOut,
}

impl Adopting<'_> {
    fn leave(&mut self, what: impl Into<String>) {
        self.left_out.add(what);
    }

    fn global(&mut self, name: &str, value: Term, shares: bool) {
        match (name, &value) {
            // It has the name that it is created with.
            ("zonename", _) => return,
            ("brand", Term::Word(brand)) => return self.brand(brand, shares),
            ("limitpriv", Term::Word(all)) => {
                let (known, unknown) = self.known(None, name, all.split(','));
                unknown.iter().for_each(|word| self.leave(format!("limitpriv {word}")));
                let known = known.into_iter().map(Term::Word).collect();
                if self.editor.set(name, &Term::List(known)).is_ok() {
                    return;
                }
            }
            _ => {}
        }
        let value = sized(None, name, value);
        if self.expanded(None, name, &value).is_none_or(|value| self.editor.set(name, &value).is_err()) {
            self.leave(format!("{name} {value}"));
        }
    }

    fn brand(&mut self, there: &str, shares: bool) {
        let here = words::brand(there, shares);
        // What is the default need not be said.
        let set = here == brand::DEFAULT || self.editor.set("brand", &Term::Word(here.to_owned())).is_ok();
        if !set || here != there {
            self.leave(super::brand_told(there, here));
        }
    }

    /// The words that a property that is a list allows one by one, and the rest.
    fn known<'w>(
        &self,
        resource: Option<&str>,
        name: &str,
        words: impl Iterator<Item = &'w str>,
    ) -> (Vec<String>, Vec<String>) {
        let property = row(resource, name);
        let allows = |word: &String| property.is_some_and(|property| property.read(word).is_ok());
        words.map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).partition(allows)
    }

    fn resource(&mut self, resource: Resource, shared_ip: bool) {
        let title = title(&resource);
        let resource = match resource.name.as_str() {
            "inherit-pkg-dir" => match resource.text("dir") {
                Some(dir) if !words::is_of_the_system(dir) => inherited(dir),
                // A sparse zone has those, and a zone with a root of its own has its own.
                _ => return,
            },
            "fs" => match self.filesystem(&title, resource) {
                Some(resource) => resource,
                None => return,
            },
            "net" | "anet" => self.net(&title, resource, shared_ip),
            "device" if !resource.text("match").is_none_or(words::has_device) => return self.leave(title),
            _ => resource,
        };
        // A cap that came as a resource control has made the one that there can be.
        if self.editor.add(&resource.name, None).is_err() && self.editor.select(&resource.name, &[]).is_err()
        {
            return self.leave(title);
        }
        let mut lost = Vec::new();
        for (name, value) in resource.values {
            lost.extend(
                self.set(&resource.name, &name, value).into_iter().map(|value| format!("{name} {value}")),
            );
        }
        if let Err(error) = self.editor.end() {
            // There is one, for it was added or selected.
            let _ = self.editor.cancel();
            return self.leave(format!("{title} ({error})"));
        }
        lost.iter().for_each(|lost| self.leave(format!("{title} {lost}")));
    }

    /// Sets or adds to a property of the open resource, and returns what it does not allow.
    fn set(&mut self, resource: &str, name: &str, value: Term) -> Vec<String> {
        let is_list = row(Some(resource), name).is_some_and(|property| property.kind.shape() == Shape::List);
        match value {
            Term::Word(all) if is_list => {
                let (known, mut unknown) = self.known(Some(resource), name, all.split(','));
                let added = known
                    .into_iter()
                    .map(Term::Word)
                    .map(|word| (word.to_string(), self.editor.add(name, Some(&word))));
                unknown.extend(added.filter(|(_, added)| added.is_err()).map(|(word, _)| word));
                unknown
            }
            value => {
                let value = sized(Some(resource), name, value);
                let done = self.expanded(Some(resource), name, &value).is_some_and(|value| {
                    let editor = &mut self.editor;
                    if is_list { editor.add(name, Some(&value)) } else { editor.set(name, &value) }.is_ok()
                });
                if done { Vec::new() } else { vec![value.to_string()] }
            }
        }
    }

    /// A value with the tokens of its path expanded; `None` if it has one without a meaning here.
    fn expanded(&self, resource: Option<&str>, name: &str, value: &Term) -> Option<Term> {
        match value {
            Term::Word(path) if row(resource, name).is_some_and(tokens::has) => {
                tokens::written(path, self.editor.zone.as_str()).map(Term::Word)
            }
            value => Some(value.clone()),
        }
    }

    /// A file system in the words of Linux, if that has such.
    fn filesystem(&mut self, title: &str, there: Resource) -> Option<Resource> {
        let word = there.text("type").unwrap_or_default().to_owned();
        let Some(fstype) = words::fs_type(&word) else {
            self.leave(format!("{title} (type {word})"));
            return None;
        };
        let mut here = Resource::new("fs");
        for (name, value) in there.values {
            match (name.as_str(), &value) {
                ("type", _) => here.word("type", fstype.as_str()),
                ("raw", _) => self.leave(format!("{title} raw")),
                ("options", Term::Word(all)) => {
                    for option in all.split(',').filter(|option| !option.is_empty()) {
                        match words::fs_option(fstype, option) {
                            Some(option) => here.word("options", option),
                            None => self.leave(format!("{title} option {option}")),
                        }
                    }
                }
                _ => here.values.push((name, value)),
            }
        }
        Some(here)
    }

    /// A net in the words of Linux: what there are addresses that the zone must have are its addresses.
    fn net(&mut self, title: &str, there: Resource, shared_ip: bool) -> Resource {
        let mut here = Resource::new(&there.name);
        let has_address = there.text("address").is_some();
        for (name, value) in there.values {
            let Term::Word(word) = &value else {
                here.values.push((name, value));
                continue;
            };
            let is_own = name == "address" || (name == "allowed-address" && !has_address && !shared_ip);
            if !is_own {
                here.values.push((name, value));
                continue;
            }
            for word in word.split(',').map(str::trim) {
                match word.parse::<Address>() {
                    Ok(_) if word.contains('/') => here.word("address", word),
                    _ => self.leave(format!("{title} address {word} (without the length of its prefix)")),
                }
            }
        }
        if here.text("address").is_none() && here.text("global-nic").is_none() {
            // Routers lie behind addresses.
            here.values.retain(|(name, value)| {
                let keeps = name != "defrouter";
                if !keeps {
                    self.left_out.add(format!("{title} defrouter {value}"));
                }
                keeps
            });
        }
        here
    }
}

/// A directory that the zone has from its host, read-only.
fn inherited(dir: &str) -> Resource {
    let mut here = Resource::new("fs");
    here.word("dir", dir);
    here.word("special", dir);
    here.word("type", "lofs");
    here.word("options", "ro");
    here
}

/// What a resource is called in the list of what was left out.
fn title(resource: &Resource) -> String {
    match KEYS.iter().find_map(|key| resource.text(key)) {
        Some(key) => format!("{} {key}", resource.name),
        None => resource.name.clone(),
    }
}

/// The property of the zone, or of a type of resource.
fn row(resource: Option<&str>, name: &str) -> Option<&'static Property> {
    match resource {
        Some(resource) => schema::resource(resource).and_then(|resource| resource.property(name)),
        None => schema::global(name),
    }
}

/// A value that is a size with a fraction as one without.
fn sized(resource: Option<&str>, name: &str, value: Term) -> Term {
    match (value, row(resource, name).map(|property| property.kind)) {
        (Term::Word(word), Some(zone_config::value::Kind::Size)) => Term::Word(words::size(&word)),
        (value, _) => value,
    }
}

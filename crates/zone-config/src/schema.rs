//! The one table of what a zone's configuration can say.
//!
//! The parser of `NAME.toml`, the `zonecfg` language, `info`, `export`, help, manual page and completion
//! all read it: a property is added by a row in `globals` or `resources`, a line in the list of fields of [`config`](crate::config), and
//! whatever acts on it. Defaults are here and nowhere else.

use serde::{Deserialize, Serialize};

use crate::value::{Kind, Value};

mod globals;
mod resources;

pub use globals::GLOBALS;
pub use resources::RESOURCES;

/// What a property is when nobody sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unset {
    /// It must be set.
    Required,
    /// It is this word.
    Is(&'static str),
    /// It comes from elsewhere, in these words.
    From(&'static str),
    /// It is nothing.
    Nothing,
}

/// When a change of a property takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Applies {
    /// Never once the zone is installed: the property cannot be changed from then on.
    Sealed,
    /// When the zone boots next: until then a live zone has what it was booted with.
    NextBoot,
    /// When `zoneadm apply` gives it to a live zone, or when that boots next.
    Live,
    /// As soon as it is committed: nothing of it is in a live zone.
    AtOnce,
}

impl Applies {
    /// All of them, in the order of the interface file of the door.
    pub const ALL: [Self; 4] = [Self::Sealed, Self::NextBoot, Self::Live, Self::AtOnce];

    /// Says it in a sentence.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Sealed => "It cannot be changed once the zone is installed.",
            Self::NextBoot => "A change takes effect when the zone boots next.",
            Self::Live => "A zone that runs is given a change by 'zoneadm apply'.",
            Self::AtOnce => "A change takes effect at once.",
        }
    }
}

/// One property, of the zone or of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Property {
    /// Its name, in the language and in TOML.
    pub name: &'static str,
    /// What its values may be.
    pub kind: Kind,
    /// What it is when nobody sets it.
    pub unset: Unset,
    /// When a change of it takes effect.
    pub applies: Applies,
    /// What of its effect is not there yet, to follow "but "; then `commit` says so too.
    pub pending: Option<&'static str>,
    /// Whether it has no meaning on Linux: it is kept, and a commit says so.
    pub foreign: bool,
    /// Whether its value is shown to nobody, and the file that has it is root's alone to read.
    pub secret: bool,
    /// Whether it is in `NAME.toml`; the zone's name is the file's.
    pub stored: bool,
    /// What it is for, in a sentence.
    pub help: &'static str,
    /// The first version that had it.
    pub since: &'static str,
}

/// One type of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its name, in the language and in TOML.
    pub name: &'static str,
    /// The property that no two of them share.
    pub key: &'static str,
    /// Whether a zone has at most one.
    pub single: bool,
    /// Its properties, in the order of `info` and `export`.
    pub properties: &'static [Property],
    /// What it is for, in a sentence.
    pub help: &'static str,
    /// The first version that had it.
    pub since: &'static str,
}

impl Property {
    const fn new(name: &'static str, kind: Kind, unset: Unset, help: &'static str) -> Self {
        Self {
            name,
            kind,
            unset,
            applies: Applies::NextBoot,
            pending: None,
            foreign: false,
            secret: false,
            stored: true,
            help,
            since: "0.1.0",
        }
    }

    const fn foreign(mut self) -> Self {
        self.foreign = true;
        self
    }

    const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    const fn sealed(mut self) -> Self {
        self.applies = Applies::Sealed;
        self
    }

    const fn live(mut self) -> Self {
        self.applies = Applies::Live;
        self
    }

    const fn at_once(mut self) -> Self {
        self.applies = Applies::AtOnce;
        self
    }

    const fn pending(mut self, what: &'static str) -> Self {
        self.pending = Some(what);
        self
    }

    const fn not_stored(mut self) -> Self {
        self.stored = false;
        self
    }

    /// Whether it must be set.
    pub fn is_required(&self) -> bool {
        self.unset == Unset::Required
    }

    /// The value it has when nobody sets it, when that is the same for every zone.
    pub fn default_value(&self) -> Option<Value> {
        match self.unset {
            Unset::Is(word) => self.kind.read(word),
            _ => None,
        }
    }

    /// Understands a word given for it.
    ///
    /// # Errors
    /// With what is allowed.
    pub fn read(&self, word: &str) -> Result<Value, ValueError> {
        self.kind.read(word).ok_or_else(|| match self.secret {
            true => ValueError::new(self, SECRET.to_owned()),
            false => ValueError::new(self, format!("\"{word}\"")),
        })
    }

    /// Understands a list given for it; one item is as good as the word alone.
    ///
    /// # Errors
    /// With what is allowed.
    pub fn read_list(&self, items: Vec<String>) -> Result<Value, ValueError> {
        let given = format!("[{}]", items.join(","));
        let value = match (self.kind.read_list(items.clone()), items.as_slice()) {
            (None, [one]) => self.kind.read(one),
            (value, _) => value,
        };
        value.ok_or_else(|| ValueError::new(self, given))
    }
}

impl Resource {
    /// One of its properties.
    pub fn property(&self, name: &str) -> Option<&'static Property> {
        let synonym = SYNONYMS.iter().find(|(theirs, _)| self.name == "net" && *theirs == name);
        let name = synonym.map_or(name, |(_, ours)| ours);
        self.properties.iter().find(|property| property.name == name)
    }
}

/// A value that its property does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{property}: {given} is not allowed; allowed: {allowed}{meant}")]
pub struct ValueError {
    /// The property.
    pub property: &'static str,
    /// What was given, as it was written.
    pub given: String,
    /// What is allowed instead.
    pub allowed: String,
    /// The question whether a word was meant that is allowed, or nothing.
    pub meant: String,
}

impl ValueError {
    pub(crate) fn new(property: &Property, mut given: String) -> Self {
        let meant = property.kind.meant(&given);
        // Enough to find it by.
        const SHOWN: usize = 200;
        if let Some((at, _)) = given.char_indices().nth(SHOWN) {
            given.truncate(at);
            given.push_str("...");
        }
        Self { property: property.name, given, allowed: property.kind.allowed(), meant }
    }
}

/// What stands for the value of a property that is secret.
pub const SECRET: &str = "(secret)";

/// What Solaris calls some properties of its `anet`, and what they are called here.
const SYNONYMS: [(&str, &str); 3] =
    [("linkname", "physical"), ("lower-link", "global-nic"), ("mac-address", "mac-addr")];

/// Solaris' word for a net on the managed network, or on a link that it names.
pub const ANET: &str = "anet";

/// A property of the zone, by its name.
pub fn global(name: &str) -> Option<&'static Property> {
    GLOBALS.iter().find(|property| property.name == name)
}

/// A type of resource, by its name.
pub fn resource(name: &str) -> Option<&'static Resource> {
    let name = if name == ANET { "net" } else { name };
    RESOURCES.iter().find(|resource| resource.name == name)
}

/// The names of rows, for "allowed: ".
pub fn names<'a>(rows: impl IntoIterator<Item = &'a Property>) -> String {
    rows.into_iter().map(|row| row.name).collect::<Vec<_>>().join(", ")
}

/// The names of all types of resources, for "allowed: ".
pub fn resource_names() -> String {
    RESOURCES.iter().map(|row| row.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_is_sound() {
        let tables = RESOURCES.iter().map(|resource| resource.properties).chain([GLOBALS]);
        for table in tables {
            let names: BTreeSet<_> = table.iter().map(|property| property.name).collect();
            assert_eq!(names.len(), table.len(), "{names:?}");
            for property in table {
                assert!(property.help.ends_with('.'), "{}", property.name);
                assert!(property.pending.is_none_or(|text| text.ends_with('.')), "{}", property.name);
                if let Unset::Is(word) = property.unset {
                    assert!(property.kind.read(word).is_some(), "{}", property.name);
                }
            }
        }
        for resource in RESOURCES {
            assert!(resource.property(resource.key).is_some_and(|key| key.is_required() || resource.single));
            assert!(global(resource.name).is_none(), "{}", resource.name);
        }
    }

    #[test]
    fn a_refusal_says_what_is_allowed() {
        let refused = global("ip-type").unwrap().read("exclusiv").unwrap_err().to_string();
        assert!(refused.ends_with("; did you mean \"exclusive\"?"), "{refused}");
        let fs_type = resource("fs").unwrap().property("type").unwrap();
        assert_eq!(
            fs_type.read("zfs").unwrap_err().to_string(),
            "type: \"zfs\" is not allowed; allowed: lofs, tmpfs, ext4, xfs, btrfs, vfat, iso9660, overlay, nfs"
        );
        assert!(fs_type.read_list(vec!["lofs".into()]).is_ok());
        let long = fs_type.read(&"é".repeat(300_000)).unwrap_err().to_string();
        assert!(long.contains("éé... is not allowed") && long.len() < 500, "{long}");
    }
}

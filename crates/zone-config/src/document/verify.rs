//! What must hold of a configuration as a whole. The machine is not looked at: that is `zoneadm verify`.

use std::collections::HashSet;
use std::fmt;

use zone_sys::Chain;

use super::{Document, Instance, Properties};
use crate::config::{FsOwners, FsType};
use crate::device::Pattern;
use crate::schema::{Property, RESOURCES};
use crate::value::Value;
use crate::{Brand, filesystem, limits, net, privilege, secflags, sysctl};

/// Something that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The resource it is in, as `fs /data`; `None` for the zone itself.
    pub resource: Option<String>,
    /// The property that is wrong, by its name in the table.
    pub property: &'static str,
    /// What is wrong, with what is allowed.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(resource) = &self.resource {
            write!(f, "{resource}: ")?;
        }
        write!(f, "{} {}", self.property, self.reason)
    }
}

impl Document {
    /// The first property that must be set and is not.
    pub fn missing(&self) -> Option<Problem> {
        let problem = |resource, row: &Property| {
            Some(Problem { resource, property: row.name, reason: not_specified(row) })
        };
        let mut globals = Self::stored_globals().filter(|row| row.is_required());
        if let Some(row) = globals.find(|row| self.globals.get(row.name).is_none()) {
            return problem(None, row);
        }
        let found = self.resources.iter().find_map(|instance| Some((instance, instance.missing()?)))?;
        let (instance, row) = found;
        let mut before = self.of(instance.resource.name);
        let position = before.position(|other| std::ptr::eq(other, instance)).unwrap_or_default();
        problem(Some(instance.title(position)), row)
    }

    /// The mode of the file that it is written to: with something secret in it, it is root's alone to read.
    #[must_use]
    pub fn mode(&self) -> u32 {
        let is_set = |values: &Properties, rows: &[Property]| {
            rows.iter().any(|row| row.secret && values.get(row.name).is_some())
        };
        let secret = self.resources.iter().any(|one| is_set(&one.values, one.resource.properties));
        if secret { 0o600 } else { 0o644 }
    }

    /// Everything that is wrong, not just the first; empty when the zone could be installed.
    pub fn verify(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = Self::stored_globals()
            .filter_map(|row| Some((row.name, self.globals.fault(row)?)))
            .map(|(property, reason)| Problem { resource: None, property, reason })
            .collect();
        if let Some(brand) = self.globals.text("brand")
            && let Err(error) = Brand::load(brand)
        {
            let reason = format!("cannot be used: {}", Chain(&error));
            problems.push(Problem { resource: None, property: "brand", reason });
        }
        for resource in RESOURCES {
            let mut seen = HashSet::new();
            for (position, instance) in self.of(resource.name).enumerate() {
                let title = instance.title(position);
                let twice = match resource.single {
                    true if position > 0 => Some("is of a second resource of a type of which a zone has one"),
                    true => None,
                    false => instance
                        .key()
                        .filter(|key| !seen.insert(key.to_string()))
                        .map(|_| "is that of another resource of this type"),
                };
                let twice = twice.map(|reason| (resource.key, reason.to_owned()));
                let rows = resource.properties.iter();
                let faults = rows.filter_map(|row| Some((row.name, instance.values.fault(row)?)));
                let found = faults.chain(twice).chain(instance.mismatch());
                problems.extend(found.map(|(property, reason)| Problem {
                    resource: Some(title.clone()),
                    property,
                    reason,
                }));
            }
        }
        let words = self.globals.list("limitpriv");
        // A word of another kind was told before.
        if words.iter().all(|word| privilege::is_word(word))
            && let Err(error) = privilege::limit(words)
        {
            let reason = format!("cannot be obeyed: {error}");
            problems.push(Problem { resource: None, property: "limitpriv", reason });
        }
        let is_set = |name| self.globals.get(name) == Some(&Value::Bool(true));
        if is_set("lxcfs") && is_set("nesting") {
            let reason = "excludes nesting, for containers get no /proc where something is mounted on it; allowed: one of both";
            problems.push(Problem { resource: None, property: "lxcfs", reason: reason.to_owned() });
        }
        problems.extend(net::problems(self));
        problems.extend(limits::problems(self));
        problems
    }
}

impl Properties {
    /// What is wrong with one property, whoever set it.
    fn fault(&self, row: &Property) -> Option<String> {
        match self.get(row.name) {
            None if row.is_required() => Some(not_specified(row)),
            Some(value) if !row.kind.allows(value) && row.secret => {
                Some(format!("is not allowed; allowed: {}", row.kind.allowed()))
            }
            Some(value) if !row.kind.allows(value) => {
                Some(format!("is \"{value}\"; allowed: {}", row.kind.allowed()))
            }
            _ => None,
        }
    }
}

fn not_specified(row: &Property) -> String {
    format!("not specified; allowed: {}", row.kind.allowed())
}

impl Instance {
    /// Names it by its key, or else by its type alone.
    pub(crate) fn named(&self) -> String {
        match self.key() {
            Some(key) => format!("{} {key}", self.resource.name),
            None => self.resource.name.to_owned(),
        }
    }

    /// What it is called in errors: by its key, or else by its position among those of its type, from 0.
    fn title(&self, position: usize) -> String {
        match self.key() {
            Some(key) => format!("{} {key}", self.resource.name),
            None => format!("{} number {}", self.resource.name, position + 1),
        }
    }

    /// Two properties of a resource that do not go together.
    pub fn mismatch(&self) -> Option<(&'static str, String)> {
        let text = |name| self.values.text(name);
        match self.resource.name {
            "fs" => {
                if let Some(reason) = text("dir").and_then(filesystem::reserved) {
                    return Some((
                        "dir",
                        format!("is \"{}\", which cannot be mounted on: {reason}", text("dir")?),
                    ));
                }
                let (word, special) = (text("type")?, text("special")?);
                let fstype = FsType::of(word)?;
                let wanted = match fstype {
                    FsType::Tmpfs => None,
                    FsType::Nfs => filesystem::server(special).err(),
                    _ => (!special.starts_with('/')).then_some("an absolute path of the host"),
                };
                if let Some(allowed) = wanted {
                    return Some((
                        "special",
                        format!("is \"{special}\"; for type {word} allowed: {allowed}"),
                    ));
                }
                if fstype == FsType::Nfs && text("owners") != Some(FsOwners::Host.as_str()) {
                    let reason =
                        "is \"map\"; for type nfs allowed: host, for Linux maps no owners of a server";
                    return Some(("owners", reason.to_owned()));
                }
                if fstype == FsType::Tmpfs && text("owners") == Some(FsOwners::Host.as_str()) {
                    let reason = "is \"host\"; for type tmpfs allowed: map, for its files are the zone's";
                    return Some(("owners", reason.to_owned()));
                }
                let options = self.values.list("options");
                let mut refused =
                    options.iter().filter_map(|option| filesystem::read_option(fstype, option).err());
                match refused.next() {
                    Some(refused) => Some(("options", format!("cannot be used: {refused}"))),
                    None => {
                        let lacking = filesystem::lacking(fstype, options)?;
                        Some(("options", format!("are not enough: {lacking}")))
                    }
                }
            }
            "credential" => match (text("data"), text("source")) {
                (None, None) => Some(("data", "not specified; set data, or source".to_owned())),
                (Some(_), Some(_)) => {
                    Some(("source", "is set, and so is data; one of them is it".to_owned()))
                }
                _ => None,
            },
            "rctl" => limits::rctl_mismatch(text("name")?),
            "dedicated-cpu" => limits::dedicated_mismatch(text("ncpus"), text("cpus")),
            "io" => {
                let all = ["read-bandwidth", "write-bandwidth", "read-iops", "write-iops"];
                let none = all.iter().all(|name| self.values.get(name).is_none());
                let reason = "not specified, and no other limit; one of them has to be";
                none.then(|| ("read-bandwidth", reason.to_owned()))
            }
            "capped-memory" => limits::mismatch(text("physical"), text("swap"), text("locked")),
            "device" => {
                let pattern: Pattern = text("match")?.parse().ok()?;
                let reason = pattern.refused()?;
                Some(("match", format!("is \"{pattern}\", which no zone gets: {reason}")))
            }
            "sysctl" => {
                let (name, property) = (text("name")?, sysctl::limit(text("name")?)?);
                Some(("name", format!("is \"{name}\", which is the zone's limit: set {property} instead")))
            }
            "security-flags" => {
                let list = |name| self.values.list(name);
                let wrong = secflags::violation(list("default"), list("lower"), list("upper"))?;
                Some(("default", format!("cannot be: {wrong}")))
            }
            "attr" => {
                let (kind, value) = (text("type")?, text("value")?);
                let (fits, allowed) = match kind {
                    "int" => (value.parse::<i64>().is_ok(), "a whole number"),
                    "uint" => (value.parse::<u64>().is_ok(), "a whole number that is not negative"),
                    "boolean" => (matches!(value, "true" | "false"), "true, false"),
                    _ => (true, ""),
                };
                (!fits).then(|| ("value", format!("is \"{value}\"; for type {kind} allowed: {allowed}")))
            }
            _ => net::mismatch(self),
        }
    }
}

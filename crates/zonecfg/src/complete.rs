//! What can follow on a line of zonecfg that a person types: commands, resources, properties and values.

use std::fs;
use std::path::Path;

use zone_config::command::{COMMANDS, Scope};
use zone_config::schema::{GLOBALS, Property, RESOURCES, Resource};
use zone_config::value::Kind;

/// How many names of files are offered at most.
const MOST: usize = 500;

/// Where a line is typed.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The resource that is open.
    pub resource: Option<&'static Resource>,
    /// The names of all zones.
    pub zones: Vec<String>,
    /// The host's brands.
    pub brands: Vec<String>,
}

/// What stands on the line from the start of the last word on, and what that word may become. `line` ends where the cursor is.
pub fn complete(line: &str, place: &Place) -> (usize, Vec<String>) {
    let from = line.rfind(';').map_or(0, |at| at + 1);
    let command = &line[from..];
    let start = command.rfind([' ', '\t', '=', '[', ',', '(']).map_or(0, |at| at + 1);
    let word = &command[start..];
    let before: Vec<&str> = command[..start].split_whitespace().collect();
    let after_equals = command[..start].trim_end_matches(['[', ',']).contains('=');
    let mut found = match before.as_slice() {
        [] => commands(place),
        ["set", rest @ ..] if after_equals => {
            let property = rest.first().map(|text| text.split('=').next().unwrap_or_default());
            property
                .and_then(|name| property_of(name, place))
                .map_or_else(Vec::new, |property| values(property, word, place))
        }
        ["set"] => with(&properties(place), "="),
        ["clear"] => properties(place),
        ["add" | "remove"] => match place.resource {
            Some(_) => properties(place),
            None => RESOURCES.iter().map(|row| row.name.to_owned()).collect(),
        },
        ["add" | "remove", name] if place.resource.is_some() => {
            property_of(name, place).map_or_else(Vec::new, |property| values(property, word, place))
        }
        ["select" | "info" | "remove", name, ..] if place.resource.is_none() => match resource(name) {
            Some(resource) => with(&names(resource.properties), "="),
            None => Vec::new(),
        },
        ["select"] => RESOURCES.iter().map(|row| row.name.to_owned()).collect(),
        ["info"] => {
            let all = RESOURCES.iter().map(|row| row.name).chain(GLOBALS.iter().map(|row| row.name));
            all.map(str::to_owned).collect()
        }
        ["create"] => ["-F", "-b", "-t", "-a", "-f"].map(str::to_owned).to_vec(),
        ["create", .., "-t"] => place.zones.clone(),
        ["export", "-f"] | ["create", .., "-a" | "-f"] => files(word),
        ["help"] => {
            let all = COMMANDS.iter().map(|row| row.name).chain(RESOURCES.iter().map(|row| row.name));
            all.chain(GLOBALS.iter().map(|row| row.name)).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    found.retain(|name| name.starts_with(word));
    found.sort();
    found.dedup();
    // A word of a command that stands alone goes on behind a blank.
    if before.is_empty() {
        found.iter_mut().for_each(|name| name.push(' '));
    }
    (from + start, found)
}

fn commands(place: &Place) -> Vec<String> {
    let fits = |scope: Scope| match place.resource {
        Some(_) => scope != Scope::Global,
        None => scope != Scope::Resource,
    };
    COMMANDS.iter().filter(|row| fits(row.scope)).map(|row| row.name.to_owned()).collect()
}

fn with(names: &[String], end: &str) -> Vec<String> {
    names.iter().map(|name| format!("{name}{end}")).collect()
}

fn names(rows: &[Property]) -> Vec<String> {
    rows.iter().map(|row| row.name.to_owned()).collect()
}

fn properties(place: &Place) -> Vec<String> {
    place.resource.map_or_else(|| names(GLOBALS), |resource| names(resource.properties))
}

fn resource(name: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|row| row.name == name)
}

fn property_of(name: &str, place: &Place) -> Option<&'static Property> {
    let rows: &'static [Property] = place.resource.map_or(GLOBALS, |resource| resource.properties);
    rows.iter().find(|row| row.name == name)
}

/// What a property may be, as far as that can be listed.
fn values(property: &Property, word: &str, place: &Place) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    if property.name == "brand" {
        return place.brands.clone();
    }
    match property.kind {
        Kind::Bool => words(&["true", "false"]),
        Kind::Choice(choice) | Kind::Words(choice) => words(choice),
        Kind::Zones => place.zones.clone(),
        Kind::Lower => words(&["auto"]).into_iter().chain(links()).collect(),
        Kind::Addresses => words(&["dhcp"]),
        Kind::CpuList => online().into_iter().collect(),
        Kind::Path | Kind::Devices => files(word),
        _ if property.name == "special" => files(word),
        _ => Vec::new(),
    }
}

/// The links of the host.
fn links() -> Vec<String> {
    let entries = fs::read_dir("/sys/class/net").into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| name != "lo").collect()
}

/// The CPUs of the host, as the kernel lists them.
fn online() -> Option<String> {
    fs::read_to_string("/sys/devices/system/cpu/online").ok().map(|text| text.trim().to_owned())
}

/// Files whose path begins so; a directory with a slash behind it.
fn files(word: &str) -> Vec<String> {
    let (dir, begin) = match word.rfind('/') {
        Some(at) => (&word[..=at], &word[at + 1..]),
        None => return if word.is_empty() { vec!["/".to_owned()] } else { Vec::new() },
    };
    let entries = fs::read_dir(Path::new(dir)).into_iter().flatten().filter_map(Result::ok);
    let named = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        // What would need quotes is typed with them.
        let plain = name.chars().all(|c| c.is_alphanumeric() || "_.:-+@%".contains(c));
        let slash = if entry.file_type().ok()?.is_dir() { "/" } else { "" };
        (plain && name.starts_with(begin)).then(|| format!("{dir}{name}{slash}"))
    });
    named.take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str, resource_name: Option<&str>) -> (usize, Vec<String>) {
        let place = Place {
            resource: resource_name.and_then(resource),
            zones: vec!["db".into(), "web".into()],
            brands: vec!["linux".into(), "sparse".into()],
        };
        complete(line, &place)
    }

    fn words(line: &str, resource_name: Option<&str>) -> String {
        found(line, resource_name).1.join("|")
    }

    #[test]
    fn commands_are_those_of_the_scope() {
        assert_eq!(words("ver", None), "verify ");
        assert_eq!(words("e", None), "edit |exit |export ");
        assert_eq!(words("e", Some("net")), "end |exit |export ");
        assert_eq!(found("add net; se", None), (9, vec!["select ".into(), "set ".into()]));
    }

    #[test]
    fn resources_and_properties() {
        assert_eq!(words("add ne", None), "net");
        assert_eq!(words("set autob", None), "autoboot=");
        assert_eq!(found("clear bootar", None), (6, vec!["bootargs".into()]));
        assert_eq!(words("set spec", Some("fs")), "special=");
        assert_eq!(words("add opt", Some("fs")), "options");
        assert_eq!(words("select fs di", None), "dir=");
        assert_eq!(words("info autob", None), "autoboot");
    }

    #[test]
    fn values() {
        assert_eq!(found("set autoboot=t", None), (13, vec!["true".into()]));
        assert_eq!(words("set brand=", None), "linux|sparse");
        assert_eq!(words("set ip-type=ex", None), "exclusive");
        assert_eq!(words("create -t w", None), "web");
        assert_eq!(words("set dir=/pro", Some("fs")), "/proc/");
        assert_eq!(words("set nothing=", None), "");
    }
}

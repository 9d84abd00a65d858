//! What can follow on a line of zonecfg that a person types: commands, resources, properties and values.

use std::fs;
use std::path::Path;

use zone_config::command::{self, COMMANDS, CommandSpec, Scope};
use zone_config::config::FsType;
use zone_config::schema::{GLOBALS, Property, RESOURCES, Resource};
use zone_config::value::Kind;
use zone_config::{filesystem, privilege, sysctl};

use crate::editor::PARTS;

/// How many names of files are offered at most.
const MOST: usize = 500;

/// Where a line is typed.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The resource that is open.
    pub resource: Option<&'static Resource>,
    /// The type of the file system that is open, as far as it is set.
    pub fstype: Option<FsType>,
    /// The names of all zones.
    pub zones: Vec<String>,
    /// The host's brands.
    pub brands: Vec<String>,
    /// What the zone's resources have: of which type, which property, and its value as it is typed.
    pub there: Vec<(&'static str, &'static str, String)>,
}

impl Place {
    /// What a property has in the zone's resources of a type.
    fn values(&self, resource: &str, property: &str) -> Vec<String> {
        let of = self.there.iter().filter(|(of, name, _)| *of == resource && *name == property);
        of.map(|(_, _, value)| value.clone()).collect()
    }
}

/// What stands on the line from the start of the last word on, and what that word may become. `line` ends where the cursor is.
pub fn complete(line: &str, place: &Place) -> (usize, Vec<String>) {
    let from = line.rfind(';').map_or(0, |at| at + 1);
    let command = &line[from..];
    let start = command.rfind([' ', '\t', '=', '[', ',', '(', '"']).map_or(0, |at| at + 1);
    let word = &command[start..];
    let before: Vec<&str> = command[..start].split_whitespace().filter(|word| !is_flag(word)).collect();
    // Before the value that is begun, be it the first of a list.
    let assigned = command[..start].rsplit_once('=').filter(|(_, list)| is_list(list));
    let assigned = assigned.and_then(|(text, _)| text.split_whitespace().last());
    let option = mount_option(&command[..start], place);
    let mut found = match before.as_slice() {
        [] => commands(place),
        ["set" | "add", ..] if option.is_some() => option_values(option.unwrap_or_default(), word),
        [name] if word.starts_with('-') => command::spec(name).map(CommandSpec::options).unwrap_or_default(),
        ["set", ..] if assigned.is_some() => {
            values_of(assigned.and_then(|name| property_of(name, place)), word, place)
        }
        ["select" | "info" | "remove", name, ..] if assigned.is_some() => {
            let there = assigned.map(|property| place.values(name, property)).unwrap_or_default();
            let row = resource(name).and_then(|resource| resource.property(assigned?));
            if there.is_empty() { values_of(row, word, place) } else { there }
        }
        ["set"] => with(&all_properties(word, place), "="),
        ["clear"] => all_properties(word, place),
        ["add" | "remove"] => match place.resource {
            Some(_) => properties(place),
            None => RESOURCES.iter().map(|row| row.name.to_owned()).collect(),
        },
        ["add" | "remove", name, list @ ..]
            if place.resource.is_some() && list.iter().all(|list| is_list(list)) =>
        {
            values_of(property_of(name, place), word, place)
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
        ["create"] => command::spec("create").map(CommandSpec::options).unwrap_or_default(),
        ["create", .., "-t"] => place.zones.clone(),
        ["export", "-f"] | ["create", .., "-a" | "-f"] => files(word),
        ["help"] => {
            let all = COMMANDS.iter().map(|row| row.name).chain(RESOURCES.iter().map(|row| row.name));
            let all = all.chain(["commands", "syntax", "usage"]);
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

/// An option without a word of its own, behind which a command goes on as without it.
fn is_flag(word: &str) -> bool {
    matches!(word, "-F" | "--json")
}

/// Whether this begins a list that is not closed yet, or nothing.
fn is_list(text: &str) -> bool {
    let text = text.strip_prefix('"').unwrap_or(text);
    text.is_empty() || text.ends_with(['[', ','])
}

/// The option of a file system whose value is begun: `upper=` of `set options=[ro,upper=`.
fn mount_option<'a>(before: &'a str, place: &Place) -> Option<&'a str> {
    let is_fs = place.resource.is_some_and(|open| open.name == "fs");
    let from = before.rfind([' ', '\t', '[', ',', '"']).map_or(0, |at| at + 1);
    let option = &before[from..];
    (is_fs && option.ends_with('=') && filesystem::option_words(place.fstype).contains(&option))
        .then_some(option)
}

fn option_values(option: &str, word: &str) -> Vec<String> {
    match option {
        "upper=" | "lower=" => files(word),
        _ => filesystem::option_values(option).iter().map(|value| (*value).to_owned()).collect(),
    }
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

/// Those of the scope; where a resource is named before one, those of the resource.
fn all_properties(word: &str, place: &Place) -> Vec<String> {
    let single = |name: &str| resource(name).filter(|row| row.single && place.resource.is_none());
    match word.split_once(PARTS) {
        Some((name, _)) => single(name).map_or_else(Vec::new, |row| {
            let begin = &word[..=name.len()];
            names(row.properties).iter().map(|name| format!("{begin}{name}")).collect()
        }),
        None => properties(place),
    }
}

fn resource(name: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|row| row.name == name)
}

fn property_of(name: &str, place: &Place) -> Option<&'static Property> {
    if let (None, Some((of, name))) = (place.resource, name.split_once(PARTS)) {
        return resource(of)?.property(name);
    }
    let rows: &'static [Property] = place.resource.map_or(GLOBALS, |resource| resource.properties);
    rows.iter().find(|row| row.name == name)
}

fn values_of(property: Option<&'static Property>, word: &str, place: &Place) -> Vec<String> {
    property.map_or_else(Vec::new, |property| values(property, word, place))
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
        Kind::Link => links(),
        Kind::Addresses => words(&["dhcp"]),
        Kind::CpuList => online().into_iter().collect(),
        Kind::Cpus | Kind::WholeCpus => {
            std::thread::available_parallelism().iter().map(ToString::to_string).collect()
        }
        Kind::Path | Kind::Devices => files(word),
        Kind::Options => words(&filesystem::option_words(place.fstype)),
        Kind::Privileges => privileges(word),
        Kind::Sysctl => settings(word),
        _ if property.name == "special" => files(word),
        _ if property.name == "user" => users(),
        _ => Vec::new(),
    }
}

/// The privileges; behind `!` or `-` those that can be taken away.
fn privileges(word: &str) -> Vec<String> {
    let taken = word.get(..1).filter(|mark| matches!(*mark, "!" | "-"));
    let mark = taken.unwrap_or_default();
    privilege::words(taken.is_some()).map(|name| format!("{mark}{name}")).collect()
}

/// The settings of the kernel that a zone has for itself; those of the network part by part, as the kernel here has them.
fn settings(word: &str) -> Vec<String> {
    const NETWORK: &str = "net.";
    let Some(above) = word.rfind('.').map(|at| &word[..=at]).filter(|above| above.starts_with(NETWORK))
    else {
        return sysctl::OWN.into_iter().chain([NETWORK]).map(str::to_owned).collect();
    };
    let dir = Path::new("/proc/sys").join(sysctl::path(above.trim_end_matches('.')));
    let entries = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let named = entries.filter_map(|entry| {
        // A dot of a link's name is written as a slash.
        let name = entry.file_name().into_string().ok()?.replace('.', "/");
        let dot = if entry.file_type().ok()?.is_dir() { "." } else { "" };
        Some(format!("{above}{name}{dot}")).filter(|name| sysctl::is_own(name.trim_end_matches('.')))
    });
    named.take(MOST).collect()
}

/// The users of the host that are in its files.
fn users() -> Vec<String> {
    let text = fs::read_to_string("/etc/passwd").unwrap_or_default();
    text.lines().filter_map(|line| line.split(':').next()).map(str::to_owned).collect()
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
            fstype: None,
            zones: vec!["db".into(), "web".into()],
            brands: vec!["linux".into(), "sparse".into()],
            there: vec![("fs", "dir", "/data".into()), ("net", "physical", "eth0".into())],
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
        assert_eq!(words("info --json autob", None), "autoboot");
        assert_eq!(
            words("set capped-memory:", None),
            "capped-memory:locked=|capped-memory:physical=|capped-memory:swap="
        );
        assert_eq!(words("clear capped-memory.ph", None), "capped-memory.physical");
        assert_eq!(words("set fs:di", None), "", "there can be several");
        assert_eq!(words("delete -", None), "-F");
        assert_eq!(words("export -", None), "--json|-f");
        assert_eq!(words("remove -F po", None), "port");
    }

    #[test]
    fn mount_options_are_those_of_the_type() {
        let options = |line: &str, fstype| {
            let place = Place { resource: resource("fs"), fstype, ..Place::default() };
            complete(line, &place).1.join("|")
        };
        assert_eq!(options("add options n", Some(FsType::Tmpfs)), "nodev|noexec|nosuid|nr_inodes=");
        assert_eq!(options("add options [ro,nos", Some(FsType::Lofs)), "nosub|nosuid");
        assert_eq!(options("set options=[ro,u", Some(FsType::Overlay)), "upper=");
        assert_eq!(options("add options v", None), "vers=");
        assert_eq!(options("add options v", Some(FsType::Ext4)), "");
        assert_eq!(options("add options vers=4.", Some(FsType::Nfs)), "4.0|4.1|4.2");
        assert_eq!(options("set options=[ro,upper=/pro", Some(FsType::Overlay)), "/proc/");
        assert_eq!(options("add options upper=/pro", Some(FsType::Ext4)), "", "it has none");
    }

    #[test]
    fn values() {
        assert_eq!(found("set autoboot=t", None), (13, vec!["true".into()]));
        assert_eq!(words("set brand=", None), "linux|sparse");
        assert_eq!(words("set ip-type=ex", None), "exclusive");
        assert_eq!(words("create -t w", None), "web");
        assert_eq!(words("set dir=/pro", Some("fs")), "/proc/");
        assert_eq!(words("set nothing=", None), "");
        assert_eq!(words("add auths [login,ma", Some("admin")), "manage");
        assert_eq!(words("set auths=[login,ma", Some("admin")), "manage");
        assert_eq!(words("set auths=[login] ", Some("admin")), "");
        assert_eq!(words("set user=roo", Some("admin")), "root");
        assert_eq!(words("select fs type=tm", None), "tmpfs");
        assert_eq!(words("select fs type=tmpfs di", None), "dir=");
        assert_eq!(words("select fs dir=", None), "/data");
        assert_eq!(words("remove net physical=e", None), "eth0");
        assert_eq!(words("set limitpriv=default,!net_r", None), "!net_raw|!net_rawaccess");
        assert_eq!(words("set limitpriv=\"default,sys_ad", None), "sys_admin");
        assert_eq!(words("set limitpriv=\"def", None), "default");
        assert_eq!(words("set limitpriv=sys_mod", None), "", "no zone is given that");
        assert_eq!(words("set limitpriv=[default,-mk", None), "-mknod");
        assert_eq!(words("set name=kernel.shmm", Some("sysctl")), "kernel.shmmax");
        assert_eq!(words("set name=ne", Some("sysctl")), "net.");
        assert_eq!(
            words("set name=net.ipv4.ip_forw", Some("sysctl")),
            "net.ipv4.ip_forward|net.ipv4.ip_forward_update_priority|net.ipv4.ip_forward_use_pmtu"
        );
        assert_eq!(words("set name=net.ipv4.con", Some("sysctl")), "net.ipv4.conf.");
        assert!(words("set dedicated-cpu:ncpus=", None).parse::<usize>().is_ok());
    }
}

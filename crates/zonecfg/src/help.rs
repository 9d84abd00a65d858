//! Help, made from the tables.

use std::fmt::Write as _;

use textwrap::{Options, WordSplitter};
use zone_config::command::{self, COMMANDS, CommandSpec, Scope};
use zone_config::document::{Document, Instance};
use zone_config::nearest::did_you_mean;
use zone_config::schema::{self, GLOBALS, Property, RESOURCES, Resource, Unset};

use crate::error::Failure;

const USAGE: &str = "\
usage:\tzonecfg help [COMMAND | RESOURCE | PROPERTY]
\tzonecfg -z ZONE                    ask for commands
\tzonecfg -z ZONE COMMAND...         do these commands, separated by ';'
\tzonecfg -n -z ZONE COMMAND...      check them, and save nothing
\tzonecfg -z ZONE -f FILE            do the commands of FILE; '-' is standard input
";

const SYNTAX: &str = "
Commands end with a line break or ';'; a line that begins with '#' is a comment.
A value with blanks or any of ;=[]() goes in double quotes, which have no escapes.
A list is [VALUE,VALUE...], and [] is the empty one.
In a resource, between 'add' or 'select' and 'end' or 'cancel', properties are the resource's.
";

/// Help about a command, a resource, a property, or everything.
///
/// # Errors
/// When there is none about the topic.
pub fn about(topic: Option<&str>) -> Result<String, Failure> {
    let Some(topic) = topic else { return Ok(format!("{USAGE}\n{}", commands())) };
    let topic = if topic == "?" { "help" } else { topic };
    match (topic, command::spec(topic), schema::resource(topic), schema::global(topic)) {
        ("usage", ..) => Ok(USAGE.to_owned()),
        ("commands", ..) => Ok(commands()),
        ("syntax", ..) => Ok(syntax()),
        (_, Some(spec), ..) => Ok(one_command(spec)),
        (_, _, Some(row), _) => Ok(one_resource(row)),
        (_, _, _, Some(row)) => Ok(one_property(None, row)),
        _ => in_resources(topic).ok_or_else(|| Failure::NoHelp(topic.to_owned(), meant(topic))),
    }
}

/// Breaks the lines of a help text that are wider than a terminal of so many columns. What goes on stands below where the text of its line
/// began, behind a name or a command and the blanks that follow it.
#[must_use]
pub fn fit(text: &str, columns: usize) -> String {
    let mut fitting = String::new();
    for line in text.lines() {
        let line = without_tabs(line);
        let begins = line.rmatch_indices("  ").map(|(at, _)| at + 2).find(|&at| at <= columns * 2 / 3);
        let indent = " ".repeat(begins.unwrap_or(0));
        let options = Options::new(columns)
            .subsequent_indent(&indent)
            .break_words(false)
            .word_splitter(WordSplitter::NoHyphenation);
        for part in textwrap::wrap(&line, options) {
            fitting.push_str(&part);
            fitting.push('\n');
        }
    }
    fitting
}

/// The line with blanks as far as a terminal's tabs go.
fn without_tabs(line: &str) -> String {
    const TAB: usize = 8;
    line.chars().fold(String::new(), |mut text, character| {
        match character {
            '\t' => text.extend(std::iter::repeat_n(' ', TAB - text.chars().count() % TAB)),
            _ => text.push(character),
        }
        text
    })
}

/// The topic that may have been meant by a word that is none.
fn meant(topic: &str) -> String {
    let commands = COMMANDS.iter().map(|spec| spec.name);
    let rows = RESOURCES.iter().map(|row| row.name).chain(GLOBALS.iter().map(|row| row.name));
    did_you_mean(topic, commands.chain(rows))
}

fn commands() -> String {
    let mut text = "Commands:\n".to_owned();
    for usage in COMMANDS.iter().flat_map(|row| row.usage) {
        let _ = writeln!(text, "\t{usage}");
    }
    text + "'help COMMAND' explains one; 'help syntax' shows resources and properties.\n"
}

fn one_command(spec: &CommandSpec) -> String {
    let scope = match spec.scope {
        Scope::Global => "outside a resource",
        Scope::Resource => "in a resource",
        Scope::Both => "everywhere",
    };
    format!("usage:\t{}\n{}\nIt makes sense {scope}.\n", spec.usage.join("\n\t"), spec.help)
}

fn syntax() -> String {
    let mut text = "Properties of the zone:\n".to_owned();
    for row in GLOBALS {
        let pending = row.pending.map_or_else(String::new, |pending| format!(" It is kept, but {pending}"));
        let _ = writeln!(text, "\t{:<24}{}{pending}", row.name, row.help);
    }
    for row in RESOURCES {
        let _ = writeln!(text, "Resource {}: {}", row.name, row.help);
        for row in row.properties {
            let _ = writeln!(text, "\t{:<24}{}", row.name, row.help);
        }
    }
    text + SYNTAX
}

fn one_resource(resource: &'static Resource) -> String {
    let mut text = format!("{}: {}\n", resource.name, resource.help);
    for row in resource.properties {
        let needed = if is_asked_for(resource, row) { " (required)" } else { "" };
        let _ = writeln!(text, "\t{}{needed}: {}\n\t\tallowed: {}", row.name, row.help, row.kind.allowed());
    }
    let set = resource.properties.iter().filter(|row| is_asked_for(resource, row));
    let example: String = set.map(|row| format!("set {}=...; ", row.name)).collect();
    text + &format!("Example: add {}; {example}end\n", resource.name)
}

/// Whether who adds a resource has to set a property: one that it must have and is not given by itself.
fn is_asked_for(resource: &'static Resource, row: &Property) -> bool {
    let mut new = Instance::new(resource);
    Document::default().complete(&mut new);
    row.is_required() && new.values.get(row.name).is_none()
}

/// The parts of the manual page that the tables make: a heading, and terms with what is said of each.
#[must_use]
pub fn reference() -> Vec<(&'static str, Vec<(String, String)>)> {
    let properties = GLOBALS.iter().map(|row| (row.name.to_owned(), described(None, row))).collect();
    let resources = RESOURCES.iter().flat_map(|resource| {
        let about = (resource.name.to_owned(), resource.help.to_owned());
        let term = |row: &Property| format!("{} {}", resource.name, row.name);
        let rows = resource.properties.iter().map(move |row| (term(row), described(Some(resource), row)));
        [about].into_iter().chain(rows)
    });
    let commands = COMMANDS.iter().map(|row| (row.usage.join("\n"), row.help.to_owned())).collect();
    vec![("COMMANDS", commands), ("PROPERTIES", properties), ("RESOURCES", resources.collect())]
}

/// All about a property, in one paragraph.
fn described(resource: Option<&'static Resource>, row: &Property) -> String {
    let text = one_property(resource, row);
    let text = text.split_once(": ").map_or(text.as_str(), |(_, text)| text);
    let lines = text.trim_end().lines().map(|line| format!("{}. ", line.trim_end_matches('.')));
    let text: String = lines.collect();
    text.trim_end().replace("allowed: ", "Allowed: ").replace(". It is kept, but", "; it is kept, but")
}

fn one_property(resource: Option<&'static Resource>, row: &Property) -> String {
    let given = resource.is_some_and(|resource| !is_asked_for(resource, row));
    let unset = match row.unset {
        Unset::Required if given => "One that is not set is chosen.".to_owned(),
        Unset::Required => "It must be set.".to_owned(),
        Unset::Is("") | Unset::Nothing => "By default it is empty.".to_owned(),
        Unset::Is(word) => format!("By default it is {word}."),
        Unset::From(elsewhere) => format!("By default it is {elsewhere}."),
    };
    let pending = row.pending.map_or_else(String::new, |pending| format!("It is kept, but {pending}\n"));
    let (allowed, applies) = (row.kind.allowed(), row.applies.sentence());
    format!("{}: {}\n{pending}allowed: {allowed}\n{unset}\n{applies}\n", row.name, row.help)
}

/// Help about a property that only resources have.
fn in_resources(name: &str) -> Option<String> {
    let rows = RESOURCES.iter().filter_map(|resource| Some((resource, resource.property(name)?)));
    let texts: Vec<String> = rows
        .map(|(resource, row)| {
            format!("In resource {}, {}", resource.name, one_property(Some(resource), row))
        })
        .collect();
    (!texts.is_empty()).then(|| texts.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_fits_a_terminal() {
        let topics = COMMANDS.iter().map(|row| row.name).chain(RESOURCES.iter().map(|row| row.name));
        let topics = topics.chain(GLOBALS.iter().map(|row| row.name)).chain(["usage", "commands", "syntax"]);
        for topic in topics {
            let text = about(Some(topic)).unwrap();
            for columns in [80, 200] {
                let fitting = fit(&text, columns);
                let wide: Vec<_> = fitting.lines().filter(|line| line.chars().count() > columns).collect();
                assert!(wide.is_empty(), "{topic}: {wide:#?}");
                let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
                assert_eq!(words(&fitting), words(&text), "{topic}: nothing is lost");
            }
        }
        let text = "usage:\tzonecfg -z ZONE   ask for commands, do them\n\tname  what\n";
        let narrow = "usage:  zonecfg -z ZONE   ask for commands,\n                          do them\n        name  what\n";
        assert_eq!(fit(text, 45), narrow);
    }

    #[test]
    fn everything_in_the_tables_has_help() {
        let commands = COMMANDS.iter().map(|row| row.name);
        let resources = RESOURCES.iter().map(|row| row.name);
        let properties = RESOURCES.iter().flat_map(|row| row.properties).chain(GLOBALS).map(|row| row.name);
        for topic in commands.chain(resources).chain(properties).chain(["usage"]) {
            assert!(about(Some(topic)).unwrap().contains(topic), "{topic}");
        }
        for topic in ["commands", "syntax", "?"] {
            assert!(about(Some(topic)).unwrap().ends_with(".\n"), "{topic}");
        }
        assert!(about(Some("autobot")).unwrap_err().to_string().ends_with("; did you mean \"autoboot\"?"));
        assert!(matches!(about(Some("nothing")), Err(Failure::NoHelp(..))));
    }

    #[test]
    fn the_manual_page_has_every_row() {
        let parts = reference();
        let rows = parts.iter().flat_map(|(_, terms)| terms);
        assert!(rows.clone().all(|(_, text)| !text.contains('\n') && text.ends_with('.')), "{parts:#?}");
        for name in ["delete [-F]", "autoboot", "fs options", "attr"] {
            assert!(rows.clone().any(|(term, _)| term == name), "{name}");
        }
        let mknod = rows.clone().find(|(term, _)| term == "device allow-mknod").unwrap();
        assert!(
            mknod.1.contains("can be made in the zone; it is kept, but Linux lets nobody"),
            "{}",
            mknod.1
        );
    }
}

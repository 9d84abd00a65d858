//! `info` and `export`.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value as Json};
use zone_config::Brand;
use zone_config::command::Qualifier;
use zone_config::document::{Instance, Properties};
use zone_config::lex::quote;
use zone_config::schema::{self, GLOBALS, Property, RESOURCES, SECRET, Unset};
use zone_config::value::Value;

use crate::editor::{EditError, Editor, rctl, resource};
use crate::error::Failure;

/// Prints a configuration with its defaults: all of it, the resource one is in, or what is asked for.
///
/// # Errors
/// When `what` is neither a property nor a resource, when no resource matches, or when `out` fails.
pub fn info(
    out: &mut dyn Write,
    editor: &Editor,
    json: bool,
    what: Option<&str>,
    which: &[Qualifier],
) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string_pretty(&info_json(editor, what, which)?);
        return Ok(writeln!(out, "{}", text.unwrap_or_default())?);
    }
    let text = match (what, editor.open()) {
        (Some(name), _) => match schema::global(name) {
            Some(row) => global_line(editor, row),
            None if name == rctl::RCTL => {
                let stored = editor.matching(resource(name)?, which)?.into_iter();
                let stored = stored.map(|at| block(&editor.document.resources[at]));
                let all = rctl::matching(&editor.document, which)?;
                let text: String = stored.chain(all.iter().map(block)).collect();
                if text.is_empty() && !which.is_empty() {
                    return Err(EditError::NoResource(rctl::RCTL).into());
                }
                text
            }
            None => chosen(editor, name, which)?.into_iter().map(block).collect(),
        },
        (None, Some(open)) => block(open),
        (None, None) => {
            let globals = GLOBALS.iter().map(|row| global_line(editor, row));
            let resources = RESOURCES.iter().flat_map(|row| editor.document.of(row.name)).map(block);
            globals.chain(resources).collect()
        }
    };
    Ok(out.write_all(text.as_bytes())?)
}

/// The commands that make a configuration again, or with `json` what was set. A zonepath that is the `usual` one is left to `create`, so that
/// the zone has its own under another name, and in another ROOT.
pub fn export(editor: &Editor, json: bool, usual: Option<&Path>) -> String {
    if json {
        let text = serde_json::to_string_pretty(&export_json(editor));
        return text.unwrap_or_default() + "\n";
    }
    let zonepath = editor.document.globals.get("zonepath").map(Value::to_string);
    let is_usual = zonepath.is_some() && zonepath.as_deref().map(Path::new) == usual;
    let mut text = if is_usual { "create\n" } else { "create -b\n" }.to_owned();
    for row in GLOBALS.iter().filter(|row| row.stored && !(is_usual && row.name == "zonepath")) {
        if let Some(value) = editor.document.globals.get(row.name) {
            let _ = writeln!(text, "set {}={}", row.name, word(value));
        }
    }
    for instance in RESOURCES.iter().flat_map(|row| editor.document.of(row.name)) {
        let _ = writeln!(text, "add {}", instance.resource.name);
        for row in instance.resource.properties {
            let _ = match instance.values.get(row.name) {
                Some(_) if row.secret => {
                    let file = format!("/etc/zones/{}.toml", editor.zone);
                    writeln!(text, "# {} is secret, and not exported; it is in {file}", row.name)
                }
                Some(list @ Value::List(_)) => writeln!(text, "add {} {}", row.name, word(list)),
                Some(value) => writeln!(text, "set {}={}", row.name, word(value)),
                None => Ok(()),
            };
        }
        text.push_str("end\n");
    }
    text
}

/// A value as the language reads it.
fn word(value: &Value) -> String {
    match value {
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| quote(item)).collect();
            format!("[{}]", items.join(","))
        }
        value => quote(&value.to_string()).into_owned(),
    }
}

/// What a property is when it comes from elsewhere.
fn derived(editor: &Editor, row: &Property) -> Option<String> {
    match row.name {
        "zonename" | "hostname" => Some(editor.zone.to_string()),
        "init" => {
            let brand = editor.document.globals.effective(schema::global("brand")?)?.to_string();
            Brand::load(&brand).ok().map(|brand| brand.init)
        }
        _ => None,
    }
}

fn global_line(editor: &Editor, row: &Property) -> String {
    let name = row.name;
    match (editor.document.globals.effective(row), derived(editor, row)) {
        (Some(Value::List(items)), _) => format!("{name}: {}\n", items.join(",")),
        (Some(value), _) => format!("{name}: {value}\n"),
        (None, Some(zone)) if !row.stored => format!("{name}: {zone}\n"),
        (None, Some(elsewhere)) => format!("[{name}: {elsewhere}]\n"),
        (None, None) if row.unset == Unset::Required => format!("{name} not specified\n"),
        (None, None) => format!("{name}: \n"),
    }
}

fn block(instance: &Instance) -> String {
    let mut text = format!("{}:\n", instance.resource.name);
    for row in instance.resource.properties {
        let _ = match (instance.values.effective(row), row.kind.shape()) {
            (Some(_), _) if row.secret => writeln!(text, "\t{}: {SECRET}", row.name),
            (Some(list @ Value::List(_)), _) => writeln!(text, "\t{}: {}", row.name, word(&list)),
            (Some(value), _) => writeln!(text, "\t{}: {value}", row.name),
            (None, zone_config::value::Shape::List) => writeln!(text, "\t{}: []", row.name),
            (None, _) => writeln!(text, "\t{} not specified", row.name),
        };
    }
    text
}

/// The resources of a type that match; at least one if some are asked for, for a type of which there are none is no error.
fn chosen<'a>(editor: &'a Editor, name: &str, which: &[Qualifier]) -> Result<Vec<&'a Instance>, EditError> {
    let resource = resource(name).map_err(|_| EditError::NoProperty {
        scope: "the zone",
        name: name.to_owned(),
        allowed: format!("{}, {}", schema::names(GLOBALS), schema::resource_names()),
    })?;
    let found = editor.matching(resource, which)?;
    if found.is_empty() && !which.is_empty() {
        return Err(EditError::NoResource(resource.name));
    }
    Ok(found.into_iter().map(|at| &editor.document.resources[at]).collect())
}

fn info_json(editor: &Editor, what: Option<&str>, which: &[Qualifier]) -> Result<Json, EditError> {
    let with_defaults = |values: &Properties, rows: &[Property]| {
        let one = |row: &Property| {
            let value = values.effective(row).map_or(Json::Null, |value| told(row, &value));
            (row.name.to_owned(), value)
        };
        rows.iter().map(one).collect::<Map<_, _>>()
    };
    let all =
        |instance: &Instance| Json::Object(with_defaults(&instance.values, instance.resource.properties));
    let mut globals = with_defaults(&editor.document.globals, GLOBALS);
    for row in GLOBALS {
        if let (Some(value @ Json::Null), Some(elsewhere)) = (globals.get_mut(row.name), derived(editor, row))
        {
            *value = Json::String(elsewhere);
        }
    }
    match (what, editor.open()) {
        (Some(name), _) => match globals.remove(name) {
            Some(value) => Ok(Json::Object(Map::from_iter([(name.to_owned(), value)]))),
            None => {
                let found = chosen(editor, name, which)?.into_iter().map(all).collect();
                Ok(Json::Object(Map::from_iter([(name.to_owned(), Json::Array(found))])))
            }
        },
        (None, Some(open)) => Ok(all(open)),
        (None, None) => {
            for row in RESOURCES {
                globals.insert(
                    row.name.to_owned(),
                    Json::Array(editor.document.of(row.name).map(all).collect()),
                );
            }
            Ok(Json::Object(globals))
        }
    }
}

fn export_json(editor: &Editor) -> Json {
    let set = |values: &Properties, rows: &[Property]| {
        let one = |row: &Property| Some((row.name.to_owned(), told(row, values.get(row.name)?)));
        rows.iter().filter_map(one).collect::<Map<_, _>>()
    };
    let mut all = Map::from_iter([("zonename".to_owned(), Json::String(editor.zone.to_string()))]);
    all.append(&mut set(&editor.document.globals, GLOBALS));
    for row in RESOURCES {
        let instances = editor.document.of(row.name);
        let instances: Vec<_> = instances.map(|it| Json::Object(set(&it.values, row.properties))).collect();
        if !instances.is_empty() {
            all.insert(row.name.to_owned(), Json::Array(instances));
        }
    }
    Json::Object(all)
}

/// A value as it is told; one that is secret is not.
fn told(row: &Property, value: &Value) -> Json {
    if row.secret { Json::String(SECRET.to_owned()) } else { to_json(value) }
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::Text(text) => Json::String(text.clone()),
        Value::Bool(value) => Json::Bool(*value),
        Value::Number(number) => Json::Number((*number).into()),
        Value::List(items) => items.iter().cloned().map(Json::String).collect(),
    }
}

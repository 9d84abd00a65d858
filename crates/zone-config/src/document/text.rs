//! The form on disk: TOML with the property names of the language.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, TableLike};

use super::{Document, Instance, MOST_RESOURCES, Properties};
use crate::nearest::did_you_mean;
use crate::schema::{self, GLOBALS, Property, RESOURCES, Resource, ValueError};
use crate::value::{Shape, Value};

/// What the file begins with.
pub(super) const HEADER: &str = "# Written by zonecfg, which keeps comments and the order of what is here.\n";

/// A place in a file where it is not a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}, line {line}, column {column}: {reason}", .origin.display())]
pub struct DocumentError {
    /// The file that was read, for messages only.
    pub origin: PathBuf,
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// The property, what is wrong with it and what is allowed.
    pub reason: String,
}

/// What is wrong, and where in bytes.
type Fault = (Range<usize>, String);

impl Document {
    /// Reads the form on disk; `origin` is the file's name, for the error.
    ///
    /// # Errors
    /// The first place that is not TOML, not a known property, or not a value the property allows.
    pub fn parse(text: &str, origin: &Path) -> Result<Self, DocumentError> {
        read(text).map_err(|(span, reason)| {
            let before = text.get(..span.start).unwrap_or(text);
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            DocumentError {
                origin: origin.to_owned(),
                line: before.matches('\n').count() + 1,
                column: before[line_start..].chars().count() + 1,
                reason,
            }
        })
    }

    /// Writes the form on disk anew: properties in the table's order, resources after them, by type.
    pub fn to_toml(&self) -> String {
        let mut document = DocumentMut::new();
        write(&self.globals, GLOBALS, document.as_table_mut());
        for resource in RESOURCES {
            let tables: ArrayOfTables = self.of(resource.name).map(to_table).collect();
            if !tables.is_empty() {
                document.insert(resource.name, Item::ArrayOfTables(tables));
            }
        }
        format!("{HEADER}{document}")
    }
}

fn read(text: &str) -> Result<Document, Fault> {
    let parsed = toml_edit::Document::parse(text)
        .map_err(|error| (error.span().unwrap_or_default(), error.message().to_owned()))?;
    let mut document = Document::default();
    for (name, item) in parsed.iter() {
        match (schema::global(name), schema::resource(name)) {
            (Some(property), _) if property.stored => {
                let value = read_value(property, item).map_err(|reason| (span(item), reason))?;
                document.globals.set(property, value);
            }
            (Some(_), _) => {
                return Err((
                    key_span(parsed.as_table(), name),
                    format!("{name}: the file's own name says it; remove this line"),
                ));
            }
            (None, Some(resource)) => read_resources(resource, item, &mut document.resources)?,
            (None, None) => {
                let known = schema::names(Document::stored_globals());
                let mut reason = format!(
                    "no property or resource '{name}'; allowed: {known}, {}",
                    schema::resource_names()
                );
                let names = Document::stored_globals().map(|property| property.name);
                reason += &did_you_mean(name, names.chain(RESOURCES.iter().map(|resource| resource.name)));
                return Err((key_span(parsed.as_table(), name), reason));
            }
        }
    }
    Ok(document)
}

fn read_resources(resource: &'static Resource, item: &Item, to: &mut Vec<Instance>) -> Result<(), Fault> {
    let name = resource.name;
    let wrong = || {
        (
            span(item),
            format!(
                "{name}: not a list of tables; allowed: [[{name}]] and its properties on the lines below"
            ),
        )
    };
    let tables: Vec<&dyn TableLike> = match item {
        Item::ArrayOfTables(tables) => tables.iter().map(|table| table as &dyn TableLike).collect(),
        // fs = [{ dir = ... }] is the same to TOML.
        Item::Value(toml_edit::Value::Array(array)) => {
            let inline =
                array.iter().map(|value| value.as_inline_table().map(|table| table as &dyn TableLike));
            inline.collect::<Option<_>>().ok_or_else(wrong)?
        }
        _ => return Err(wrong()),
    };
    for table in tables {
        let mut instance = Instance::new(resource);
        for (key, item) in table.iter() {
            let Some(property) = resource.property(key) else {
                let at = table.key(key).and_then(toml_edit::Key::span).unwrap_or_else(|| span(item));
                let known = schema::names(resource.properties);
                let mut reason = format!("{name}: no property '{key}'; allowed: {known}");
                reason += &did_you_mean(key, resource.properties.iter().map(|property| property.name));
                return Err((at, reason));
            };
            let value =
                read_value(property, item).map_err(|reason| (span(item), format!("{name}: {reason}")))?;
            instance.values.set(property, value);
        }
        if to.len() == MOST_RESOURCES {
            return Err((span(item), format!("{name}: a zone has at most {MOST_RESOURCES} resources")));
        }
        to.push(instance);
    }
    Ok(())
}

pub(super) fn read_value(property: &Property, item: &Item) -> Result<Value, String> {
    let shape = property.kind.shape();
    let word = match (shape, item.as_value()) {
        (Shape::Text, Some(toml_edit::Value::String(text))) => Some(text.value().clone()),
        (Shape::Bool, Some(toml_edit::Value::Boolean(value))) => Some(value.value().to_string()),
        (Shape::Number, Some(toml_edit::Value::Integer(number))) => Some(number.value().to_string()),
        (Shape::List, Some(toml_edit::Value::Array(array))) => {
            let items = array.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
            let read = items.map(|items| property.read_list(items).map_err(|error| error.to_string()));
            return read.unwrap_or_else(|| Err(ill_typed(property, item)));
        }
        _ => None,
    };
    let word = word.ok_or_else(|| ill_typed(property, item))?;
    property.read(&word).map_err(|error| error.to_string())
}

fn ill_typed(property: &Property, item: &Item) -> String {
    let given = format!("{} is {}, not {}", item.to_string().trim(), item.type_name(), property.kind.shape());
    let ValueError { property, allowed, .. } = ValueError::new(property, String::new());
    format!("{property}: {given}; allowed: {allowed}")
}

fn span(item: &Item) -> Range<usize> {
    item.span().unwrap_or_default()
}

fn key_span(table: &Table, name: &str) -> Range<usize> {
    table.key(name).and_then(toml_edit::Key::span).unwrap_or_default()
}

pub(super) fn to_table(instance: &Instance) -> Table {
    let mut table = Table::new();
    write(&instance.values, instance.resource.properties, &mut table);
    table
}

fn write(values: &Properties, rows: &[Property], table: &mut Table) {
    for row in rows.iter().filter(|row| row.stored) {
        let Some(value) = values.get(row.name) else { continue };
        table.insert(row.name, written(value).into());
    }
}

/// A value as TOML has it.
pub(super) fn written(value: &Value) -> toml_edit::Value {
    match value {
        Value::Text(text) => text.into(),
        Value::Bool(value) => (*value).into(),
        // No kind of number goes beyond what TOML can write.
        Value::Number(number) => i64::try_from(*number).unwrap_or(i64::MAX).into(),
        Value::List(items) => Array::from_iter(items).into(),
    }
}

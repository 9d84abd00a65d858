//! The configuration as a part of a larger document (the snapshot), through serde: every property by its name,
//! also those at their defaults, so that a live zone keeps what it was booted with when a default changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::ZoneConfig;
use super::record::Record;
use crate::document::{Document, Instance, Properties};
use crate::schema::{self, GLOBALS, Property, RESOURCES};
use crate::value::{Kind, Value};

/// What stands behind a name: a property's value, or the resources of a type.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Entry<V, P> {
    Value(V),
    Resources(Vec<P>),
}

impl Serialize for ZoneConfig {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut document = Document::default();
        self.write(GLOBALS, &mut document.globals, &mut document.resources);
        let globals = document.globals.iter().map(|(name, value)| (name, Entry::Value(value)));
        let resources = RESOURCES.iter().filter_map(|resource| {
            let of_type: Vec<&Properties> = document.of(resource.name).map(|one| &one.values).collect();
            (!of_type.is_empty()).then_some((resource.name, Entry::Resources(of_type)))
        });
        to.collect_map(globals.chain(resources))
    }
}

impl<'de> Deserialize<'de> for ZoneConfig {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        type Read = BTreeMap<String, Entry<Value, BTreeMap<String, Value>>>;
        let mut document = Document::default();
        for (name, entry) in Read::deserialize(from)? {
            match (entry, schema::resource(&name)) {
                (Entry::Resources(all), Some(resource)) => {
                    for values in all {
                        let mut instance = Instance::new(resource);
                        for (name, value) in values {
                            set(resource.properties, &mut instance.values, &name, value)?;
                        }
                        document.resources.push(instance);
                    }
                }
                // An empty list may be one of either.
                (Entry::Value(Value::List(none)), Some(_)) if none.is_empty() => {}
                (Entry::Value(value), None) => set(GLOBALS, &mut document.globals, &name, value)?,
                _ => {
                    return Err(de::Error::custom(format!(
                        "{name}: neither a property nor a list of resources"
                    )));
                }
            }
        }
        match document.missing() {
            Some(problem) => Err(de::Error::custom(problem)),
            None => Ok(Self::read(GLOBALS, &document.globals, &document.resources)),
        }
    }
}

/// Sets a property that there is to a value of its shape. What the value says was checked by whoever wrote it, perhaps
/// by other rules: a live zone is not lost by an upgrade of the programs.
fn set<E: de::Error>(
    rows: &'static [Property],
    values: &mut Properties,
    name: &str,
    value: Value,
) -> Result<(), E> {
    let row = rows.iter().find(|row| row.name == name && row.stored);
    let row = row.ok_or_else(|| E::custom(format!("no property '{name}'")))?;
    let fits = value.shape() == row.kind.shape()
        && match (row.kind, &value) {
            (Kind::Choice(words), Value::Text(word)) => words.contains(&word.as_str()),
            _ => true,
        };
    if !fits {
        return Err(E::custom(format!("{name}: {value} is not allowed; allowed: {}", row.kind.allowed())));
    }
    values.set(row, value);
    Ok(())
}

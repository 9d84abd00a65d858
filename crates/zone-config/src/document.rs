//! A configuration as the schema's table sees it: what was set, and nothing else.
//!
//! `zonecfg` edits this form and `NAME.toml` is read and written through it. Programs that act on a zone use
//! [`ZoneConfig`](crate::ZoneConfig), which is made from it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::net;
use crate::schema::{GLOBALS, Property, Resource};
use crate::value::Value;

mod over;
mod text;
mod verify;

pub use text::DocumentError;
pub use verify::Problem;

/// Bounds the resources of a zone: what is done for each of them, and for each pair, has an end.
pub const MOST_RESOURCES: usize = 1000;

/// What was set in a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// The zone's own properties.
    pub globals: Properties,
    /// Its resources, in the order they were added.
    pub resources: Vec<Instance>,
    /// The text that it was read from, if what that has of comments and order is to be kept instead of the file's.
    pub text: Handwritten,
}

/// A text that a person wrote, with comments in it. It says nothing that the rest of a document does not: any two are equal.
#[derive(Clone, Debug, Default)]
pub struct Handwritten(pub Option<String>);

impl PartialEq for Handwritten {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Handwritten {}

/// A resource that was added: its type and what is set in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Of what type.
    pub resource: &'static Resource,
    /// What was set in it.
    pub values: Properties,
}

/// The properties that were set, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Properties(BTreeMap<&'static str, Value>);

impl Properties {
    /// What was set for a property.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// What was set, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    /// What was set for a property that is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// What was set for a property that is a list; the empty list when nothing was.
    pub fn list(&self, name: &str) -> &[String] {
        match self.get(name) {
            Some(Value::List(items)) => items,
            _ => &[],
        }
    }

    /// What holds for a property: what was set, or its default.
    pub fn effective(&self, property: &Property) -> Option<Value> {
        self.get(property.name).cloned().or_else(|| property.default_value())
    }

    /// Sets a property; a list without items is as good as none.
    pub fn set(&mut self, property: &'static Property, value: Value) {
        if value == Value::List(Vec::new()) {
            self.clear(property);
        } else {
            self.0.insert(property.name, value);
        }
    }

    /// Makes a property as if it had never been set.
    pub fn clear(&mut self, property: &Property) {
        self.0.remove(property.name);
    }

    /// Clears what is set to what it is when nobody sets it.
    pub(crate) fn clear_defaults(&mut self, rows: &[Property]) {
        for row in rows {
            if self.get(row.name) == row.default_value().as_ref() {
                self.clear(row);
            }
        }
    }
}

impl Instance {
    /// A resource with nothing set.
    pub fn new(resource: &'static Resource) -> Self {
        Self { resource, values: Properties::default() }
    }

    /// The value that tells it from the others of its type.
    pub fn key(&self) -> Option<&Value> {
        self.values.get(self.resource.key)
    }

    /// The first required property that is not set.
    pub fn missing(&self) -> Option<&'static Property> {
        self.resource.properties.iter().find(|p| p.is_required() && self.values.get(p.name).is_none())
    }
}

impl Document {
    /// The resources of one type, in order.
    pub fn of<'a>(&'a self, resource: &'a str) -> impl Iterator<Item = &'a Instance> {
        self.resources.iter().filter(move |instance| instance.resource.name == resource)
    }

    /// Sets what a resource that is added has though nobody has said it.
    pub fn complete(&self, instance: &mut Instance) {
        if instance.resource.name == "net" {
            net::complete(self, instance);
        }
    }

    /// The properties of the zone that are kept in the file.
    pub fn stored_globals() -> impl Iterator<Item = &'static Property> {
        GLOBALS.iter().filter(|property| property.stored)
    }
}

#[cfg(test)]
mod tests;

//! Resource controls as Solaris writes them, which are properties here: `rctl` with the name `zone.max-lwps` is `max-lwps`.
//!
//! Such a resource is never in the document. It is made from the property when it is asked for, and sets it when it is ended.

use zone_config::command::Qualifier;
use zone_config::document::{Document, Instance};
use zone_config::limits::{ALIASES, Alias, rctl_value};
use zone_config::schema::{self, Property};
use zone_config::value::Value;

use super::{EditError, resource};

/// The type of resource.
pub(crate) const RCTL: &str = "rctl";

/// The property that a resource control is, if it is one.
pub(super) fn alias(instance: &Instance) -> Option<&'static Alias> {
    let name = instance.values.text("name").filter(|_| instance.resource.name == RCTL)?;
    ALIASES.iter().find(|alias| alias.rctl == name)
}

/// The property that Solaris calls by its resource control's name, where it is another here.
pub(super) fn property(name: &str) -> Option<&'static Alias> {
    ALIASES.iter().find(|alias| alias.rctl.strip_prefix("zone.") == Some(name) && alias.resource.is_some())
}

/// The resource controls that are set as properties.
pub(super) fn all(document: &Document) -> Vec<Instance> {
    ALIASES.iter().filter_map(|alias| made(document, alias)).collect()
}

/// Those of them that have these values.
pub(crate) fn matching(document: &Document, which: &[Qualifier]) -> Result<Vec<Instance>, EditError> {
    let rctl = resource(RCTL)?;
    let mut found = all(document);
    for (name, term) in which {
        let property = super::property_of(rctl, name)?;
        let value =
            term.value_for(property).map_err(|value| EditError::ResourceValue { resource: RCTL, value })?;
        found.retain(|instance| instance.values.get(property.name) == Some(&value));
    }
    Ok(found)
}

fn made(document: &Document, alias: &Alias) -> Option<Instance> {
    let values = match alias.resource {
        Some(resource) => &document.of(resource).next()?.values,
        None => &document.globals,
    };
    let limit = alias.scale.number(&values.get(alias.property)?.to_string())?;
    let mut instance = Instance::new(schema::resource(RCTL)?);
    let action = if alias.property == "cpu-shares" { "none" } else { "deny" };
    let [name, value] = [instance.resource.property("name")?, instance.resource.property("value")?];
    instance.values.set(name, Value::Text(alias.rctl.to_owned()));
    let text = format!("(priv=privileged,limit={limit},action={action})");
    instance.values.set(value, Value::List(vec![text]));
    Some(instance)
}

/// Sets the property that a resource control is.
///
/// # Errors
/// When it has not one value, or one that the property does not allow.
pub(super) fn set(document: &mut Document, alias: &Alias, instance: &Instance) -> Result<(), EditError> {
    let values = instance.values.list("value");
    let limit = match values {
        [one] => rctl_value(one),
        _ => None,
    };
    let Some(limit) = limit else {
        let reason = format!("has {} values; allowed: one", values.len());
        return Err(EditError::Mismatch { resource: RCTL, property: "value", reason });
    };
    set_word(document, alias, &alias.scale.word(limit))
}

/// Sets that property to a word of its own.
///
/// # Errors
/// When the property does not allow it.
pub(super) fn set_word(document: &mut Document, alias: &Alias, word: &str) -> Result<(), EditError> {
    let row = row(alias)?;
    let value = row.read(word)?;
    match alias.resource {
        None => document.globals.set(row, value),
        Some(name) => match document.resources.iter_mut().find(|instance| instance.resource.name == name) {
            Some(instance) => instance.values.set(row, value),
            None => {
                let mut instance = Instance::new(resource(name)?);
                instance.values.set(row, value);
                document.resources.push(instance);
            }
        },
    }
    Ok(())
}

/// Clears that property; a resource that has nothing else goes with it.
///
/// # Errors
/// When the schema has no such property.
pub(super) fn clear(document: &mut Document, alias: &Alias) -> Result<(), EditError> {
    let row = row(alias)?;
    match alias.resource {
        None => document.globals.clear(row),
        Some(name) => {
            for instance in document.resources.iter_mut().filter(|instance| instance.resource.name == name) {
                instance.values.clear(row);
            }
            document.resources.retain(|one| one.resource.name != name || one.values.iter().next().is_some());
        }
    }
    Ok(())
}

fn row(alias: &Alias) -> Result<&'static Property, EditError> {
    match alias.resource {
        Some(name) => super::property_of(resource(name)?, alias.property),
        None => super::global(alias.property),
    }
}

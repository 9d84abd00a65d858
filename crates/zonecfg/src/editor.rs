//! A configuration in memory, and the resource one is in.

use std::borrow::Cow;

use zone_config::command::{Qualifier, Term};
use zone_config::document::{Document, Instance, MOST_RESOURCES};
use zone_config::limits::Alias;
use zone_config::net::AUTO;
use zone_config::schema::{self, Applies, GLOBALS, Property, Resource};
use zone_config::value::{Shape, Value};
use zone_config::{State, ZoneName};

use crate::tokens;

mod error;
pub(crate) mod rctl;

pub use error::EditError;
pub(crate) use error::already;

/// What is between a resource and a property of it: Solaris' sign, and the one of every other language.
pub(crate) const PARTS: [char; 2] = [':', '.'];

/// A configuration that is being edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Editor {
    /// The zone's name, as it is to be.
    pub zone: ZoneName,
    /// What is set.
    pub document: Document,
    /// The zone's state when it is above configured, where some properties are fixed.
    pub sealed: Option<State>,
    open: Option<Open>,
}

/// The resource one is in.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Open {
    instance: Instance,
    /// Which one of the document it is to replace; a new one when `None`.
    replaces: Option<usize>,
    /// Whether it is a resource control that is a property, which it is to replace.
    selected: bool,
}

type Edited = Result<(), EditError>;

impl Editor {
    /// Edits a configuration, outside any resource.
    pub fn new(zone: ZoneName, document: Document, sealed: Option<State>) -> Self {
        Self { zone, document, sealed, open: None }
    }

    /// The resource one is in.
    pub fn open(&self) -> Option<&Instance> {
        self.open.as_ref().map(|open| &open.instance)
    }

    /// Outside a resource begins one; inside adds to a list.
    ///
    /// # Errors
    /// See [`EditError`], here and below.
    pub fn add(&mut self, what: &str, value: Option<&Term>) -> Edited {
        let Some(open) = &mut self.open else {
            let resource = resource(what)?;
            if value.is_some() {
                return Err(EditError::ResourceOnly("add PROPERTY VALUE"));
            }
            if self.document.resources.len() >= MOST_RESOURCES {
                return Err(EditError::TooMany);
            }
            if resource.single && self.document.of(resource.name).next().is_some() {
                return Err(EditError::Single(resource.name));
            }
            let mut instance = Instance::new(resource);
            if let (schema::ANET, Some(lower)) = (what, resource.property("global-nic")) {
                instance.values.set(lower, Value::Text(AUTO.to_owned()));
            }
            self.open = Some(Open { instance, replaces: None, selected: false });
            return Ok(());
        };
        let (property, items) = open.list_items("add", what, value)?;
        let mut all = open.instance.values.list(property.name).to_vec();
        all.extend(items);
        let resource = open.instance.resource.name;
        let all = property.read_list(all).map_err(|value| EditError::ResourceValue { resource, value })?;
        open.instance.values.set(property, all);
        Ok(())
    }

    /// Sets a property, of the resource one is in, else of the zone.
    ///
    /// # Errors
    /// For an unknown property, a value it does not allow, or one that is fixed by now.
    pub fn set(&mut self, name: &str, term: &Term) -> Edited {
        if let Some(open) = &mut self.open {
            let resource = open.instance.resource;
            let property = open.property(name)?;
            let value = expanded(property, term, &self.zone)?
                .value_for(property)
                .map_err(|value| EditError::ResourceValue { resource: resource.name, value })?;
            open.instance.values.set(property, value);
            return Ok(());
        }
        if let Some((what, property)) = name.split_once(PARTS) {
            return self.within(what, |editor| editor.set(property, term));
        }
        if let (Some(alias), Term::Word(word)) = (rctl::property(name), term) {
            return rctl::set_word(&mut self.document, alias, word);
        }
        let property = global(name)?;
        if let (Applies::Sealed, Some(state)) = (property.applies, self.sealed) {
            return Err(EditError::Sealed { zone: self.zone.clone(), state, property: property.name });
        }
        let value = expanded(property, term, &self.zone)?.value_for(property)?;
        if property.stored {
            self.document.globals.set(property, value);
        } else if let Ok(zone) = value.to_string().parse() {
            // The zone's name is the one property that is not in the document.
            self.zone = zone;
        }
        Ok(())
    }

    /// Makes a property as if it had never been set.
    ///
    /// # Errors
    /// For an unknown property, one that must be set, or one that is fixed by now.
    pub fn clear(&mut self, name: &str) -> Edited {
        if let (None, Some((what, property))) = (&self.open, name.split_once(PARTS)) {
            return self.within(what, |editor| editor.clear(property));
        }
        let (property, values, sealed) = match &mut self.open {
            Some(open) => (open.property(name)?, &mut open.instance.values, None),
            None => (global(name)?, &mut self.document.globals, self.sealed),
        };
        if property.is_required() {
            return Err(EditError::Required(property.name));
        }
        if let (Applies::Sealed, Some(state)) = (property.applies, sealed) {
            return Err(EditError::Sealed { zone: self.zone.clone(), state, property: property.name });
        }
        values.clear(property);
        Ok(())
    }

    /// Outside a resource removes resources; inside removes from a list.
    ///
    /// # Errors
    /// For an unknown type or property, when nothing matches, or when several do and not `all`.
    pub fn remove(&mut self, what: &str, which: &[Qualifier], value: Option<&Term>, all: bool) -> Edited {
        let Some(open) = &mut self.open else {
            let resource = resource(what)?;
            if value.is_some() {
                return Err(EditError::ResourceOnly("remove PROPERTY VALUE"));
            }
            let found = self.matching(resource, which)?;
            let aliases =
                if resource.name == rctl::RCTL { rctl::matching(&self.document, which)? } else { vec![] };
            match found.len() + aliases.len() {
                0 => return Err(EditError::NoResource(resource.name)),
                1 => {}
                _ if all => {}
                _ if which.is_empty() => return Err(EditError::Many(resource.name)),
                _ => return Err(EditError::Insufficient(resource.name)),
            }
            for alias in aliases.iter().filter_map(rctl::alias) {
                rctl::clear(&mut self.document, alias)?;
            }
            let mut position = 0..;
            self.document.resources.retain(|_| position.next().is_none_or(|at| !found.contains(&at)));
            return Ok(());
        };
        if !which.is_empty() {
            return Err(EditError::GlobalOnly("remove"));
        }
        let (property, items) = open.list_items("remove", what, value)?;
        let mut left = open.instance.values.list(property.name).to_vec();
        for item in items {
            let Some(at) = left.iter().position(|other| *other == item) else {
                return Err(EditError::NotInList { property: property.name, item });
            };
            left.remove(at);
        }
        open.instance.values.set(property, Value::List(left));
        Ok(())
    }

    /// Goes into the one resource that matches.
    ///
    /// # Errors
    /// When none or several match, or when one is in a resource.
    pub fn select(&mut self, what: &str, which: &[Qualifier]) -> Edited {
        if self.open.is_some() {
            return Err(EditError::GlobalOnly("select"));
        }
        let resource = resource(what)?;
        if resource.name == rctl::RCTL
            && let [one] = rctl::matching(&self.document, which)?.as_slice()
            && !which.is_empty()
        {
            self.open = Some(Open { instance: one.clone(), replaces: None, selected: true });
            return Ok(());
        }
        match self.matching(resource, which)?.as_slice() {
            [] => Err(EditError::NoResource(resource.name)),
            [at] if resource.single || !which.is_empty() => {
                let instance = self.document.resources[*at].clone();
                self.open = Some(Open { instance, replaces: Some(*at), selected: false });
                Ok(())
            }
            _ => Err(EditError::Insufficient(resource.name)),
        }
    }

    /// Completes the resource one is in.
    ///
    /// # Errors
    /// When it lacks something, contradicts itself, or has the key of another; one stays in it.
    pub fn end(&mut self) -> Edited {
        let mut open = self.open.take().ok_or(EditError::ResourceOnly("end"))?;
        if open.replaces.is_none() {
            self.document.complete(&mut open.instance);
        }
        if let Some(alias) = rctl::alias(&open.instance) {
            let edited = self.end_alias(alias, &open);
            self.open = edited.is_err().then_some(open);
            return edited;
        }
        match self.check(&open) {
            Ok(()) => {
                match open.replaces {
                    Some(at) => self.document.resources[at] = open.instance,
                    None => self.document.resources.push(open.instance),
                }
                Ok(())
            }
            Err(error) => {
                self.open = Some(open);
                Err(error)
            }
        }
    }

    /// Edits the one resource of a type, from outside of any; adds it if there is none, and removes it if nothing is set in it.
    fn within(&mut self, what: &str, edit: impl FnOnce(&mut Self) -> Edited) -> Edited {
        let resource = resource(what)?;
        if !resource.single {
            return Err(EditError::NotSingle(resource.name));
        }
        let replaces = self.document.resources.iter().position(|one| one.resource == resource);
        let instance = replaces.map(|at| self.document.resources[at].clone());
        self.open = Some(Open {
            instance: instance.unwrap_or_else(|| Instance::new(resource)),
            replaces,
            selected: false,
        });
        let edited = edit(self).and_then(|()| match &self.open {
            Some(open) if open.instance.values.iter().next().is_none() => {
                if let Some(at) = replaces {
                    self.document.resources.remove(at);
                }
                Ok(())
            }
            _ => self.end(),
        });
        self.open = None;
        edited
    }

    /// Completes a resource control that is a property.
    fn end_alias(&mut self, alias: &'static Alias, open: &Open) -> Edited {
        if let Some(missing) = open.instance.missing() {
            let (property, allowed) = (missing.name, missing.kind.allowed());
            return Err(EditError::NotSpecified { resource: rctl::RCTL, property, allowed });
        }
        let there = rctl::all(&self.document).iter().any(|other| other.key() == open.instance.key());
        if there && !open.selected {
            let value = alias.rctl.to_owned();
            return Err(EditError::Duplicate { resource: rctl::RCTL, key: "name", value });
        }
        rctl::set(&mut self.document, alias, &open.instance)
    }

    /// Leaves the resource one is in as it was.
    ///
    /// # Errors
    /// When one is in none.
    pub fn cancel(&mut self) -> Edited {
        self.open.take().map(|_| ()).ok_or(EditError::ResourceOnly("cancel"))
    }

    /// The positions of the resources of a type that have these values.
    ///
    /// # Errors
    /// For a property the type does not have, or a value it does not allow.
    pub fn matching(&self, resource: &Resource, which: &[Qualifier]) -> Result<Vec<usize>, EditError> {
        let wanted = which.iter().map(|(name, term)| {
            let property = property_of(resource, name)?;
            let value = term
                .value_for(property)
                .map_err(|value| EditError::ResourceValue { resource: resource.name, value })?;
            Ok((property.name, value))
        });
        let wanted: Vec<(&str, Value)> = wanted.collect::<Result<_, EditError>>()?;
        let matches = |instance: &Instance| {
            instance.resource.name == resource.name
                && wanted.iter().all(|(name, value)| instance.values.get(name) == Some(value))
        };
        let all = self.document.resources.iter().enumerate();
        Ok(all.filter(|(_, instance)| matches(instance)).map(|(at, _)| at).collect())
    }

    fn check(&self, open: &Open) -> Edited {
        let resource = open.instance.resource;
        if let Some(missing) = open.instance.missing() {
            return Err(EditError::NotSpecified {
                resource: resource.name,
                property: missing.name,
                allowed: missing.kind.allowed(),
            });
        }
        if let Some((property, reason)) = open.instance.mismatch() {
            return Err(EditError::Mismatch { resource: resource.name, property, reason });
        }
        let others = self.document.resources.iter().enumerate();
        let mut others =
            others.filter(|(at, other)| Some(*at) != open.replaces && other.resource == resource);
        match open.instance.key() {
            Some(key) if others.any(|(_, other)| other.key() == Some(key)) => Err(EditError::Duplicate {
                resource: resource.name,
                key: resource.key,
                value: key.to_string(),
            }),
            _ => Ok(()),
        }
    }
}

impl Open {
    fn property(&self, name: &str) -> Result<&'static Property, EditError> {
        property_of(self.instance.resource, name)
    }

    /// The list property `what`, and the items that `value` means for it.
    fn list_items(
        &self,
        command: &'static str,
        what: &str,
        value: Option<&Term>,
    ) -> Result<(&'static Property, Vec<String>), EditError> {
        let resource = self.instance.resource;
        let Some(value) = value else {
            // In a resource, a resource type is what `add` and `remove` are most often given by mistake.
            return Err(match schema::resource(what) {
                Some(_) => EditError::GlobalOnly(command),
                None => EditError::NoValue { command, property: self.property(what)?.name },
            });
        };
        let property = self.property(what)?;
        if property.kind.shape() != Shape::List {
            return Err(EditError::NotList { command, property: property.name });
        }
        match value.value_for(property) {
            Ok(Value::List(items)) => Ok((property, items)),
            Ok(_) => Err(EditError::NotList { command, property: property.name }),
            Err(value) => Err(EditError::ResourceValue { resource: resource.name, value }),
        }
    }
}

/// A type of resource by its name.
///
/// # Errors
/// With the names there are.
pub fn resource(name: &str) -> Result<&'static Resource, EditError> {
    schema::resource(name)
        .ok_or_else(|| EditError::NoResourceType { name: name.to_owned(), allowed: schema::resource_names() })
}

/// A property of the zone by its name.
///
/// # Errors
/// With the names there are.
pub(crate) fn global(name: &str) -> Result<&'static Property, EditError> {
    schema::global(name).ok_or_else(|| EditError::NoProperty {
        scope: "the zone",
        name: name.to_owned(),
        allowed: schema::names(GLOBALS),
    })
}

/// What is set, with the token of Solaris in it that can be one of a path here.
fn expanded<'a>(property: &Property, term: &'a Term, zone: &ZoneName) -> Result<Cow<'a, Term>, EditError> {
    match term {
        Term::Word(path) if tokens::has(property) => tokens::typed(path, zone.as_str())
            .map(|path| Cow::Owned(Term::Word(path)))
            .map_err(|token| EditError::Token { property: property.name, token }),
        term => Ok(Cow::Borrowed(term)),
    }
}

fn property_of(resource: &Resource, name: &str) -> Result<&'static Property, EditError> {
    resource.property(name).ok_or_else(|| EditError::NoProperty {
        scope: resource.name,
        name: name.to_owned(),
        allowed: schema::names(resource.properties),
    })
}

#[cfg(test)]
mod tests;

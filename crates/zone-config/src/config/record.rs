//! Typed records of properties: structs whose fields name the rows of the schema that they hold.

use std::path::PathBuf;

use crate::document::{Instance, Properties};
use crate::schema::Property;
use crate::value::Value;

/// A struct that is read from properties and written to them.
pub(crate) trait Record: Sized {
    /// The properties that its fields name, in their order: a test holds them against the schema.
    #[cfg(test)]
    const PROPERTIES: &'static [&'static str];
    /// The types of resources that its lists name, in their order.
    #[cfg(test)]
    const RESOURCES: &'static [&'static str];

    /// Reads every field from what was set, or from its row's default. What must be set and is not, or is of another
    /// shape, is nothing: the caller has checked that.
    fn read(rows: &[Property], values: &Properties, resources: &[Instance]) -> Self;

    /// Sets every property that has a value, also those at their defaults.
    fn write(&self, rows: &'static [Property], values: &mut Properties, resources: &mut Vec<Instance>);
}

/// A type of field.
pub(crate) trait Field: Sized {
    /// Reads a value; `None` is a property that was not set and has no default.
    fn read(value: Option<Value>) -> Self;

    /// Writes a value; `None` leaves the property unset.
    fn value(&self) -> Option<Value>;
}

/// What holds for one property.
pub(super) fn effective(rows: &[Property], values: &Properties, name: &str) -> Option<Value> {
    values.effective(rows.iter().find(|row| row.name == name)?)
}

/// Sets one property.
pub(super) fn set(rows: &'static [Property], values: &mut Properties, name: &str, value: Option<Value>) {
    if let (Some(row), Some(value)) = (rows.iter().find(|row| row.name == name), value) {
        values.set(row, value);
    }
}

impl Field for String {
    fn read(value: Option<Value>) -> Self {
        Option::<Self>::read(value).unwrap_or_default()
    }

    fn value(&self) -> Option<Value> {
        Some(Value::Text(self.clone()))
    }
}

impl Field for Option<String> {
    fn read(value: Option<Value>) -> Self {
        match value {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn value(&self) -> Option<Value> {
        self.clone().map(Value::Text)
    }
}

impl Field for PathBuf {
    fn read(value: Option<Value>) -> Self {
        String::read(value).into()
    }

    fn value(&self) -> Option<Value> {
        Some(Value::Text(self.to_string_lossy().into_owned()))
    }
}

impl Field for bool {
    fn read(value: Option<Value>) -> Self {
        value == Some(Value::Bool(true))
    }

    fn value(&self) -> Option<Value> {
        Some(Value::Bool(*self))
    }
}

impl Field for Option<bool> {
    fn read(value: Option<Value>) -> Self {
        match value {
            Some(Value::Bool(set)) => Some(set),
            _ => None,
        }
    }

    fn value(&self) -> Option<Value> {
        self.map(Value::Bool)
    }
}

impl Field for u64 {
    fn read(value: Option<Value>) -> Self {
        match value {
            Some(Value::Number(number)) => number,
            _ => 0,
        }
    }

    fn value(&self) -> Option<Value> {
        Some(Value::Number(*self))
    }
}

impl Field for Option<u64> {
    fn read(value: Option<Value>) -> Self {
        match value {
            Some(Value::Number(number)) => Some(number),
            _ => None,
        }
    }

    fn value(&self) -> Option<Value> {
        self.map(Value::Number)
    }
}

impl Field for Vec<String> {
    fn read(value: Option<Value>) -> Self {
        match value {
            Some(Value::List(items)) => items,
            _ => Self::new(),
        }
    }

    fn value(&self) -> Option<Value> {
        Some(Value::List(self.clone()))
    }
}

/// Declares a property's choices: an enum, with the word of each in a configuration.
macro_rules! choices {
    (
        $(#[$about:meta])*
        pub enum $name:ident {
            $(#[$first_doc:meta])* $first:ident = $first_word:literal,
            $( $(#[$doc:meta])* $choice:ident = $word:literal, )*
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $name {
            $(#[$first_doc])* #[default] $first,
            $( $(#[$doc])* $choice, )*
        }

        impl $name {
            pub(crate) const ALL: &'static [Self] = &[Self::$first, $(Self::$choice),*];
            pub(crate) const WORDS: &'static [&'static str] = &[$first_word, $($word),*];

            /// The word in a configuration.
            pub fn as_str(self) -> &'static str {
                match self {
                    Self::$first => $first_word,
                    $( Self::$choice => $word, )*
                }
            }

            /// The one that a word of a configuration means.
            pub fn of(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|choice| choice.as_str() == word)
            }
        }

        impl $crate::config::record::Field for $name {
            fn read(value: Option<$crate::value::Value>) -> Self {
                let word = <String as $crate::config::record::Field>::read(value);
                Self::of(&word).unwrap_or_default()
            }

            fn value(&self) -> Option<$crate::value::Value> {
                Some($crate::value::Value::Text(self.as_str().to_owned()))
            }
        }
    };
}

/// Declares a [`Record`]: a struct, with the property of each field, and for the zone itself its types of resources.
macro_rules! records {
    (
        $(#[$about:meta])*
        pub struct $name:ident {
            $( $(#[$doc:meta])* pub $field:ident: $type:ty = $property:literal, )*
        }
        $( resources {
            $( $(#[$list_doc:meta])* pub $list:ident: Vec<$record:ty> = $resource:literal, )*
        } )?
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $( $(#[$doc])* pub $field: $type, )*
            $( $( $(#[$list_doc])* pub $list: Vec<$record>, )* )?
        }

        #[allow(unused_variables, reason = "not every record has resources")]
        impl $crate::config::record::Record for $name {
            #[cfg(test)]
            const PROPERTIES: &'static [&'static str] = &[$($property),*];
            #[cfg(test)]
            const RESOURCES: &'static [&'static str] = &[$($($resource),*)?];

            fn read(
                rows: &[$crate::schema::Property],
                values: &$crate::document::Properties,
                resources: &[$crate::document::Instance],
            ) -> Self {
                use $crate::config::record::{Field, effective};
                Self {
                    $( $field: <$type as Field>::read(effective(rows, values, $property)), )*
                    $( $( $list: resources
                        .iter()
                        .filter(|instance| instance.resource.name == $resource)
                        .map(|instance| $crate::config::record::Record::read(instance.resource.properties, &instance.values, &[]))
                        .collect(), )* )?
                }
            }

            fn write(
                &self,
                rows: &'static [$crate::schema::Property],
                values: &mut $crate::document::Properties,
                resources: &mut Vec<$crate::document::Instance>,
            ) {
                use $crate::config::record::{Field, set};
                $( set(rows, values, $property, Field::value(&self.$field)); )*
                $( $( if let Some(resource) = $crate::schema::resource($resource) {
                    for record in &self.$list {
                        let mut instance = $crate::document::Instance::new(resource);
                        $crate::config::record::Record::write(record, resource.properties, &mut instance.values, &mut Vec::new());
                        resources.push(instance);
                    }
                } )* )?
            }
        }
    };
}

pub(super) use {choices, records};

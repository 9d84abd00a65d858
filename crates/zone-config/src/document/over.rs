//! Writing a configuration over a file that people have written in: what they said in comments, and in which order, stays.

use std::path::Path;

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, Value as Written};

use super::text::{HEADER, read_value, to_table, written};
use super::{Document, Instance, Properties};
use crate::schema::{GLOBALS, Property, RESOURCES};

impl Document {
    /// Writes the form on disk over `old`: lines whose value stays are left as they are, a resource is known again by its
    /// key, and what is new comes after what is there. A comment goes with the line it stands above.
    ///
    /// What cannot be kept so (`old` is no configuration, or has its resources in another order) is written anew.
    pub fn to_toml_over(&self, old: &str) -> String {
        let Ok(mut file) = old.parse::<DocumentMut>() else { return self.to_toml() };
        let table = file.as_table_mut();
        update(table, &self.globals, GLOBALS);
        for resource in RESOURCES {
            let before = match table.get(resource.name) {
                Some(Item::ArrayOfTables(tables)) => tables.iter().cloned().collect(),
                _ => Vec::new(),
            };
            let tables = over(before, self.of(resource.name));
            if tables.is_empty() {
                table.remove(resource.name);
            } else {
                table.insert(resource.name, Item::ArrayOfTables(tables));
            }
        }
        let mut text = file.to_string();
        if old.starts_with(HEADER) && !text.starts_with(HEADER) {
            text.insert_str(0, HEADER);
        }
        match Self::parse(&text, Path::new("")) {
            Ok(read) if read.says_the_same(self) => text,
            _ => self.to_toml(),
        }
    }

    /// Whether both have the same properties, and of each type the same resources in the same order.
    fn says_the_same(&self, other: &Self) -> bool {
        self.globals == other.globals
            && RESOURCES.iter().all(|resource| self.of(resource.name).eq(other.of(resource.name)))
    }
}

/// Makes the tables of the resources of one type out of those that were there.
fn over<'a>(mut before: Vec<Table>, instances: impl Iterator<Item = &'a Instance>) -> ArrayOfTables {
    let table = |instance: &Instance| {
        let key = instance.resource.property(instance.resource.key)?;
        let is_it =
            |table: &Table| instance.key().is_some() && value_of(table, key).as_ref() == instance.key();
        let mut table = before.remove(before.iter().position(is_it)?);
        update(&mut table, &instance.values, instance.resource.properties);
        Some(table)
    };
    let mut table = table;
    instances.map(|instance| table(instance).unwrap_or_else(|| to_table(instance))).collect()
}

/// Makes a table say what `values` do.
fn update(table: &mut Table, values: &Properties, rows: &[Property]) {
    for row in rows.iter().filter(|row| row.stored) {
        match values.get(row.name) {
            None => drop(table.remove(row.name)),
            Some(value) if value_of(table, row).as_ref() == Some(value) => {}
            Some(value) => {
                let mut value = written(value);
                if let Some(old) = table.get(row.name).and_then(Item::as_value) {
                    *value.decor_mut() = Written::decor(old).clone();
                }
                // In its place, where it has one.
                match table.get_mut(row.name) {
                    Some(item) => *item = value.into(),
                    None => drop(table.insert(row.name, value.into())),
                }
            }
        }
    }
}

fn value_of(table: &Table, row: &Property) -> Option<crate::value::Value> {
    read_value(row, table.get(row.name)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::tests::any_document;
    use proptest::prelude::*;

    const BY_HAND: &str = "\
# The shop's zone; ask Ada.
max-lwps = 500 # since the fork bomb
# The name that customers see.
hostname = \"shop\"

# The customers' side.
[[net]]
physical = \"net1\"
global-nic = \"br0\" # not br1

# Ours.
[[net]]
physical = \"net0\"
global-nic = \"br1\"
";

    fn edited(edit: impl FnOnce(&mut Document)) -> String {
        let mut document = Document::parse(BY_HAND, Path::new("f")).unwrap();
        edit(&mut document);
        document.to_toml_over(BY_HAND)
    }

    fn set(values: &mut Properties, row: &'static Property, word: &str) {
        values.set(row, row.read(word).unwrap());
    }

    fn global(name: &str) -> &'static Property {
        crate::schema::global(name).unwrap()
    }

    #[test]
    fn what_did_not_change_stays_to_the_letter() {
        assert_eq!(edited(|_| {}), BY_HAND);
    }

    #[test]
    fn a_changed_value_keeps_its_place_and_its_comments() {
        let text = edited(|document| set(&mut document.globals, global("max-lwps"), "600"));
        assert_eq!(text, BY_HAND.replace("500", "600"));
        let text = edited(|document| {
            let net = document.resources.iter_mut().next().unwrap();
            set(&mut net.values, net.resource.property("global-nic").unwrap(), "br7");
        });
        assert_eq!(text, BY_HAND.replace("\"br0\"", "\"br7\""));
    }

    #[test]
    fn what_is_new_comes_after_and_what_is_gone_takes_its_comment_along() {
        let text = edited(|document| {
            set(&mut document.globals, global("autoboot"), "true");
            document.globals.clear(global("hostname"));
            document.resources.remove(0);
        });
        let wanted = "\
# The shop's zone; ask Ada.
max-lwps = 500 # since the fork bomb
autoboot = true

# Ours.
[[net]]
physical = \"net0\"
global-nic = \"br1\"
";
        assert_eq!(text, wanted);
    }

    #[test]
    fn over_what_is_no_configuration_it_is_written_anew() {
        let document = Document::parse(BY_HAND, Path::new("f")).unwrap();
        for old in ["", "no toml", "net = 7\n", "net = [{ physical = \"net1\" }]\nunknown = 1\n"] {
            let text = document.to_toml_over(old);
            let read = Document::parse(&text, Path::new("f")).unwrap();
            assert!(read.says_the_same(&document), "{old}: {text}");
        }
    }

    proptest! {
        #[test]
        fn any_document_over_any_other_says_what_it_says(new in any_document(), old in any_document()) {
            let text = new.to_toml_over(&old.to_toml());
            prop_assert!(Document::parse(&text, Path::new("f")).unwrap().says_the_same(&new), "{}", text);
        }
    }
}

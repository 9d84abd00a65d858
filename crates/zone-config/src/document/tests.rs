//! Tests of the form on disk against any text and any document.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::schema::{self, RESOURCES};
use crate::strategy::any_value;

fn properties(rows: Vec<&'static Property>) -> impl Strategy<Value = Properties> {
    let each: Vec<_> =
        rows.iter().map(|row| proptest::option::weighted(0.7, any_value(row.kind)).boxed()).collect();
    each.prop_map(move |values| {
        let mut set = Properties::default();
        for (row, value) in rows.iter().zip(values) {
            if let Some(value) = value {
                set.set(row, value);
            }
        }
        set
    })
}

pub(crate) fn any_document() -> impl Strategy<Value = Document> {
    let resources = proptest::collection::vec(
        proptest::sample::select(RESOURCES).prop_flat_map(|resource| {
            properties(resource.properties.iter().collect()).prop_map(move |values| Instance {
                resource: schema::resource(resource.name).unwrap(),
                values,
            })
        }),
        0..4,
    );
    (properties(Document::stored_globals().collect()), resources).prop_map(|(globals, resources)| Document {
        globals,
        resources,
        ..Document::default()
    })
}

proptest! {
    #[test]
    fn no_text_is_too_odd(text in "(\\[\\[fs\\]\\]\n|dir|type|autoboot|=|\"|true|[0-9]|.|\n){0,40}") {
        if let Err(error) = Document::parse(&text, Path::new("f")) {
            prop_assert!(error.line >= 1 && error.column >= 1);
            prop_assert!(error.line <= text.lines().count() + 1);
        }
    }

    #[test]
    fn any_document_comes_back(document in any_document()) {
        let read = Document::parse(&document.to_toml(), Path::new("f")).unwrap();
        prop_assert_eq!(&read.globals, &document.globals);
        for resource in RESOURCES {
            let (read, written): (Vec<_>, Vec<_>) =
                (read.of(resource.name).collect(), document.of(resource.name).collect());
            prop_assert_eq!(read, written);
        }
    }
}

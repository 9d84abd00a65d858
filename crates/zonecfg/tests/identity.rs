//! Whatever a configuration holds, `export` writes commands that make it again.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

use proptest::prelude::*;
use zone_config::Layout;
use zone_config::command::Script;
use zone_config::document::{Document, Instance, Properties};
use zone_config::schema::{Property, RESOURCES};
use zone_config::strategy::any_value;
use zonecfg::editor::Editor;
use zonecfg::session::Session;
use zonecfg::show;
use zonecfg::talk::Talk;

fn any_properties(rows: Vec<&'static Property>) -> impl Strategy<Value = Properties> {
    let typed = |row: &Property| {
        any_value(row.kind).prop_filter("no token of Solaris", |value| !value.to_string().contains("%{"))
    };
    let maybe = |row: &&'static Property| match (row.is_required(), typed(row)) {
        (true, value) => value.prop_map(Some).boxed(),
        (false, value) => proptest::option::weighted(0.6, value).boxed(),
    };
    let each: Vec<_> = rows.iter().map(maybe).collect();
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

/// A configuration that `end` would let pass, without what an export leaves out because it is secret, and what cannot be typed because
/// it is a token of Solaris.
fn any_document() -> impl Strategy<Value = Document> {
    let globals = any_properties(Document::stored_globals().collect());
    let mut of_types = Vec::new();
    for resource in RESOURCES {
        let instance =
            any_properties(resource.properties.iter().filter(|property| !property.secret).collect())
                .prop_map(move |values| Instance { resource, values })
                .prop_filter("properties that go together", |instance| instance.mismatch().is_none());
        of_types.push(proptest::collection::vec(instance, 0..3).boxed());
    }
    (globals, of_types).prop_map(|(globals, of_types)| {
        let mut document = Document { globals, ..Document::default() };
        for instance in of_types.into_iter().flatten() {
            let is_second = |other: &Instance| instance.resource.single || other.key() == instance.key();
            if !document.of(instance.resource.name).any(is_second) {
                document.resources.push(instance);
            }
        }
        document
    })
}

proptest! {
    #[test]
    fn export_makes_it_again(document in any_document()) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        let editor = Editor::new("web".parse().unwrap(), document, None);
        let exported = show::export(&editor, false, None);

        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut talk = Talk { out: &mut out, err: &mut err, person: false, program: "zonecfg" };
        let mut session = Session::begin(layout, "web".parse().unwrap(), false, &mut talk).unwrap();
        for located in Script::new(&format!("{exported}export\n"), 1) {
            let done = session.execute(&located.unwrap().command, &mut talk);
            prop_assert!(done.is_ok(), "{}\n{:?}", exported, done);
        }
        prop_assert_eq!(String::from_utf8(out).unwrap(), exported);
    }
}

//! Whatever a configuration holds, `export` writes commands that make it again.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

use proptest::prelude::*;
use zone_config::Layout;
use zone_config::command::Script;
use zone_config::document::{Document, Instance, Properties};
use zone_config::schema::{Property, RESOURCES};
use zone_config::value::{Kind, Value};
use zonecfg::editor::Editor;
use zonecfg::session::Session;
use zonecfg::show;
use zonecfg::talk::Talk;

fn any_value(kind: Kind) -> BoxedStrategy<Value> {
    let word = match kind {
        Kind::Choice(words) => proptest::sample::select(words).prop_map(str::to_owned).boxed(),
        Kind::Bool => "true|false".boxed(),
        Kind::Seconds(_) => "[1-9][0-9]{0,3}".boxed(),
        Kind::Privileges => "default(,!sys_time)?|!net_raw".boxed(),
        Kind::Path => "(/[ -!#-.0-~é]{1,8}){1,3}".boxed(),
        Kind::Number(least, most) => (least..=most).prop_map(|number| number.to_string()).boxed(),
        Kind::Size => "[1-9][0-9]{0,2}[MGT]".boxed(),
        Kind::Cpus => "[1-9](\\.[0-9]{1,2})?".boxed(),
        Kind::HostId => "(0x)?[0-9a-e]{1,8}".boxed(),
        Kind::WholeCpus => "[1-9](-[1-9][0-9])?".boxed(),
        Kind::CpuList => "[0-9](,[1-4]-[5-9])?".boxed(),
        Kind::RctlValues => "\\(priv=privileged,limit=[1-9][0-9]{0,4},action=(none|deny)\\)".boxed(),
        Kind::Link => "[a-zé][a-z0-9.-]{0,9}".boxed(),
        Kind::Lower => "auto|br[0-9]".boxed(),
        Kind::Addresses => "dhcp|192\\.0\\.2\\.[1-9](/24)?(,2001:db8::[1-9]/64)?".boxed(),
        Kind::Prefixes => "192\\.0\\.2\\.[1-9](,2001:db8::/32)?".boxed(),
        Kind::Routers => "192\\.0\\.2\\.1[0-9](,fe80::[1-9])?".boxed(),
        Kind::Mac => "02(:[0-9a-f]{2}){5}".boxed(),
        Kind::Bandwidth => "[1-9][0-9]{0,2}[MG]".boxed(),
        Kind::Words(words) => {
            proptest::sample::subsequence(words, 1..3).prop_map(|words| words.join(",")).boxed()
        }
        Kind::Sysctl => "net\\.ipv4\\.[a-z_]{1,9}".boxed(),
        Kind::Zones => "[a-z][a-z0-9.-]{0,10}(,[a-z]{1,4})?".boxed(),
        Kind::HostPorts => "(192\\.0\\.2\\.1:|\\[::1\\]:)?[1-9][0-9]{0,3}".boxed(),
        Kind::Devices => "[a-z]{3}[*?]?(/[a-z*?]{1,4})?".boxed(),
        Kind::Mode => "0?[0-7]{3}".boxed(),
        Kind::HostName | Kind::Label | Kind::ZoneName => "[a-z][a-z0-9.-]{0,10}".boxed(),
        _ => "([ -!#-~é\t]{0,6},?){0,3}".boxed(),
    };
    word.prop_filter_map("a value of this kind", move |word| kind.read(&word)).boxed()
}

fn any_properties(rows: Vec<&'static Property>) -> impl Strategy<Value = Properties> {
    let maybe = |row: &&'static Property| match (row.is_required(), any_value(row.kind)) {
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

/// A configuration that `end` would let pass.
fn any_document() -> impl Strategy<Value = Document> {
    let globals = any_properties(Document::stored_globals().collect());
    let mut of_types = Vec::new();
    for resource in RESOURCES {
        let instance = any_properties(resource.properties.iter().collect())
            .prop_map(move |values| Instance { resource, values })
            .prop_filter("properties that go together", |instance| instance.mismatch().is_none());
        of_types.push(proptest::collection::vec(instance, 0..3).boxed());
    }
    (globals, of_types).prop_map(|(globals, of_types)| {
        let mut document = Document { globals, resources: Vec::new() };
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
        let exported = show::export(&editor, false);

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

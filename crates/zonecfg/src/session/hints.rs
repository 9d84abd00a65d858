//! What a person may type next, or may have meant.

use zone_config::config::FsType;
use zone_config::document::Instance;
use zone_config::lex::quote;
use zone_config::nearest::did_you_mean;
use zone_config::schema::Property;
use zone_config::value::Shape;
use zone_config::{Brand, Index, ZoneName};

use super::{Current, Session};
use crate::complete::Place;

impl Session {
    /// What may be typed next.
    pub fn place(&self) -> Place {
        let editor = match &self.current {
            Current::Here(editor) => Some(editor),
            _ => None,
        };
        let index = Index::load(&self.layout).unwrap_or_default();
        let set = |one: &Instance| {
            let rows =
                one.resource.properties.iter().filter(|row| !row.secret && row.kind.shape() != Shape::List);
            let value = |row: &'static Property| {
                let value = one.values.get(row.name)?.to_string();
                Some((one.resource.name, row.name, quote(&value).into_owned()))
            };
            rows.filter_map(value).collect::<Vec<_>>()
        };
        let open = editor.and_then(|editor| editor.open());
        let fstype = open.and_then(|open| open.values.text("type"));
        Place {
            resource: open.map(|open| open.resource),
            zones: index.entries().map(|entry| entry.name.to_string()).collect(),
            brands: Brand::known(),
            fstype: fstype.and_then(FsType::of),
            there: editor.iter().flat_map(|editor| &editor.document.resources).flat_map(set).collect(),
        }
    }

    /// The zone that may have been meant by this session's name, which no zone has.
    pub fn meant(&self) -> String {
        self.meant_by(&self.zone)
    }

    /// The zone that may have been meant by a name that no zone has.
    pub(super) fn meant_by(&self, name: &ZoneName) -> String {
        let Ok(index) = Index::load(&self.layout) else { return String::new() };
        did_you_mean(name.as_str(), index.entries().map(|entry| entry.name.as_str()))
    }
}

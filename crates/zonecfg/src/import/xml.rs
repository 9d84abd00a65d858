//! The XML of illumos and Solaris: `/etc/zones/NAME.xml`.
//!
//! The reader gives one element after another: nothing is fetched, no entity of the file's own is known, and what is kept is
//! bounded by the file's size. The names of elements and attributes are those of their document type.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use zone_config::command::Term;

use super::{Foreign, MOST_PROPERTIES, Resource, Wrong};

/// How deep elements stand in each other at most: the zone, a resource, and an item of a list in that.
const DEEPEST: usize = 3;

/// The elements that are resources, and what those are called in the language.
const RESOURCES: [(&str, &str); 11] = [
    ("filesystem", "fs"),
    ("inherited-pkg-dir", "inherit-pkg-dir"),
    ("network", "net"),
    ("automatic-network", "anet"),
    ("device", "device"),
    ("rctl", "rctl"),
    ("attr", "attr"),
    ("dataset", "dataset"),
    ("mcap", "capped-memory"),
    ("admin", "admin"),
    ("security-flags", "security-flags"),
];

/// Attributes whose property has another name.
const PROPERTIES: [(&str, &str); 3] =
    [("directory", "dir"), ("physcap", "physical"), ("linkname", "physical")];

/// The attributes of an element, by their names.
type Attributes = Vec<(String, String)>;

/// Reads a document.
pub(super) fn parse(text: &str) -> Result<Foreign, Wrong> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut document = Document::default();
    loop {
        let event = reader.read_event();
        let position = match &event {
            Ok(_) => reader.buffer_position(),
            Err(_) => reader.error_position(),
        };
        let done = match event {
            Ok(Event::Eof) => break,
            Ok(event) => document.take(&event),
            Err(error) => Err(error.to_string()),
        };
        done.map_err(|reason| (line_of(text, position), reason))?;
    }
    document.end().map_err(|reason| (line_of(text, text.len() as u64), reason))
}

/// The line of a position in bytes.
fn line_of(text: &str, position: u64) -> usize {
    let before = usize::try_from(position).unwrap_or(usize::MAX).min(text.len());
    text.as_bytes()[..before].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// What has been read so far.
#[derive(Default)]
struct Document {
    foreign: Foreign,
    /// The names of the elements that one is in.
    open: Vec<String>,
    /// Whether there was a zone.
    seen: bool,
    /// The resource that one is in.
    resource: Option<Resource>,
    /// CPUs of its own: the numbers, and the importance, which stand in two elements.
    cpus: Option<Resource>,
}

impl Document {
    fn take(&mut self, event: &Event<'_>) -> Result<(), String> {
        match event {
            Event::Start(element) => self.start(element),
            Event::End(_) => {
                self.open.pop();
                if self.open.len() == 1
                    && let Some(resource) = self.resource.take()
                {
                    self.foreign.add(resource)?;
                }
                Ok(())
            }
            // Declarations within the file are of no use, and how others make a short file a long one.
            Event::DocType(text) if text.contains('[') => {
                Err("a document type with declarations of its own is not read".to_owned())
            }
            Event::Text(text) if !text.trim().is_empty() => {
                Err("text was not expected here: a zone's configuration has attributes alone".to_owned())
            }
            Event::CData(_) | Event::GeneralRef(_) => {
                Err("text was not expected here: a zone's configuration has attributes alone".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, element: &BytesStart<'_>) -> Result<(), String> {
        let name = element.name().as_ref().to_owned();
        let attributes = attributes(element)?;
        match self.open.as_slice() {
            [] if name == "zone" && !self.seen => self.zone(attributes)?,
            [] if self.seen => return Err(format!("<{name}> was not expected behind the zone")),
            [] => return Err(format!("<{name}> is not a zone's configuration, which begins with <zone>")),
            [_] => self.child(&name, attributes),
            [_, parent] => {
                let parent = parent.clone();
                self.item(&parent, &name, &attributes);
            }
            _ => {}
        }
        if self.open.len() == DEEPEST {
            return Err(format!("<{name}> stands too deep"));
        }
        self.open.push(name);
        Ok(())
    }

    fn zone(&mut self, attributes: Attributes) -> Result<(), String> {
        self.seen = true;
        for (name, value) in attributes {
            match name.as_str() {
                // The file's name, and the version of its form.
                "name" | "version" => {}
                _ => self.foreign.set(&name, Term::Word(value))?,
            }
        }
        Ok(())
    }

    /// A resource, or a part of one.
    fn child(&mut self, name: &str, attributes: Attributes) {
        let get = |wanted: &str| {
            let found = attributes.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let cpus = || Resource::new("dedicated-cpu");
        match name {
            "tmp_pool" => self.cpus.get_or_insert_with(cpus).word("importance", get("importance")),
            "pset" => {
                let (least, most) = (get("ncpu_min"), get("ncpu_max"));
                let number = if least == most { least } else { format!("{least}-{most}") };
                self.cpus.get_or_insert_with(cpus).word("ncpus", number);
            }
            _ => match RESOURCES.iter().find(|(element, _)| *element == name) {
                Some((_, resource)) => {
                    let mut resource = Resource::new(resource);
                    for (name, value) in attributes {
                        let known = PROPERTIES.iter().find(|(attribute, _)| *attribute == name);
                        resource.word(known.map_or(&name, |(_, property)| *property), value);
                    }
                    self.resource = Some(resource);
                }
                None => self.foreign.left_out.add(name),
            },
        }
    }

    /// An item of a list in a resource.
    fn item(&mut self, parent: &str, name: &str, attributes: &Attributes) {
        let get =
            |wanted: &str| attributes.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        match (&mut self.resource, name) {
            (Some(resource), "fsoption") => resource.word("options", get("name").unwrap_or_default()),
            (Some(resource), "rctl-value") => {
                let pair = |name: &str| Some((name.to_owned(), get(name)?));
                let pairs = ["priv", "limit", "action"].into_iter().filter_map(pair).collect();
                resource.values.push(("value".to_owned(), Term::Complex(pairs)));
            }
            // SmartOS writes further properties of links and devices so.
            (Some(resource), "net-attr" | "device-attr") => {
                let (name, value) = (get("name").unwrap_or_default(), get("value").unwrap_or_default());
                resource.word(&name, value);
            }
            _ => self.foreign.left_out.add(format!("{parent} {name}")),
        }
    }

    fn end(mut self) -> Result<Foreign, String> {
        if !self.open.is_empty() || !self.seen {
            return Err("the file ends before the zone does".to_owned());
        }
        if let Some(cpus) = self.cpus.take() {
            self.foreign.add(cpus)?;
        }
        Ok(self.foreign)
    }
}

fn attributes(element: &BytesStart<'_>) -> Result<Attributes, String> {
    let one = |attribute: quick_xml::events::attributes::Attribute<'_>| {
        let name = attribute.key.as_ref().to_owned();
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|error| format!("{name}: {error}"))?;
        Ok((name, value.into_owned()))
    };
    // Each is compared with all before it.
    if element.attributes().with_checks(false).nth(MOST_PROPERTIES).is_some() {
        return Err(format!("an element has at most {MOST_PROPERTIES} attributes"));
    }
    element.attributes().map(|attribute| attribute.map_err(|error| error.to_string()).and_then(one)).collect()
}

//! From what was set to typed values, and back.

use std::path::Path;

use super::{Attr, AttrType, ConfigError, Fs, FsType, IpType, ZoneConfig};
use crate::document::{Document, Instance, Problem, Properties};
use crate::schema::{self, GLOBALS, Property};
use crate::value::Value;

impl ZoneConfig {
    /// The typed form of what was set, with defaults for the rest; `origin` is the file's name for errors.
    ///
    /// # Errors
    /// [`ConfigError::Incomplete`] when something that must be set is not.
    pub fn from_document(document: &Document, origin: &Path) -> Result<Self, ConfigError> {
        let globals = Reader { values: &document.globals, rows: GLOBALS, title: None, origin };
        let fs = |instance: &Instance| -> Result<Fs, ConfigError> {
            let reader = Reader::of(instance, origin);
            Ok(Fs {
                dir: reader.text("dir")?,
                special: reader.text("special")?,
                fstype: reader.choice("type", &FsType::ALL, FsType::as_str)?,
                options: reader.values.list("options").to_vec(),
            })
        };
        let attr = |instance: &Instance| -> Result<Attr, ConfigError> {
            let reader = Reader::of(instance, origin);
            Ok(Attr {
                name: reader.text("name")?,
                attrtype: reader.choice("type", &AttrType::ALL, AttrType::as_str)?,
                value: reader.text("value")?,
            })
        };
        Ok(Self {
            zonepath: globals.text("zonepath")?.into(),
            brand: globals.text("brand")?,
            autoboot: globals.bool("autoboot")?,
            bootargs: globals.text("bootargs")?,
            limitpriv: globals.values.list("limitpriv").to_vec(),
            ip_type: globals.choice("ip-type", &IpType::ALL, IpType::as_str)?,
            hostname: globals.values.text("hostname").map(str::to_owned),
            init: globals.values.text("init").map(str::to_owned),
            restart_init: globals.bool("restart-init")?,
            restart_init_on_exit_0: globals.bool("restart-init-on-exit-0")?,
            reboot_on_init_exit: globals.bool("reboot-on-init-exit")?,
            shutdown_timeout: globals.number("shutdown-timeout")?,
            fs: document.of("fs").map(fs).collect::<Result<_, _>>()?,
            attr: document.of("attr").map(attr).collect::<Result<_, _>>()?,
        })
    }

    /// What must be set so that everything else follows from defaults.
    pub fn to_document(&self) -> Document {
        let mut document = Document::default();
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        let globals = [
            ("zonepath", text(&self.zonepath.to_string_lossy())),
            ("brand", text(&self.brand)),
            ("autoboot", Some(Value::Bool(self.autoboot))),
            ("bootargs", text(&self.bootargs)),
            ("limitpriv", Some(Value::List(self.limitpriv.clone()))),
            ("ip-type", text(self.ip_type.as_str())),
            ("hostname", self.hostname.clone().map(Value::Text)),
            ("init", self.init.clone().map(Value::Text)),
            ("restart-init", Some(Value::Bool(self.restart_init))),
            ("restart-init-on-exit-0", Some(Value::Bool(self.restart_init_on_exit_0))),
            ("reboot-on-init-exit", Some(Value::Bool(self.reboot_on_init_exit))),
            ("shutdown-timeout", Some(Value::Number(self.shutdown_timeout))),
        ];
        fill(&mut document.globals, GLOBALS, globals);
        for fs in &self.fs {
            let values = [
                ("dir", text(&fs.dir)),
                ("special", text(&fs.special)),
                ("type", text(fs.fstype.as_str())),
                ("options", Some(Value::List(fs.options.clone()))),
            ];
            push(&mut document, "fs", values);
        }
        for attr in &self.attr {
            let values = [
                ("name", text(&attr.name)),
                ("type", text(attr.attrtype.as_str())),
                ("value", text(&attr.value)),
            ];
            push(&mut document, "attr", values);
        }
        document
    }
}

type Set = (&'static str, Option<Value>);

fn push(document: &mut Document, resource: &str, values: impl IntoIterator<Item = Set>) {
    let Some(resource) = schema::resource(resource) else { return };
    let mut instance = Instance::new(resource);
    fill(&mut instance.values, resource.properties, values);
    document.resources.push(instance);
}

fn fill(to: &mut Properties, rows: &'static [Property], values: impl IntoIterator<Item = Set>) {
    for (name, value) in values {
        let row = rows.iter().find(|row| row.name == name);
        if let (Some(row), Some(value)) = (row, value)
            && row.default_value().as_ref() != Some(&value)
        {
            to.set(row, value);
        }
    }
}

/// One set of properties, with the words to complain about it.
struct Reader<'a> {
    values: &'a Properties,
    rows: &'static [Property],
    title: Option<String>,
    origin: &'a Path,
}

impl<'a> Reader<'a> {
    fn of(instance: &'a Instance, origin: &'a Path) -> Self {
        let name = instance.resource.name;
        let title = instance.key().map_or_else(|| name.to_owned(), |key| format!("{name} {key}"));
        Self { values: &instance.values, rows: instance.resource.properties, title: Some(title), origin }
    }

    /// What holds for a property that is never nothing.
    fn value(&self, name: &'static str) -> Result<Value, ConfigError> {
        let row = self.rows.iter().find(|row| row.name == name);
        row.and_then(|row| self.values.effective(row)).ok_or_else(|| self.missing(name))
    }

    fn text(&self, name: &'static str) -> Result<String, ConfigError> {
        Ok(self.value(name)?.to_string())
    }

    fn bool(&self, name: &'static str) -> Result<bool, ConfigError> {
        Ok(self.value(name)? == Value::Bool(true))
    }

    fn number(&self, name: &'static str) -> Result<u64, ConfigError> {
        match self.value(name)? {
            Value::Number(number) => Ok(number),
            _ => Err(self.missing(name)),
        }
    }

    fn choice<T: Copy>(
        &self,
        name: &'static str,
        all: &[T],
        word: fn(T) -> &'static str,
    ) -> Result<T, ConfigError> {
        let text = self.text(name)?;
        all.iter().copied().find(|choice| word(*choice) == text).ok_or_else(|| self.missing(name))
    }

    fn missing(&self, property: &'static str) -> ConfigError {
        let row = self.rows.iter().find(|row| row.name == property);
        let allowed = row.map(|row| row.kind.allowed()).unwrap_or_default();
        let reason = format!("not specified; allowed: {allowed}");
        let problem = Problem { resource: self.title.clone(), property, reason };
        ConfigError::Incomplete { origin: self.origin.to_owned(), problem }
    }
}

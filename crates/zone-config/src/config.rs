//! The configuration of a zone, typed.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::document::{Document, DocumentError, Problem};
use crate::file::{self, FileError};
use crate::{Brand, Layout, ZoneName, store};

mod typed;

/// The configuration of a zone, as `/etc/zones/NAME.toml` has it and the properties of `zonecfg` name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ZoneConfig {
    /// Where the zone is; its root is `zonepath/root`.
    pub zonepath: PathBuf,
    /// The name of its brand.
    #[serde(default = "default_brand")]
    pub brand: String,
    /// Whether it boots with the host.
    #[serde(default)]
    pub autoboot: bool,
    /// Boot arguments when a boot names none.
    #[serde(default)]
    pub bootargs: String,
    /// The privileges, as words: `default`, a capability's name, or one after `!`; empty means the brand's own.
    #[serde(default)]
    pub limitpriv: Vec<String>,
    /// Whose network stack it has.
    #[serde(default)]
    pub ip_type: IpType,
    /// Its host name; the zone's name when unset, see [`Self::hostname`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// PID 1, as seen inside; the brand's when unset, see [`Self::init`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
    /// Whether an init that exits is started again; false halts the zone.
    #[serde(default = "yes")]
    pub restart_init: bool,
    /// With `restart_init`: only when it exited with 0.
    #[serde(default)]
    pub restart_init_on_exit_0: bool,
    /// Whether an init that exits reboots the zone.
    #[serde(default)]
    pub reboot_on_init_exit: bool,
    /// How long an orderly shutdown may take, in seconds.
    #[serde(default = "default_timeout")]
    pub shutdown_timeout: u64,
    /// File systems, mounted in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fs: Vec<Fs>,
    /// Data of the administrator's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attr: Vec<Attr>,
}

fn default_brand() -> String {
    crate::brand::DEFAULT.to_owned()
}

fn yes() -> bool {
    true
}

fn default_timeout() -> u64 {
    60
}

/// Whose network stack a zone has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IpType {
    /// Its own.
    #[default]
    Exclusive,
}

impl IpType {
    const ALL: [Self; 1] = [Self::Exclusive];

    /// The word in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exclusive => "exclusive",
        }
    }
}

/// A file system of the zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Fs {
    /// Where, as seen inside: an absolute path.
    pub dir: String,
    /// What: for lofs an absolute path of the host, for tmpfs a word.
    pub special: String,
    /// Of what type.
    #[serde(rename = "type")]
    pub fstype: FsType,
    /// Mount options, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// The types of file system that a zone can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FsType {
    /// A directory of the host (a bind mount).
    Lofs,
    /// Memory.
    Tmpfs,
}

impl FsType {
    pub(crate) const ALL: [Self; 2] = [Self::Lofs, Self::Tmpfs];

    /// The word in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lofs => "lofs",
            Self::Tmpfs => "tmpfs",
        }
    }
}

/// A datum of the administrator's; nothing in the zone depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Attr {
    /// Its name, once in a zone.
    pub name: String,
    /// What the value must look like.
    #[serde(rename = "type")]
    pub attrtype: AttrType,
    /// The value, as written.
    pub value: String,
}

/// What the value of an [`Attr`] looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttrType {
    /// Any text.
    String,
    /// A whole number.
    Int,
    /// A whole number, not negative.
    Uint,
    /// `true` or `false`.
    Boolean,
}

impl AttrType {
    const ALL: [Self; 4] = [Self::String, Self::Int, Self::Uint, Self::Boolean];

    /// The word in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Boolean => "boolean",
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is none.
    #[error("{0}: No such zone configured")]
    NoSuchZone(ZoneName),
    /// Its file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its file has a place that is not a configuration.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Its file lacks something.
    #[error("{}: {problem}", .origin.display())]
    Incomplete {
        /// The file.
        origin: PathBuf,
        /// What is missing, with what is allowed.
        problem: Problem,
    },
}

impl ZoneConfig {
    /// A configuration with everything at its default.
    pub fn new(zonepath: PathBuf) -> Self {
        Self {
            zonepath,
            brand: default_brand(),
            autoboot: false,
            bootargs: String::new(),
            limitpriv: Vec::new(),
            ip_type: IpType::default(),
            hostname: None,
            init: None,
            restart_init: true,
            restart_init_on_exit_0: false,
            reboot_on_init_exit: false,
            shutdown_timeout: default_timeout(),
            fs: Vec::new(),
            attr: Vec::new(),
        }
    }

    /// The zone's root directory, on the host.
    pub fn root(&self) -> PathBuf {
        self.zonepath.join("root")
    }

    /// The zone's host name.
    pub fn hostname<'a>(&'a self, zone: &'a ZoneName) -> &'a str {
        self.hostname.as_deref().unwrap_or(zone.as_str())
    }

    /// The path of PID 1, as seen inside.
    pub fn init<'a>(&'a self, brand: &'a Brand) -> &'a str {
        self.init.as_deref().unwrap_or(&brand.init)
    }

    /// Reads a zone's configuration.
    ///
    /// # Errors
    /// When there is none, or it cannot be read or understood.
    pub fn load(layout: &Layout, zone: &ZoneName) -> Result<Self, ConfigError> {
        let document = store::load(layout, zone)?;
        Self::from_document(&document, &layout.config(zone))
    }

    /// Reads a configuration from text; `origin` is the file's name for errors.
    ///
    /// # Errors
    /// When it is not a configuration.
    pub fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        Self::from_document(&Document::parse(text, origin)?, origin)
    }

    /// The form on disk.
    pub fn to_toml(&self) -> String {
        self.to_document().to_toml()
    }

    /// Writes a zone's configuration, whole or not at all; the index is not touched, see [`store`] for that.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, layout: &Layout, zone: &ZoneName) -> Result<(), ConfigError> {
        file::make_dir(&layout.etc(), 0o755)?;
        Ok(file::replace(&layout.config(zone), self.to_toml().as_bytes(), 0o644)?)
    }

    /// Everything that is wrong with it, not just the first.
    pub fn verify(&self) -> Vec<Problem> {
        self.to_document().verify()
    }
}

#[cfg(test)]
mod tests;

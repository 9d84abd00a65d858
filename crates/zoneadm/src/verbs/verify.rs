//! `zoneadm verify`: could this zone be run here? And the part of it that is done before every boot.

use std::fmt::Display;
use std::path::Path;

use zone_config::config::ConfigError;
use zone_config::hostuser;
use zone_config::{Brand, Entry, Index, Layout, State, ZoneConfig, ZoneName, order};
use zone_install::zonepath::{self, Warning, ZonepathError};
use zone_platform::Spec;
use zone_platform::verify::{Severity, verify};

use crate::context::Context;
use crate::message::{Failure, Outcome, say, warn_zone};
use crate::sanity::{self, Action, Target};

pub(crate) fn run(cx: &Context) -> Outcome {
    let target = sanity::check(cx, Action::Verify)?;
    fully(&target)
}

/// Everything that can be known before trying.
fn fully(target: &Target<'_>) -> Outcome {
    let index = index(target)?;
    let mut findings = Findings::beside_all(target, &index);
    let config = findings.config()?;
    findings.admins(&config);
    let installed = target.entry.state == State::Installed;
    findings.depends(&index, &config);
    match findings.check(&config) {
        Ok(warnings) => {
            // The platform looks at an installed zone's path itself, and warns itself.
            let told = warnings.iter().filter(|_| !installed);
            told.for_each(|warning| warn_zone(target.name(), warning));
            findings.platform(&config, installed);
        }
        Err(error) => {
            findings.zonepath_error(&config, error);
            findings.platform(&config, false);
        }
    }
    findings.end(config).map(drop)
}

/// All zones, for whoever looks at each of them.
fn index(target: &Target<'_>) -> Outcome<Index> {
    Index::load(target.layout).map_err(Failure::of(target.name()))
}

/// What must hold before an install, which makes the zonepath what it has to be if nobody uses it yet.
pub(crate) fn installable(target: &Target<'_>) -> Outcome<ZoneConfig> {
    let index = index(target)?;
    let mut findings = Findings::beside_all(target, &index);
    let config = findings.config()?;
    match findings.beside_others(|name, others| zonepath::check_vacant(name, &config.zonepath, others)) {
        Ok(warnings) => {
            let told = warnings.iter().filter(|warning| !matches!(warning, Warning::Missing(_)));
            told.for_each(|warning| warn_zone(target.name(), warning));
        }
        Err(error) => findings.zonepath_error(&config, error),
    }
    findings.platform(&config, false);
    findings.end(config)
}

/// What must hold of the zonepath that a zone is moved to: what an install wants of it.
pub(crate) fn relocatable(target: &Target<'_>, to: &Path) -> Outcome {
    let index = index(target)?;
    let mut findings = Findings::beside_all(target, &index);
    let config = ZoneConfig { zonepath: to.to_owned(), ..findings.config()? };
    match findings.beside_others(|name, others| zonepath::check_vacant(name, to, others)) {
        Ok(warnings) => {
            let told = warnings.iter().filter(|warning| !matches!(warning, Warning::Missing(_)));
            told.for_each(|warning| warn_zone(target.name(), warning));
        }
        Err(error) => findings.zonepath_error(&config, error),
    }
    findings.platform(&config, false);
    findings.end(config).map(drop)
}

/// What must hold before files that are there are made a zone's: what must hold of an installed one.
pub(crate) fn attachable(target: &Target<'_>) -> Outcome {
    let index = index(target)?;
    let mut findings = Findings::beside_all(target, &index);
    let config = findings.config()?;
    match findings.check(&config) {
        Ok(_) => findings.platform(&config, true),
        Err(error) => findings.zonepath_error(&config, error),
    }
    findings.end(config).map(drop)
}

/// What is cheap and would otherwise show late or not at all: that the configuration can be read and is the one that
/// was installed, and that nobody has put the zonepath into another's hands. The rest shows when the zone is made ready.
pub(crate) fn before(target: &Target<'_>) -> Outcome {
    let mut findings = Findings { target, others: Vec::new(), wrong: false };
    let config = findings.config()?;
    // By their text alone: looking at each of a thousand other zonepaths would take longer than the boot.
    findings.others =
        Index::overlapping(target.layout, &config.zonepath).map_err(Failure::of(target.name()))?;
    if let Err(error) = findings.check(&config) {
        findings.zonepath_error(&config, error);
    }
    findings.end(config).map(drop)
}

/// Tells what is wrong and remembers that something is.
struct Findings<'a> {
    target: &'a Target<'a>,
    /// The zones that its zonepath is seen beside.
    others: Vec<Entry>,
    wrong: bool,
}

impl<'a> Findings<'a> {
    /// Begins with all zones.
    fn beside_all(target: &'a Target<'a>, index: &Index) -> Self {
        Self { target, others: index.entries().cloned().collect(), wrong: false }
    }

    fn wrong(&mut self, text: impl Display) {
        self.wrong = true;
        warn_zone(self.target.name(), text);
    }

    /// The configuration; without one nothing else can be looked at.
    fn config(&mut self) -> Outcome<ZoneConfig> {
        let (layout, name) = (self.target.layout, self.target.name());
        match ZoneConfig::load(layout, name) {
            Ok(config) => {
                let indexed = &self.target.entry.zonepath;
                if config.zonepath != *indexed {
                    self.wrong(format_args!(
                        "The configuration {} has zonepath '{}', but the index file has zonepath '{}'. \
                         These must match, so fix the incorrect entry.",
                        layout.config(name).display(),
                        config.zonepath.display(),
                        indexed.display()
                    ));
                }
                Ok(config)
            }
            Err(error) => {
                self.wrong(config_error(layout, name, error));
                Err(self.verdict())
            }
        }
    }

    /// The rules for the zonepath.
    fn check(&self, config: &ZoneConfig) -> Result<Vec<Warning>, ZonepathError> {
        self.beside_others(|name, others| zonepath::check(name, &config.zonepath, others))
    }

    /// Circles in what it depends on, and zones that are not there.
    fn depends(&mut self, index: &Index, config: &ZoneConfig) {
        let layout = self.target.layout;
        for error in order::check(layout, index, self.target.name(), &config.depends) {
            let text = format!("depends {error}");
            if error.is_harmless() { warn_zone(self.target.name(), text) } else { self.wrong(text) }
        }
    }

    fn beside_others<T>(&self, check: impl FnOnce(&str, &[(&str, &Path)]) -> T) -> T {
        let name = self.target.name();
        let others = self.others.iter().filter(|other| other.name != *name);
        let others: Vec<_> = others.map(|other| (other.name.as_str(), other.zonepath.as_path())).collect();
        check(name.as_str(), &others)
    }

    /// The brand, and what the platform can say without building anything.
    fn platform(&mut self, config: &ZoneConfig, installed: bool) {
        let brand = match Brand::load(&config.brand) {
            Ok(brand) => brand,
            Err(error) => return self.wrong(chain(error)),
        };
        let (name, uuid) = (self.target.name(), self.target.entry.uuid.unwrap_or_default());
        let spec = Spec::asked(name, uuid, None, &brand, config);
        for finding in verify(self.target.layout, &spec, installed) {
            match finding.severity {
                Severity::Error => self.wrong(finding.text),
                Severity::Warning => warn_zone(self.target.name(), finding.text),
            }
        }
    }

    /// Whoever is to administer the zone must be somebody.
    fn admins(&mut self, config: &ZoneConfig) {
        for admin in &config.admin {
            match hostuser::id_of(&admin.user) {
                Ok(Some(_)) => {}
                Ok(None) => self.wrong(format_args!("admin {}: this host has no such user", admin.user)),
                Err(error) => self.wrong(chain(error)),
            }
        }
    }

    fn zonepath_error(&mut self, config: &ZoneConfig, error: ZonepathError) {
        self.wrong(chain(error));
        let path = config.zonepath.display();
        self.wrong(format_args!("could not verify zonepath {path} because of the above errors."));
    }

    fn end(self, config: ZoneConfig) -> Outcome<ZoneConfig> {
        if self.wrong { Err(self.verdict()) } else { Ok(config) }
    }

    fn verdict(&self) -> Failure {
        say(format_args!("zoneadm: zone {} failed to verify", self.target.name()));
        Failure::Told
    }
}

/// Why the configuration of a zone that is in the index cannot be had.
pub(crate) fn config_error(layout: &Layout, zone: &ZoneName, error: ConfigError) -> String {
    match error {
        ConfigError::NoSuchZone(_) => format!(
            "its configuration {} is missing; bring it back, or delete the zone with zonecfg",
            layout.config(zone).display()
        ),
        error => chain(error),
    }
}

fn chain(error: impl std::error::Error + 'static) -> String {
    zone_sys::Chain(&error).to_string()
}

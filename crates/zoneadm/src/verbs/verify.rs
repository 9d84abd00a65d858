//! `zoneadm verify`: could this zone be run here? And the part of it that is done before every boot.

use std::fmt::Display;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zone_config::config::{Fs, FsType};
use zone_config::{Brand, State, ZoneConfig};
use zone_install::zonepath::{self, Warning, ZonepathError};

use crate::context::Context;
use crate::message::{Failure, Outcome, say, warn_zone};
use crate::sanity::{self, Action, Target};

pub(crate) fn run(cx: &Context) -> Outcome {
    let target = sanity::check(cx, Action::Verify)?;
    fully(&target)
}

/// Everything that can be known before trying.
fn fully(target: &Target<'_>) -> Outcome {
    let mut findings = Findings { target, wrong: false };
    let config = findings.config()?;
    match findings.check(&config, |_| true) {
        Ok(warnings) => warnings.iter().for_each(|warning| warn_zone(target.name(), warning)),
        Err(error) => findings.zonepath_error(&config, error),
    }
    findings.root(&config);
    findings.resources(&config);
    findings.end(config).map(drop)
}

/// What must hold before an install, which makes the zonepath what it has to be if it can.
pub(crate) fn installable(target: &Target<'_>) -> Outcome<ZoneConfig> {
    let mut findings = Findings { target, wrong: false };
    let config = findings.config()?;
    match findings.check(&config, |_| true) {
        Ok(warnings) => {
            let told = warnings.iter().filter(|warning| !matches!(warning, Warning::Missing(_)));
            told.for_each(|warning| warn_zone(target.name(), warning));
        }
        Err(ZonepathError::NotOwnedByRoot(path) | ZonepathError::Mode { path, .. })
            if path == config.zonepath => {}
        Err(error) => findings.zonepath_error(&config, error),
    }
    findings.resources(&config);
    findings.end(config)
}

/// The rules for the zonepath alone.
pub(crate) fn zonepath(target: &Target<'_>, config: &ZoneConfig) -> Outcome {
    let mut findings = Findings { target, wrong: false };
    if let Err(error) = findings.check(config, |_| true) {
        findings.zonepath_error(config, error);
    }
    if findings.wrong { Err(findings.verdict()) } else { Ok(()) }
}

/// What is cheap and would otherwise show late or not at all: that the configuration can be read and is the one that
/// was installed, and that nobody has put the zonepath into another's hands. The rest shows when the zone is made ready.
pub(crate) fn before(target: &Target<'_>) -> Outcome {
    let mut findings = Findings { target, wrong: false };
    let config = findings.config()?;
    // By their text alone: looking at each of a thousand other zonepaths would take longer than the boot.
    let path = &config.zonepath;
    let overlaps = |other: &Path| path.starts_with(other) || other.starts_with(path);
    if let Err(error) = findings.check(&config, overlaps) {
        findings.zonepath_error(&config, error);
    }
    findings.root(&config);
    findings.end(config).map(drop)
}

/// Tells what is wrong and remembers that something is.
struct Findings<'a> {
    target: &'a Target<'a>,
    wrong: bool,
}

impl Findings<'_> {
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
                self.wrong(chain(error));
                Err(self.verdict())
            }
        }
    }

    /// The rules for the zonepath, beside those of the other zones that `concerns` lets through.
    fn check(
        &self,
        config: &ZoneConfig,
        concerns: impl Fn(&Path) -> bool,
    ) -> Result<Vec<Warning>, ZonepathError> {
        let name = self.target.name();
        let others = self.target.index.entries().filter(|other| other.name != *name);
        let others: Vec<_> = others
            .filter(|other| concerns(&other.zonepath))
            .map(|other| (other.name.as_str(), other.zonepath.as_path()))
            .collect();
        zonepath::check(name.as_str(), &config.zonepath, &others)
    }

    /// The brand, and what the zone's file systems are made of.
    fn resources(&mut self, config: &ZoneConfig) {
        if let Err(error) = Brand::load(&config.brand) {
            self.wrong(chain(error));
        }
        for fs in &config.fs {
            if let Some(problem) = special_problem(fs) {
                self.wrong(format_args!("could not verify fs {}: {problem}", fs.dir));
            }
        }
    }

    fn zonepath_error(&mut self, config: &ZoneConfig, error: ZonepathError) {
        self.wrong(chain(error));
        let path = config.zonepath.display();
        self.wrong(format_args!("could not verify zonepath {path} because of the above errors."));
    }

    /// An installed zone has a root; that is what installing it made.
    fn root(&mut self, config: &ZoneConfig) {
        if self.target.entry.state == State::Installed
            && let Some(problem) = root_problem(&config.root())
        {
            self.wrong(problem);
        }
    }

    fn end(self, config: ZoneConfig) -> Outcome<ZoneConfig> {
        if self.wrong { Err(self.verdict()) } else { Ok(config) }
    }

    fn verdict(&self) -> Failure {
        say(format_args!("zoneadm: zone {} failed to verify", self.target.name()));
        Failure::Told
    }
}

fn chain(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

/// What is wrong with the root of an installed zone.
fn root_problem(root: &Path) -> Option<String> {
    let path = root.display();
    let metadata = match fs::symlink_metadata(root) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Some(format!(
                "{path} does not exist, though the zone is installed; bring it back, or uninstall the zone."
            ));
        }
        Err(error) => return Some(format!("cannot look at {path}: {error}")),
    };
    let mode = metadata.mode() & 0o7777;
    if !metadata.is_dir() {
        Some(format!("{path} is not a directory."))
    } else if metadata.uid() != rustix::process::geteuid().as_raw() {
        Some(format!("{path} is not owned by root; run chown 0:0 {path}."))
    } else if mode != 0o755 {
        Some(format!("{path} must be mode 0755 (it is {mode:04o}); run chmod 0755 {path}."))
    } else {
        None
    }
}

/// What is wrong with what a file system is to be made of.
fn special_problem(fs: &Fs) -> Option<String> {
    match fs.fstype {
        FsType::Lofs => fs::metadata(&fs.special).err().map(|error| format!("{}: {error}", fs.special)),
        FsType::Tmpfs => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn roots_that_cannot_be_booted() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        assert!(root_problem(&root).unwrap().contains("does not exist"));
        fs::create_dir(&root).unwrap();
        let chmod = |mode| fs::set_permissions(&root, fs::Permissions::from_mode(mode)).unwrap();
        chmod(0o777);
        assert!(root_problem(&root).unwrap().contains("must be mode 0755 (it is 0777)"));
        chmod(0o755);
        assert_eq!(root_problem(&root), None);
        fs::remove_dir(&root).unwrap();
        std::os::unix::fs::symlink("/", &root).unwrap();
        assert!(root_problem(&root).unwrap().ends_with("is not a directory."));
    }

    #[test]
    fn a_lofs_needs_its_directory() {
        let mut fs = Fs { dir: "/d".into(), special: "/proc".into(), fstype: FsType::Lofs, options: vec![] };
        assert_eq!(special_problem(&fs), None);
        fs.special = "/nowhere/at/all".into();
        assert!(special_problem(&fs).unwrap().starts_with("/nowhere/at/all: "));
        fs.fstype = FsType::Tmpfs;
        assert_eq!(special_problem(&fs), None);
    }
}

//! What systemd is told of the zones: a unit `zone@NAME.service` for each that is installed, wanted by `zones.target` if the
//! zone boots with the host, and in the order that the zones' configurations say.
//!
//! The unit itself is a template that the package brings; what is made here are links to it and drop-ins beside it.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use zone_config::config::{BootPriority, FsType};
use zone_config::filesystem::{MountOption, read_option};
use zone_config::index::{Index, IndexError};
use zone_config::order::{self, Place};
use zone_config::{Layout, State, ZoneConfig, ZoneName};
use zone_sys::Chain;

/// Where the template is that every zone's unit is an instance of.
const TEMPLATE: &str = "/usr/lib/systemd/system/zone@.service";
/// What wants the zones that boot with the host.
const TARGET: &str = "zones.target";
/// Reached when all zones of high priority have booted, and when those of normal priority have.
const HIGH: &str = "zones-high.target";
const NORMAL: &str = "zones-normal.target";

/// Why there are no units.
#[derive(Debug, thiserror::Error)]
pub enum GeneratorError {
    /// Nobody knows which zones there are.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A unit could not be written.
    #[error("cannot write {}", .path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Writes the units of all installed zones below `normal`, systemd's folder for them. A zone whose configuration cannot be
/// read has none, which `say` is told; the others boot all the same.
///
/// # Errors
/// [`GeneratorError`].
pub fn generate(layout: &Layout, normal: &Path, mut say: impl FnMut(String)) -> Result<(), GeneratorError> {
    let index = Index::load(layout)?;
    let mut configs = BTreeMap::new();
    for entry in index.entries().filter(|entry| entry.state == State::Installed) {
        match ZoneConfig::load(layout, &entry.name) {
            Ok(config) => {
                configs.insert(entry.name.clone(), config);
            }
            Err(error) => {
                say(format!("zone '{}' does not boot with the host: {}", entry.name, Chain(&error)));
            }
        }
    }
    // Of all, whether they boot with the host or not: systemd also takes down in this order what was booted by hand.
    let places = order::effective(configs.iter().map(|(zone, config)| (zone.clone(), Place::of(config))));
    for ((zone, config), place) in configs.iter().zip(places.values()) {
        write_units(zone, config, place, normal)?;
    }
    Ok(())
}

fn write_units(
    zone: &ZoneName,
    config: &ZoneConfig,
    place: &Place,
    normal: &Path,
) -> Result<(), GeneratorError> {
    let path = normal.join(format!("{}.d", unit(zone))).join("50-zone.conf");
    at(&path, |path| fs::create_dir_all(path.parent().unwrap_or(normal)))?;
    at(&path, |path| fs::write(path, drop_in(config, place)))?;
    if config.autoboot {
        let link = normal.join(format!("{TARGET}.wants")).join(unit(zone));
        at(&link, |link| fs::create_dir_all(link.parent().unwrap_or(normal)))?;
        at(&link, |link| symlink(template(), link))?;
    }
    Ok(())
}

/// The template below the prefix that this program is installed below, or where the package has it.
fn template() -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_default();
    // PREFIX/lib/systemd/system-generators/zone-generator
    let beside = exe.ancestors().nth(2).map(|systemd| systemd.join("system/zone@.service"));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| TEMPLATE.into())
}

fn at(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), GeneratorError> {
    write(path).map_err(|source| GeneratorError::Write { path: path.to_owned(), source })
}

/// The unit of a zone. Every character that a zone's name can have stands for itself in a unit's.
fn unit(zone: &ZoneName) -> String {
    format!("zone@{zone}.service")
}

/// What a zone's unit has beside the template.
fn drop_in(config: &ZoneConfig, place: &Place) -> String {
    let mut text = String::from("# Made from the zone's configuration by zone-generator.\n[Unit]\n");
    let mut line = |key: &str, value: &str| text.extend([key, "=", value, "\n"]);
    line("RequiresMountsFor", &escaped(&config.zonepath.to_string_lossy()));
    for fs in config.fs.iter().filter(|fs| matches!(fs.fstype, FsType::Lofs | FsType::Overlay)) {
        line("RequiresMountsFor", &escaped(&fs.special));
        for path in fs.options.iter().filter_map(|option| match read_option(fs.fstype, option) {
            Ok(MountOption::Lower(path) | MountOption::Upper(path)) => Some(path),
            _ => None,
        }) {
            line("RequiresMountsFor", &escaped(path));
        }
    }
    for zone in &place.depends {
        // Not Requires=: that would take this zone down with the other one whenever that is stopped.
        line("Wants", &unit(zone));
        line("After", &unit(zone));
    }
    match place.priority {
        BootPriority::High => line("Before", HIGH),
        BootPriority::Normal => {
            line("After", HIGH);
            line("Before", NORMAL);
        }
        BootPriority::Low => line("After", NORMAL),
    }
    text
}

/// A path as a unit's setting has it: in quotes, and with nothing that systemd would replace.
fn escaped(path: &str) -> String {
    let path = path.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    format!("\"{path}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Host {
        dir: tempfile::TempDir,
        layout: Layout,
    }

    impl Host {
        fn with(zones: &[(&str, &str, &str)]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
            fs::create_dir_all(layout.etc()).unwrap();
            let mut index = String::new();
            for (name, state, config) in zones {
                let uuid = "00000000-0000-4000-8000-000000000000";
                index.push_str(&format!("{name}:{state}:/zones/{name}:{uuid}\n"));
                let text = format!("zonepath = \"/zones/{name}\"\n{config}");
                fs::write(layout.config(&name.parse().unwrap()), text).unwrap();
            }
            fs::write(layout.index(), index).unwrap();
            Self { dir, layout }
        }

        fn generate(&self) -> (PathBuf, Vec<String>) {
            let normal = self.dir.path().join("normal");
            let mut said = Vec::new();
            generate(&self.layout, &normal, |text| said.push(text)).unwrap();
            (normal, said)
        }
    }

    #[test]
    fn zones_that_boot_with_the_host_are_wanted_and_installed_ones_known() {
        let host = Host::with(&[
            ("web", "installed", "autoboot = true\n"),
            ("db", "installed", ""),
            ("new", "configured", "autoboot = true\n"),
            ("half", "incomplete", "autoboot = true\n"),
        ]);
        let (normal, said) = host.generate();
        let wanted: Vec<_> = fs::read_dir(normal.join("zones.target.wants"))
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(wanted, ["zone@web.service"]);
        let link = normal.join("zones.target.wants/zone@web.service");
        assert_eq!(fs::read_link(link).unwrap(), Path::new(TEMPLATE));
        assert!(normal.join("zone@db.service.d/50-zone.conf").exists());
        assert!(!normal.join("zone@new.service.d").exists() && !normal.join("zone@half.service.d").exists());
        assert!(said.is_empty(), "{said:?}");
    }

    #[test]
    fn one_that_cannot_be_read_keeps_nobody_down() {
        let host = Host::with(&[
            ("bad", "installed", "autoboot = maybe\n"),
            ("web", "installed", "autoboot = true\n"),
        ]);
        let (normal, said) = host.generate();
        assert!(normal.join("zones.target.wants/zone@web.service").is_symlink());
        assert!(
            said[0].starts_with("zone 'bad' does not boot with the host: ") && said.len() == 1,
            "{said:?}"
        );
    }

    #[test]
    fn a_host_without_zones_has_no_units() {
        let host = Host::with(&[]);
        fs::remove_file(host.layout.index()).unwrap();
        assert!(!host.generate().0.exists());
    }

    fn told(config: &str) -> String {
        let host = Host::with(&[("web", "installed", config)]);
        fs::read_to_string(host.generate().0.join("zone@web.service.d/50-zone.conf")).unwrap()
    }

    #[test]
    fn a_zone_comes_after_what_it_depends_on_and_what_is_of_higher_priority() {
        let text = told("depends = [\"db\", \"auth.v-2\"]\n");
        for line in [
            "RequiresMountsFor=\"/zones/web\"",
            "Wants=zone@db.service",
            "After=zone@auth.v-2.service",
            "After=zones-high.target",
            "Before=zones-normal.target",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        assert!(told("boot-priority = \"high\"\n").ends_with("\nBefore=zones-high.target\n"));
        assert!(told("boot-priority = \"low\"\n").ends_with("\nAfter=zones-normal.target\n"));
    }

    #[test]
    fn what_a_zone_of_high_priority_depends_on_is_before_the_same_target() {
        let host = Host::with(&[
            ("web", "installed", "boot-priority = \"high\"\ndepends = [\"db\"]\n"),
            ("db", "installed", "depends = [\"disk\"]\n"),
            ("disk", "installed", "boot-priority = \"low\"\n"),
            ("mail", "installed", ""),
        ]);
        let (normal, _) = host.generate();
        let of = |zone: &str| fs::read_to_string(normal.join(format!("zone@{zone}.service.d/50-zone.conf")));
        for zone in ["web", "db", "disk"] {
            let text = of(zone).unwrap();
            // After it as well they would wait for who waits for them.
            assert!(text.ends_with("\nBefore=zones-high.target\n"), "{zone}: {text}");
            assert!(!text.contains("After=zones-"), "{zone}: {text}");
        }
        assert!(of("mail").unwrap().ends_with("\nAfter=zones-high.target\nBefore=zones-normal.target\n"));
    }

    #[test]
    fn a_path_is_nothing_but_a_path() {
        assert_eq!(escaped("/a b%n\"x\\"), "\"/a b%%n\\\"x\\\\\"");
        let text = told("[[fs]]\ndir = \"/d\"\nspecial = \"/a b%n\"\ntype = \"lofs\"\n");
        assert!(text.contains("\nRequiresMountsFor=\"/a b%%n\"\n"), "{text}");
    }
}

//! What a live zone has: `RUN/NAME/snapshot.toml`, from ready to halt.
//!
//! Everything that is read about a live zone comes from here, so that an edit of the configuration touches a
//! zone when it is applied or boots next and never in between, and teardown knows what bring-up was told.
//!
//! While a zone is changed, what it will have is beside it, in `snapshot.next.toml`, from before the first of it is put in
//! force until all of it is; then that takes the place of the other. Whoever finds both knows both ends of what was
//! interrupted.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::config::MacProfile;
use crate::file::{self, FileError};
use crate::{Brand, IdRange, Layout, ZoneConfig, ZoneName};

pub use listed::Listed;
pub use outline::Outline;

mod listed;
mod outline;

/// The version that this program writes.
///
/// A program reads every version from [`OLDEST`] on, for a login or a halt may come after an upgrade of the programs
/// below a zone that lives. So a field that is added has a default that means what its absence meant, and one is only
/// taken away with an `OLDEST` that no zone can have been made with.
///
/// | version | since |
/// |---|---|
/// | 1 | the beginning |
/// | 2 | `confinement` is kept |
pub const VERSION: u32 = 2;
/// The oldest version that this program reads.
pub const OLDEST: u32 = 1;

/// Bounds its size in bytes: it holds a configuration, with the defaults written out, a brand, and what was made of both.
const MOST: u64 = 4 * file::DOCUMENT;

/// The last line. A file that was cut between two tables is still TOML; without this line it is known as cut.
const END: &str = "# end of snapshot\n";

/// What a live zone has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Snapshot {
    /// The version of this form.
    pub version: u32,
    /// The zone that it was made for.
    pub name: ZoneName,
    /// The zone's identity, which a change of its name does not change.
    #[serde(with = "uuid_text")]
    pub uuid: Uuid,
    /// When it was made, in seconds since 1970 UTC.
    pub made: u64,
    /// The ids it owns on the host.
    pub idmap: IdRange,
    /// The boot arguments that somebody has given: they hold, before the configured ones, until others are given or the zone
    /// is halted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootargs: Option<String>,
    /// The boot arguments that the zone's own root has given for this incarnation: they hold before all others, and for no later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootargs_once: Option<String>,
    /// Whether the zone can write its whole root this once, whatever its `file-mac-profile`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub writable: bool,
    /// What its processes may not do, as it was worked out for its init; not in version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confinement: Option<Confinement>,
    /// The whole brand: its file may change while the zone lives.
    pub brand: Brand,
    /// The configuration, whole, as it was when the zone was made ready, and with what it was given since.
    pub config: ZoneConfig,
}

/// What the processes of a zone may not do: the tables that it is worked out from are a program's, and another version of
/// the program has others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Confinement {
    /// The capability bounding set: bit `1 << n` is capability number `n`.
    #[serde(with = "hex_number")]
    pub capabilities: u64,
    /// The seccomp program, an array of `struct sock_filter` in this machine's order of bytes.
    #[serde(with = "hex_bytes")]
    pub filter: Vec<u8>,
}

/// A snapshot that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// There is none: the zone is not live.
    #[error("zone '{zone}' has no snapshot {}: it is not ready", .path.display())]
    Missing {
        /// The zone that was asked for.
        zone: ZoneName,
        /// Where it would be.
        path: PathBuf,
    },
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// Truncated, edited, or of another program.
    #[error("snapshot {} is damaged: halt the zone, the next boot writes it anew", .path.display())]
    Damaged {
        /// The snapshot's path.
        path: PathBuf,
        /// What is wrong, with line and column.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// Without its last line: cut short.
    #[error("snapshot {} is cut short: halt the zone, the next boot writes it anew", .path.display())]
    Truncated {
        /// The snapshot's path.
        path: PathBuf,
    },
    /// Of a version that this program does not know.
    #[error(
        "snapshot {} is of version {found}, this program reads {OLDEST} to {VERSION}: use the programs that the zone was booted with, or newer ones",
        .path.display()
    )]
    Version {
        /// The snapshot's path.
        path: PathBuf,
        /// What it says.
        found: u32,
    },
    /// Of another zone.
    #[error("snapshot {} is of zone '{found}'", .path.display())]
    OtherZone {
        /// The snapshot's path.
        path: PathBuf,
        /// What it says.
        found: ZoneName,
    },
    /// No value of ours does this.
    #[error("cannot put snapshot {} into words", .path.display())]
    Print {
        /// The snapshot's path.
        path: PathBuf,
        /// What the serializer refuses.
        #[source]
        source: toml::ser::Error,
    },
}

impl Snapshot {
    /// Takes a snapshot, as of now.
    pub fn new(name: ZoneName, uuid: Uuid, idmap: IdRange, brand: Brand, config: ZoneConfig) -> Self {
        let made = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self {
            version: VERSION,
            name,
            uuid,
            made,
            idmap,
            bootargs: None,
            bootargs_once: None,
            writable: false,
            confinement: None,
            brand,
            config,
        }
    }

    /// How much of its root the zone can write now.
    #[must_use]
    pub fn protection(&self) -> MacProfile {
        if self.writable { MacProfile::None } else { self.config.file_mac_profile }
    }

    /// Writes it where only root can read it; the zone's run directory is made when missing.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, layout: &Layout) -> Result<(), SnapshotError> {
        self.save_at(layout, layout.snapshot(&self.name))
    }

    /// Writes what the zone is being changed to, beside what it has.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save_next(&self, layout: &Layout) -> Result<(), SnapshotError> {
        self.save_at(layout, layout.snapshot_next(&self.name))
    }

    fn save_at(&self, layout: &Layout, path: PathBuf) -> Result<(), SnapshotError> {
        file::make_dir(&layout.zone_run(&self.name), 0o700)?;
        match toml::to_string(self) {
            Ok(text) => Ok(file::replace_fast(&path, format!("{text}{END}").as_bytes(), 0o600)?),
            Err(source) => Err(SnapshotError::Print { path, source }),
        }
    }

    /// Reads a zone's snapshot.
    ///
    /// # Errors
    /// [`SnapshotError::Missing`] when the zone is not live; else whatever is wrong with it.
    pub fn load(layout: &Layout, zone: &ZoneName) -> Result<Self, SnapshotError> {
        Self::load_from(layout.snapshot(zone), zone)
    }

    /// Reads what a zone is being changed to; `None` if it is not.
    ///
    /// # Errors
    /// Whatever is wrong with it.
    pub fn load_next(layout: &Layout, zone: &ZoneName) -> Result<Option<Self>, SnapshotError> {
        match Self::load_from(layout.snapshot_next(zone), zone) {
            Ok(next) => Ok(Some(next)),
            Err(SnapshotError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn load_from(path: PathBuf, zone: &ZoneName) -> Result<Self, SnapshotError> {
        let Some(bytes) = file::read_if_there(&path, MOST)? else {
            return Err(SnapshotError::Missing { zone: zone.clone(), path });
        };
        let text = String::from_utf8_lossy(&bytes);
        if !text.ends_with(END) {
            return Err(SnapshotError::Truncated { path });
        }
        let is_known = |version: u32| (OLDEST..=VERSION).contains(&version);
        match toml::from_str::<Self>(&text) {
            // What another version means by the rest is not known, and neither is what it would call damaged.
            Err(source) => match toml::from_str::<Versioned>(&text) {
                Ok(Versioned { version: found }) if !is_known(found) => {
                    Err(SnapshotError::Version { path, found })
                }
                _ => Err(SnapshotError::Damaged { path, source: Box::new(source) }),
            },
            Ok(found) if !is_known(found.version) => {
                Err(SnapshotError::Version { path, found: found.version })
            }
            Ok(found) if found.name != *zone => Err(SnapshotError::OtherZone { path, found: found.name }),
            Ok(found) => Ok(found),
        }
    }

    /// Puts what a zone has been changed to in the place of what it had.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn commit_next(layout: &Layout, zone: &ZoneName) -> Result<(), SnapshotError> {
        let (from, to) = (layout.snapshot_next(zone), layout.snapshot(zone));
        let allowed = zone_fail::fail!("snapshot.commit").map_err(std::io::Error::from);
        Ok(allowed.and_then(|()| std::fs::rename(&from, &to)).map_err(FileError::new("replace", &to))?)
    }

    /// Forgets what a zone was to be changed to; a missing one is fine.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_next(layout: &Layout, zone: &ZoneName) -> Result<(), SnapshotError> {
        Ok(file::remove_fast(&layout.snapshot_next(zone))?)
    }

    /// Removes a zone's snapshot, and what it was to be changed to; missing ones are fine.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn remove(layout: &Layout, zone: &ZoneName) -> Result<(), SnapshotError> {
        Self::remove_next(layout, zone)?;
        Ok(file::remove_fast(&layout.snapshot(zone))?)
    }
}

/// As much of a snapshot as every version has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// A number of 64 bits as text: TOML's own have 63.
mod hex_number {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{number:x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        u64::from_str_radix(&String::deserialize(from)?, 16).map_err(de::Error::custom)
    }
}

/// Bytes as text, two digits each.
mod hex_bytes {
    use std::fmt::Write;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            write!(text, "{byte:02x}").map_err(serde::ser::Error::custom)?;
        }
        to.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        if text.len() % 2 != 0 || !text.is_ascii() {
            return Err(de::Error::custom("an odd number of digits"));
        }
        let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).map_err(de::Error::custom);
        (0..text.len()).step_by(2).map(byte).collect()
    }
}

/// A uuid as the text that people know.
mod uuid_text {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use uuid::Uuid;

    pub(super) fn serialize<S: Serializer>(uuid: &Uuid, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&uuid.hyphenated())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Uuid, D::Error> {
        Uuid::try_parse(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Fs, FsOwners, FsType};
    use std::fs;

    fn sample() -> Snapshot {
        let mut config = ZoneConfig::new("/zones/web".into());
        config.fs.push(Fs {
            dir: "/data".into(),
            special: "/srv".into(),
            fstype: FsType::Lofs,
            raw: None,
            owners: FsOwners::Map,
            options: vec!["ro".into()],
        });
        let idmap = IdRange { base: 524_288, count: 65_536 };
        let brand = Brand::load("sparse").unwrap();
        let mut snapshot = Snapshot::new("web".parse().unwrap(), Uuid::new_v4(), idmap, brand, config);
        let filter = vec![0x06, 0, 0, 0, 0, 0, 0xff, 0x7f];
        snapshot.confinement = Some(Confinement { capabilities: u64::MAX - 1, filter });
        snapshot
    }

    #[test]
    fn a_snapshot_comes_back_or_says_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        let snapshot = sample();
        let web = snapshot.name.clone();
        assert!(matches!(Snapshot::load(&layout, &web), Err(SnapshotError::Missing { .. })));
        snapshot.save(&layout).unwrap();
        assert_eq!(Snapshot::load(&layout, &web).unwrap(), snapshot);

        let path = layout.snapshot(&web);
        let whole = fs::read_to_string(&path).unwrap();
        for cut in (0..whole.len()).filter(|&cut| whole.is_char_boundary(cut)) {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(matches!(Snapshot::load(&layout, &web), Err(SnapshotError::Truncated { .. })), "{cut}");
        }
        fs::write(&path, format!("surprise = 1\n{whole}")).unwrap();
        assert!(matches!(Snapshot::load(&layout, &web), Err(SnapshotError::Damaged { .. })));
        Snapshot::remove(&layout, &web).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn an_outline_is_what_the_whole_says() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        let mut snapshot = sample();
        let web = snapshot.name.clone();
        assert_eq!(Outline::load(&layout, &web), None);
        let of = |snapshot: &Snapshot| {
            snapshot.save(&layout).unwrap();
            let text = fs::read_to_string(layout.snapshot(&web)).unwrap();
            (Outline::ids(&text, &web), Outline::load(&layout, &web))
        };
        for bootargs in [None, Some("-m verbose [idmap] base = 7".to_owned())] {
            snapshot.bootargs = bootargs;
            let outline = Outline { ids: snapshot.idmap, shares: true };
            assert_eq!(of(&snapshot), (Some(snapshot.idmap), Some(outline)));
        }
        snapshot.config.fs.clear();
        assert_eq!(of(&snapshot).1, Some(Outline { ids: snapshot.idmap, shares: false }));
        // What is not as it is written now is read as a whole.
        snapshot.confinement = None;
        assert_eq!(of(&snapshot), (None, Some(Outline { ids: snapshot.idmap, shares: false })));
        fs::write(layout.snapshot(&web), FIRST).unwrap();
        let ids = IdRange { base: 690_552_832, count: 65_536 };
        assert_eq!(Outline::load(&layout, &web), Some(Outline { ids, shares: true }));
        // Neither one that was cut off nor another zone's.
        let whole = FIRST.strip_suffix(END).unwrap();
        fs::write(layout.snapshot(&web), whole).unwrap();
        assert_eq!(Outline::load(&layout, &web), None);
        let db: ZoneName = "db".parse().unwrap();
        fs::create_dir_all(layout.zone_run(&db)).unwrap();
        sample().save(&layout).unwrap();
        fs::copy(layout.snapshot(&web), layout.snapshot(&db)).unwrap();
        assert_eq!(Outline::load(&layout, &db), None);
    }

    #[test]
    fn what_a_zone_is_changed_to_is_beside_what_it_has_until_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        let before = sample();
        let web = before.name.clone();
        before.save(&layout).unwrap();
        assert_eq!(Snapshot::load_next(&layout, &web).unwrap(), None);
        let mut after = before.clone();
        after.config.shutdown_timeout = 7;
        after.save_next(&layout).unwrap();
        assert_eq!(Snapshot::load(&layout, &web).unwrap(), before);
        assert_eq!(Snapshot::load_next(&layout, &web).unwrap().as_ref(), Some(&after));
        Snapshot::commit_next(&layout, &web).unwrap();
        assert_eq!(Snapshot::load(&layout, &web).unwrap(), after);
        assert_eq!(Snapshot::load_next(&layout, &web).unwrap(), None);
        before.save_next(&layout).unwrap();
        Snapshot::remove(&layout, &web).unwrap();
        assert_eq!(Snapshot::load_next(&layout, &web).unwrap(), None);
    }

    /// What a program of version 1 has written for a zone that still lives.
    const FIRST: &str = include_str!("snapshot/version1.toml");

    #[test]
    fn what_every_version_has_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        let web: ZoneName = "web".parse().unwrap();
        fs::create_dir_all(layout.zone_run(&web)).unwrap();
        fs::write(layout.snapshot(&web), FIRST).unwrap();
        let found = Snapshot::load(&layout, &web).unwrap();
        assert_eq!((found.version, found.confinement.is_none()), (1, true));
        assert_eq!(
            (found.idmap.base, found.config.fs.len(), found.brand.name.as_str()),
            (690_552_832, 1, "sparse")
        );
        // It is written as it was read, and stays what it was.
        found.save(&layout).unwrap();
        assert_eq!(Snapshot::load(&layout, &web).unwrap(), found);
    }

    #[test]
    fn a_version_to_come_is_named_whatever_else_it_says() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        let web: ZoneName = "web".parse().unwrap();
        fs::create_dir_all(layout.zone_run(&web)).unwrap();
        for (version, rest) in [(VERSION + 1, "surprise = 7\n"), (0, "")] {
            fs::write(layout.snapshot(&web), format!("version = {version}\n{rest}{END}")).unwrap();
            let text = Snapshot::load(&layout, &web).unwrap_err().to_string();
            assert!(text.contains(&format!("is of version {version}, this program reads 1 to 2")), "{text}");
        }
    }
}

//! What a list shows of a zone that lives.

use super::outline::of_this_version;
use super::{END, MOST, Snapshot};
use crate::config::{IpType, MacProfile};
use crate::{Layout, ZoneName, file};

/// As much of a live zone's snapshot as a list shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The name of its brand.
    pub brand: String,
    /// Whose network stack it has.
    pub ip_type: IpType,
    /// How much of its root it can write.
    pub profile: MacProfile,
    /// Whether it can write its whole root this once, whatever the profile.
    pub writable: bool,
}

impl Listed {
    /// Reads a zone's snapshot as far as needed; `None` if the zone has none, or what there is makes no sense.
    ///
    /// A list reads one of every zone that lives, and parsing them would take most of its time. What is not as this program
    /// writes it is parsed.
    #[must_use]
    pub fn load(layout: &Layout, zone: &ZoneName) -> Option<Self> {
        let bytes = file::read_if_there(&layout.snapshot(zone), MOST).ok().flatten()?;
        let found = str::from_utf8(&bytes).ok().and_then(|text| Self::find(text, zone));
        found.or_else(|| Snapshot::load(layout, zone).ok().as_ref().map(Self::from))
    }

    /// Finds it in the text of a snapshot that is of this version and this zone, as it is written.
    pub(super) fn find(text: &str, zone: &ZoneName) -> Option<Self> {
        let text = of_this_version(text.strip_suffix(END)?, zone)?;
        let (mut table, mut writable) = ("", false);
        let (mut brand, mut ip_type, mut profile) = (None, None, None);
        for line in text.split('\n') {
            // A text of several lines could have one that reads like a property. To look for one in the seccomp program, which is most of
            // the file, would take longer than all the rest.
            let is_filter = line.strip_prefix(FILTER).is_some_and(|text| text.starts_with(DIGITS));
            if !is_filter && (line.contains("\"\"\"") || line.contains("'''")) {
                return None;
            }
            match (table, line.split_once(" = ")) {
                // Resources, which are tables, come after the properties of the zone itself.
                (CONFIG, _) if line.starts_with('[') => break,
                (_, None) if line.starts_with('[') => table = line,
                ("", Some(("writable", value))) => writable = value == "true",
                (CONFIG, Some(("brand", value))) => brand = plain(value),
                (CONFIG, Some(("ip-type", value))) => ip_type = plain(value).and_then(IpType::of),
                (CONFIG, Some(("file-mac-profile", value))) => {
                    profile = plain(value).and_then(MacProfile::of);
                }
                _ => {}
            }
        }
        Some(Self { brand: brand?.to_owned(), ip_type: ip_type?, profile: profile?, writable })
    }
}

/// The table of the properties of the zone itself.
const CONFIG: &str = "[config]";
/// How the seccomp program's line begins, and what comes then.
const FILTER: &str = "filter = \"";
const DIGITS: fn(char) -> bool = |char| char.is_ascii_hexdigit();

/// Gives a text of which every character stands for itself.
fn plain(value: &str) -> Option<&str> {
    let text = value.strip_prefix('"')?.strip_suffix('"')?;
    (!text.contains(['"', '\\'])).then_some(text)
}

impl From<&Snapshot> for Listed {
    fn from(snapshot: &Snapshot) -> Self {
        let config = &snapshot.config;
        Self {
            brand: config.brand.clone(),
            ip_type: config.ip_type,
            profile: config.file_mac_profile,
            writable: snapshot.writable,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{Brand, IdRange, ZoneConfig};

    #[test]
    fn it_is_what_the_whole_says() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        let web: ZoneName = "web".parse().unwrap();
        assert_eq!(Listed::load(&layout, &web), None);
        let ids = IdRange { base: 524_288, count: 65_536 };
        let (brand, config) = (Brand::load("sparse").unwrap(), ZoneConfig::new("/zones/web".into()));
        let mut snapshot = Snapshot::new(web.clone(), uuid::Uuid::new_v4(), ids, brand, config);
        let of = |snapshot: &Snapshot| {
            snapshot.save(&layout).unwrap();
            let text = fs::read_to_string(layout.snapshot(&web)).unwrap();
            let loaded = Listed::load(&layout, &web).unwrap();
            assert_eq!(loaded, Listed::from(snapshot), "{text}");
            Listed::find(&text, &web)
        };
        for ip_type in IpType::ALL {
            for profile in MacProfile::ALL {
                for writable in [false, true] {
                    (snapshot.config.ip_type, snapshot.config.file_mac_profile) = (*ip_type, *profile);
                    snapshot.writable = writable;
                    assert_eq!(of(&snapshot), Some(Listed::from(&snapshot)));
                }
            }
        }
        snapshot.writable = false;
        // Whatever else may be written there is not taken for it, and what may not be is parsed.
        for text in ["brand = \"other\"", "a\nwritable = true\n\n[config]\nbrand = \"other\"\n", "'''", "\\"]
        {
            snapshot.bootargs = Some(text.to_owned());
            snapshot.config.bootargs = text.to_owned();
            snapshot.config.attr = vec![crate::config::Attr {
                name: "brand".into(),
                attrtype: crate::config::AttrType::String,
                value: text.into(),
            }];
            let found = of(&snapshot);
            assert!(found.is_none_or(|found| found == Listed::from(&snapshot)), "{text}");
        }
        snapshot.config.brand = "o\"ther".into();
        assert_eq!(of(&snapshot), None);
    }

    #[test]
    fn nothing_is_found_in_what_is_another_version_s_or_another_zone_s_or_cut() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        let web: ZoneName = "web".parse().unwrap();
        fs::create_dir_all(layout.zone_run(&web)).unwrap();
        let first = include_str!("version1.toml");
        fs::write(layout.snapshot(&web), first).unwrap();
        assert_eq!(Listed::find(first, &web), None);
        assert_eq!(Listed::load(&layout, &web).map(|listed| listed.brand).as_deref(), Some("sparse"));
        let ids = IdRange { base: 524_288, count: 65_536 };
        let (brand, config) = (Brand::load("sparse").unwrap(), ZoneConfig::new("/zones/web".into()));
        Snapshot::new(web.clone(), uuid::Uuid::new_v4(), ids, brand, config).save(&layout).unwrap();
        let whole = fs::read_to_string(layout.snapshot(&web)).unwrap();
        assert!(Listed::find(&whole, &web).is_some());
        assert_eq!(Listed::find(&whole, &"db".parse().unwrap()), None);
        for cut in (0..whole.len()).filter(|&cut| whole.is_char_boundary(cut)) {
            fs::write(layout.snapshot(&web), &whole[..cut]).unwrap();
            assert_eq!(Listed::load(&layout, &web), None, "{cut}");
        }
    }
}

//! What other zones have to know of a zone that lives.

use super::{END, MOST, Snapshot, VERSION};
use crate::{IdRange, Layout, Noted, ZoneName, file, sharing};

/// As much of a live zone's snapshot as concerns other zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    /// The ids that the zone owns on the host.
    pub ids: IdRange,
    /// Whether it may mount anything of the host: if not, it does not.
    pub shares: bool,
}

impl Outline {
    /// Reads a zone's snapshot as far as needed; `None` if the zone has none, or what there is makes no sense.
    ///
    /// Whoever boots reads one of every zone that lives, and to parse them takes ten times as long as to read them. What is not as
    /// this program writes it is parsed.
    #[must_use]
    pub fn load(layout: &Layout, zone: &ZoneName) -> Option<Self> {
        let bytes = file::read_if_there(&layout.snapshot(zone), MOST).ok().flatten()?;
        let text = str::from_utf8(&bytes).ok().filter(|text| text.ends_with(END));
        let shares = sharing::may_share;
        if let Some(text) = text
            && let Some(ids) = Self::ids(text, zone)
        {
            return Some(Self { ids, shares: shares(text) });
        }
        let snapshot = Snapshot::load(layout, zone).ok()?;
        Some(Self { ids: snapshot.idmap, shares: !snapshot.config.fs.is_empty() })
    }

    /// Gives what is `noted` of a zone's snapshot, else what `load` gives.
    #[must_use]
    pub fn noted(
        noted: &mut Noted,
        layout: &Layout,
        zone: &ZoneName,
        load: impl FnOnce() -> Option<Self>,
    ) -> Option<Self> {
        let read = || load().map(Self::line);
        let (run, snapshot) = (layout.run(), layout.snapshot(zone));
        Self::of_line(&noted.of(zone, snapshot.strip_prefix(run).ok()?, read)?)
    }

    fn line(self) -> String {
        format!("{} {} {}", self.ids.base, self.ids.count, self.shares)
    }

    fn of_line(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let mut word = || words.next();
        let ids = IdRange { base: word()?.parse().ok()?, count: word()?.parse().ok()? };
        Some(Self { ids, shares: word()?.parse().ok()? })
    }

    /// Finds the ids in the text of a snapshot that is of this version and this zone, as it is written.
    pub(super) fn ids(text: &str, zone: &ZoneName) -> Option<IdRange> {
        let head = text.split_once("\n\n[confinement]\n")?.0;
        let head = of_this_version(head, zone)?;
        let (base, count) = head.rsplit_once("\n\n[idmap]\nbase = ")?.1.split_once("\ncount = ")?;
        Some(IdRange { base: base.parse().ok()?, count: count.parse().ok()? })
    }
}

/// Gives what comes after the first lines of a snapshot that is of this version and this zone, as it is written.
pub(super) fn of_this_version<'text>(text: &'text str, zone: &ZoneName) -> Option<&'text str> {
    text.strip_prefix(format!("version = {VERSION}\nname = \"{zone}\"\n").as_str())
}

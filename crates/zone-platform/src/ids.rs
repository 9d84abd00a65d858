//! The ids of a zone on the host: no two zones may have one in common.
//!
//! A zone's ids are all that keeps its files and processes from another zone's, on disks that both can reach and in
//! whatever the kernel counts for a user. The record says whose they are; what lives counts beside it, for the record
//! may have been edited since.

use zone_config::idmap::{self, IdMapError};
use zone_config::{IdRange, Layout, ZoneName};

use crate::PlatformError;
use crate::check::Check;
use crate::root::Other;

/// Ids that no zone may have now.
#[derive(Debug, thiserror::Error)]
pub enum IdsError {
    /// The record of ids.
    #[error(transparent)]
    Record(#[from] IdMapError),
    /// A zone that lives has them, whatever the record says.
    #[error("the ids {range} are in use by zone {other}, which runs with {theirs}: halt zone {other} first")]
    InUse {
        /// The ids of this zone.
        range: IdRange,
        /// The zone that lives.
        other: ZoneName,
        /// What that zone was made with.
        theirs: IdRange,
    },
}

/// Checks that the ids are in the record as this zone's alone, and that no zone lives with any of them.
pub(crate) fn look(check: &mut Check<'_>) -> Result<(), PlatformError> {
    let (layout, spec) = (check.layout, check.spec);
    // One that is not installed has none yet.
    let recorded = recorded(layout, &spec.zone)?;
    let Some(range) = spec.ids.or(recorded) else { return Ok(()) };
    Ok(check_live(range, check.claims()?.others())?)
}

pub(crate) fn recorded(layout: &Layout, zone: &ZoneName) -> Result<Option<IdRange>, IdsError> {
    Ok(idmap::lookup(layout, zone)?)
}

fn check_live(range: IdRange, others: &[Other]) -> Result<(), IdsError> {
    let has = |other: &Other| {
        let theirs = other.live.as_ref()?.ids;
        theirs.overlaps(range).then(|| IdsError::InUse { range, other: other.zone.clone(), theirs })
    };
    others.iter().find_map(has).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{BASE, Lab, chain};

    #[test]
    fn ids_that_a_live_zone_has_are_refused() {
        zone_testing::needs_root!();
        let lab = Lab::new("linux");
        lab.add_zone("other", &lab.dir.path().join("other"));
        let mut other = lab.snapshot.clone();
        other.name = "other".parse().unwrap();
        other.config.zonepath = lab.dir.path().join("other");
        other.save(&lab.layout).unwrap();
        let error = chain(&lab.build().unwrap_err());
        let told = format!("the ids {BASE}:65536 are in use by zone other, which runs with {BASE}:65536");
        assert!(error.starts_with(&told), "{error}");
        other.idmap.base += 65_536;
        other.save(&lab.layout).unwrap();
        lab.build().unwrap();
    }

    #[test]
    fn ids_of_one_of_many_are_refused_as_soon_as_it_has_them() {
        zone_testing::needs_root!();
        let lab = Lab::new("linux");
        let live = |number: u32| {
            let mut other = lab.snapshot.clone();
            other.name = format!("other{number}").parse().unwrap();
            other.config.zonepath = lab.dir.path().join(other.name.as_str());
            other.idmap.base += 65_536 * number;
            lab.add_zone(other.name.as_str(), &other.config.zonepath);
            other.save(&lab.layout).unwrap();
            other
        };
        let mut others: Vec<_> = (1..=10).map(live).collect();
        lab.build().unwrap();
        assert!(lab.layout.outlines().exists(), "what was read is noted");
        others[4].idmap.base = BASE;
        others[4].save(&lab.layout).unwrap();
        let error = chain(&lab.build().unwrap_err());
        assert!(error.contains("are in use by zone other5, which runs with"), "{error}");
    }

    #[test]
    fn a_record_that_gives_two_zones_the_same_is_refused() {
        zone_testing::needs_root!();
        let lab = Lab::new("linux");
        lab.build().unwrap();
        let base = idmap::FIRST;
        std::fs::write(lab.layout.idmap(), format!("probe:{base}:65536\nother:{base}:65536\n")).unwrap();
        let text = chain(&lab.build().unwrap_err());
        assert!(text.contains("zone 'probe' has the ids 524288:65536, and zone 'other' has"), "{text}");
    }
}

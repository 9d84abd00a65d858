//! The ids of a zone on the host: no two zones may have one in common.
//!
//! A zone's ids are all that keeps its files and processes from another zone's, on disks that both can reach and in
//! whatever the kernel counts for a user. The record says whose they are; what lives counts beside it, for the record
//! may have been edited since.

use zone_config::idmap::{self, IdMapError};
use zone_config::{IdRange, Layout, ZoneName};

use crate::root::{Other, RootError, others};

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
    /// The other zones cannot be looked at.
    #[error(transparent)]
    Others(#[from] RootError),
}

/// Checks the recorded ids of a zone; one that is not installed has none yet.
///
/// # Errors
/// [`IdsError`]
pub fn check(layout: &Layout, zone: &ZoneName) -> Result<(), IdsError> {
    match idmap::lookup(layout, zone)? {
        None => Ok(()),
        Some(range) => check_live(range, &others(layout, zone)?),
    }
}

/// Whether none of the other zones runs with some of these ids.
///
/// # Errors
/// [`IdsError::InUse`]
pub(crate) fn check_live(range: IdRange, others: &[Other]) -> Result<(), IdsError> {
    let live = others.iter().filter_map(|other| other.live.as_ref());
    match live.into_iter().find(|other| other.idmap.overlaps(range)) {
        None => Ok(()),
        Some(other) => Err(IdsError::InUse { range, other: other.name.clone(), theirs: other.idmap }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{BASE, Lab, chain};

    #[test]
    fn ids_that_a_live_zone_has_are_refused() {
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
    fn a_record_that_gives_two_zones_the_same_is_refused() {
        let lab = Lab::new("linux");
        let Lab { layout, snapshot, .. } = &lab;
        assert!(check(layout, &snapshot.name).is_ok());
        let base = idmap::FIRST;
        std::fs::write(layout.idmap(), format!("probe:{base}:65536\nother:{base}:65536\n")).unwrap();
        let text = check(layout, &snapshot.name).unwrap_err().to_string();
        assert!(text.contains("zone 'probe' has the ids 524288:65536, and zone 'other' has"), "{text}");
    }
}

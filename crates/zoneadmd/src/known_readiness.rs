//! What is known of whether a zone that runs is ready.

use zone_config::readiness::{Found, ReadyBy, ReadyState};
use zone_door::Readiness;
use zsched::wire::{Phase, Status};

/// What is known of one incarnation.
#[derive(Debug, Clone)]
pub(crate) struct KnownReadiness {
    pub(crate) uniqid: u64,
    pub(crate) readiness: Readiness,
}

impl KnownReadiness {
    /// It is being found out, in this way.
    pub(crate) fn starting(uniqid: u64, by: ReadyBy) -> Self {
        Self { uniqid, readiness: Readiness { state: ReadyState::Starting, by, since: None, text: None } }
    }

    /// What is on record.
    pub(crate) fn of(found: &Found) -> Self {
        let &Found { uniqid, state, by, since } = found;
        let since = (state == ReadyState::Ready).then_some(since);
        Self { uniqid, readiness: Readiness { state, by, since, text: None } }
    }
}

/// Tells what is to be told of the incarnation whose status this is.
pub(crate) fn told(known: Option<&KnownReadiness>, status: &Status) -> Option<Readiness> {
    let known = known.filter(|known| known.uniqid == status.uniqid).map(|known| known.readiness.clone());
    (status.phase == Phase::Running)
        .then(|| known.unwrap_or_else(|| KnownReadiness::starting(status.uniqid, ReadyBy::Init).readiness))
}

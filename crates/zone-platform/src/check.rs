//! What is looked at before anything is made: by `verify`, and again by every bring-up.
//!
//! The steps' checks are the same in both. In a bring-up what they have found is what is used: a directory that was
//! looked at is mounted by the descriptor that was looked at.

use rustix::fd::OwnedFd;
use zone_config::Layout;
use zone_net::managed::Network;
use zone_net::plan::Host;

use crate::claims::Claims;
use crate::confinement::Confinement;
use crate::devices::Node;
use crate::filesystems::Plan;
use crate::immutable::Place;
use crate::mountinfo::Mount;
use crate::root::{Root, RootError};
use crate::{PlatformError, Spec, Step, steps};

/// What the checks are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To tell all that is wrong with a zone; one that is not installed has no root yet.
    Verify {
        /// Whether it has, or should have, a root.
        installed: bool,
        /// Whether what somebody may be surprised by is looked for as well, however long that takes.
        warns: bool,
    },
    /// To build the zone if nothing is.
    BringUp,
    /// To change the zone, which lives, if nothing is.
    Update,
}

/// The checks of one zone on their way through the steps.
#[derive(Debug)]
pub struct Check<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) spec: &'a Spec,
    pub(crate) purpose: Purpose,
    /// What the zone has that lives and is to be changed.
    pub(crate) old: Option<&'a Spec>,
    /// What such a zone has mounted.
    pub(crate) inside: Option<Vec<Mount>>,
    pub(crate) found: Found<'a>,
    claims: Option<Claims>,
    errors: Vec<PlatformError>,
    warnings: Vec<String>,
}

/// What the checks have opened and worked out.
#[derive(Debug, Default)]
pub(crate) struct Found<'a> {
    pub(crate) root: Option<Root>,
    /// What of a root that is mounted read-only is mounted over it.
    pub(crate) places: Vec<Place>,
    pub(crate) mounts: Vec<Plan<'a>>,
    pub(crate) devices: Vec<Node>,
    pub(crate) confinement: Option<Confinement>,
    /// The files of the host that the zone's init, or cloud-init in it, is given, in the order of the specification.
    pub(crate) secrets: Vec<OwnedFd>,
    /// What the host has of the network, if the zone has any.
    pub(crate) host: Option<Host>,
    /// The managed network, if the zone uses it and it was chosen before.
    pub(crate) managed: Option<Network>,
    /// What a boot is to warn of.
    pub(crate) warnings: Vec<String>,
}

impl<'a> Check<'a> {
    /// Runs the checks of all steps in their order. A bring-up ends at the first that finds something.
    pub(crate) fn run(layout: &'a Layout, spec: &'a Spec, purpose: Purpose) -> Self {
        Self::run_those(layout, None, None, spec, purpose, |_| true)
    }

    /// The same with the checks of some of the steps.
    pub(crate) fn run_those(
        layout: &'a Layout,
        old: Option<&'a Spec>,
        inside: Option<Vec<Mount>>,
        spec: &'a Spec,
        purpose: Purpose,
        those: impl Fn(&Step) -> bool,
    ) -> Self {
        let (found, claims) = (Found::default(), None);
        let mut check = Self {
            layout,
            spec,
            purpose,
            old,
            inside,
            found,
            claims,
            errors: Vec::new(),
            warnings: Vec::new(),
        };
        for look in steps().iter().filter(|step| those(step)).filter_map(|step| step.check) {
            if let Err(error) = look(&mut check) {
                check.errors.push(error);
            }
            if purpose == Purpose::BringUp && !check.errors.is_empty() {
                break;
            }
        }
        check
    }

    /// What zones have of the host, found out when it is asked for first.
    pub(crate) fn claims(&mut self) -> Result<&Claims, RootError> {
        let claims = match self.claims.take() {
            Some(claims) => claims,
            None => Claims::collect(self.layout, self.spec, self.purpose)?,
        };
        Ok(self.claims.insert(claims))
    }

    /// Notes something that keeps the zone from being built, beside what the step returns.
    pub(crate) fn fail(&mut self, error: impl Into<PlatformError>) {
        self.errors.push(error.into());
    }

    /// Notes something that somebody may be surprised by, as one sentence, for `verify` and `apply`. A boot does not
    /// say it: it would say the same at each, and to nobody where the zone reboots by itself.
    pub(crate) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// The same for what a boot says as well: that the zone does not get a protection that it was configured with.
    pub(crate) fn warn_always(&mut self, warning: String) {
        match self.purpose {
            Purpose::BringUp => self.found.warnings.push(warning),
            _ => self.warn(warning),
        }
    }

    /// All that is wrong, and all that is to be warned of.
    pub(crate) fn into_findings(self) -> (Vec<PlatformError>, Vec<String>) {
        (self.errors, self.warnings)
    }

    /// What was found, all that is wrong, and all that is to be warned of.
    pub(crate) fn into_parts(self) -> (Found<'a>, Vec<PlatformError>, Vec<String>) {
        (self.found, self.errors, self.warnings)
    }

    /// What was found, if nothing is wrong.
    ///
    /// # Errors
    /// The first that is.
    pub(crate) fn into_found(self) -> Result<Found<'a>, PlatformError> {
        match self.errors.into_iter().next() {
            None => Ok(self.found),
            Some(error) => Err(error),
        }
    }
}

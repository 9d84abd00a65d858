//! What a daemon watches of a zone that lives, for which it has to be there.

use std::cell::Cell;
use zsched::wire::Phase;

/// Whether something of the incarnation that lives needs the daemon as long as that lives. It does while that is not known.
#[derive(Debug, Default)]
pub(crate) struct Watch(Cell<Known>);

#[derive(Clone, Copy, Debug, Default)]
enum Known {
    #[default]
    Nothing,
    Of(u64, bool),
    Off,
}

impl Watch {
    /// From now on it is known of this incarnation.
    pub(crate) fn set(&self, uniqid: u64, needed: bool) {
        self.0.set(Known::Of(uniqid, needed));
    }

    /// It is to be found out again.
    pub(crate) fn forget(&self) {
        self.0.set(Known::Nothing);
    }

    /// There is nothing of the kind on this host.
    pub(crate) fn off(&self) {
        self.0.set(Known::Off);
    }

    fn needs(&self, incarnation: u64) -> bool {
        match self.0.get() {
            Known::Off => false,
            Known::Of(uniqid, needed) => needed || uniqid != incarnation,
            Known::Nothing => true,
        }
    }
}

/// All that a daemon watches.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    /// Addresses that DHCP servers have given.
    pub(crate) addresses: Watch,
    /// Limits whose events are told: of memory, and CPUs of its own.
    pub(crate) limits: Watch,
    /// Files of lxcfs, which has to be seen when it is restarted.
    pub(crate) views: Watch,
    /// That the zone runs is being told to systemd.
    pub(crate) unit: Watch,
}

impl Watches {
    /// Whether any of it needs a daemon in this phase of an incarnation.
    pub(crate) fn need(&self, incarnation: u64, phase: Phase) -> bool {
        // systemd is told of what runs.
        let unit = phase == Phase::Running && self.unit.needs(incarnation);
        unit || [&self.addresses, &self.limits, &self.views].iter().any(|watch| watch.needs(incarnation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_of_an_incarnation_needs_one() {
        let watches = Watches::default();
        assert!(watches.need(7, Phase::Ready));
        for watch in [&watches.addresses, &watches.limits, &watches.views] {
            assert!(watches.need(7, Phase::Ready));
            watch.set(7, false);
        }
        assert!(!watches.need(7, Phase::Ready) && watches.need(8, Phase::Ready));
        assert!(watches.need(7, Phase::Running), "systemd is to be told");
        watches.unit.off();
        assert!(!watches.need(7, Phase::Running));
        for watch in [&watches.addresses, &watches.limits, &watches.views, &watches.unit] {
            watch.set(7, true);
            assert!(watches.need(7, Phase::Running));
            watch.forget();
            assert!(watches.need(7, Phase::Running));
            watch.set(7, false);
        }
        assert!(!watches.need(7, Phase::Running));
    }
}

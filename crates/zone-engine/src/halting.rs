//! What a halt does, and in which order: a pure list of what zsched says. Each step can be taken again, and a daemon that dies
//! behind any of them leaves what the next one goes on with; the model takes them one by one.

use zsched::wire::Phase;

/// A step of a halt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The journal says that the zone is being halted: once its first process is dead, only this tells that nobody wants it back.
    Note,
    /// Its first process is killed, and all others with it.
    Kill,
    /// The platform is taken down, and meanwhile it is begun to put on record how the zone ended.
    TearDown,
    /// How it ended is on record.
    Record,
    /// zsched forgets it.
    Consume,
    /// Record and snapshot of the live zone are removed.
    Forget,
    /// The journal is removed.
    Close,
    /// The managed network goes when the zone's namespaces are gone.
    Release,
}

/// Gives the steps until nothing of a zone in `phase` lives. A halt that `reboots` has its journal from whoever reboots.
pub fn until_down(phase: Phase, reboots: bool) -> impl Iterator<Item = Step> {
    let lives = match phase {
        Phase::Ready | Phase::Running | Phase::Stopping => true,
        Phase::None | Phase::Down => false,
    };
    [(!reboots).then_some(Step::Note), lives.then_some(Step::Kill), Some(Step::TearDown)]
        .into_iter()
        .flatten()
}

/// Gives the steps after those, for a zone that was in phase `was`. `exists` says whether zsched knows of it by now.
pub fn afterwards(was: Phase, exists: bool, reboots: bool) -> impl Iterator<Item = Step> {
    [
        has_end(was, exists).then_some(Step::Record),
        exists.then_some(Step::Consume),
        Some(Step::Forget),
        // Until a reboot is through, the journal says that it has to be.
        (!reboots).then_some(Step::Close),
        (!reboots && exists).then_some(Step::Release),
    ]
    .into_iter()
    .flatten()
}

/// Whether there is an end to tell of: a zone that was never booted has none.
pub fn has_end(was: Phase, exists: bool) -> bool {
    exists && was != Phase::Ready
}

#[cfg(test)]
mod tests {
    use super::*;
    use Step::{Close, Consume, Forget, Kill, Note, Record, Release, TearDown};

    const PHASES: [Phase; 5] = [Phase::None, Phase::Ready, Phase::Running, Phase::Stopping, Phase::Down];

    /// All steps of a halt; what zsched has at its beginning it has at its end.
    fn all(phase: Phase, reboots: bool) -> Vec<Step> {
        until_down(phase, reboots).chain(afterwards(phase, phase != Phase::None, reboots)).collect()
    }

    #[test]
    fn a_zone_that_lives_is_killed_and_its_end_recorded_before_zsched_forgets_it() {
        for phase in [Phase::Running, Phase::Stopping] {
            assert_eq!(all(phase, false), [Note, Kill, TearDown, Record, Consume, Forget, Close, Release]);
        }
    }

    #[test]
    fn a_zone_that_was_never_booted_has_no_end() {
        assert_eq!(all(Phase::Ready, false), [Note, Kill, TearDown, Consume, Forget, Close, Release]);
    }

    #[test]
    fn a_zone_that_has_ended_is_not_killed() {
        assert_eq!(all(Phase::Down, false), [Note, TearDown, Record, Consume, Forget, Close, Release]);
    }

    #[test]
    fn of_no_zone_what_is_left_is_removed() {
        assert_eq!(all(Phase::None, false), [Note, TearDown, Forget, Close]);
    }

    #[test]
    fn a_zone_that_zsched_forgot_meanwhile_is_neither_recorded_nor_consumed() {
        assert_eq!(afterwards(Phase::Ready, false, false).collect::<Vec<_>>(), [Forget, Close]);
        assert_eq!(afterwards(Phase::Running, false, true).collect::<Vec<_>>(), [Forget]);
    }

    #[test]
    fn a_reboot_keeps_its_journal_and_the_network() {
        for phase in PHASES {
            let kept: Vec<_> = all(phase, false);
            let kept = kept.into_iter().filter(|step| ![Note, Close, Release].contains(step));
            assert_eq!(all(phase, true), kept.collect::<Vec<_>>(), "{phase:?}");
        }
    }
}

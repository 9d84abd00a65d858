//! What a new daemon does about what a dead one left: a pure table of what zsched says and what the journal says.

use crate::journal::Intent;
use zone_config::Operation;
use zone_config::lastexit::How;
use zsched::wire::Phase;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing: the zone is in a state that a daemon leaves on purpose.
    Nothing,
    /// Only the journal is closed: the operation was all but through, or had not begun and is asked for again.
    Close(Operation),
    /// Files of a zone that is no more are removed.
    UndoBringUp,
    /// A halt is carried on; with how the end is written down, if that is known.
    CarryOnHalt(Option<How>),
    /// The zone is halted if it has to be, and booted.
    CarryOnReboot,
    /// What the zone is being changed to is put in force, or taken back if that cannot be.
    CarryOnApply,
    /// Init is asked again; nobody knows whether it was.
    CarryOnShutdown,
    /// The same for a zone whose first process has ended already: its end is dealt with as that of a shutdown.
    EndOfShutdown,
    /// The end of a first process, of which nobody was told, is dealt with.
    EndOfFirst,
}

/// Decides what to do with a zone in `phase` when the journal holds an unfinished `intent`. `meant` says whether that was for
/// the incarnation that there is: what was meant for another is nothing to this one. `left` says whether files of a live zone
/// are there.
pub fn plan(phase: Phase, intent: Option<&Intent>, meant: bool, left: bool) -> Recovery {
    use Operation as O;
    let operation = intent.map(|intent| intent.operation);
    match (phase, operation) {
        (Phase::Ready | Phase::Running | Phase::Stopping | Phase::Down, Some(O::Halt)) if meant => {
            Recovery::CarryOnHalt(intent.and_then(|intent| intent.how))
        }
        (Phase::Ready | Phase::Running, Some(O::Apply)) if meant => Recovery::CarryOnApply,
        (Phase::Running, Some(O::Shutdown)) if meant => Recovery::CarryOnShutdown,
        (Phase::Running, Some(operation)) => Recovery::Close(operation),
        (Phase::None | Phase::Ready | Phase::Stopping, Some(O::Reboot)) => Recovery::CarryOnReboot,
        (Phase::Down, Some(O::Reboot)) if meant => Recovery::CarryOnReboot,
        // As far as it came it is what somebody may want.
        (Phase::Ready, Some(operation)) => Recovery::Close(operation),
        (Phase::None, _) if left => Recovery::UndoBringUp,
        (Phase::Stopping, _) => Recovery::CarryOnHalt(Some(How::Halted)),
        (Phase::Down, Some(O::Shutdown)) if meant => Recovery::EndOfShutdown,
        (Phase::Down, _) => Recovery::EndOfFirst,
        (Phase::None | Phase::Ready | Phase::Running, _) => Recovery::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHASES: [Phase; 5] = [Phase::None, Phase::Ready, Phase::Running, Phase::Stopping, Phase::Down];

    fn intent(operation: Operation) -> Intent {
        Intent { how: Some(How::Shutdown), ..Intent::to(operation, "") }
    }

    fn of(phase: Phase, operation: Operation, meant: bool) -> Recovery {
        plan(phase, Some(&intent(operation)), meant, true)
    }

    #[test]
    fn without_a_journal_only_what_is_half_way_is_touched() {
        assert_eq!(plan(Phase::None, None, false, false), Recovery::Nothing);
        assert_eq!(plan(Phase::None, None, false, true), Recovery::UndoBringUp);
        for phase in [Phase::Ready, Phase::Running] {
            assert_eq!(plan(phase, None, false, true), Recovery::Nothing);
        }
        assert_eq!(plan(Phase::Stopping, None, false, true), Recovery::CarryOnHalt(Some(How::Halted)));
        assert_eq!(plan(Phase::Down, None, false, true), Recovery::EndOfFirst);
    }

    #[test]
    fn a_halt_that_was_meant_is_carried_on_in_every_phase() {
        for phase in PHASES.into_iter().filter(|&phase| phase != Phase::None) {
            assert_eq!(
                of(phase, Operation::Halt, true),
                Recovery::CarryOnHalt(Some(How::Shutdown)),
                "{phase:?}"
            );
        }
        assert_eq!(of(Phase::None, Operation::Halt, true), Recovery::UndoBringUp);
    }

    #[test]
    fn a_halt_that_was_meant_for_another_incarnation_ends_nothing_that_runs() {
        assert_eq!(of(Phase::Running, Operation::Halt, false), Recovery::Close(Operation::Halt));
        assert_eq!(of(Phase::Ready, Operation::Halt, false), Recovery::Close(Operation::Halt));
        assert_eq!(of(Phase::Down, Operation::Halt, false), Recovery::EndOfFirst);
        assert_eq!(of(Phase::Stopping, Operation::Halt, false), Recovery::CarryOnHalt(Some(How::Halted)));
    }

    #[test]
    fn a_reboot_is_carried_on_until_the_zone_runs() {
        for meant in [true, false] {
            for phase in [Phase::None, Phase::Ready, Phase::Stopping] {
                assert_eq!(of(phase, Operation::Reboot, meant), Recovery::CarryOnReboot, "{phase:?}");
            }
            assert_eq!(of(Phase::Running, Operation::Reboot, meant), Recovery::Close(Operation::Reboot));
        }
        assert_eq!(of(Phase::Down, Operation::Reboot, true), Recovery::CarryOnReboot);
        assert_eq!(of(Phase::Down, Operation::Reboot, false), Recovery::EndOfFirst);
    }

    #[test]
    fn a_shutdown_asks_again_or_deals_with_the_end() {
        assert_eq!(of(Phase::Running, Operation::Shutdown, true), Recovery::CarryOnShutdown);
        assert_eq!(of(Phase::Down, Operation::Shutdown, true), Recovery::EndOfShutdown);
        assert_eq!(of(Phase::Running, Operation::Shutdown, false), Recovery::Close(Operation::Shutdown));
        assert_eq!(of(Phase::Down, Operation::Shutdown, false), Recovery::EndOfFirst);
        assert_eq!(of(Phase::None, Operation::Shutdown, true), Recovery::UndoBringUp);
    }

    #[test]
    fn an_apply_is_carried_on_in_the_zone_that_it_was_for() {
        for phase in [Phase::Ready, Phase::Running] {
            assert_eq!(of(phase, Operation::Apply, true), Recovery::CarryOnApply);
            assert_eq!(of(phase, Operation::Apply, false), Recovery::Close(Operation::Apply));
        }
        assert_eq!(of(Phase::Down, Operation::Apply, true), Recovery::EndOfFirst);
        assert_eq!(of(Phase::None, Operation::Apply, true), Recovery::UndoBringUp);
    }

    #[test]
    fn a_boot_is_left_as_far_as_it_came() {
        for operation in [Operation::Boot, Operation::Ready] {
            assert_eq!(of(Phase::None, operation, false), Recovery::UndoBringUp);
            assert_eq!(of(Phase::Ready, operation, false), Recovery::Close(operation));
            assert_eq!(of(Phase::Running, operation, false), Recovery::Close(operation));
            assert_eq!(of(Phase::Down, operation, false), Recovery::EndOfFirst);
        }
    }

    #[test]
    fn nothing_that_lives_is_undone_without_a_reason() {
        for phase in [Phase::Ready, Phase::Running] {
            for operation in Operation::ALL {
                let done = of(phase, operation, false);
                assert!(
                    matches!(done, Recovery::Close(_) | Recovery::CarryOnReboot),
                    "{phase:?} {operation}: {done:?}"
                );
            }
        }
    }
}

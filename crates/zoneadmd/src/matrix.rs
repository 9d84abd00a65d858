//! What each operation does in each state: Solaris' table, in one place.

use Decision::{Already, Do, Invalid};
use zone_config::State;
use zone_door::Operation;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// Make it ready.
    Ready,
    /// Make it ready and start init.
    ReadyBoot,
    /// Start init.
    Boot,
    /// Halt it and make it ready.
    HaltReady,
    /// Halt it.
    Halt,
    /// Halt it, make it ready and start init.
    Reboot,
    /// Ask init to shut down; halt it when that takes too long.
    Shutdown,
    /// Tell the console's clients, who are then disconnected.
    NoteUninstalling,
    /// Give it what is configured by now.
    Apply,
}

/// The answer to an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Refused: `%s operation is invalid for zones in state '%s'`.
    Invalid,
    /// Success, with this message: the zone is where it is wanted.
    Already(&'static str),
    /// To be done.
    Do(Action),
}

/// One row: the answers in the states installed, ready, and running, shutting_down or down.
/// Configured and incomplete zones have no daemon; every operation on them is invalid.
fn row(operation: Operation) -> [Decision; 3] {
    match operation {
        Operation::Ready => [Do(Action::Ready), Already("zone is already ready"), Do(Action::HaltReady)],
        Operation::Boot => [Do(Action::ReadyBoot), Do(Action::Boot), Already("zone is already booted")],
        Operation::Halt => [Already("zone is already halted"), Do(Action::Halt), Do(Action::Halt)],
        Operation::Reboot => [Invalid, Invalid, Do(Action::Reboot)],
        Operation::Shutdown => [Already("zone is already halted"), Invalid, Do(Action::Shutdown)],
        Operation::NoteUninstalling => [Do(Action::NoteUninstalling), Invalid, Invalid],
        Operation::Apply => [Invalid, Do(Action::Apply), Do(Action::Apply)],
    }
}

/// The answer to `operation` in `state`.
pub(crate) fn decide(operation: Operation, state: State) -> Decision {
    let [installed, ready, live] = row(operation);
    match state {
        State::Configured | State::Incomplete => Invalid,
        // It is on its way out: nothing is given to it any more.
        State::ShuttingDown | State::Down if operation == Operation::Apply => Invalid,
        State::Installed => installed,
        State::Ready => ready,
        State::Running | State::ShuttingDown | State::Down => live,
    }
}

/// What an operation does while an accepted shutdown waits for init.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Runs now: it joins the shutdown, or ends the zone sooner.
    GoesOn,
    /// Waits for its end, and is then decided by the state that the zone is in.
    Waits,
    /// Is refused: it makes sense for a running zone only, which this one is about to be no more.
    Refused,
}

/// The answer to `operation` while an accepted shutdown waits for init.
pub(crate) fn beside_shutdown(operation: Operation) -> Beside {
    match operation {
        Operation::Halt | Operation::Shutdown => Beside::GoesOn,
        Operation::Ready | Operation::Boot => Beside::Waits,
        Operation::Reboot | Operation::NoteUninstalling | Operation::Apply => Beside::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_reference_s() {
        use Operation as O;
        use State as S;
        let live = [S::Running, S::ShuttingDown, S::Down];
        for state in [S::Configured, S::Incomplete] {
            assert!(O::ALL.iter().all(|&op| decide(op, state) == Invalid));
        }
        assert_eq!(decide(O::Apply, S::Installed), Invalid);
        for state in [S::Ready, S::Running] {
            assert_eq!(decide(O::Apply, state), Do(Action::Apply));
        }
        for state in [S::ShuttingDown, S::Down] {
            assert_eq!(decide(O::Apply, state), Invalid);
        }
        assert_eq!(decide(O::Ready, S::Installed), Do(Action::Ready));
        assert_eq!(decide(O::Boot, S::Installed), Do(Action::ReadyBoot));
        assert_eq!(decide(O::Halt, S::Installed), Already("zone is already halted"));
        assert_eq!(decide(O::Reboot, S::Installed), Invalid);
        assert_eq!(decide(O::Shutdown, S::Installed), Already("zone is already halted"));
        assert_eq!(decide(O::NoteUninstalling, S::Installed), Do(Action::NoteUninstalling));
        assert_eq!(decide(O::Ready, S::Ready), Already("zone is already ready"));
        assert_eq!(decide(O::Boot, S::Ready), Do(Action::Boot));
        assert_eq!(decide(O::Halt, S::Ready), Do(Action::Halt));
        for op in [O::Reboot, O::Shutdown, O::NoteUninstalling] {
            assert_eq!(decide(op, S::Ready), Invalid);
        }
        for state in live {
            assert_eq!(decide(O::Ready, state), Do(Action::HaltReady));
            assert_eq!(decide(O::Boot, state), Already("zone is already booted"));
            assert_eq!(decide(O::Halt, state), Do(Action::Halt));
            assert_eq!(decide(O::Reboot, state), Do(Action::Reboot));
            assert_eq!(decide(O::Shutdown, state), Do(Action::Shutdown));
            assert_eq!(decide(O::NoteUninstalling, state), Invalid);
        }
    }
}

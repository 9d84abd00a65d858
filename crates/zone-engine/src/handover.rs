//! What a daemon makes of a zsched that does not answer, and what it tells the next one of the zone: pure decisions of what is
//! known. `respawn.rs` acts on them.

use zsched::client::ClientError;
use zsched::wire::{Adopt, Lost, Phase, Status, Witness};

/// Tells whether zsched may have died, by what it says when it is asked how things stand.
pub fn is_missed(answer: &Result<Status, ClientError>) -> bool {
    matches!(answer, Err(ClientError::NotRunning | ClientError::Broken))
}

/// Tells whether a zsched that can be connected to lives, by what it says to a greeting: gives that; `None` if it does not.
///
/// # Errors
/// The greeting's, if it lives and serves nobody: another one beside it is none.
pub fn lives(greeting: Result<Status, ClientError>) -> Result<Option<Status>, ClientError> {
    match greeting {
        Ok(status) => Ok(Some(status)),
        Err(error) if error.is_unserved() => Err(error),
        Err(_) => Ok(None),
    }
}

/// What a new zsched gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handover {
    /// Nothing: no zone was up.
    Nothing,
    /// Nothing either: the zone waited for the zsched that died, and ended with it.
    EndedReady,
    /// The zone, which is in this phase.
    Zone(Phase),
}

impl Handover {
    /// Decides what becomes of the zone that was in `phase` the last time that anybody heard of it, if there was one. `ended` says
    /// whether its first process has.
    pub fn of(phase: Option<Phase>, ended: bool) -> Self {
        match (phase, ended) {
            (None, _) => Self::Nothing,
            (Some(Phase::Ready), true) => Self::EndedReady,
            // It was let through its gate, and nobody lived to tell.
            (Some(Phase::Ready), false) => Self::Zone(Phase::Running),
            (Some(Phase::None | Phase::Down), _) | (Some(_), true) => Self::Zone(Phase::Down),
            (Some(phase), false) => Self::Zone(phase),
        }
    }

    /// Tells whether zsched is to start a daemon should this one die, when a reboot is not through.
    pub fn owes(self, reboots: bool) -> bool {
        reboots && self != Self::Zone(Phase::Running)
    }
}

/// Gives what a new zsched is told of a zone in `phase`, of which `status` was heard last. `owed` as [`Handover::owes`] says,
/// `kept` is how many descriptors it is to hold with the zone.
pub fn told(status: &Status, phase: Phase, now: u64, owed: bool, kept: u8) -> Adopt {
    let Status { uniqid, pid, since, end, ended, restarts, .. } = *status;
    let ended = if phase == Phase::Down && ended == 0 { now } else { ended };
    Adopt { phase, uniqid, pid, since, end, ended, restarts, lost: Lost::empty(), owed, kept }
}

/// How every message of it begins.
pub const DIED: &str = "zsched has died";

/// What became of a zone whose zsched died.
pub fn words(adopted: &Status) -> String {
    let heir = adopted.keeper;
    let lost = adopted.adopted.map_or(Lost::empty(), |adopted| adopted.lost);
    let mut text = match (adopted.phase, adopted.end, adopted.adopted.map(|how| how.witness)) {
        (Phase::Down, None, _) => {
            format!("WARNING: {DIED} and so has the zone; nobody saw how, and it is taken for a halt")
        }
        (Phase::Down, Some(_), _) => {
            format!("NOTICE: {DIED} when the zone had ended; what follows from that goes on")
        }
        (_, _, Some(Witness::Nobody)) => format!(
            "WARNING: {DIED}; the zone runs on under a new one, process {heir}, that cannot trace its first process: how it ends \
             will not be known, and a reboot from inside be taken for a halt"
        ),
        _ => format!(
            "NOTICE: {DIED}; the zone runs on under a new one, process {heir}, that traces its first process to learn how it ends"
        ),
    };
    if lost.contains(Lost::TERMINAL) {
        text += "; the console was hung up";
        text += if lost.contains(Lost::CONSOLE) {
            ", has no new terminal in the zone"
        } else {
            ", has a new terminal"
        };
    }
    if lost.contains(Lost::OUTPUT) {
        text += ", and what was kept of its output is lost";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;
    use zsched::wire::{Adopted, End, Failure, Stage};

    const PHASES: [Phase; 5] = [Phase::None, Phase::Ready, Phase::Running, Phase::Stopping, Phase::Down];

    fn refused(stage: Stage, errno: Errno) -> ClientError {
        ClientError::Refused { failure: Failure::new(stage, errno), errno }
    }

    #[test]
    fn only_a_zsched_that_has_gone_is_missed() {
        assert!(!is_missed(&Ok(Status::default())));
        for gone in [ClientError::NotRunning, ClientError::Broken] {
            assert!(is_missed(&Err(gone)));
        }
        for lives in [ClientError::Silent, ClientError::Protocol, refused(Stage::NoZone, Errno::SRCH)] {
            assert!(!is_missed(&Err(lives)));
        }
    }

    #[test]
    fn one_that_answers_is_the_one_and_one_that_serves_nobody_has_no_other_beside_it() {
        assert!(lives(Ok(Status::default())).unwrap().is_some());
        assert!(lives(Err(ClientError::Broken)).unwrap().is_none());
        assert!(lives(Err(ClientError::NotRunning)).unwrap().is_none());
        assert!(matches!(lives(Err(ClientError::Silent)), Err(ClientError::Silent)));
        assert!(lives(Err(refused(Stage::Accept, Errno::MFILE))).is_err());
    }

    #[test]
    fn a_zone_that_lives_is_handed_over_as_it_is() {
        assert_eq!(Handover::of(None, true), Handover::Nothing);
        assert_eq!(Handover::of(Some(Phase::Running), false), Handover::Zone(Phase::Running));
        assert_eq!(Handover::of(Some(Phase::Stopping), false), Handover::Zone(Phase::Stopping));
        for phase in [Phase::Running, Phase::Stopping, Phase::Down, Phase::None] {
            assert_eq!(Handover::of(Some(phase), true), Handover::Zone(Phase::Down), "{phase:?}");
        }
    }

    #[test]
    fn a_ready_zone_ends_with_its_zsched_or_was_let_through() {
        assert_eq!(Handover::of(Some(Phase::Ready), true), Handover::EndedReady);
        assert_eq!(Handover::of(Some(Phase::Ready), false), Handover::Zone(Phase::Running));
    }

    #[test]
    fn a_reboot_is_owed_until_the_zone_runs() {
        let all = PHASES.map(Handover::Zone).into_iter().chain([Handover::Nothing, Handover::EndedReady]);
        for handover in all {
            assert_eq!(handover.owes(true), handover != Handover::Zone(Phase::Running), "{handover:?}");
            assert!(!handover.owes(false));
        }
    }

    #[test]
    fn the_new_one_is_told_what_was_heard_last_and_when_it_was_found_dead() {
        let status = Status { uniqid: 7, pid: 8, since: 9, restarts: 2, ..Status::default() };
        let zone = told(&status, Phase::Running, 100, true, 1);
        assert_eq!((zone.uniqid, zone.pid, zone.since, zone.restarts, zone.ended), (7, 8, 9, 2, 0));
        assert_eq!((zone.phase, zone.owed, zone.kept), (Phase::Running, true, 1));
        assert_eq!(told(&status, Phase::Down, 100, false, 0).ended, 100);
        let heard = Status { ended: 50, end: Some(End::Exited(3)), ..status };
        let zone = told(&heard, Phase::Down, 100, false, 0);
        assert_eq!((zone.ended, zone.end), (50, Some(End::Exited(3))));
    }

    #[test]
    fn what_became_of_the_zone_is_said() {
        let adopted = |witness, lost| Some(Adopted { at: 1, witness, lost });
        let running = Status { phase: Phase::Running, keeper: 12, ..Status::default() };
        let said = |status: Status| words(&status);
        let traced = Status { adopted: adopted(Witness::Tracer, Lost::empty()), ..running };
        assert!(said(traced).starts_with(
            "NOTICE: zsched has died; the zone runs on under a new one, process 12, that traces"
        ));
        let unseen = Status { adopted: adopted(Witness::Nobody, Lost::TERMINAL | Lost::OUTPUT), ..running };
        assert!(said(unseen).contains("cannot trace"));
        assert!(said(unseen).ends_with(
            "; the console was hung up, has a new terminal, and what was kept of its output is lost"
        ));
        let bare = Status { adopted: adopted(Witness::Nobody, Lost::TERMINAL | Lost::CONSOLE), ..running };
        assert!(said(bare).ends_with("has no new terminal in the zone"));
        let down = Status { phase: Phase::Down, ..running };
        assert!(said(down).contains("nobody saw how"));
        assert!(said(Status { end: Some(End::Killed(9)), ..down }).contains("when the zone had ended"));
    }
}

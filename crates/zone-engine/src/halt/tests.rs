//! Halts of a zone whose zsched is played, in the order in which zsched hears of them and with what is on disk afterwards.

use crate::error::Error;
use crate::journal;
use crate::testing::{Fault, Lab, UNIQID};
use rustix::io::Errno;
use zone_config::lastexit::{How, LastExit};
use zone_config::{Operation, Snapshot};
use zone_live::Incarnation;
use zone_testing::needs_root;
use zsched::client::ClientError;
use zsched::wire::{Op, Phase, Stage};

impl Lab {
    fn halts(&self, how: Option<How>) -> Result<Option<LastExit>, Error> {
        self.zone.halt(&mut self.context(Operation::Halt), how)
    }

    /// Nothing of the zone is left, with zsched or on disk.
    fn is_down(&self) -> bool {
        let snapshot = Snapshot::load(&self.layout, &self.name).is_ok();
        let journal = journal::unfinished(&self.layout, &self.name).is_some();
        !snapshot && !journal && self.phase() == Phase::None
    }

    fn recorded(&self) -> Option<LastExit> {
        LastExit::load(&self.zone.zonepath().unwrap_or_else(|| self.layout.default_zonepath(&self.name)))
            .unwrap()
    }
}

#[test]
fn a_zone_that_runs_is_stopped_killed_recorded_and_forgotten() {
    needs_root!();
    let lab = Lab::new(Phase::Running);
    let last = lab.halts(Some(How::Halted)).unwrap().unwrap();
    assert_eq!((last.uniqid, last.how), (UNIQID, How::Halted));
    assert_eq!(lab.recorded(), Some(last));
    assert!(lab.is_down());
    assert_eq!(lab.asked(), [Op::Status, Op::Stopping, Op::Fds, Op::Status, Op::Consume]);
}

#[test]
fn one_that_has_ended_is_not_killed_and_its_own_end_is_told() {
    needs_root!();
    let lab = Lab::new(Phase::Running);
    lab.ends();
    let last = lab.halts(None).unwrap().unwrap();
    assert_eq!(last.how, How::Killed);
    assert!(lab.is_down());
    assert_eq!(lab.asked(), [Op::Status, Op::Consume]);
}

#[test]
fn without_a_zone_there_is_nothing_to_record() {
    needs_root!();
    let lab = Lab::new(Phase::None);
    assert_eq!(lab.halts(Some(How::Halted)).unwrap(), None);
    assert_eq!(lab.recorded(), None);
    assert_eq!(lab.asked(), [Op::Status]);
}

#[test]
fn a_connection_that_breaks_anywhere_is_made_anew_and_the_halt_goes_on() {
    needs_root!();
    for fault in [Fault::Lost, Fault::Unanswered] {
        for op in [Op::Status, Op::Stopping, Op::Fds, Op::Consume] {
            let lab = Lab::new(Phase::Running);
            lab.fails(op, fault);
            let last =
                lab.halts(Some(How::Halted)).unwrap_or_else(|error| panic!("{op:?} {fault:?}: {error}"));
            assert!(lab.is_down(), "{op:?} {fault:?}");
            // What was consumed before the answer was lost is on record already.
            let told = last.is_some() || (op, fault) == (Op::Consume, Fault::Unanswered);
            assert!(told && lab.recorded().is_some(), "{op:?} {fault:?}");
        }
    }
}

#[test]
fn a_halt_that_is_refused_stays_in_the_journal_for_the_next_daemon() {
    needs_root!();
    let lab = Lab::new(Phase::Running);
    lab.fails(Op::Consume, Fault::Refused(Stage::Busy, Errno::BUSY));
    let error = lab.halts(Some(How::Halted)).unwrap_err();
    assert!(matches!(error, Error::Keeper(ClientError::Refused { .. })), "{error}");
    let intent = journal::unfinished(&lab.layout, &lab.name).unwrap();
    assert_eq!((intent.operation, intent.uniqid, intent.how), (Operation::Halt, UNIQID, Some(How::Halted)));
    assert!(Snapshot::load(&lab.layout, &lab.name).is_ok());
    // A plain retry is all that it takes.
    assert!(lab.halts(Some(How::Halted)).unwrap().is_some());
    assert!(lab.is_down());
}

#[test]
fn one_that_was_left_behind_touches_nothing() {
    needs_root!();
    let lab = Lab::new(Phase::Running);
    let mut context = lab.context(Operation::Halt);
    context.current.abandon();
    let halted = lab.zone.halt(&mut context, Some(How::Halted));
    assert!(matches!(halted, Err(Error::Abandoned(_))));
    assert_eq!((lab.phase(), lab.asked()), (Phase::Running, vec![]));
}

#[test]
fn what_zsched_says_is_held_with_a_record_of_the_first_process() {
    needs_root!();
    let lab = Lab::new(Phase::Running);
    let status = lab.zone.keeper().status().unwrap();
    lab.zone.hold(&status);
    lab.zone.hold(&status);
    assert_eq!(lab.asked(), [Op::Status, Op::Fds], "asked once for its descriptors");
    let record = Incarnation::load(&lab.layout, &lab.name).unwrap();
    assert_eq!((record.uniqid, record.pid, record.end), (UNIQID, status.pid, None));
    assert!(lab.zone.backup.holds_a_zone() && lab.zone.backup.died_unseen().is_none());
    lab.ends();
    assert_eq!(lab.zone.backup.died_unseen().map(|status| status.phase), Some(Phase::Down));
    lab.zone.hold(&lab.zone.keeper().status().unwrap());
    assert!(Incarnation::load(&lab.layout, &lab.name).unwrap().end.is_some(), "how it ended is added");
    lab.zone.release_record();
    assert!(Incarnation::load(&lab.layout, &lab.name).is_none() && !lab.zone.backup.holds_a_zone());
}

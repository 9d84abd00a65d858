//! Operations that go on when zsched dies under them.

use crate::context::OperationContext;
use crate::error::Error;
use crate::keeper_error::KeeperError;
use crate::respawn::Ensured;
use crate::zone::Zone;

/// How often in all an operation is tried: somebody who kills zsched repeatedly is doing it on purpose.
const ATTEMPTS: u32 = 3;

/// What a retry needs of zsched.
pub(crate) trait Keeper {
    /// Sees that zsched lives and has the zone.
    fn ensure(&self) -> Result<Ensured, KeeperError>;
}

impl Keeper for Zone {
    fn ensure(&self) -> Result<Ensured, KeeperError> {
        self.ensure_keeper()
    }
}

/// Does work that is idempotent, and again when zsched or the connection to it is lost under it.
pub(crate) fn retry<K: Keeper, T>(
    keeper: &K,
    context: &mut OperationContext,
    mut work: impl FnMut(&K, &mut OperationContext) -> Result<T, Error>,
) -> Result<T, Error> {
    let operation = context.operation;
    for _ in 1..ATTEMPTS {
        match work(keeper, context) {
            Err(error) if error.is_keeper_death() => {
                let ensured = keeper.ensure().map_err(KeeperError::of_operation)?;
                context.operation = operation;
                if ensured == Ensured::Respawned {
                    context.say(format!(
                        "WARNING: zsched died during this {operation}; going on with a new one"
                    ));
                }
            }
            done => return done,
        }
    }
    work(keeper, context)
}

impl Zone {
    /// Retries as [`retry`] does.
    pub fn retry<T>(
        &self,
        context: &mut OperationContext,
        work: impl FnMut(&Self, &mut OperationContext) -> Result<T, Error>,
    ) -> Result<T, Error> {
        retry(self, context, work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper_error::Unreached;
    use rustix::io::Errno;
    use std::cell::{Cell, RefCell};
    use zone_config::Operation;
    use zone_sys::Chain;
    use zsched::client::ClientError;
    use zsched::wire::{Failure, Stage};

    /// A zsched that is found as the script says, one answer after the other.
    struct Fake {
        script: RefCell<Vec<Result<Ensured, KeeperError>>>,
        asked: Cell<u32>,
    }

    impl Fake {
        fn new(script: Vec<Result<Ensured, KeeperError>>) -> Self {
            Self { script: RefCell::new(script), asked: Cell::new(0) }
        }
    }

    impl Keeper for Fake {
        fn ensure(&self) -> Result<Ensured, KeeperError> {
            self.asked.set(self.asked.get() + 1);
            self.script.borrow_mut().pop().unwrap_or(Ok(Ensured::Respawned))
        }
    }

    fn context() -> OperationContext {
        OperationContext::silent(Operation::Halt)
    }

    fn dead<T>() -> Result<T, Error> {
        Err(ClientError::NotRunning.into())
    }

    #[test]
    fn what_works_is_done_once() {
        let keeper = Fake::new(vec![]);
        let mut context = context();
        assert_eq!(retry(&keeper, &mut context, |_, _| Ok(7)).unwrap(), 7);
        assert_eq!((keeper.asked.get(), context.messages.len()), (0, 0));
    }

    #[test]
    fn a_death_is_told_and_the_work_done_again_under_its_own_name() {
        let keeper = Fake::new(vec![]);
        let mut context = context();
        let mut times = 0;
        let done = retry(&keeper, &mut context, |_, context| {
            times += 1;
            // What an undo leaves behind.
            context.operation = Operation::Reboot;
            if times == 1 { dead() } else { Ok(times) }
        });
        assert_eq!(done.unwrap(), 2);
        assert_eq!(context.messages, ["WARNING: zsched died during this halt; going on with a new one"]);
    }

    #[test]
    fn a_broken_connection_is_no_death() {
        let keeper = Fake::new(vec![Ok(Ensured::Lives)]);
        let mut context = context();
        let mut times = 0;
        let done = retry(&keeper, &mut context, |_, _| {
            times += 1;
            if times == 1 { dead() } else { Ok(()) }
        });
        assert!(done.is_ok() && context.messages.is_empty());
    }

    #[test]
    fn a_zsched_that_was_replaced_before_it_was_asked_is_the_same() {
        // Whoever watches zsched has seen its death first, and the new one has no zone that waited at its gate.
        let keeper = Fake::new(vec![Ok(Ensured::Lives)]);
        let refused = |stage| -> Result<(), Error> {
            let failure = Failure::new(stage, Errno::SRCH);
            Err(ClientError::Refused { failure, errno: Errno::SRCH }.into())
        };
        let mut times = 0;
        let done = retry(&keeper, &mut context(), |_, _| {
            times += 1;
            if times == 1 { refused(Stage::NoZone) } else { Ok(()) }
        });
        assert!(done.is_ok() && keeper.asked.get() == 1);
        let done = retry(&keeper, &mut context(), |_, _| refused(Stage::Exec));
        assert!(done.is_err() && keeper.asked.get() == 1, "what a zsched refuses is no death");
    }

    #[test]
    fn there_is_an_end_to_it() {
        let keeper = Fake::new(vec![]);
        let mut times = 0;
        let done: Result<(), _> = retry(&keeper, &mut context(), |_, _| {
            times += 1;
            dead()
        });
        assert!(done.unwrap_err().is_keeper_death());
        assert_eq!((times, keeper.asked.get()), (3, 2));
    }

    #[test]
    fn other_errors_and_a_zsched_that_cannot_be_had_end_it() {
        let keeper = Fake::new(vec![]);
        let done: Result<(), _> = retry(&keeper, &mut context(), |_, _| Err(Error::Stale));
        assert!(matches!(done, Err(Error::Stale)) && keeper.asked.get() == 0);
        let keeper = Fake::new(vec![Err(ClientError::Protocol.into())]);
        let done: Result<(), _> = retry(&keeper, &mut context(), |_, _| dead());
        assert!(matches!(done, Err(Error::Respawn(_))));
    }

    #[test]
    fn who_lives_is_not_said_to_have_died() {
        let unserved = KeeperError::Unserved(ClientError::Stopped { pid: 7 });
        let stopped = KeeperError::Living(Unreached::Stopped { pid: 7 });
        for error in [unserved, stopped] {
            let keeper = Fake::new(vec![Err(error)]);
            let done: Result<(), _> = retry(&keeper, &mut context(), |_, _| dead());
            let text = Chain(&done.unwrap_err()).to_string();
            assert!(text.contains("'kill -CONT 7' lets it go on") && !text.contains("died"), "{text}");
        }
    }
}

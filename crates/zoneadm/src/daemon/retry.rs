//! Getting through to a daemon that may not run, may be starting, or may be about to exit.

use std::time::Duration;

use zone_door::{CallError, OpResult};
use zone_start::{StartError, Started};

use super::DaemonError;

/// The first pause; a daemon in its death throes is gone within about that.
const FIRST: Duration = Duration::from_millis(1);
/// The longest pause.
const LONGEST: Duration = Duration::from_millis(200);
/// So long in all may pauses and starts take without a daemon that does what it is asked. The time of the calls
/// themselves does not count: a shutdown may take minutes.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// What [`persist`] needs of the world.
pub(super) trait World {
    /// Makes the call, if a daemon listens.
    fn call(&mut self) -> Result<OpResult, Box<CallError>>;
    /// Starts a daemon; gives up after `limit`.
    fn start(&mut self, limit: Duration) -> Result<Started, StartError>;
    /// Lets time pass.
    fn pause(&mut self, time: Duration);
    /// A clock that only goes forward.
    fn now(&self) -> Duration;
    /// A random number.
    fn random(&self) -> u64;
}

/// Calls until the call is answered. A daemon is started when none listens, and the call is repeated when the
/// daemon went away under it; between attempts that bring nothing there are pauses of growing length.
pub(super) fn persist(world: &mut impl World) -> Result<OpResult, DaemonError> {
    let mut waited = Duration::ZERO;
    let mut pause = FIRST;
    let mut fresh = true;
    loop {
        let cause = match world.call() {
            Ok(result) => return Ok(result),
            Err(cause) => cause,
        };
        let listens = match *cause {
            CallError::NotListening { .. } => false,
            CallError::Gone => true,
            _ => return Err(DaemonError::Call(cause)),
        };
        let Some(left) = PATIENCE.checked_sub(waited).filter(|left| !left.is_zero()) else {
            return Err(DaemonError::Unreachable { cause });
        };
        let begun = world.now();
        // No pause before the first start: that nobody listens is the usual case.
        if listens || !fresh {
            let time = jittered(pause, world.random()).min(left);
            world.pause(time);
            pause = (pause * 2).min(LONGEST);
        }
        fresh = false;
        if !listens {
            world.start(left)?;
        }
        waited += world.now().saturating_sub(begun);
    }
}

/// Between a half and the whole of `pause`, so that several who wait for one thing do not come all at once.
fn jittered(pause: Duration, random: u64) -> Duration {
    let half = u64::try_from(pause.as_nanos() / 2).unwrap_or(u64::MAX);
    Duration::from_nanos(half + random % (half + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zone_door::{DoorError, State};

    use super::*;

    /// What the next call meets.
    #[derive(Clone, Copy)]
    enum Meets {
        Nobody,
        Dying,
        Served,
        Refused,
    }
    use Meets::*;

    struct Script {
        calls: Vec<Meets>,
        starts: Vec<Result<Started, StartError>>,
        log: String,
        clock: Duration,
        start_takes: Duration,
    }

    impl Script {
        fn new(calls: &[Meets]) -> Self {
            let mut calls = calls.to_vec();
            calls.reverse();
            Self {
                calls,
                starts: Vec::new(),
                log: String::new(),
                clock: Duration::ZERO,
                start_takes: Duration::ZERO,
            }
        }
    }

    impl World for Script {
        fn call(&mut self) -> Result<OpResult, Box<CallError>> {
            self.log.push('c');
            self.clock += Duration::from_secs(100);
            // The last entry repeats for ever.
            let meets = if self.calls.len() > 1 { self.calls.pop().unwrap() } else { self.calls[0] };
            match meets {
                Nobody => Err(Box::new(CallError::NotListening {
                    path: "/d".into(),
                    source: zone_sys::Error::new("connect", rustix::io::Errno::NOENT),
                })),
                Dying => Err(Box::new(CallError::Gone)),
                Served => Ok(OpResult { messages: Vec::new(), timings: Vec::new(), state: State::Running }),
                Refused => Err(Box::new(CallError::Door(DoorError::failed(vec![])))),
            }
        }

        fn start(&mut self, limit: Duration) -> Result<Started, StartError> {
            assert!(limit <= PATIENCE);
            self.log.push('s');
            self.clock += self.start_takes;
            self.starts.pop().unwrap_or(Ok(Started::Serving))
        }

        fn pause(&mut self, time: Duration) {
            assert!(time <= LONGEST && !time.is_zero());
            self.log.push('.');
            self.clock += time;
        }

        fn now(&self) -> Duration {
            self.clock
        }

        fn random(&self) -> u64 {
            7
        }
    }

    fn run(script: &mut Script) -> (Result<OpResult, DaemonError>, &str) {
        (persist(script), &script.log)
    }

    #[test]
    fn nothing_stands_between_a_caller_and_a_daemon_that_serves_or_can_be_started() {
        assert!(matches!(run(&mut Script::new(&[Served])), (Ok(_), "c")));
        assert!(matches!(run(&mut Script::new(&[Nobody, Served])), (Ok(_), "csc")));
        assert!(matches!(run(&mut Script::new(&[Refused])), (Err(DaemonError::Call(_)), "c")));
    }

    #[test]
    fn a_dying_daemon_is_waited_out_and_replaced() {
        let mut script = Script::new(&[Dying, Dying, Nobody, Served]);
        assert!(matches!(run(&mut script), (Ok(_), "c.c.c.sc")));
    }

    #[test]
    fn one_who_was_beaten_to_the_start_calls_the_winner() {
        let mut script = Script::new(&[Nobody, Nobody, Served]);
        script.starts.push(Ok(Started::Beaten));
        assert!(matches!(run(&mut script), (Ok(_), "csc.sc")));
    }

    #[test]
    fn a_daemon_that_says_why_it_cannot_start_is_not_started_again() {
        let mut script = Script::new(&[Nobody]);
        script.starts.push(Err(StartError::Refused { status: 1 }));
        assert!(matches!(run(&mut script), (Err(DaemonError::Start(_)), "cs")));
    }

    #[test]
    fn there_is_an_end() {
        for (calls, start_takes) in [(Nobody, 0), (Nobody, 3), (Dying, 0)] {
            let mut script = Script::new(&[calls]);
            script.start_takes = Duration::from_secs(start_takes);
            let (result, log) = run(&mut script);
            assert!(matches!(result, Err(DaemonError::Unreachable { .. })));
            assert!(log.len() < 700, "{}", log.len());
        }
    }

    proptest! {
        #[test]
        fn jitter_stays_within_its_half(nanos in 2_u64..1_000_000_000, random: u64) {
            let pause = Duration::from_nanos(nanos);
            let jittered = jittered(pause, random);
            prop_assert!(jittered <= pause && jittered >= pause / 2 - Duration::from_nanos(1));
        }
    }
}

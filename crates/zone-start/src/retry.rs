//! Getting through to a daemon that may not run, may be starting, or may be about to exit.

use std::time::{Duration, Instant};

use zone_config::{Layout, ZoneName};

use crate::{StartError, Started, start};

/// The first pause; a daemon that is about to exit is gone within about that.
const FIRST: Duration = Duration::from_millis(1);
/// The longest pause.
const LONGEST: Duration = Duration::from_millis(200);

/// So long in all may pauses and starts take without a daemon that does what it is asked. The time of the attempts
/// themselves does not count, but for [`LOST`]: a shutdown may take minutes.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// So much counts at most of an attempt that ends with its daemon: one daemon after another that takes its time to go
/// away, since it can accept nobody, is waited for no longer than one that cannot be started.
const LOST: Duration = Duration::from_millis(2500);

/// Why an attempt failed.
#[derive(Debug)]
pub enum Missed<E> {
    /// Nobody listens: a daemon has to be started.
    NotListening(E),
    /// The daemon went away before it answered.
    Gone(E),
    /// Another attempt would fail as well.
    Final(E),
}

/// Why nobody did what was asked.
#[derive(Debug)]
pub enum Unreached<E> {
    /// The daemon could not be started.
    Start(StartError),
    /// Whatever was tried, for [`PATIENCE`], nobody answered; with what the last attempt met.
    GaveUp(E),
    /// The attempt's own failure.
    Failed(E),
}

/// Attempts something that needs the zone's daemon until it answers. A daemon is started when none listens, and the attempt
/// repeated when the daemon went away under it, with a backoff. What a daemon that starts says is given to `say`.
///
/// # Errors
/// [`Unreached`].
pub fn reach<T, E>(
    layout: &Layout,
    zone: &ZoneName,
    say: impl FnMut(&str),
    attempt: impl FnMut() -> Result<T, Missed<E>>,
) -> Result<T, Unreached<E>> {
    persist(&mut Real { layout, zone, say, attempt, begun: Instant::now() })
}

/// What [`persist`] needs of the world.
trait World {
    type Done;
    type Error;
    fn attempt(&mut self) -> Result<Self::Done, Missed<Self::Error>>;
    /// Starts a daemon; gives up after `limit`.
    fn start(&mut self, limit: Duration) -> Result<Started, StartError>;
    fn pause(&mut self, time: Duration);
    /// A clock that only goes forward.
    fn now(&self) -> Duration;
    fn random(&self) -> u64;
}

struct Real<'a, S, A> {
    layout: &'a Layout,
    zone: &'a ZoneName,
    say: S,
    attempt: A,
    begun: Instant,
}

impl<T, E, S: FnMut(&str), A: FnMut() -> Result<T, Missed<E>>> World for Real<'_, S, A> {
    type Done = T;
    type Error = E;

    fn attempt(&mut self) -> Result<T, Missed<E>> {
        (self.attempt)()
    }

    fn start(&mut self, limit: Duration) -> Result<Started, StartError> {
        start(self.layout, self.zone, limit, &mut self.say)
    }

    fn pause(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn random(&self) -> u64 {
        use std::hash::{BuildHasher, Hasher};
        // Seeded by the kernel; good enough to keep two processes apart.
        std::hash::RandomState::new().build_hasher().finish()
    }
}

fn persist<W: World>(world: &mut W) -> Result<W::Done, Unreached<W::Error>> {
    let mut waited = Duration::ZERO;
    let mut pause = FIRST;
    let mut fresh = true;
    loop {
        let begun = world.now();
        let (cause, listens) = match world.attempt() {
            Ok(done) => return Ok(done),
            Err(Missed::Final(cause)) => return Err(Unreached::Failed(cause)),
            Err(Missed::NotListening(cause)) => (cause, false),
            Err(Missed::Gone(cause)) => (cause, true),
        };
        if listens {
            waited += world.now().saturating_sub(begun).min(LOST);
        }
        let Some(left) = PATIENCE.checked_sub(waited).filter(|left| !left.is_zero()) else {
            return Err(Unreached::GaveUp(cause));
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
            world.start(left).map_err(Unreached::Start)?;
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

    use super::*;

    /// What the next call meets.
    #[derive(Clone, Copy, Debug)]
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
        type Done = ();
        type Error = Meets;

        fn attempt(&mut self) -> Result<(), Missed<Meets>> {
            self.log.push('c');
            self.clock += Duration::from_secs(100);
            // The last entry repeats for ever.
            let meets = if self.calls.len() > 1 { self.calls.pop().unwrap() } else { self.calls[0] };
            match meets {
                Nobody => Err(Missed::NotListening(meets)),
                Dying => Err(Missed::Gone(meets)),
                Served => Ok(()),
                Refused => Err(Missed::Final(meets)),
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

    fn run(script: &mut Script) -> (Result<(), Unreached<Meets>>, &str) {
        (persist(script), &script.log)
    }

    #[test]
    fn nothing_stands_between_a_caller_and_a_daemon_that_serves_or_can_be_started() {
        assert!(matches!(run(&mut Script::new(&[Served])), (Ok(_), "c")));
        assert!(matches!(run(&mut Script::new(&[Nobody, Served])), (Ok(_), "csc")));
        assert!(matches!(run(&mut Script::new(&[Refused])), (Err(Unreached::Failed(Refused)), "c")));
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
        assert!(matches!(run(&mut script), (Err(Unreached::Start(_)), "cs")));
    }

    #[test]
    fn what_one_daemon_after_another_took_counts_in_part() {
        let mut script = Script::new(&[Dying, Dying, Dying, Dying, Dying, Dying, Served]);
        assert!(matches!(run(&mut script), (Ok(_), "c.c.c.c.c.c.c")));
        let mut script = Script::new(&[Dying]);
        assert!(matches!(run(&mut script), (Err(Unreached::GaveUp(Dying)), "c.c.c.c.c.c.c.c")));
    }

    #[test]
    fn there_is_an_end() {
        for (calls, start_takes) in [(Nobody, 0), (Nobody, 3), (Dying, 0)] {
            let mut script = Script::new(&[calls]);
            script.start_takes = Duration::from_secs(start_takes);
            let (result, log) = run(&mut script);
            assert!(matches!(result, Err(Unreached::GaveUp(_))));
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

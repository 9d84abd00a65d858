//! Having the zone's daemon do something, whether or not it runs.

mod patience;
mod retry;

use std::time::{Duration, Instant};

use zone_config::{Layout, ZoneName};
use zone_door::{CallError, Client, DoorError, OpResult, Request};
use zone_start::{StartError, Started};

use crate::message::{Failure, Outcome, relay, warn, warn_zone};
use crate::steps::Steps;

/// Why the daemon did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    /// It could not be started.
    #[error("could not start zoneadmd")]
    Start(#[from] StartError),
    /// Whatever was tried, for a long time, nobody answered.
    #[error("could not start zoneadmd: gave up after {} seconds", retry::PATIENCE.as_secs())]
    Unreachable {
        /// What the last attempt met.
        #[source]
        cause: Box<CallError>,
    },
    /// It answered that it did not do it, or nothing that makes sense.
    #[error(transparent)]
    Call(Box<CallError>),
}

impl DaemonError {
    /// What the daemon said, if it understood and did not do it.
    pub(crate) fn refusal(&self) -> Option<&DoorError> {
        match self {
            Self::Call(cause) => match cause.as_ref() {
                CallError::Door(refusal) => Some(refusal),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Makes a call and says what the daemon has to say, which is what the reference prints.
///
/// # Errors
/// When the operation was not performed; everything about that has then been said.
pub(crate) fn request(layout: &Layout, zone: &ZoneName, request: &Request) -> Outcome<OpResult> {
    tell(zone, call(layout, zone, request))
}

/// Says what the daemon has to say about a [`call`].
///
/// # Errors
/// When the operation was not performed.
pub(crate) fn tell(zone: &ZoneName, result: Result<OpResult, DaemonError>) -> Outcome<OpResult> {
    match result {
        Ok(result) => {
            result.messages.iter().for_each(|message| relay(zone, message));
            Ok(result)
        }
        Err(error) => match error.refusal() {
            Some(refusal) => {
                refusal.messages().iter().for_each(|message| relay(zone, message));
                warn_zone(zone, "call to zoneadmd failed");
                Err(Failure::Told)
            }
            None => Err(Failure::of(zone)(error)),
        },
    }
}

/// Tells a daemon something that matters only if there is one; none is started.
pub(crate) fn notify(layout: &Layout, zone: &ZoneName, request: &Request) {
    const LIMIT: Duration = Duration::from_secs(5);
    let told = || {
        let mut client = Client::connect(&layout.zone_run(zone))?;
        client.set_timeout(Some(LIMIT))?;
        Ok(client.call_for_result(request)?)
    };
    match told().map_err(|error: Box<CallError>| *error) {
        Ok(result) => result.messages.iter().for_each(|message| relay(zone, message)),
        Err(CallError::NotListening { .. } | CallError::Gone) => {}
        Err(error) => warn_zone(zone, format_args!("{:#}", anyhow::Error::new(error))),
    }
}

/// The language of the messages, as `setlocale(3)` would find it.
pub(crate) fn locale() -> String {
    zone_locale::Locale::name_in(|name| std::env::var(name).ok())
}

/// Makes a call, starting a daemon if there is none.
///
/// # Errors
/// [`DaemonError`].
pub(crate) fn call(layout: &Layout, zone: &ZoneName, request: &Request) -> Result<OpResult, DaemonError> {
    if request.bootargs().len() > zone_config::bootargs::MAX_LEN {
        // The daemon says so too, but a message of any length does not reach it.
        let refusal = CallError::Door(DoorError::boot_args_too_long());
        return Err(DaemonError::Call(refusal.into()));
    }
    let start = Instant::now();
    retry::persist(&mut Real { layout, zone, request, start })
}

/// The world as it is.
struct Real<'a> {
    layout: &'a Layout,
    zone: &'a ZoneName,
    request: &'a Request,
    start: Instant,
}

impl retry::World for Real<'_> {
    fn call(&mut self) -> Result<OpResult, Box<CallError>> {
        let mut client = Client::connect(&self.layout.zone_run(self.zone))?;
        let operation = self.request.operation();
        let steps = Steps::watch(operation);
        let mut waiting = patience::Waiting::new(self.layout, self.zone, operation, steps.is_some());
        let show = |progress: &zone_door::Progress| {
            if let Some(steps) = &steps {
                steps.show(progress);
            }
        };
        Ok(client.call_watched(self.request, steps.is_some(), show, patience::EVERY, || waiting.look())?)
    }

    fn start(&mut self, limit: Duration) -> Result<Started, StartError> {
        zone_start::start(self.layout, self.zone, limit, |line| warn(line))
    }

    fn pause(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn random(&self) -> u64 {
        use std::hash::{BuildHasher, Hasher};
        // Seeded by the kernel; good enough to keep two processes apart.
        std::hash::RandomState::new().build_hasher().finish()
    }
}

//! Having the zone's daemon do something, whether or not it runs.

mod patience;

use std::time::Duration;

use zone_config::{Layout, ZoneName};
use zone_door::{Behalf, CallError, Client, DoorError, OpResult, Request};
use zone_start::{Missed, StartError, Unreached};
use zone_sys::Chain;

use crate::message::{Failure, Outcome, relay, warn, warn_zone};
use crate::steps::Steps;

/// Why the daemon did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    /// It could not be started.
    #[error("could not start zoneadmd")]
    Start(#[from] StartError),
    /// Whatever was tried, for a long time, nobody answered.
    #[error("could not start zoneadmd: gave up after {} seconds", zone_start::PATIENCE.as_secs())]
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
                let messages = refusal.messages();
                messages.iter().for_each(|message| relay(zone, message));
                if messages.is_empty() {
                    warn_zone(zone, "call to zoneadmd failed");
                }
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
        Err(error) => warn_zone(zone, Chain(&error)),
    }
}

/// The language of the messages, as `setlocale(3)` would find it.
pub(crate) fn locale() -> String {
    zone_locale::Locale::name_in(|name| std::env::var(name).ok())
}

/// On whose behalf zone-access runs this program.
pub(crate) fn behalf() -> Option<Behalf> {
    std::env::var(Behalf::VARIABLE).ok().and_then(|text| Behalf::parse(&text))
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
    zone_start::reach(layout, zone, |line| warn(line), || attempt(layout, zone, request)).map_err(
        |unreached| match unreached {
            Unreached::Start(error) => DaemonError::Start(error),
            Unreached::GaveUp(cause) => DaemonError::Unreachable { cause },
            Unreached::Failed(cause) => DaemonError::Call(cause),
        },
    )
}

/// Makes a call, if a daemon listens.
fn attempt(layout: &Layout, zone: &ZoneName, request: &Request) -> Result<OpResult, Missed<Box<CallError>>> {
    call_once(layout, zone, request).map_err(|cause| match *cause {
        CallError::NotListening { .. } => Missed::NotListening(cause),
        CallError::Gone => Missed::Gone(cause),
        _ => Missed::Final(cause),
    })
}

fn call_once(layout: &Layout, zone: &ZoneName, request: &Request) -> Result<OpResult, Box<CallError>> {
    let mut client = Client::connect(&layout.zone_run(zone))?;
    client.on_behalf(behalf());
    let operation = request.operation();
    let steps = Steps::watch(operation);
    let mut waiting = patience::Waiting::new(layout, zone, operation, steps.is_some());
    let show = |progress: &zone_door::Progress| {
        if let Some(steps) = &steps {
            steps.show(progress);
        }
    };
    Ok(client.call_watched(request, steps.is_some(), show, patience::EVERY, || waiting.look())?)
}

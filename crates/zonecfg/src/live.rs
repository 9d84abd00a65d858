//! Giving a zone that runs the configuration in hand, by its daemon.

use std::path::Path;

use zone_config::config::ConfigError;
use zone_config::document::Document;
use zone_config::{Layout, ZoneConfig, ZoneName, change};
use zone_door::{CallError, Client, DoorError, MAX_CALL, OpResult, Request};
use zone_start::{Missed, StartError, Unreached};

use crate::talk::Talk;

/// Why a zone that runs was not given a configuration.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// What it was to be given is larger than a call.
    #[error(
        "Zone {zone}: what it has is described by {size} bytes, and a call holds {}: change what is configured, without -r, and give it that with 'zoneadm -z {zone} apply'",
        MAX_CALL / 2
    )]
    TooLarge {
        /// The zone that is edited.
        zone: ZoneName,
        /// How much it is, in bytes.
        size: usize,
    },
    /// Its daemon could not be started.
    #[error("could not start zoneadmd")]
    Start(#[from] StartError),
    /// Its daemon was not reached, or did not understand.
    #[error(transparent)]
    Call(Box<CallError>),
    /// Its daemon says why it did not do it.
    #[error("zone '{zone}': {}", .messages.join("; "))]
    Refused {
        /// The zone that is edited.
        zone: ZoneName,
        /// What it says.
        messages: Vec<String>,
    },
}

/// Gives the zone `document`, if what it has is still of the version `base`, and says what that changed.
///
/// # Errors
/// [`LiveError`]; the zone has then what it had.
pub(crate) fn give(
    layout: &Layout,
    zone: &ZoneName,
    document: &Document,
    base: &str,
    talk: &mut Talk<'_>,
) -> Result<(), LiveError> {
    let text = document.to_toml();
    // Half of it: a text can become longer on its way, by what JSON writes in two characters.
    if text.len() > MAX_CALL / 2 {
        return Err(LiveError::TooLarge { zone: zone.clone(), size: text.len() });
    }
    let locale = zone_locale::Locale::here().name().to_owned();
    let request = Request::Apply { dry_run: false, config: Some(text), base: Some(base.to_owned()), locale };
    let called = zone_start::reach(layout, zone, |line| talk.note(line), || call(layout, zone, &request));
    let result = match called {
        Ok(result) => result,
        Err(Unreached::Start(error)) => return Err(error.into()),
        Err(Unreached::GaveUp(cause) | Unreached::Failed(cause)) => {
            return Err(match *cause {
                CallError::Door(refusal) => refused(zone, &refusal),
                _ => LiveError::Call(cause),
            });
        }
    };
    result.messages.iter().for_each(|message| talk.note(&format!("zone '{zone}': {message}")));
    for line in change::lines(&result.changes.unwrap_or_default(), false) {
        // That nobody reads it is nothing to fail for: it is done.
        let _ = writeln!(talk.out, "zone '{zone}': {line}");
    }
    Ok(())
}

/// Gives the version of what a zone has that was given this: its daemon leaves out what is set to its default.
///
/// # Errors
/// When something is missing that a zone must have.
pub(crate) fn version(given: &Document) -> Result<String, ConfigError> {
    Ok(change::version(&ZoneConfig::from_document(given, Path::new(""))?.to_document()))
}

fn refused(zone: &ZoneName, refusal: &DoorError) -> LiveError {
    LiveError::Refused { zone: zone.clone(), messages: refusal.messages() }
}

fn call(layout: &Layout, zone: &ZoneName, request: &Request) -> Result<OpResult, Missed<Box<CallError>>> {
    let called = || {
        let mut client = Client::connect(&layout.zone_run(zone))?;
        Ok(client.call_for_result(request)?)
    };
    called().map_err(|cause: Box<CallError>| match *cause {
        CallError::NotListening { .. } => Missed::NotListening(cause),
        CallError::Gone => Missed::Gone(cause),
        _ => Missed::Final(cause),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_change_is_of_what_the_zone_was_given_by_the_first() {
        let read = |text: &str| Document::parse(text, Path::new("f")).unwrap();
        let given = read("zonepath = \"/z\"\nrestart-init = true\nmax-lwps = 7\n");
        // As its daemon has it, without the default.
        let has = read("zonepath = \"/z\"\nmax-lwps = 7\n");
        assert_eq!(version(&given).unwrap(), change::version(&has));
        assert_ne!(change::version(&given), change::version(&has));
    }
}

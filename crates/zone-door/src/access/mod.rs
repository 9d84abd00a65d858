//! The way in for users who are not root: what can be asked of zone-access, and its client.
//!
//! `org.zones.access.varlink` beside this crate is the contract. One connection is for one call, which is read by
//! zone-access with all its types and bounds before anything is looked at.

mod client;

pub use client::{Access, AccessError, Begun, Connection};

use serde::{Deserialize, Serialize};
use zone_config::State;

use crate::wire::{Success, encode};

/// Names the interface in calls and errors.
pub const ACCESS_INTERFACE: &str = "org.zones.access";
/// The interface's description, as introspection answers it.
pub const ACCESS_DESCRIPTION: &str = include_str!("../../org.zones.access.varlink");

/// A call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", content = "parameters", deny_unknown_fields)]
pub enum Ask {
    /// `zoneadm list`.
    #[serde(rename = "org.zones.access.List")]
    List(List),
    /// `zoneadm status`.
    #[serde(rename = "org.zones.access.Status")]
    Status(Look),
    /// `zoneadm ps`.
    #[serde(rename = "org.zones.access.Ps")]
    Ps(Look),
    /// `zoneadm stat`.
    #[serde(rename = "org.zones.access.Stat")]
    Stat(Look),
    /// `zoneadm events`.
    #[serde(rename = "org.zones.access.Events")]
    Events(Look),
    /// `zoneadm ready`.
    #[serde(rename = "org.zones.access.Ready")]
    Ready(Verb),
    /// `zoneadm boot`.
    #[serde(rename = "org.zones.access.Boot")]
    Boot(Verb),
    /// `zoneadm reboot`.
    #[serde(rename = "org.zones.access.Reboot")]
    Reboot(Verb),
    /// `zoneadm halt`.
    #[serde(rename = "org.zones.access.Halt")]
    Halt(Verb),
    /// `zoneadm shutdown`.
    #[serde(rename = "org.zones.access.Shutdown")]
    Shutdown(Verb),
    /// `zoneadm apply`.
    #[serde(rename = "org.zones.access.Apply")]
    Apply(Verb),
    /// `zlogin`.
    #[serde(rename = "org.zones.access.Enter")]
    Enter(Enter),
    /// `zlogin -C`.
    #[serde(rename = "org.zones.access.Console")]
    Console(OneZone),
}

/// The options of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, clippy::struct_excessive_bools)] // each is the option of that name
pub struct List {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    pub configured: bool,
    pub installed: bool,
    pub no_global: bool,
    pub parsable: bool,
    pub verbose: bool,
    pub net: bool,
    pub json: bool,
    pub locale: String,
    // What follows came later, and is there only if it is given: a zone-access of before refuses what it does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zones: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<State>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub in_state: Vec<State>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub csv: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u16>,
}

/// Which zones to look at, with the options that the verbs have which look; those that one does not have are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)] // each is the option of that name
pub struct Look {
    /// One; all if neither this is given nor `zones`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Several, as `-z` takes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zones: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub all: bool,
    /// Those in these states.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<State>,
    #[serde(skip_serializing_if = "is_false")]
    pub follow: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    #[serde(skip_serializing_if = "is_false")]
    pub json: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u16>,
    pub locale: String,
}

/// What a verb is about, with the options that verbs have; those that one does not have are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, clippy::struct_excessive_bools)] // each is the option of that name
pub struct Verb {
    pub zone: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bootargs: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<u32>,
    #[serde(skip_serializing_if = "is_false")]
    pub single: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub writable: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub force: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
    #[serde(skip_serializing_if = "is_false")]
    pub reboot: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub dry_run: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub quiet: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub json: bool,
    pub locale: String,
}

/// Whom to run what as, in which zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Enter {
    /// The zone.
    pub zone: String,
    /// A user of it; its root, without reading any of its files, if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The command; a login shell if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    /// `TERM` of the command's environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term: Option<String>,
    /// A terminal for it; pipes if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminal: Option<TerminalSettings>,
    /// The directory to begin in, from the user's home on; that, if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// More variables of its environment: `NAME=VALUE`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// `LANG` and its like, which hold as far as the zone has the locales.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub language: Vec<String>,
}

/// A terminal's settings in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TerminalSettings {
    /// Input, output, control and local flags; the kernel's defaults if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<[u32; 4]>,
    /// The special characters, by their numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub characters: Option<Vec<u8>>,
    /// Of the window; 0 if not known.
    pub rows: u16,
    /// Of the window; 0 if not known.
    pub columns: u16,
}

/// A zone's name and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OneZone {
    /// The zone.
    pub zone: String,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// A program has done what it could.
    Done(Done),
    /// A command has begun, or the console is connected; descriptors come with it.
    Begun {
        /// The name of its terminal, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        terminal: Option<String>,
    },
    /// The command has ended.
    Ended(Ended),
}

/// What a program printed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Its exit status.
    pub status: u8,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub errors: String,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ended {
    /// With this exit status.
    pub status: Option<i32>,
    /// By this signal.
    pub signal: Option<i32>,
    /// The zone went down.
    pub gone: bool,
}

/// A refusal or a failure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "error", content = "parameters")]
pub enum Refusal {
    /// The caller may not do this.
    #[error("{message}")]
    #[serde(rename = "org.zones.access.NotAuthorized")]
    NotAuthorized {
        /// What to show a person.
        message: String,
    },
    /// It could not be done.
    #[error("{message}")]
    #[serde(rename = "org.zones.access.Failed")]
    Failed {
        /// What to exit with.
        status: u8,
        /// What to show a person.
        message: String,
    },
    /// The call makes no sense.
    #[error("zone-access does not understand this call: {parameter}")]
    #[serde(rename = "org.varlink.service.InvalidParameter")]
    Invalid {
        /// What of it.
        parameter: String,
    },
}

/// Renders a reply, with its end.
#[must_use]
pub fn reply(answer: &Answer, continues: bool) -> Vec<u8> {
    encode(&Success { parameters: answer, continues }).unwrap_or_default()
}

/// Renders a refusal, with its end.
#[must_use]
pub fn refusal(refusal: &Refusal) -> Vec<u8> {
    encode(refusal).unwrap_or_default()
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Reads a call, without its end.
///
/// # Errors
/// [`Refusal::Invalid`], with what the reader of JSON says.
pub fn read(message: &[u8]) -> Result<Ask, Refusal> {
    // What the envelope may have beside is of no concern: there is one way to answer each call.
    #[derive(Deserialize)]
    struct Envelope {
        method: String,
        #[serde(default)]
        parameters: serde_json::Map<String, serde_json::Value>,
    }
    let invalid = |error: serde_json::Error| Refusal::Invalid { parameter: error.to_string() };
    let mut call: Envelope = serde_json::from_slice(message).map_err(invalid)?;
    // Varlink's optional types: absent and null are the same.
    call.parameters.retain(|_, value| !value.is_null());
    serde_json::from_value(serde_json::json!({ "method": call.method, "parameters": call.parameters }))
        .map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_the_client_writes_is_what_is_read() {
        let verb = || Verb { zone: "web".into(), locale: "C".into(), ..Verb::default() };
        let asks = [
            Ask::List(List { zone: Some("web".into()), json: true, ..List::default() }),
            Ask::List(List {
                zones: Some("web*,db".into()),
                in_state: vec![State::Running],
                columns: vec!["name".into()],
                csv: true,
                width: Some(80),
                ..List::default()
            }),
            Ask::Status(Look { zone: Some("web".into()), json: true, ..Look::default() }),
            Ask::Ps(Look { all: true, states: vec![State::ShuttingDown], ..Look::default() }),
            Ask::Stat(Look { interval: Some(2), count: Some(1), width: Some(80), ..Look::default() }),
            Ask::Events(Look { zones: Some("a,b".into()), follow: true, ..Look::default() }),
            Ask::Ready(verb()),
            Ask::Boot(Verb { bootargs: vec!["-s".into()], writable: true, ..verb() }),
            Ask::Shutdown(Verb { timeout: Some(3), reboot: true, ..verb() }),
            Ask::Enter(Enter {
                zone: "web".into(),
                user: Some("root".into()),
                words: vec!["a b".into(), String::new()],
                term: Some("vt".into()),
                terminal: Some(TerminalSettings {
                    flags: Some([1, 2, 3, 4]),
                    rows: 24,
                    ..Default::default()
                }),
                cwd: Some("/srv".into()),
                env: vec!["A=b=c".into()],
                language: vec!["LANG=C".into()],
            }),
            Ask::Console(OneZone { zone: "web".into() }),
        ];
        for ask in asks {
            let wire = serde_json::to_value(&ask).unwrap();
            let member = wire["method"].as_str().unwrap().strip_prefix("org.zones.access.").unwrap();
            assert!(ACCESS_DESCRIPTION.contains(&format!("\nmethod {member}(")), "{member}");
            assert_eq!(read(wire.to_string().as_bytes()), Ok(ask));
        }
    }

    #[test]
    fn what_is_no_call_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"method":"org.zones.access.Boot","parameters":{"zone":"a","root":"/tmp"}}"#,
            r#"{"method":"org.zones.access.Boot","parameters":{"zone":["a"]}}"#,
            r#"{"method":"org.zones.access.Boot","parameters":{"bootargs":"-s"}}"#,
            r#"{"method":"org.zones.access.Install","parameters":{"zone":"a"}}"#,
            r#"{"method":"org.zones.zoneadmd.Boot","parameters":{}}"#,
            r#"{"method":"org.zones.access.Shutdown","parameters":{"timeout":-1}}"#,
        ] {
            assert!(matches!(read(text.as_bytes()), Err(Refusal::Invalid { .. })), "{text}");
        }
        let null = r#"{"method":"org.zones.access.Halt","parameters":{"zone":"a","force":null},"more":true}"#;
        assert!(matches!(read(null.as_bytes()), Ok(Ask::Halt(Verb { force: false, .. }))));
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }
}

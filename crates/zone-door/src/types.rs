//! What the door says about a zone: status, results, progress, events.
//!
//! The shapes are those of `org.zones.zoneadmd.varlink`; the field names are the wire's.

use serde::{Deserialize, Serialize};

use zone_config::change::Change;
use zone_config::lastexit::LastExit;
pub use zone_config::readiness::{ReadyBy, ReadyState};

use crate::{How, Operation, State, Uniqid};

/// One finished step of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The step's name, as the platform's table or the daemon has it.
    pub name: String,
    /// How long it took, in microseconds.
    pub usec: u64,
}

/// What a running operation does now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The step that has just begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// A sentence for the person who waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How and when an incarnation of a zone ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The uniqid of the incarnation that ended.
    pub uniqid: Uniqid,
    /// How it ended.
    pub how: How,
    /// Init's exit status, with [`How::Exited`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// The signal's number, with [`How::Killed`] and [`How::Crashed`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Seconds since the Unix epoch.
    pub when: u64,
    /// How often init had been started again when this incarnation ended.
    pub restarts: u32,
}

impl From<LastExit> for Exit {
    fn from(LastExit { uniqid, how, status, signal, when, restarts }: LastExit) -> Self {
        Self { uniqid: Uniqid(uniqid), how, status, signal, when, restarts }
    }
}

/// Somebody attached to the zone's console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Console {
    /// The client's process, as the kernel told it.
    pub pid: i32,
    /// The client's user, as the kernel told it.
    pub uid: u32,
    /// Seconds since the Unix epoch.
    pub since: u64,
    /// Whether the client only watches.
    pub read_only: bool,
}

/// A link that a zone was brought up with, and what it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Net {
    /// Its name inside.
    pub physical: String,
    /// How it is attached, by the word of the configuration.
    pub mode: String,
    /// The host's link that it is attached to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_nic: Option<String>,
    /// Its Ethernet address.
    pub mac_addr: String,
    /// Its addresses, each with the length of its prefix.
    pub address: Vec<String>,
}

/// How far a zone that runs has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// Whether it is ready.
    pub state: ReadyState,
    /// Who tells, or would.
    pub by: ReadyBy,
    /// Since when it is so, in seconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// What was said last of why it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Everything the daemon tells about its zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The name of the zone that this daemon administers.
    pub zone: String,
    /// The zone's state, as zsched tells it now; below ready the index'.
    pub state: State,
    /// The present incarnation; none below ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uniqid: Option<Uniqid>,
    /// The zone's uuid from the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// The zone's brand, by its name.
    pub brand: String,
    /// The zonepath; the zone's root is `root` below it.
    pub zonepath: String,
    /// PID 1 of the zone as the global zone sees it; none below ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// When the zone entered its state, in seconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// How often init has been started again since the zone was booted.
    pub restarts: u32,
    /// The operation that runs now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// The step at which it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// What holds that step up, with the processes; none as long as it gets on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
    /// How the incarnation before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<Exit>,
    /// Who is attached to the console.
    pub consoles: Vec<Console>,
    /// The nets that the zone was brought up with; none below ready, and from a daemon that does not know them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nets: Option<Vec<Net>>,
    /// Whether it is ready; none unless it runs, and from a daemon that does not look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Readiness>,
}

/// What an operation that succeeded has to say. The interface file calls it `Result`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpResult {
    /// For the person who asked, in the order they arose, without the `zone 'NAME': ` before them.
    pub messages: Vec<String>,
    /// Where the time went, in the order of the steps.
    pub timings: Vec<Step>,
    /// The zone's state afterwards.
    pub state: State,
    /// What an apply has found to differ; those that are live are in force afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Vec<Change>>,
}

/// Something that happened to the zone, as `Monitor` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The zone entered a state. Also the first event of every stream: the state at that moment.
    State {
        /// The state that was entered.
        state: State,
        /// The incarnation it belongs to; none below ready.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uniqid: Option<Uniqid>,
    },
    /// An operation began a step.
    Step {
        /// The operation that takes the step.
        operation: Operation,
        /// The name of the step that begins.
        step: String,
    },
    /// A notice as the console shows it, without its brackets.
    Notice {
        /// The notice's text, in English and without a newline.
        text: String,
    },
    /// An incarnation ended.
    Exit {
        /// How the incarnation ended, and when.
        exit: Exit,
    },
    /// The zone is ready, by whoever tells.
    Ready {
        /// The incarnation.
        uniqid: Uniqid,
    },
    /// This reader was too slow and missed events.
    Lost {
        /// How many events were missed.
        count: u64,
    },
    /// The kernel has killed a process of the zone for want of memory.
    OomKill {
        /// The name that it gave itself, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        process: Option<String>,
        /// Its number in the global zone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pid: Option<i32>,
        /// How many bytes of memory it had.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
        /// How many were killed since the zone's boot.
        count: u64,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use zone_config::change::Action;
    use zone_config::schema::Applies;

    use super::*;

    /// The names between the parentheses of a type of the interface file.
    fn declared(name: &str) -> Vec<String> {
        let (_, rest) = crate::INTERFACE_DESCRIPTION.split_once(&format!("\ntype {name} (")).unwrap();
        let (inside, _) = rest.split_once(')').unwrap();
        inside.split(',').map(|field| field.split(':').next().unwrap().trim().to_owned()).collect()
    }

    fn sent<T: Serialize>(value: &T) -> Vec<String> {
        match serde_json::to_value(value).unwrap() {
            Value::Object(map) => map.keys().cloned().collect(),
            Value::String(word) => vec![word],
            other => panic!("{other}"),
        }
    }

    fn assert_fields<T: Serialize>(name: &str, value: &T) {
        let mut declared = declared(name);
        declared.sort();
        assert_eq!(sent(value), declared, "{name}");
    }

    fn exit() -> Exit {
        Exit { uniqid: Uniqid(7), how: How::Killed, status: Some(1), signal: Some(9), when: 2, restarts: 3 }
    }

    #[test]
    fn the_interface_file_has_the_fields_that_are_sent() {
        let step = Step { name: "root".into(), usec: 5 };
        let console = Console { pid: 1, uid: 0, since: 0, read_only: true };
        let net = Net {
            physical: "eth0".into(),
            mode: "bridge".into(),
            global_nic: Some("br0".into()),
            mac_addr: "02:08:20:5e:01:07".into(),
            address: vec!["192.0.2.5/24".into()],
        };
        let readiness = Readiness {
            state: ReadyState::Starting,
            by: ReadyBy::Check,
            since: Some(3),
            text: Some("t".into()),
        };
        let status = Status {
            zone: "z".into(),
            state: State::Ready,
            uniqid: Some(Uniqid(7)),
            uuid: Some("u".into()),
            brand: "linux".into(),
            zonepath: "/z".into(),
            pid: Some(1),
            since: Some(2),
            restarts: 0,
            operation: Some(Operation::Boot),
            step: Some("root".into()),
            waiting: Some("w".into()),
            last_exit: Some(exit()),
            consoles: vec![console.clone()],
            nets: Some(vec![net.clone()]),
            readiness: Some(readiness.clone()),
        };
        assert_eq!(serde_json::from_value::<Status>(json!(status)).unwrap(), status);
        assert_fields("Status", &status);
        assert_fields("Console", &console);
        assert_fields("Net", &net);
        assert_fields("Readiness", &readiness);
        assert_fields("Exit", &exit());
        assert_fields("Step", &step);
        assert_fields("Progress", &Progress { step: Some("root".into()), message: Some("m".into()) });
        let word = || Some("w".to_owned());
        let change = Change {
            action: Action::Modify,
            resource: word(),
            property: word(),
            from: word(),
            to: word(),
            applies: Applies::Live,
        };
        assert_fields("Change", &change);
        let changes = Some(vec![change]);
        assert_fields(
            "Result",
            &OpResult { messages: vec![], timings: vec![step], state: State::Ready, changes },
        );
    }

    #[test]
    fn the_interface_file_has_the_words_that_are_sent() {
        assert_eq!(State::ALL.iter().flat_map(sent).collect::<Vec<_>>(), declared("State"));
        assert_eq!(Operation::ALL.iter().flat_map(sent).collect::<Vec<_>>(), declared("Operation"));
        assert_eq!(Operation::ALL.map(|operation| operation.to_string()).to_vec(), declared("Operation"));
        assert_eq!(Action::ALL.iter().flat_map(sent).collect::<Vec<_>>(), declared("ChangeAction"));
        assert_eq!(Applies::ALL.iter().flat_map(sent).collect::<Vec<_>>(), declared("Applies"));
        assert_eq!(ReadyState::ALL.iter().flat_map(sent).collect::<Vec<_>>(), declared("ReadyState"));
        assert_eq!(ReadyBy::ALL.iter().flat_map(sent).collect::<Vec<_>>(), declared("ReadyBy"));
        use How::*;
        let hows = [Exited, Killed, Crashed, Poweroff, Rebooted, Halted, Shutdown, Unknown];
        assert_eq!(hows.iter().flat_map(sent).collect::<Vec<_>>(), declared("How"));
    }

    #[test]
    fn the_interface_file_has_the_events_that_are_sent() {
        let events = [
            Event::State { state: State::Running, uniqid: Some(Uniqid(7)) },
            Event::Step { operation: Operation::Halt, step: "root".into() },
            Event::Notice { text: "t".into() },
            Event::Exit { exit: exit() },
            Event::Lost { count: 1 },
            Event::OomKill { process: Some("sh".into()), pid: Some(5), bytes: Some(6), count: 7 },
            Event::Ready { uniqid: Uniqid(7) },
        ];
        let fields = declared("Event");
        for (event, kind) in events.iter().zip(declared("EventKind")) {
            assert_eq!(json!(event)["kind"], kind);
            assert!(sent(event).iter().all(|field| fields.contains(field)), "{kind}");
            assert_eq!(&serde_json::from_value::<Event>(json!(event)).unwrap(), event);
        }
    }
}

//! Everything about a zone, for programs.

use std::path::Path;

use serde::Serialize;
use zone_config::State;
use zone_config::lastexit::{How, LastExit};
use zone_config::readiness::{Found, ReadyBy, ReadyState};
use zone_door::{Change, Console, Operation};
use zsched::wire::{Lost, Status, Witness};

use super::limits::Limits;
use super::network::Network;
use super::row::{Immutable, Row};

/// One zone. Times are seconds since 1970 UTC; what is unknown or does not apply is null.
#[derive(Debug, Serialize)]
pub(super) struct Zone<'a> {
    name: &'a str,
    /// As `list -v` shows it.
    id: Option<i32>,
    state: Option<State>,
    zonepath: &'a Path,
    uuid: Option<String>,
    brand: Option<&'a str>,
    ip_type: Option<&'static str>,
    /// How much of its root it can write, by the word of the property; null where that is all.
    file_mac_profile: Option<&'static str>,
    /// Of a zone that is up and has a profile: "R" if its root is read-only, "W" if it was booted writable.
    root_access: Option<&'static str>,
    /// The incarnation, in decimal: 64 bits, which many readers of JSON numbers do not keep.
    uniqid: Option<String>,
    /// The first process as the host sees it.
    pid: Option<i32>,
    /// When the incarnation was made.
    since: Option<u64>,
    /// How many times in a row init was started again before this incarnation.
    restarts: Option<u32>,
    /// Whether it is ready; null for one that does not run.
    readiness: Option<Readiness>,
    /// Who keeps the zone; null for one that is not up, and for one whose zsched was killed until a daemon starts another.
    zsched: Option<Keeper>,
    last_exit: Option<End>,
    /// Who is at work on its files, as "zoneadm install" does; null if nobody is.
    at_work: Option<&'a str>,
    /// What the daemon is doing, if one runs and does something.
    operation: Option<Operation>,
    step: Option<String>,
    /// Who is at the console; null when no daemon runs to know it.
    consoles: Option<Vec<Console>>,
    /// What is configured by now and is not what it has, as `zoneadm apply` would tell it; null for one that is not up.
    differs: Option<&'a [Change]>,
    /// Its nets and ports; null for one that is not up, and for the host.
    network: Option<&'a Network>,
    /// What it uses of the machine; null for one that is not up, and for the host.
    limits: Option<&'a Limits>,
}

/// How far a zone that runs has come.
#[derive(Debug, Serialize)]
struct Readiness {
    state: ReadyState,
    /// Who has told; null as long as nobody has.
    by: Option<ReadyBy>,
    /// When that was.
    since: Option<u64>,
}

impl From<Option<Found>> for Readiness {
    fn from(found: Option<Found>) -> Self {
        let state = found.map_or(ReadyState::Starting, |found| found.state);
        Self { state, by: found.map(|found| found.by), since: found.map(|found| found.since) }
    }
}

/// A zone's zsched.
#[derive(Debug, Serialize)]
struct Keeper {
    pid: i32,
    version: String,
    /// Null if it is the one that the zone was made by.
    adopted: Option<Adoption>,
}

/// What became of a zone when its zsched was killed.
#[derive(Debug, Serialize)]
struct Adoption {
    /// When this zsched took it over.
    when: u64,
    /// How this zsched learns how the zone ends: "tracer", or "nobody" when it cannot.
    witness: &'static str,
    /// Of "terminal" (the console was hung up and has another), "output" (what was kept of the console's output) and
    /// "console" (no terminal could be given to the zone).
    lost: Vec<&'static str>,
}

impl Keeper {
    fn of(status: &Status) -> Option<Self> {
        let [major, minor, patch] = status.version;
        let adopted = status.adopted.map(|adopted| Adoption {
            when: adopted.at,
            witness: match adopted.witness {
                Witness::Tracer => "tracer",
                Witness::Parent => "parent",
                Witness::Nobody => "nobody",
            },
            lost: [(Lost::TERMINAL, "terminal"), (Lost::OUTPUT, "output"), (Lost::CONSOLE, "console")]
                .into_iter()
                .filter_map(|(lost, word)| adopted.lost.contains(lost).then_some(word))
                .collect(),
        });
        (status.keeper != 0).then(|| Self {
            pid: status.keeper,
            version: format!("{major}.{minor}.{patch}"),
            adopted,
        })
    }
}

/// How an incarnation ended.
#[derive(Debug, Serialize)]
struct End {
    uniqid: String,
    how: How,
    status: Option<i32>,
    signal: Option<i32>,
    when: u64,
    restarts: u32,
}

impl From<LastExit> for End {
    fn from(exit: LastExit) -> Self {
        let LastExit { uniqid, how, status, signal, when, restarts } = exit;
        Self { uniqid: uniqid.to_string(), how, status, signal, when, restarts }
    }
}

impl<'a> Zone<'a> {
    /// Gathers what is known.
    pub(super) fn of(row: &'a Row) -> Self {
        let live = row.live.as_ref();
        let (operation, step, consoles) = match row.daemon.clone() {
            Some(status) => (status.operation, status.step, Some(status.consoles)),
            None => (None, None, None),
        };
        Self {
            name: &row.name,
            id: row.id(),
            state: row.state,
            zonepath: &row.zonepath,
            uuid: row.uuid.map(|uuid| uuid.to_string()),
            brand: row.brand.as_deref(),
            // In the words of the configuration; the column's is the reference's.
            ip_type: row.ip_type.map(|word| if word == "excl" { "exclusive" } else { word }),
            file_mac_profile: row.immutable.map(|immutable| immutable.profile.as_str()),
            root_access: row.immutable.and_then(Immutable::letter),
            uniqid: live.map(|status| status.uniqid.to_string()),
            pid: live.map(|status| status.pid).filter(|&pid| pid != 0),
            since: live.map(|status| status.since),
            restarts: live.map(|status| status.restarts),
            readiness: row.readiness.map(Readiness::from),
            zsched: live.and_then(Keeper::of),
            last_exit: row.last_exit().map(End::from),
            at_work: row.at_work.as_deref(),
            operation,
            step,
            consoles,
            differs: row.differs.as_deref(),
            network: row.network.as_ref(),
            limits: row.limits.as_ref(),
        }
    }
}

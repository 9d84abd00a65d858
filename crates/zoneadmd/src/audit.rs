//! The audit records of the daemon: who asked for what, whether it came to pass, and which limits the zone got with it.
//! `ausearch -m VIRT_CONTROL` finds them.

use std::collections::BTreeMap;

use crate::daemon::Daemon;
use zone_audit::Machine;
use zone_config::lastexit::How;
use zone_config::{ZoneConfig, limits};
use zone_door::{Caller, Operation};

/// The properties of a zone that limit what it has of the machine.
const PROPERTIES: [&str; 7] = [
    "cpu-shares",
    "max-lwps",
    "max-processes",
    "max-shm-memory",
    "max-shm-ids",
    "max-msg-ids",
    "max-sem-ids",
];
/// The resources that do.
const RESOURCES: [&str; 4] = ["capped-memory", "capped-cpu", "dedicated-cpu", "io"];

/// Limits by name, as people read them.
pub(crate) type Limits = BTreeMap<String, String>;

/// Records that `operation` was asked for by `caller` (the zone itself, if none).
pub(crate) fn record(daemon: &Daemon, operation: Operation, caller: Option<Caller>, success: bool) {
    let result = if success { "success" } else { "failed" };
    let asker = caller.map_or_else(
        || "by the zone itself".to_owned(),
        |Caller { uid, auid, pid }| format!("uid={uid} auid={} pid={pid}", auid.cast_signed()),
    );
    tracing::info!("{operation}: {result} ({asker})");
    let machine = machine(daemon);
    let starts = matches!(operation, Operation::Boot | Operation::Reboot);
    if starts && success {
        zone_audit::machine_id(&machine, caller);
        limits_of(&machine, "start", &Limits::new(), &limits(daemon), caller, true);
    }
    for (op, reason) in words(operation) {
        zone_audit::control(&machine, op, reason, caller, success);
    }
}

/// Records that the zone has ended as `how` says, with nobody outside having asked for it.
pub(crate) fn record_end(daemon: &Daemon, how: How) {
    zone_audit::control(&machine(daemon), "stop", ending(how), None, true);
}

/// Records that a zone that is up was to get other limits than it `had`.
pub(crate) fn record_limits(daemon: &Daemon, had: &Limits, caller: Option<Caller>, success: bool) {
    limits_of(&machine(daemon), "update", had, &limits(daemon), caller, success);
}

/// The limits that the zone has.
pub(crate) fn limits(daemon: &Daemon) -> Limits {
    daemon.zone.config().map(|config| of(&config)).unwrap_or_default()
}

/// What an operation is in the words of others: they know a start and a stop.
fn words(operation: Operation) -> &'static [(&'static str, &'static str)] {
    match operation {
        Operation::Ready => &[("ready", "asked")],
        Operation::Boot => &[("start", "booted")],
        Operation::Reboot => &[("stop", "rebooted"), ("start", "rebooted")],
        Operation::Halt => &[("stop", "halted")],
        Operation::Shutdown => &[("stop", "shutdown")],
        Operation::Apply => &[("apply", "asked")],
        // zoneadm records the uninstall, which this only announces.
        Operation::NoteUninstalling => &[],
    }
}

fn ending(how: How) -> &'static str {
    match how {
        How::Exited => "exited",
        How::Killed => "killed",
        How::Crashed => "crashed",
        How::Poweroff => "poweroff",
        How::Rebooted => "rebooted",
        How::Halted => "halted",
        How::Shutdown => "shutdown",
        How::Unknown => "unknown",
    }
}

fn machine(daemon: &Daemon) -> Machine<'_> {
    let uuid = daemon.zone.entry().ok().and_then(|entry| entry.uuid).map(|uuid| uuid.to_string());
    Machine { zone: daemon.name().as_str(), uuid, pid: daemon.status().pid }
}

fn of(config: &ZoneConfig) -> Limits {
    let document = config.to_document();
    let globals = document.globals.iter().filter(|(name, _)| PROPERTIES.contains(name));
    let mut limits: Limits = globals.map(|(name, value)| (name.to_owned(), value.to_string())).collect();
    for resource in RESOURCES {
        for one in document.of(resource) {
            let key = one.key().filter(|_| !one.resource.single).map(|key| format!("{key}-"));
            let key = key.unwrap_or_default();
            let set =
                one.values.iter().map(|(name, value)| (format!("{resource}-{key}{name}"), value.to_string()));
            limits.extend(set);
        }
    }
    // What others have, in the unit that they have it in: KiB.
    if let Some(bytes) = limits.remove("capped-memory-physical").as_deref().and_then(limits::size) {
        limits.insert("mem".to_owned(), (bytes / 1024).to_string());
    }
    limits
}

fn limits_of(
    machine: &Machine<'_>,
    reason: &str,
    had: &Limits,
    has: &Limits,
    caller: Option<Caller>,
    success: bool,
) {
    let names = had.keys().chain(has.keys().filter(|name| !had.contains_key(*name)));
    for name in names {
        let [from, to] = [had, has].map(|limits| limits.get(name).map_or("?", String::as_str));
        if from != to {
            zone_audit::resource(machine, name, reason, (from, to), caller, success);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_names_of_one_word_each() {
        let mut config = ZoneConfig::defaults();
        assert_eq!(of(&config), Limits::new());
        config.max_processes = Some(50);
        assert_eq!(of(&config), Limits::from([("max-processes".into(), "50".into())]));
    }

    #[test]
    fn a_reboot_is_an_end_and_a_beginning() {
        assert_eq!(words(Operation::Reboot), [("stop", "rebooted"), ("start", "rebooted")]);
        assert_eq!(words(Operation::NoteUninstalling), []);
    }
}

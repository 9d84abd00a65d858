//! Looks at all zones all the time, and says what must never be.

use super::book::Book;
use super::kernel::{Process, first_processes, lock_holders};
use crate::harness::{Lab, LabSpec, Status};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often in a row a state must be wrong: a zone may change twice between two looks at the kernel.
const SURE: usize = 4;

/// Watches until the book is closed.
pub(super) fn watch(book: &Book, spec: LabSpec, names: &[String]) {
    let lab = Lab::new(spec);
    let mut doubts: BTreeMap<String, usize> = BTreeMap::new();
    while !book.is_closed() {
        for name in names {
            one_daemon(book, name, &lab.run().join(name));
        }
        let before = one_incarnation(book, names);
        let shown = states(&lab);
        let after = one_incarnation(book, names);
        for Status { name, state, operation, .. } in shown {
            if !names.contains(&name) {
                continue;
            }
            let (before, after) = (before.get(&name), after.get(&name));
            if before != after || is_true(&state, operation.is_some(), before.is_some()) {
                doubts.remove(&name);
                continue;
            }
            let doubt = doubts.entry(name.clone()).or_default();
            *doubt += 1;
            book.note(&name, &format!("shown as {state}, while its first process is {before:?}"));
            if *doubt >= SURE {
                book.wrong(&name, &format!("is shown as {state}, while its first process is {before:?}"));
            }
        }
        book.looks.fetch_add(1, Ordering::Relaxed);
        // Not a wait for anything: a watcher that never rests takes the time of those it watches.
        std::thread::sleep(Duration::from_millis(15));
    }
}

/// Whether `state` may be said of a zone whose first process is alive or not. While something is done with it, it has that state
/// until it is done.
fn is_true(state: &str, busy: bool, alive: bool) -> bool {
    match state {
        "ready" | "running" => alive,
        "shutting_down" => true,
        "installed" => !alive || busy,
        _ => !alive,
    }
}

/// What `zoneadm list` shows. That it shows it whatever goes on is a promise, too.
fn states(lab: &Lab) -> Vec<Status> {
    let json = lab.zoneadm(["list", "-cv", "--json"]).ok().json();
    serde_json::from_value(json).unwrap_or_else(|e| panic!("list --json: {e}"))
}

/// Never two daemons of a zone. Each holds the lock; a child of one shares its lock until it executes, so two
/// daemons are two locked files.
fn one_daemon(book: &Book, name: &str, run: &Path) {
    let holders = lock_holders(run);
    let Some((_, one)) = holders.first() else { return };
    let another = holders.iter().find(|(_, inode)| inode != one);
    if another.is_some() && holders.iter().all(|(process, _)| process.lives()) {
        book.wrong(name, &format!("has two daemons: {holders:?}"));
    }
}

/// Never two incarnations of a zone. Gives the first process of each that has one.
fn one_incarnation(book: &Book, names: &[String]) -> BTreeMap<String, Process> {
    let mut found = BTreeMap::new();
    for (name, processes) in first_processes() {
        // They were not all looked at in one instant: only those count that live side by side.
        let alive: Vec<Process> = processes.into_iter().filter(|process| process.lives()).collect();
        if let [one, .., another] = alive[..]
            && names.contains(&name)
            && one.lives()
        {
            book.wrong(&name, &format!("has two first processes: {one:?}, {another:?}"));
        }
        if let Some(process) = alive.last() {
            found.insert(name, *process);
        }
    }
    found
}

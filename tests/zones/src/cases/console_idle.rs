//! What a console costs: no wakeup when nothing happens, and bounded memory whatever happens.

use crate::harness::{Lab, Zone, cases, proc_status, until, write};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

cases![
    nobody_wakes_up_while_nothing_happens: 60 alone,
    nobody_grows_in_a_flood: 180 alone,
];

/// How long nobody may wake up.
const SPAN: Duration = Duration::from_secs(4);

/// How often the threads of these processes have gone to sleep or were put to it, by process and thread.
fn switches(pids: &[(&'static str, i32)]) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for (name, pid) in pids {
        let tasks =
            fs::read_dir(format!("/proc/{pid}/task")).unwrap_or_else(|e| panic!("{name}, {pid}: {e}"));
        for task in tasks.flatten() {
            let text = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            let lines = text.lines().filter(|line| line.contains("ctxt_switches:"));
            let count = lines.filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok()).sum();
            all.insert(format!("{name} {}", task.file_name().to_string_lossy()), count);
        }
    }
    all
}

/// The processes that serve a console and its two clients.
fn processes(zone: &Zone<'_>, clients: &[(&'static str, u32)]) -> Vec<(&'static str, i32)> {
    let daemon = zone.daemon().unwrap_or_else(|| panic!("there is no daemon"));
    let clients = clients.iter().map(|&(name, pid)| (name, i32::try_from(pid).unwrap_or(0)));
    [("zoneadmd", daemon), ("zsched", zone.keeper())].into_iter().chain(clients).collect()
}

fn nobody_wakes_up_while_nothing_happens(lab: &Lab) {
    let zone = lab.tiny("web", "echo up; exec sleep 2147483647");
    zone.boot();
    let mut holder = zone.console(&[]);
    holder.shows("up");
    let watcher = zone.console(&["--watch"]);
    let all = processes(&zone, &[("zlogin -C", holder.pid()), ("zlogin -C --watch", watcher.pid())]);
    let mut seen = Vec::new();
    until(&format!("{SPAN:?} in which nobody wakes up"), || {
        let before = switches(&all);
        std::thread::sleep(SPAN);
        let after = switches(&all);
        let quiet = before == after;
        seen.push((before, after));
        quiet.then_some(())
    });
    // What they did before that was the end of what had happened, and nothing that comes again and again.
    assert!(seen.len() <= 2, "{seen:?}");
    holder.types("x");
    holder.shows("x");
}

/// The most memory that a process has had, in KiB.
fn most(pid: i32) -> u64 {
    let line = proc_status(pid, "VmHWM").unwrap_or_default();
    line.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// Three who write without end, and one that counts its rounds of half a megabyte.
const FLOOD: &str = "for w in 1 2 3; do busybox yes writer $w & done; \
                     i=0; while :; do busybox yes | head -c 500000; i=$((i+1)); echo $i > /new; mv /new /rounds; done";

fn gets_on(zone: &Zone<'_>, what: &str) {
    let rounds = || fs::read_to_string(zone.file("/rounds")).ok().and_then(|text| text.trim().parse().ok());
    let before: u64 = rounds().unwrap_or(0);
    until(&format!("the guest writes on {what}"), || (rounds()? > before + 3).then_some(()));
}

fn nobody_grows_in_a_flood(lab: &Lab) {
    let zone = lab.tiny("web", FLOOD);
    write(&zone.file("/rounds"), "0\n");
    zone.boot();
    let first = zone.daemon().unwrap_or(0);
    let small = (most(first), most(zone.keeper()));
    gets_on(&zone, "with nobody there");
    let mut holder = zone.console(&[]);
    let stopped = zone.console(&["--watch"]);
    stopped.signal(Signal::STOP);
    holder.shows("writer");
    holder.signal(Signal::STOP);
    gets_on(&zone, "with a stopped holder and a stopped watcher");
    let clients = [&holder, &stopped].map(|client| most(i32::try_from(client.pid()).unwrap_or(0)));
    let daemon = most(zone.daemon().unwrap_or(0));
    zone.kill_daemon();
    gets_on(&zone, "without a daemon");
    let keeper = most(zone.keeper());
    // Ring, batch, what is on its way to the log on the disk: all that is bounded, and little.
    let all =
        format!("zoneadmd {} to {daemon}, zsched {} to {keeper}, zlogin {clients:?} KiB", small.0, small.1);
    assert!(daemon < small.0 + 2048, "{all}");
    assert!(keeper < small.1 + 512, "{all}");
    assert!(clients.into_iter().all(|size| size > 0 && size < 16_384), "{all}");
    println!("{all}");
    holder.signal(Signal::CONT);
    stopped.signal(Signal::CONT);
    for mut client in [holder, stopped] {
        client.shows("writer");
    }
}

//! The guest is never slowed or stopped by who watches its console, or by nobody watching.

use crate::harness::{Lab, Wire, Zone, cases, until};
use rustix::process::Signal;
use std::fs;

cases![
    it_runs_on_with_nobody_there,
    it_runs_on_with_a_client_that_reads_nothing,
    it_runs_on_with_a_stopped_zlogin,
    it_runs_on_with_a_watcher_that_reads_nothing,
    it_runs_on_without_a_daemon,
    it_runs_on_while_daemons_come_and_go: 120,
    it_runs_on_while_clients_come_and_go: 120,
    a_halt_is_heard_in_a_flood,
];

/// Each round writes half a megabyte to the console, and then counts itself in a file.
const FLOOD: &str = "i=0; while :; do busybox yes | head -c 500000; i=$((i+1)); echo $i > /rounds; done";
/// More than all that anybody could keep of it: ring, sockets, ptys.
const ENOUGH: u64 = 4;

fn flooding<'lab>(lab: &'lab Lab) -> Zone<'lab> {
    let zone = lab.tiny("web", FLOOD);
    zone.boot();
    zone
}

fn rounds(zone: &Zone<'_>) -> u64 {
    fs::read_to_string(zone.file("/rounds")).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// The guest gets on by as much as nobody could hold for it.
#[track_caller]
fn gets_on(zone: &Zone<'_>, what: &str) {
    let before = rounds(zone);
    until(&format!("the guest writes on {what}"), || (rounds(zone) >= before + ENOUGH).then_some(()));
}

fn it_runs_on_with_nobody_there(lab: &Lab) {
    let zone = flooding(lab);
    gets_on(&zone, "with no client");
}

fn it_runs_on_with_a_client_that_reads_nothing(lab: &Lab) {
    let zone = flooding(lab);
    let mut wire = Wire::connect(&zone);
    wire.says("IDENT 1 C 0\n");
    gets_on(&zone, "with a client that reads nothing");
    // And this one still gets what was kept, and what it has lost is said.
    wire.hears("OK\n");
    wire.hears(" bytes of output lost]\r\n");
    wire.hears("y\r\ny\r\n");
}

fn it_runs_on_with_a_stopped_zlogin(lab: &Lab) {
    let zone = flooding(lab);
    let mut terminal = zone.console(&[]);
    terminal.shows("y\r\ny\r\n");
    terminal.signal(Signal::STOP);
    gets_on(&zone, "with a stopped zlogin");
    terminal.signal(Signal::CONT);
    terminal.shows(" bytes of output lost]\r\n");
    terminal.shows("y\r\ny\r\n");
    terminal.types("\r~.");
    assert_eq!(terminal.ends().0.code(), Some(0));
}

fn it_runs_on_with_a_watcher_that_reads_nothing(lab: &Lab) {
    let zone = flooding(lab);
    let mut watcher = Wire::connect(&zone);
    watcher.says("IDENT 1 C;watch 0\n");
    let mut holder = Wire::attached(&zone, false);
    gets_on(&zone, "with a watcher that reads nothing");
    holder.hears("y\r\ny\r\n");
    watcher.hears("OK\n");
}

fn it_runs_on_without_a_daemon(lab: &Lab) {
    let zone = flooding(lab);
    gets_on(&zone, "with a daemon");
    zone.kill_daemon();
    gets_on(&zone, "without a daemon");
    assert_eq!(zone.daemon(), None, "nobody has started another");
    zone.zoneadm(["list"]).ok();
    let mut terminal = zone.console(&[]);
    terminal.shows("y\r\ny\r\n");
}

fn it_runs_on_while_daemons_come_and_go(lab: &Lab) {
    let zone = flooding(lab);
    for _ in 0..10 {
        zone.kill_daemon();
        let before = rounds(&zone);
        lab.command("zoneadmd", ["-z", "web"]).run().ok();
        until("the guest writes on between two daemons", || (rounds(&zone) > before).then_some(()));
    }
    gets_on(&zone, "after many daemons");
}

fn it_runs_on_while_clients_come_and_go(lab: &Lab) {
    let zone = flooding(lab);
    let before = rounds(&zone);
    let mut clients = 0;
    until("the guest writes on while clients come and go", || {
        clients += 1;
        let mut wire = Wire::connect(&zone);
        wire.says("IDENT 1 C 0\n");
        wire.hears("OK\n");
        (rounds(&zone) >= before + ENOUGH).then_some(())
    });
    assert!(clients > 0);
}

fn a_halt_is_heard_in_a_flood(lab: &Lab) {
    let zone = flooding(lab);
    let mut wire = Wire::attached(&zone, false);
    gets_on(&zone, "with a client that reads nothing");
    zone.halt();
    wire.hears("\r\n[NOTICE: Zone halted]\r\n");
}

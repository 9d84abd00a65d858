//! Clients that leave, and clients that stay and do not read.

use std::net::Shutdown;

use zone_door::{CallError, Event, Operation, Server, State};

use crate::harness::{Daemon, UNIQID};

const MONITOR: &str = r#"{"method":"org.zones.zoneadmd.Monitor","parameters":{},"more":true}"#;
const BOOT_AT_GATE: &str =
    r#"{"method":"org.zones.zoneadmd.Boot","parameters":{"bootargs":"gate"},"more":true}"#;

fn notice(text: &str) -> Event {
    Event::Notice { text: text.to_owned() }
}

#[test]
fn a_monitor_sees_the_present_state_first_and_then_every_event() {
    let daemon = Daemon::start();
    let mut events = daemon.client().monitor().unwrap();
    let first = events.next().unwrap().unwrap();
    assert_eq!(first, Event::State { state: State::Running, uniqid: Some(UNIQID) });
    let sent = [
        notice("hello"),
        Event::Step { operation: Operation::Halt, step: "unmount".into() },
        Event::State { state: State::Installed, uniqid: None },
    ];
    for event in &sent {
        daemon.events.send(event.clone()).unwrap();
    }
    for event in sent {
        assert_eq!(events.next().unwrap().unwrap(), event);
    }
    drop(daemon);
    assert!(matches!(events.next(), Some(Err(CallError::Gone))));
    assert!(events.next().is_none());
}

#[test]
fn a_monitor_that_leaves_is_noticed_at_once() {
    let daemon = Daemon::start();
    let mut raw = daemon.raw();
    raw.ask(MONITOR);
    assert_eq!(daemon.with(Server::connections), 1);
    drop(raw);
    daemon.until(|server| server.connections() == 0);
}

#[test]
fn a_monitor_that_only_closes_its_sending_side_goes_on_reading() {
    let daemon = Daemon::start();
    let mut raw = daemon.raw();
    raw.ask(MONITOR);
    raw.stream.shutdown(Shutdown::Write).unwrap();
    // Another call's round trip, so that the server has seen the end of the stream before the event.
    daemon.client().status().unwrap();
    daemon.events.send(notice("still there")).unwrap();
    assert_eq!(raw.read().unwrap()["parameters"]["event"]["text"], "still there");
    drop(raw);
    daemon.events.send(notice("gone")).unwrap();
    daemon.until(|server| server.connections() == 0);
}

#[test]
fn calls_behind_a_stream_wait_and_a_flood_of_them_ends_the_connection() {
    let daemon = Daemon::start();
    let mut raw = daemon.raw();
    raw.write(&[MONITOR, MONITOR]);
    raw.read().unwrap();
    daemon.events.send(notice("one")).unwrap();
    assert_eq!(raw.read().unwrap()["parameters"]["event"]["kind"], "notice");
    raw.write(&[&"x".repeat(80 * 1024)]);
    assert!(raw.read().is_none());
}

#[test]
fn a_stream_nobody_reads_stops_nobody_else() {
    let daemon = Daemon::start();
    let mut deaf = daemon.raw();
    deaf.write(&[MONITOR]);
    daemon.until(|server| server.connections() == 1);
    let mut other = daemon.client();
    // Far more than a socket holds: the server cannot write to the deaf client any more.
    for _ in 0..2000 {
        daemon.events.send(notice(&"x".repeat(1000))).ok();
        other.status().unwrap();
    }
    assert_eq!(daemon.with(Server::connections), 2);
    // When it reads at last, it is told that it has missed something.
    let mut lost = 0;
    while lost == 0 {
        let reply = deaf.read().unwrap();
        lost = reply["parameters"]["event"]["count"].as_u64().unwrap_or(0);
    }
}

#[test]
fn a_long_operation_stops_no_other_client() {
    let daemon = Daemon::start();
    let mut working = daemon.raw();
    working.ask(BOOT_AT_GATE);
    assert!(daemon.client().status().is_ok());
    let halt = zone_door::Request::Halt { force: false, locale: String::new() };
    assert_eq!(daemon.client().call(&halt, |_| {}).unwrap().state, State::Installed);
    daemon.open_gate();
    assert_eq!(working.read().unwrap()["parameters"]["result"]["state"], "running");
}

#[test]
fn an_operation_goes_on_when_its_caller_leaves() {
    let daemon = Daemon::start();
    let mut working = daemon.raw();
    working.ask(BOOT_AT_GATE);
    drop(working);
    daemon.client().status().unwrap();
    assert_eq!(daemon.with(Server::calls_in_flight), 1);
    daemon.open_gate();
    assert_eq!(daemon.wait_for_end(), Operation::Boot);
    daemon.until(|server| server.is_idle() && server.connections() == 0);
}

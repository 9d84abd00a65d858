//! What a client can take from the daemon: bounded.

use std::io::{IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use zone_door::Server;

use crate::harness::{Daemon, Raw};

const STATUS: &str = r#"{"method":"org.zones.zoneadmd.GetStatus","parameters":{}}"#;

#[test]
fn a_message_that_is_too_long_is_refused_and_the_next_is_read() {
    let daemon = Daemon::start();
    let mut raw = daemon.raw();
    let padded = |length: usize| {
        let mut call = STATUS.to_owned();
        call.push_str(&" ".repeat(length - call.len()));
        call
    };
    assert!(raw.ask(&padded(64 * 1024))["parameters"]["status"].is_object());
    for length in [64 * 1024 + 1, 1024 * 1024] {
        let reply = raw.ask(&padded(length));
        assert_eq!(reply["error"], "org.varlink.service.InvalidParameter", "{length}");
        assert!(raw.ask(STATUS)["parameters"]["status"].is_object());
    }
}

#[test]
fn a_message_without_an_end_is_refused_before_it_ends() {
    use std::io::Write;
    let daemon = Daemon::start();
    let mut raw = daemon.raw();
    raw.stream.write_all(&vec![b'x'; 70_000]).unwrap();
    assert_eq!(raw.read().unwrap()["error"], "org.varlink.service.InvalidParameter");
}

#[test]
fn silent_clients_cannot_keep_others_out() {
    let daemon = Daemon::start();
    let mut working = daemon.raw();
    working.ask(r#"{"method":"org.zones.zoneadmd.Boot","parameters":{"bootargs":"gate"},"more":true}"#);
    let mut silent: Vec<Raw> = (0..63).map(|_| daemon.raw()).collect();
    daemon.until(|server| server.connections() == 64);
    let mut late: Vec<Raw> = (0..2).map(|_| daemon.raw()).collect();
    for raw in &mut late {
        assert!(raw.ask(STATUS)["parameters"]["status"].is_object());
    }
    // The two that had waited longest made room; the third still has its place.
    for raw in &mut silent[..2] {
        assert!(raw.read().is_none());
    }
    assert!(silent[2].ask(STATUS)["parameters"]["status"].is_object());
    assert_eq!(daemon.with(Server::connections), 64);
    daemon.open_gate();
    assert_eq!(working.read().unwrap()["parameters"]["result"]["state"], "running");
}

#[test]
fn when_every_connection_is_at_work_a_new_one_is_closed() {
    let daemon = Daemon::start();
    let mut working: Vec<Raw> = (0..64).map(|_| daemon.raw()).collect();
    for raw in &mut working {
        raw.ask(r#"{"method":"org.zones.zoneadmd.Boot","parameters":{"bootargs":"gate"},"more":true}"#);
    }
    assert!(daemon.raw().read().is_none());
    for _ in &working {
        daemon.open_gate();
    }
    for raw in &mut working {
        assert_eq!(raw.read().unwrap()["parameters"]["result"]["state"], "running");
    }
    assert!(daemon.raw().ask(STATUS)["parameters"]["status"].is_object());
}

#[test]
fn descriptors_that_a_client_sends_are_closed() {
    let daemon = Daemon::start();
    let mut raw = daemon.raw();
    let (mut ours, theirs) = std::io::pipe().unwrap();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [theirs.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    let message = format!("{STATUS}\0");
    sendmsg(&raw.stream, &[IoSlice::new(message.as_bytes())], &mut control, SendFlags::empty()).unwrap();
    assert!(raw.read().unwrap()["parameters"]["status"].is_object());
    drop(theirs);
    // The pipe ends only when nobody holds its other end.
    assert_eq!(ours.read(&mut [0; 1]).unwrap(), 0);
}

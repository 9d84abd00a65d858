//! The protocol, spoken byte by byte.

use proptest::prelude::*;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::Shutdown;

use crate::harness::Daemon;

const STATUS: &str = r#"{"method":"org.zones.zoneadmd.GetStatus","parameters":{}}"#;
const INFO: &str = r#"{"method":"org.varlink.service.GetInfo","parameters":{}}"#;

fn error(name: &str, parameter: &str, value: &str) -> Value {
    json!({ "error": format!("org.varlink.service.{name}"), "parameters": { parameter: value } })
}

#[test]
fn a_call_that_makes_no_sense_gets_the_standard_error_and_the_connection_stays() {
    let daemon = Daemon::start();
    let mut raw = daemon.raw();
    for (call, expected) in [
        (
            r#"{"method":"org.zones.zoneadmd.Explode","parameters":{}}"#,
            error("MethodNotFound", "method", "org.zones.zoneadmd.Explode"),
        ),
        (
            r#"{"method":"org.varlink.service.Explode","parameters":{"a":1}}"#,
            error("MethodNotFound", "method", "org.varlink.service.Explode"),
        ),
        (
            r#"{"method":"org.example.Ping","parameters":{}}"#,
            error("InterfaceNotFound", "interface", "org.example"),
        ),
        (r#"{"method":"Ping"}"#, error("InterfaceNotFound", "interface", "")),
        (
            r#"{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"org.example"}}"#,
            error("InterfaceNotFound", "interface", "org.example"),
        ),
        (
            r#"{"method":"org.varlink.service.GetInterfaceDescription","parameters":{}}"#,
            error("InvalidParameter", "parameter", "interface"),
        ),
        (
            r#"{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":1}}"#,
            error("InvalidParameter", "parameter", "interface"),
        ),
        (
            r#"{"method":"org.zones.zoneadmd.Boot","parameters":{"bootargs":7}}"#,
            error("InvalidParameter", "parameter", "bootargs"),
        ),
        (
            r#"{"method":"org.zones.zoneadmd.GetStatus","parameters":{"zone":"x"}}"#,
            error("InvalidParameter", "parameter", "zone"),
        ),
        (
            r#"{"method":"org.zones.zoneadmd.Boot","parameters":{},"upgrade":true}"#,
            error("MethodNotImplemented", "method", "org.zones.zoneadmd.Boot"),
        ),
        (
            r#"{"method":"org.zones.zoneadmd.Monitor","parameters":{}}"#,
            json!({"error":"org.varlink.service.ExpectedMore","parameters":{}}),
        ),
        ("", error("InvalidParameter", "parameter", "message")),
        ("not json", error("InvalidParameter", "parameter", "message")),
        ("{}", error("InvalidParameter", "parameter", "message")),
        (r#"{"method":3}"#, error("InvalidParameter", "parameter", "message")),
        (r#"{"method":"a.B""#, error("InvalidParameter", "parameter", "message")),
        (&"[".repeat(10_000), error("InvalidParameter", "parameter", "message")),
    ] {
        assert_eq!(raw.ask(call), expected, "{call}");
    }
    assert_eq!(raw.ask(STATUS)["parameters"]["status"]["state"], "running");
}

#[test]
fn introspection_answers_both_interfaces() {
    let daemon = Daemon::start();
    let mut raw = daemon.raw();
    let info = raw.ask(INFO);
    assert_eq!(info["parameters"]["interfaces"], json!(["org.varlink.service", "org.zones.zoneadmd"]));
    for name in ["org.varlink.service", "org.zones.zoneadmd"] {
        let call =
            json!({"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":name}});
        let reply = raw.ask(&call.to_string());
        let text = reply["parameters"]["description"].as_str().unwrap();
        assert!(text.lines().any(|line| line == format!("interface {name}")), "{text}");
    }
}

#[test]
fn calls_sent_together_are_answered_one_after_the_other() {
    let daemon = Daemon::start();
    let mut raw = daemon.raw();
    raw.write(&[
        STATUS,
        r#"{"method":"org.zones.zoneadmd.Boot","parameters":{"bootargs":"gate"},"more":true}"#,
        INFO,
        "nonsense",
        STATUS,
    ]);
    assert!(raw.read().unwrap()["parameters"]["status"].is_object());
    let progress = raw.read().unwrap();
    assert!(progress["parameters"]["progress"].is_object());
    assert_eq!(progress["continues"], true);
    daemon.open_gate();
    let result = raw.read().unwrap();
    assert!(result["parameters"]["result"].is_object());
    assert!(result.get("continues").is_none());
    assert!(raw.read().unwrap()["parameters"]["product"].is_string());
    assert!(raw.read().unwrap()["error"].is_string());
    assert!(raw.read().unwrap()["parameters"]["status"].is_object());
}

#[test]
fn without_more_an_operation_is_answered_once() {
    let daemon = Daemon::start();
    let reply = daemon.raw().ask(r#"{"method":"org.zones.zoneadmd.Ready"}"#);
    assert_eq!(reply["parameters"]["result"]["state"], "ready");
}

#[test]
fn a_oneway_call_is_carried_out_and_never_answered() {
    let daemon = Daemon::start();
    let mut raw = daemon.raw();
    raw.write(&[
        r#"{"method":"org.zones.zoneadmd.Halt","oneway":true}"#,
        r#"{"method":"org.zones.zoneadmd.Monitor","oneway":true,"more":true}"#,
        r#"{"method":"org.zones.zoneadmd.Explode","oneway":true}"#,
        INFO,
    ]);
    assert!(raw.read().unwrap()["parameters"]["product"].is_string());
    assert_eq!(daemon.wait_for_end(), zone_door::Operation::Halt);
}

#[test]
fn a_shell_client_that_closes_its_sending_side_gets_its_answers() {
    let daemon = Daemon::start();
    let mut raw = daemon.raw();
    raw.write(&[STATUS, INFO]);
    raw.stream.shutdown(Shutdown::Write).unwrap();
    assert!(raw.read().unwrap()["parameters"]["status"].is_object());
    assert!(raw.read().unwrap()["parameters"]["product"].is_string());
    assert!(raw.read().is_none());
}

/// Bytes that get past the first check more often than plain noise does.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        Just(vec![0]),
        Just(br#"{"method":"org.zones.zoneadmd."#.to_vec()),
        Just(br#""Monitor","more":true,"parameters":{"#.to_vec()),
        Just(br#"{"method":"org.zones.zoneadmd.Shutdown","parameters":{"timeout":1e400}}"#.to_vec()),
        Just(br#"{"method":"org.varlink.service.GetInfo","parameters":{}}"#.to_vec()),
        Just(br#"{"method":"org.zones.zoneadmd.GetStatus","parameters":[{}],"oneway":null}"#.to_vec()),
        Just(b"\\u0000\"}]".to_vec()),
        Just(vec![b'{'; 300]),
        Just(vec![b'a'; 30_000]),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

#[test]
fn no_bytes_kill_the_server() {
    let daemon = Daemon::start();
    proptest!(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }, |(bytes in garbage())| {
        let mut raw = daemon.raw();
        raw.stream.write_all(&bytes).unwrap();
        raw.stream.shutdown(Shutdown::Write).unwrap();
        let mut replies = Vec::new();
        raw.stream.read_to_end(&mut replies).unwrap();
        for reply in replies.split_inclusive(|&byte| byte == 0) {
            let (nul, json) = reply.split_last().unwrap();
            prop_assert_eq!(*nul, 0);
            let reply: Value = serde_json::from_slice(json).unwrap();
            prop_assert!(reply["parameters"].is_object(), "{}", reply);
        }
        prop_assert!(daemon.client().status().is_ok());
    });
}

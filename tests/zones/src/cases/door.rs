//! The door, by a client that is not ours and by clients that mean no good.

use crate::harness::{Command, Lab, Zone, cases, until, write};
use rustix::net::SocketType;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

cases![
    the_python_package_runs_a_zone,
    the_python_package_gets_typed_errors,
    the_interface_describes_itself,
    a_stale_incarnation_is_refused,
    nonsense_gets_an_answer_and_hurts_nobody,
    silent_clients_cost_nobody_anything,
    a_client_that_hangs_up_stops_nothing,
    a_monitor_sees_a_life,
];

/// Runs a Python script with a connected `zone` (a varlink interface), in the door's directory, so
/// that the socket's path is short whatever the suite's is.
#[track_caller]
fn python(lab: &Lab, zone: &Zone<'_>, script: &str) -> crate::harness::Ran {
    let file = lab.path("client.py");
    let head = "import varlink, json, sys\nclient = varlink.Client('unix:door')\n\
                zone = client.open('org.zones.zoneadmd')\n";
    write(&file, format!("{head}{script}"));
    Command::new(lab.python()).args([&file]).dir(&zone.run_dir()).run()
}

/// A connection to the door.
fn connect(zone: &Zone<'_>) -> UnixStream {
    let socket = zone_sys::unix::connect_in(&zone.run_dir(), "door", SocketType::STREAM);
    let stream =
        UnixStream::from(socket.unwrap_or_else(|e| panic!("the door of zone '{}': {e}", zone.name())));
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap_or_else(|e| panic!("{e}"));
    stream
}

/// Sends a message and gives the reply.
fn ask(stream: &mut UnixStream, message: &str) -> String {
    let _ = stream.write_all(message.as_bytes());
    let _ = stream.write_all(b"\0");
    reply(stream)
}

fn reply(stream: &mut UnixStream) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).unwrap_or(0) == 1 && byte[0] != 0 {
        bytes.push(byte[0]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn ready<'lab>(lab: &'lab Lab) -> Zone<'lab> {
    let zone = lab.sparse("web");
    zone.zoneadm(["ready"]).ok();
    zone
}

fn the_python_package_runs_a_zone(lab: &Lab) {
    let zone = ready(lab);
    let script = "status = zone.GetStatus()['status']\nassert status['state'] == 'ready', status\n\
                  result = zone.Boot()['result']\nassert result['state'] == 'running', result\n\
                  first = zone.GetStatus()['status']['uniqid']\nassert int(first) > 0\n\
                  assert zone.Boot()['result']['messages'] == ['zone is already booted']\n\
                  zone.Reboot()\nassert zone.GetStatus()['status']['uniqid'] != first\n\
                  print(zone.Halt()['result']['state'])\n";
    python(lab, &zone, script).ok().stdout_is("installed\n");
    zone.is("installed");
}

fn the_python_package_gets_typed_errors(lab: &Lab) {
    let zone = ready(lab);
    let script = "try:\n    zone.Reboot()\nexcept varlink.VarlinkError as e:\n    print(e.error())\n    \
                  print(json.dumps(e.parameters(), sort_keys=True))\n";
    let ran = python(lab, &zone, script);
    ran.ok().stdout_has("org.zones.zoneadmd.InvalidState\n");
    ran.stdout_has("reboot operation is invalid for zones in state 'ready'");
}

fn the_interface_describes_itself(lab: &Lab) {
    let zone = ready(lab);
    let cli = |words: &[&str]| {
        Command::new(lab.python()).args(["-m", "varlink.cli"]).args(words).dir(&zone.run_dir()).run()
    };
    cli(&["info", "unix:door"]).ok().stdout_has("org.zones.zoneadmd");
    cli(&["help", "unix:door/org.zones.zoneadmd"])
        .ok()
        .stdout_has("method Boot(")
        .stdout_has("error InvalidState");
}

fn a_stale_incarnation_is_refused(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let old = zone.status().incarnation();
    zone.zoneadm(["reboot"]).ok();
    let now = zone.status().incarnation();
    let mut stream = connect(&zone);
    let call = format!(r#"{{"method":"org.zones.zoneadmd.Reboot","parameters":{{"uniqid":"{old}"}}}}"#);
    let answer = ask(&mut stream, &call);
    assert!(answer.contains("org.zones.zoneadmd.StaleUniqid") && answer.contains(&now), "{answer}");
    assert_eq!(zone.status().incarnation(), now);
}

fn nonsense_gets_an_answer_and_hurts_nobody(lab: &Lab) {
    let zone = ready(lab);
    let daemon = zone.daemon();
    for (message, error) in [
        (r#"{"method":"org.zones.zoneadmd.Explode"}"#, "org.varlink.service.MethodNotFound"),
        (r#"{"method":"org.example.other.Do"}"#, "org.varlink.service"),
        (
            r#"{"method":"org.zones.zoneadmd.Boot","parameters":{"bootargs":5}}"#,
            "org.varlink.service.InvalidParameter",
        ),
        (r#"{"method":"nodots"}"#, "org.varlink.service"),
    ] {
        let mut stream = connect(&zone);
        let answer = ask(&mut stream, message);
        assert!(answer.contains(error), "{message}: {answer}");
        // The connection is still good.
        assert!(ask(&mut stream, r#"{"method":"org.zones.zoneadmd.GetStatus"}"#).contains("\"ready\""));
    }
    for raw in [&b"not json\0"[..], b"\0", b"\xff\xfe\0", b"[]\0", b"{\"method\":", b"{}\0{}\0{}\0"] {
        let mut stream = connect(&zone);
        let _ = stream.write_all(raw);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = reply(&mut stream);
    }
    let mut stream = connect(&zone);
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..64 {
        if stream.write_all(&chunk).is_err() {
            break;
        }
    }
    drop(stream);
    assert_eq!(zone.daemon(), daemon, "the daemon is still the same");
    zone.is("ready");
}

fn silent_clients_cost_nobody_anything(lab: &Lab) {
    let zone = ready(lab);
    let silent: Vec<_> = (0..40).map(|_| connect(&zone)).collect();
    let mut half = connect(&zone);
    let _ = half.write_all(br#"{"method":"#);
    let mut deaf = connect(&zone);
    let _ = deaf.write_all(b"{\"method\":\"org.zones.zoneadmd.Monitor\",\"more\":true}\0");
    for _ in 0..3 {
        zone.zoneadm(["boot"]).ok();
        zone.zoneadm(["halt"]).ok();
        zone.zoneadm(["ready"]).ok();
    }
    drop((silent, half, deaf));
    zone.halt();
    zone.daemon_leaves();
}

fn a_client_that_hangs_up_stops_nothing(lab: &Lab) {
    let zone = ready(lab);
    let mut stream = connect(&zone);
    let _ = stream.write_all(b"{\"method\":\"org.zones.zoneadmd.Boot\"}\0");
    drop(stream);
    zone.becomes("running");
    let mut halt = zone.zoneadm_command(["halt"]).start();
    halt.kill();
    let _ = halt.wait();
    // Whether the request got through before the blow is open; the zone is in one piece either way.
    let state =
        until("nothing is going on", || Some(zone.status()).filter(|now| now.operation.is_none())).state;
    assert!(["running", "installed"].contains(&state.as_str()), "{state}");
}

fn a_monitor_sees_a_life(lab: &Lab) {
    let zone = ready(lab);
    let mut stream = connect(&zone);
    let _ = stream.write_all(b"{\"method\":\"org.zones.zoneadmd.Monitor\",\"more\":true}\0");
    let first = reply(&mut stream);
    assert!(first.contains("\"state\":\"ready\"") && first.contains("\"continues\":true"), "{first}");
    zone.zoneadm(["boot"]).ok();
    zone.zoneadm(["halt"]).ok();
    let mut seen = Vec::new();
    loop {
        let event = reply(&mut stream);
        if event.is_empty() {
            break;
        }
        seen.push(event);
    }
    let position = |what: &str| seen.iter().position(|event| event.contains(what));
    let (running, installed) = (position("\"state\":\"running\""), position("\"state\":\"installed\""));
    assert!(running.is_some() && running < installed, "{seen:#?}");
    assert!(position("\"kind\":\"step\"").is_some() && position("\"kind\":\"exit\"").is_some(), "{seen:#?}");
}

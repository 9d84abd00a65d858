//! What our client makes of daemons that are absent, silent, broken or of another version.

use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

use zone_door::{CallError, Client, Request};

use crate::harness::Daemon;

fn pair() -> (Client, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Client::over(ours, PathBuf::from("pair")).unwrap(), theirs)
}

fn halt(client: &mut Client) -> CallError {
    client.call(&Request::Halt { force: false, locale: String::new() }, |_| {}).unwrap_err()
}

#[test]
fn nobody_there_is_told_apart_from_every_other_trouble() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    for place in [dir.path(), &missing] {
        assert!(matches!(Client::connect(place), Err(CallError::NotListening { .. })));
    }
    // A socket whose daemon is gone.
    drop(UnixListener::bind(dir.path().join("door")).unwrap());
    let error = Client::connect(dir.path()).unwrap_err();
    assert!(matches!(error, CallError::NotListening { .. }));
    assert!(error.to_string().contains(dir.path().to_str().unwrap()));
}

#[test]
fn a_run_directory_may_have_a_longer_path_than_a_socket() {
    let daemon = Daemon::start();
    let long = daemon.run_dir().join("x".repeat(120));
    std::fs::create_dir(&long).unwrap();
    std::fs::rename(daemon.run_dir().join("door"), long.join("door")).unwrap();
    assert!(Client::connect(&long).unwrap().status().is_ok());
}

#[test]
fn a_daemon_that_leaves_without_an_answer_is_gone() {
    let (mut client, theirs) = pair();
    drop(theirs);
    assert!(matches!(halt(&mut client), CallError::Gone));

    // Left with the call unread: the kernel says reset.
    let (mut client, theirs) = pair();
    let thread = std::thread::spawn(move || {
        let mut ready = [0; 1];
        rustix::net::recv(&theirs, &mut ready, rustix::net::RecvFlags::PEEK).unwrap();
    });
    assert!(matches!(halt(&mut client), CallError::Gone));
    thread.join().unwrap();
}

#[test]
fn a_silent_daemon_is_given_up_and_its_late_reply_is_not_taken_for_another() {
    let (mut client, mut theirs) = pair();
    client.set_timeout(Some(Duration::from_millis(1))).unwrap();
    assert!(matches!(client.status(), Err(CallError::TimedOut { .. })));
    theirs.write_all(b"{\"parameters\":{\"result\":{}}}\0").ok();
    assert!(matches!(halt(&mut client), CallError::Gone));
}

#[test]
fn replies_outside_the_interface_are_named() {
    for (reply, shown) in [
        ("nonsense", "expected"),
        ("{}", "without parameters"),
        (r#"{"parameters":{}}"#, "result"),
        (r#"{"parameters":{},"continues":true}"#, "progress"),
        (r#"{"error":"org.example.Broken","parameters":{}}"#, "org.example.Broken"),
        (r#"{"error":"org.zones.zoneadmd.Busy"}"#, "org.zones.zoneadmd.Busy"),
    ] {
        let (mut client, mut theirs) = pair();
        theirs.write_all(reply.as_bytes()).unwrap();
        theirs.write_all(&[0]).unwrap();
        match halt(&mut client) {
            CallError::Protocol(text) => assert!(text.contains(shown), "{reply}: {text}"),
            other => panic!("{reply}: {other:?}"),
        }
    }
}

#[test]
fn a_daemon_of_another_version_says_so() {
    let (mut client, mut theirs) = pair();
    let reply = r#"{"error":"org.varlink.service.MethodNotFound","parameters":{"method":"a.B"}}"#;
    theirs.write_all(reply.as_bytes()).unwrap();
    theirs.write_all(&[0]).unwrap();
    assert!(matches!(halt(&mut client), CallError::Service(_)));
}

#[test]
fn an_endless_reply_is_given_up() {
    let (mut client, mut theirs) = pair();
    let thread = std::thread::spawn(move || {
        let chunk = [b'x'; 4096];
        // Ends when the client closes its side.
        while theirs.write_all(&chunk).is_ok() {}
    });
    assert!(matches!(halt(&mut client), CallError::Protocol(_)));
    thread.join().unwrap();
}

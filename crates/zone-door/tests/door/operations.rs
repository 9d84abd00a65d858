//! Operations: results, progress, errors, death throes.

use zone_door::{CallError, DoorError, Operation, Progress, Request, Server, State, Uniqid};

use crate::harness::{Daemon, UNIQID};

fn boot(bootargs: &str) -> Request {
    Request::Boot { bootargs: bootargs.to_owned(), writable: false, locale: "C".to_owned() }
}

fn ready() -> Request {
    Request::Ready { locale: String::new() }
}

fn reboot(uniqid: Option<Uniqid>) -> Request {
    Request::Reboot { bootargs: String::new(), uniqid, writable: false, locale: String::new() }
}

#[test]
fn progress_comes_before_the_result_and_in_order() {
    let daemon = Daemon::start();
    let mut seen = Vec::new();
    let result = daemon.client().call(&ready(), |progress| seen.push(progress.clone())).unwrap();
    assert_eq!(result.state, State::Ready);
    assert_eq!(
        seen,
        [
            Progress { step: Some("first".into()), message: None },
            Progress { step: None, message: Some("almost there".into()) },
        ]
    );
}

#[test]
fn who_does_not_want_progress_gets_the_result_alone() {
    let daemon = Daemon::start();
    let mut client = daemon.client();
    assert_eq!(client.call_for_result(&ready()).unwrap().state, State::Ready);
    // Nothing of the progress is left over to be taken for the next reply.
    assert_eq!(client.status().unwrap().uniqid, Some(UNIQID));
}

#[test]
fn one_connection_serves_many_calls_also_after_an_error() {
    let daemon = Daemon::start();
    let mut client = daemon.client();
    let shutdown = Request::Shutdown {
        timeout: Some(1),
        reboot: false,
        bootargs: String::new(),
        uniqid: None,
        locale: String::new(),
    };
    match client.call(&shutdown, |_| {}) {
        Err(CallError::Door(error)) => assert_eq!(error.messages(), ["one", "two"]),
        other => panic!("{other:?}"),
    }
    match client.call(&reboot(Some(Uniqid(5))), |_| {}) {
        Err(CallError::Door(DoorError::StaleUniqid { expected, given, .. })) => {
            assert_eq!((expected, given), (Some(UNIQID), Uniqid(5)));
        }
        other => panic!("{other:?}"),
    }
    match client.call(&reboot(Some(UNIQID)), |_| {}) {
        Err(CallError::Door(error)) => {
            assert_eq!(error, DoorError::invalid_state(Operation::Reboot, State::Installed));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(client.call(&boot("-s"), |_| {}).unwrap().messages, ["booted with '-s'"]);
    assert_eq!(client.status().unwrap().uniqid, Some(UNIQID));
}

#[test]
fn a_caller_who_reads_slowly_loses_progress_but_not_the_result() {
    let daemon = Daemon::start();
    let mut steps = 0;
    let result = daemon.client().call(&boot("flood"), |_| steps += 1).unwrap();
    assert_eq!(result.messages, ["booted with 'flood'"]);
    assert!((1..=1000).contains(&steps), "{steps}");
}

#[test]
fn an_answer_that_is_too_long_becomes_an_error() {
    let daemon = Daemon::start();
    let mut client = daemon.client();
    assert!(matches!(client.call(&boot("verbose"), |_| {}), Err(CallError::Door(DoorError::Failed { .. }))));
    assert!(client.status().is_ok());
}

#[test]
fn a_fault_in_the_handler_is_a_failure_of_that_call_alone() {
    let daemon = Daemon::start();
    let mut client = daemon.client();
    let note = Request::NoteUninstalling { locale: String::new() };
    assert!(matches!(client.call(&note, |_| {}), Err(CallError::Door(DoorError::Failed { .. }))));
    assert!(client.status().is_ok());
    daemon.until(Server::is_idle);
}

#[test]
fn a_dying_daemon_refuses_operations_finishes_those_in_flight_and_still_tells_its_status() {
    let daemon = Daemon::start();
    let mut working = daemon.raw();
    let begun =
        working.ask(r#"{"method":"org.zones.zoneadmd.Boot","parameters":{"bootargs":"gate"},"more":true}"#);
    assert_eq!(begun["parameters"]["progress"]["step"], "waiting at the gate");
    let in_flight = daemon.with(|server| {
        server.begin_dying();
        (server.calls_in_flight(), server.is_idle(), server.is_dying())
    });
    assert_eq!(in_flight, (1, false, true));

    let mut client = daemon.client();
    assert_eq!(client.status().unwrap().state, State::Running);
    assert!(matches!(client.call(&ready(), |_| {}), Err(CallError::Gone)));
    assert!(matches!(client.status(), Err(CallError::Gone)), "the connection is not used any more");

    daemon.open_gate();
    assert_eq!(working.read().unwrap()["parameters"]["result"]["state"], "running");
    daemon.until(Server::is_idle);
}

#[test]
fn idle_returns_when_the_last_operation_has_ended() {
    let daemon = Daemon::start();
    let mut working = daemon.raw();
    working.ask(r#"{"method":"org.zones.zoneadmd.Boot","parameters":{"bootargs":"gate"},"more":true}"#);
    let (told, idle) = std::sync::mpsc::channel();
    daemon.with(move |server| {
        let server = server.clone();
        tokio::task::spawn_local(async move {
            server.idle().await;
            told.send(server.calls_in_flight()).unwrap();
        });
    });
    assert!(idle.try_recv().is_err());
    daemon.open_gate();
    assert_eq!(idle.recv_timeout(crate::harness::PATIENCE).unwrap(), 0);
}

#[test]
fn others_than_the_administrator_may_look_at_the_interface_and_nothing_else() {
    let daemon = Daemon::for_admin(u32::MAX);
    let mut raw = daemon.raw();
    let info = raw.ask(r#"{"method":"org.varlink.service.GetInfo"}"#);
    assert_eq!(info["parameters"]["interfaces"][1], zone_door::INTERFACE);
    for method in ["GetStatus", "Monitor", "Boot", "Nonsense"] {
        let reply = raw.ask(&format!(r#"{{"method":"org.zones.zoneadmd.{method}","more":true}}"#));
        assert_eq!(reply["error"], "org.zones.zoneadmd.NotAuthorized", "{method}");
    }
    assert!(matches!(
        daemon.client().call(&ready(), |_| {}),
        Err(CallError::Door(DoorError::NotAuthorized { .. }))
    ));
}

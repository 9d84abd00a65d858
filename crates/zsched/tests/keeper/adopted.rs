//! Zones that a second zsched takes over.

use super::*;

/// Adopts a zone that runs `script`, once and then once more, does `then` to it, and gives its end.
fn end_of_an_adopted(tag: &str, script: &str, then: impl Fn(&Fixture, &Status)) -> Option<Option<End>> {
    let mut fixture = fixture(tag)?;
    fixture.create().unwrap();
    fixture.boot(script).unwrap();
    fixture.hears("go!");
    fixture.adopted();
    let status = fixture.adopted();
    then(&fixture, &status);
    let ended = fixture.end();
    assert_eq!((ended.phase, ended.uniqid), (Phase::Down, status.uniqid));
    fixture.client.consume(ended.uniqid, false).unwrap();
    let again = fixture.create().unwrap();
    assert!(again.uniqid > ended.uniqid && again.adopted.is_none());
    Some(ended.end)
}

fn say(fixture: &Fixture, line: &str) {
    rustix::io::write(&fixture.manager, format!("{line}\n").as_bytes()).unwrap();
}

#[test]
fn how_an_adopted_zone_ends_is_told() {
    let reboot = |how: u32| {
        format!("python3 -c 'import ctypes; ctypes.CDLL(None).reboot({how:#x})'; echo not; exec sleep 9999")
    };
    for (tag, script, end) in [
        ("exits", "echo go!; read -r x; exit 7".to_owned(), End::Exited(7)),
        ("reboots", format!("echo go!; read -r x; {}", reboot(0x0123_4567)), End::Killed(1)),
        ("halts", format!("echo go!; read -r x; {}", reboot(0xcdef_0123)), End::Killed(2)),
        ("powers-off", format!("echo go!; read -r x; {}", reboot(0x4321_fedc)), End::Killed(2)),
        ("execs", "echo go!; read -r x; exec sh -c 'exec sh -c \"exit 9\"'".to_owned(), End::Exited(9)),
    ] {
        let Some(seen) = end_of_an_adopted(tag, &script, |fixture, _| say(fixture, "")) else { return };
        assert_eq!(seen, Some(end), "{tag}");
    }
}

#[test]
fn an_end_that_is_told_before_the_next_answer_is_not_taken_for_it() {
    let Some(fixture) = fixture("told") else { return };
    fixture.create().unwrap();
    fixture.boot("echo go!; read -r x").unwrap();
    fixture.hears("go!");
    let (_, fds) = fixture.client.fds().unwrap();
    pidfd_send_signal(&fds.pidfd, Signal::KILL).unwrap();
    // Whoever has started it is told, though he has not attached.
    poll(&mut [PollFd::from_borrowed_fd(fixture.client.socket(), PollFlags::IN)], None).unwrap();
    let (status, _) = fixture.client.attach().unwrap();
    assert_eq!((status.phase, status.end), (Phase::Down, Some(End::Killed(9))));
    assert!(fixture.client.event().unwrap().is_none());
    fixture.client.consume(status.uniqid, false).unwrap();
}

#[test]
fn an_adopted_zone_is_killed_as_any_other() {
    let kill = |fixture: &Fixture, _: &Status| {
        let (_, fds) = fixture.client.fds().unwrap();
        pidfd_send_signal(&fds.pidfd, Signal::KILL).unwrap();
    };
    let Some(end) = end_of_an_adopted("killed", "echo go!; read -r x", kill) else { return };
    assert_eq!(end, Some(End::Killed(9)));
}

#[test]
fn tracing_changes_nothing_for_the_first_process() {
    // As PID 1 it is not stopped from inside, and gets no signal that it has no handler for.
    let script = "trap 'caught=$((caught+1))' USR1; caught=0; echo go!; read -r x
        kill -STOP 1; kill -TERM 1; kill -TSTP 1; kill -KILL 1
        for i in 1 2 3 4 5 6 7 8 9 10; do sh -c 'kill -USR1 1'; done
        sh -c 'for i in $(seq 2000); do kill -USR2 1; kill -WINCH 1; kill -CONT 1; done'
        echo caught=$caught.; read -r x; exit $caught";
    let seen = end_of_an_adopted("signals", script, |fixture, _| {
        say(fixture, "");
        fixture.hears("caught=10.");
        // Root of the host may stop it, and let it go on.
        let (_, fds) = fixture.client.fds().unwrap();
        pidfd_send_signal(&fds.pidfd, Signal::STOP).unwrap();
        assert_eq!(fixture.client.status().unwrap().phase, Phase::Running);
        pidfd_send_signal(&fds.pidfd, Signal::CONT).unwrap();
        say(fixture, "");
    });
    assert!(matches!(seen, None | Some(Some(End::Exited(10)))), "{seen:?}");
}

#[test]
fn a_fault_ends_an_adopted_first_process_as_it_ends_any_other() {
    let fault = "echo go!; read -r x; exec python3 -c 'import ctypes; ctypes.string_at(0)'";
    let Some(seen) = end_of_an_adopted("fault", fault, |fixture, _| say(fixture, "")) else { return };
    assert_eq!(seen, Some(End::Killed(11)));
}

#[test]
fn a_thread_that_becomes_the_first_process_is_followed() {
    // An exec by another thread than the first takes the first one's place.
    let script = "echo go!; read -r x; exec python3 -c '
import threading, os
threading.Thread(target=lambda: os.execv(\"/bin/sh\", [\"sh\", \"-c\", \"echo now; read -r x; exit 5\"])).start()'";
    let seen = end_of_an_adopted("thread", script, |fixture, status| {
        say(fixture, "");
        fixture.hears("now");
        // The one that takes the place is traced a moment after it has taken it.
        let is_traced = || {
            let text = std::fs::read_to_string(format!("/proc/{}/status", status.pid)).unwrap_or_default();
            text.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
        };
        for _ in 0..1000 {
            if is_traced() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        say(fixture, "");
    });
    assert!(matches!(seen, None | Some(Some(End::Exited(5)))), "{seen:?}");
}

#[test]
fn what_makes_no_sense_is_not_adopted() {
    let Some(fixture) = fixture("senseless") else { return };
    fixture.create().unwrap();
    let (status, fds) = fixture.client.fds().unwrap();
    let zone = |phase| Adopt {
        phase,
        uniqid: 7,
        pid: status.pid,
        since: 1,
        end: None,
        ended: 0,
        restarts: 0,
        lost: Lost::empty(),
        owed: false,
        kept: 0,
    };
    let both = [fds.cgroup.as_fd(), fds.pidfd.as_fd()];
    let stage = |result| match result {
        Err(ClientError::Refused { failure, .. }) => failure.stage,
        other => panic!("{other:?}"),
    };
    assert_eq!(stage(fixture.client.adopt(&zone(Phase::Running), &both)), Stage::Busy);
    pidfd_send_signal(&fds.pidfd, Signal::KILL).unwrap();
    assert_eq!(fixture.end().uniqid, status.uniqid);
    fixture.client.consume(status.uniqid, false).unwrap();
    for (phase, fds) in [(Phase::Ready, &both[..]), (Phase::Running, &both[..1]), (Phase::Running, &[])] {
        assert_eq!(stage(fixture.client.adopt(&zone(phase), fds)), Stage::Request);
    }
    assert_eq!(fixture.client.status().unwrap().phase, Phase::None);
    // One that has ended before it is taken over.
    let down =
        fixture.client.adopt(&Adopt { end: Some(End::Killed(1)), ..zone(Phase::Down) }, &both[..1]).unwrap();
    assert_eq!((down.phase, down.end, down.uniqid), (Phase::Down, Some(End::Killed(1)), 7));
    assert_eq!(stage(fixture.client.fds().map(|(status, _)| status)), Stage::NoZone);
    fixture.client.consume(7, false).unwrap();
}

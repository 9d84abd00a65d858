//! `zoneadm` and what it talks to: a daemon and a keeper of this test's own making.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;
use std::thread::JoinHandle;

use rustix::fd::OwnedFd;
use rustix::net::{RecvFlags, SocketType};
use zsched::wire::{Phase, Reply, Status};

use support::Lab;

/// A zone that is installed as far as anybody can see before it is made ready.
fn installed(lab: &Lab) {
    lab.configure("web", "linux", "installed");
    for (dir, mode) in [("zones/web", 0o700), ("zones/web/root", 0o755)] {
        fs::create_dir_all(lab.path(dir)).unwrap();
        fs::set_permissions(lab.path(dir), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::create_dir_all(lab.path("run/zones/web")).unwrap();
}

/// A daemon that gives these answers, one to a connection, and then leaves. It returns the calls.
fn daemon(lab: &Lab, answers: &'static [&'static str]) -> JoinHandle<Vec<String>> {
    let listener = UnixListener::bind(lab.path("run/zones/web/door")).unwrap();
    std::thread::spawn(move || {
        let answer = |answer: &&str| {
            let mut stream = listener.accept().unwrap().0;
            let mut call = Vec::new();
            let mut byte = [0];
            while stream.read(&mut byte).unwrap() == 1 && byte != [0] {
                call.push(byte[0]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(call).unwrap()
        };
        answers.iter().map(answer).collect()
    })
}

/// A keeper that says this whenever it is asked.
fn keeper(lab: &Lab, status: Status) {
    keeper_of_protocol(lab, status, |_| {});
}

/// A keeper whose packets were changed by `change` before they are sent.
fn keeper_of_protocol(lab: &Lab, status: Status, change: fn(&mut Vec<u8>)) {
    let run = lab.path("run/zones/web");
    fs::create_dir_all(&run).unwrap();
    let listener: OwnedFd = zone_sys::unix::bind_in(&run, "zsched", SocketType::SEQPACKET, 4).unwrap();
    std::thread::spawn(move || {
        while let Ok(client) = rustix::net::accept(&listener) {
            let mut request = [0; 64];
            while zone_sys::unix::recv(&client, &mut request, RecvFlags::empty()).is_ok_and(|(n, _)| n > 0) {
                let mut reply = Reply::Done(status).encode().to_vec();
                change(&mut reply);
                zone_sys::unix::send(&client, &reply, &[]).unwrap();
            }
        }
    });
}

/// A copy of zoneadm beside a zoneadmd that is this text.
fn with_daemon_program(lab: &Lab, text: &str) -> PathBuf {
    let dir = lab.path("bin");
    fs::create_dir_all(&dir).unwrap();
    fs::write(lab.path("text"), text).unwrap();
    // By a program of its own: a descriptor for writing that another test's child inherits from us for a moment would
    // make the copies busy.
    for (from, to) in [(env!("CARGO_BIN_EXE_zoneadm").into(), "zoneadm"), (lab.path("text"), "zoneadmd")] {
        let copied =
            Command::new("install").args(["-m", "755"]).arg(from).arg(dir.join(to)).status().unwrap();
        assert!(copied.success());
    }
    dir.join("zoneadm")
}

#[test]
fn a_boot_passes_on_what_the_daemon_says() {
    zone_testing::needs_root!();
    let lab = Lab::new();
    installed(&lab);
    let calls = daemon(
        &lab,
        &[
            // About to exit: to be asked again.
            "{\"error\":\"org.zones.zoneadmd.Dying\",\"parameters\":{}}\0",
            concat!(
                "{\"parameters\":{\"result\":{\"state\":\"running\",\"messages\":[\"one\",\"two\\nlines\"],",
                "\"timings\":[{\"name\":\"mount root\",\"usec\":75},{\"name\":\"exec\",\"usec\":25}]}}}\0",
            ),
        ],
    );
    let said = lab.zoneadm("-z web boot --timings -- -s -m verbose").ok();
    assert_eq!(said.err, "zone 'web': one\nzone 'web': two\nzone 'web': lines\n");
    let rows: Vec<Vec<_>> = said.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[1], ["mount", "root", "75", "75.0%"]);
    assert_eq!(rows[3], ["total", "100"]);
    let calls = calls.join().unwrap();
    assert!(
        calls[1].contains("org.zones.zoneadmd.Boot") && calls[1].contains("\"-s -m verbose\""),
        "{calls:?}"
    );
}

#[test]
fn a_refusal_is_passed_on_and_fails() {
    zone_testing::needs_root!();
    let lab = Lab::new();
    installed(&lab);
    let calls = daemon(
        &lab,
        &[
            "{\"error\":\"org.zones.zoneadmd.Failed\",\"parameters\":{\"messages\":[\"a\",\"unable to boot zone\"]}}\0",
        ],
    );
    let said = lab.zoneadm("-z web boot").refused(1, "zone 'web': unable to boot zone\n");
    assert_eq!(
        said.err, "zone 'web': a\nzone 'web': unable to boot zone\n",
        "and nothing that says it again"
    );
    calls.join().unwrap();
}

#[test]
fn a_daemon_that_cannot_start_says_why_once() {
    zone_testing::needs_root!();
    let lab = Lab::new();
    installed(&lab);
    let out = lab.path("environment");
    let script =
        format!("#!/bin/sh\nenv > {}; echo \"$@\" >> {0}; echo it is too wet >&2; exit 1\n", out.display());
    let zoneadm = with_daemon_program(&lab, &script);
    let said = lab.program(zoneadm, "-z web boot").refused(1, "zone 'web': could not start zoneadmd");
    assert_eq!(said.err.matches("zoneadm: it is too wet\n").count(), 1, "{}", said.err);
    let seen = fs::read_to_string(out).unwrap();
    assert!(seen.contains("PATH=/usr/sbin:/usr/bin:/sbin:/bin\n"), "{seen}");
    assert!(!seen.contains("SHOULD_NOT_BE_PASSED_ON"), "{seen}");
    assert!(
        seen.ends_with(&format!("-z web -R {}\n", lab.path("").display().to_string().trim_end_matches('/'))),
        "{seen}"
    );
}

#[test]
fn a_daemon_program_that_is_not_there() {
    zone_testing::needs_root!();
    let lab = Lab::new();
    installed(&lab);
    let zoneadm = with_daemon_program(&lab, "no program");
    let said = lab.program(zoneadm, "-z web halt").refused(1, "could not start zoneadmd");
    assert!(said.err.contains("bin/zoneadmd: Exec format error"), "{}", said.err);
}

#[test]
fn a_zone_that_is_up() {
    zone_testing::needs_root!();
    let lab = Lab::new();
    installed(&lab);
    let status = Status {
        phase: Phase::Running,
        uniqid: u64::MAX,
        pid: 4321,
        since: 7,
        restarts: 2,
        ..Status::default()
    };
    keeper(&lab, status);
    let said = lab.zoneadm("list").ok();
    assert_eq!(said.out, "global\nweb\n");
    let line = lab.zoneadm("list -pn").ok().out;
    assert!(line.starts_with("4321:web:running:"), "{line}");
    let json: serde_json::Value = serde_json::from_str(&lab.zoneadm("-z web list --json").ok().out).unwrap();
    assert_eq!(json[0]["uniqid"], u64::MAX.to_string());
    assert_eq!((&json[0]["pid"], &json[0]["restarts"]), (&4321.into(), &2.into()));

    lab.zoneadm("-z web uninstall -F").refused(1, "uninstall operation is invalid for running zones.");
    lab.zoneadm("-z web mark incomplete").refused(1, "mark operation is invalid for running zones.");
    assert_eq!(lab.stored("web"), "installed");

    // Named, so that it is rebooted once however often the call is repeated.
    let calls = daemon(
        &lab,
        &[concat!(
            "{\"error\":\"org.zones.zoneadmd.StaleUniqid\",\"parameters\":",
            "{\"expected\":\"12\",\"given\":\"18446744073709551615\",\"message\":\"m\"}}\0"
        )],
    );
    let said = lab.zoneadm("-z web reboot").ok();
    assert!(said.err.contains("has been rebooted meanwhile"), "{}", said.err);
    assert!(calls.join().unwrap()[0].contains("\"uniqid\":\"18446744073709551615\""));
}

#[test]
fn a_keeper_of_a_later_version_is_understood_as_long_as_it_understands() {
    let lab = Lab::new();
    installed(&lab);
    let status = Status { phase: Phase::Running, uniqid: 7, pid: 4321, ..Status::default() };
    keeper_of_protocol(&lab, status, |packet| {
        packet[2] = 99;
        packet.extend([0xee; 200]);
    });
    assert!(lab.zoneadm("-z web list -p").ok().out.starts_with("4321:web:running:"));
}

#[test]
fn a_keeper_that_no_longer_speaks_with_us_is_named_with_the_remedy() {
    zone_testing::needs_root!();
    let lab = Lab::new();
    installed(&lab);
    let status = Status { phase: Phase::Running, uniqid: 7, pid: 4321, ..Status::default() };
    keeper_of_protocol(&lab, status, |packet| [packet[2], packet[3]] = [99, 90]);
    for line in ["-z web list -p", "-z web halt", "-z web boot"] {
        let said = lab.zoneadm(line);
        assert!(
            said.err.contains("zone 'web' is kept by a zsched that speaks protocols 90 to 99")
                && said.err.contains("use the programs that the zone was booted with, or newer ones"),
            "{line}: {}",
            said.err
        );
    }
}

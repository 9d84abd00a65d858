use std::fs;
use std::sync::atomic::Ordering;

use super::*;
use crate::testing::{Ground, chmod, options, silent};

/// Something that behaves like debootstrap as far as we can see.
fn fake(ground: &Ground, script: &str) -> Debootstrap {
    let program = ground.path("debootstrap");
    fs::write(&program, format!("#!/bin/sh\n{script}")).unwrap();
    chmod(&program, 0o755);
    Debootstrap {
        suite: "bookworm".into(),
        mirror: Some("http://mirror.example/debian".into()),
        include: vec!["systemd-sysv".into(), "g++".into()],
        variant: Some("minbase".into()),
        program: Some(program),
    }
}

#[test]
fn its_lines_are_the_progress_and_its_environment_is_clean() {
    zone_testing::needs_root!();
    let ground = Ground::new();
    let what = fake(
        &ground,
        "echo I: Retrieving Release; echo I: Unpacking >&2\n\
         for last; do :; done; eval root=\\${$(($# - 1))}\n\
         mkdir $root/etc; echo \"$*\" >$root/etc/args; env >$root/etc/env; umask 077; chmod 700 $root\n",
    );
    let mut lines = Vec::new();
    let mut report = |progress: crate::progress::Progress<'_>| {
        if progress.phase == Phase::Debootstrapping {
            lines.push(progress.current.display().to_string());
        }
    };
    let summary = debootstrap(&what, &ground.zonepath, &options(), &mut report).unwrap();
    assert_eq!(summary.entries, 3);
    assert_eq!(lines, ["Retrieving Release", "Unpacking"]);
    let args = fs::read_to_string(ground.root.join("etc/args")).unwrap();
    let root = ground.root.display();
    let expected = format!(
        "--variant=minbase --include=systemd-sysv,g++ bookworm {root} http://mirror.example/debian\n"
    );
    assert_eq!(args, expected);
    let environment = fs::read_to_string(ground.root.join("etc/env")).unwrap();
    assert!(environment.contains("LC_ALL=C.UTF-8") && !environment.contains("CARGO"), "{environment}");
    assert_eq!(crate::testing::mode(&ground.root), 0o755);
}

#[test]
fn its_last_complaint_is_told() {
    zone_testing::needs_root!();
    let ground = Ground::new();
    let what =
        fake(&ground, "echo I: x; echo 'W: a warning'; echo 'E: Invalid Release' >&2; echo bye; exit 3");
    let error = debootstrap(&what, &ground.zonepath, &options(), &mut silent).unwrap_err().to_string();
    assert!(
        error.starts_with("debootstrap of bookworm failed (exit status: 3): Invalid Release;"),
        "{error}"
    );
    assert!(error.ends_with("/root/debootstrap/debootstrap.log"), "{error}");
}

#[test]
fn an_interruption_ends_all_of_it() {
    zone_testing::needs_root!();
    let ground = Ground::new();
    // Everything it starts keeps the pipe open as long as it lives.
    let pipe = ground.path("alive");
    let script = format!("exec 9>{}; sleep 1000 & echo I: started; wait", pipe.display());
    let what = fake(&ground, &script);
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    let reader = std::thread::spawn(move || fs::read(pipe).unwrap());
    let options = options();
    let cancel = std::sync::Arc::clone(&options.cancel);
    let mut report = move |progress: crate::progress::Progress<'_>| {
        if progress.current == Path::new("started") {
            cancel.store(true, Ordering::Relaxed);
        }
    };
    let error = debootstrap(&what, &ground.zonepath, &options, &mut report).unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }), "{error}");
    assert!(reader.join().unwrap().is_empty(), "every process it had started is gone");
}

#[test]
fn values_that_are_something_else_are_refused() {
    // Whether the machine has a debootstrap is another question.
    let program = Some("/bin/true".into());
    let good = Debootstrap { suite: "bookworm".into(), program, ..Debootstrap::default() };
    assert!(good.check().is_ok());
    for suite in ["", "--help", "a b", "../x"] {
        let error = Debootstrap { suite: suite.into(), ..good.clone() }.check().unwrap_err().to_string();
        assert!(error.contains("is not a suite"), "{error}");
    }
    for mirror in ["--foo", "mirror", "http://a b"] {
        let error = Debootstrap { mirror: Some(mirror.into()), ..good.clone() }.check().unwrap_err();
        assert!(error.to_string().contains("is not a mirror"), "{error}");
    }
    let error = Debootstrap { include: vec!["vim".into(), "a,b".into()], ..good }.check().unwrap_err();
    assert!(error.to_string().contains("'a,b' is not a package name"), "{error}");
}

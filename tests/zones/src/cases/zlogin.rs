//! `zlogin ZONE COMMAND`.

use crate::harness::{Command, Lab, cases, until};

cases![
    arguments_arrive_as_they_were_given,
    input_and_output_are_binary_clean,
    output_and_errors_stay_apart,
    the_exit_status_is_passed_on,
    death_by_a_signal_is_128_and_the_signal,
    what_cannot_be_executed_is_said,
    a_reader_that_leaves_ends_the_writer,
    nothing_is_read_with_n,
    another_user,
    a_clean_environment,
    only_running_zones_can_be_entered,
    command_lines_without_sense,
    many_at_once: 120,
    the_login_is_inside_in_every_way,
    signals_reach_the_command,
    a_background_process_does_not_hold_the_login,
];

fn arguments_arrive_as_they_were_given(lab: &Lab) {
    let zone = lab.booted_sparse();
    let hostile =
        ["a b", "", "  ", "$HOME", "`id`", "; false", "*", "'", "\"", "\\", "new\nline", "-n", "--", "ä€"];
    let mut words = vec!["printf", "[%s]\\n"];
    words.extend(hostile);
    let expected: String = hostile.iter().map(|word| format!("[{word}]\n")).collect();
    zone.zlogin(words).ok().stdout_is(&expected).quiet();
}

fn input_and_output_are_binary_clean(lab: &Lab) {
    let zone = lab.booted_sparse();
    let bytes: Vec<u8> = (0..1_000_000u32).flat_map(|n| (n ^ (n >> 7)).to_le_bytes()).collect();
    let ran = zone.zlogin_command(["cat"]).stdin(bytes.clone()).run();
    assert!(
        ran.code() == Some(0) && ran.stdout == bytes,
        "4 MB came back changed: {} bytes",
        ran.stdout.len()
    );
    let ran = zone.zlogin_command(["sh", "-c", "cat >&2"]).stdin(bytes.clone()).run();
    assert!(ran.stderr == bytes && ran.stdout.is_empty(), "standard error is as clean");
    // Input that nobody reads is no reason to hang.
    zone.zlogin_command(["true"]).stdin(bytes).run().ok();
    zone.zlogin_command(["wc", "-c"]).run().ok().stdout_is("0\n");
}

fn output_and_errors_stay_apart(lab: &Lab) {
    let zone = lab.booted_sparse();
    zone.sh("echo out; echo err >&2; echo more").ok().stdout_is("out\nmore\n").stderr_is("err\n");
}

fn the_exit_status_is_passed_on(lab: &Lab) {
    let zone = lab.booted_sparse();
    for code in [0, 1, 2, 77, 126, 127, 255] {
        zone.sh(&format!("exit {code}")).exits(code);
    }
}

fn death_by_a_signal_is_128_and_the_signal(lab: &Lab) {
    let zone = lab.booted_sparse();
    for (signal, number) in [("TERM", 15), ("KILL", 9), ("SEGV", 11), ("HUP", 1), ("INT", 2)] {
        zone.sh(&format!("kill -{signal} $$")).exits(128 + number);
    }
}

fn what_cannot_be_executed_is_said(lab: &Lab) {
    let zone = lab.booted_sparse();
    zone.zlogin(["no-such-program"]).exits(127).stderr_has("no-such-program");
    zone.zlogin(["/etc/hostname"]).exits(126).stderr_has("/etc/hostname");
    zone.zlogin(["/etc"]).exits(126).stderr_has("/etc");
}

fn a_reader_that_leaves_ends_the_writer(lab: &Lab) {
    let zone = lab.booted_sparse();
    let script = "\"$0\" web yes | head -n 1";
    let ran = Command::new("/bin/sh")
        .args(["-c", script])
        .args([lab.program("zlogin")])
        .env("ZONES_ROOT", lab.root())
        .run();
    ran.ok().stdout_is("y\n");
    until("yes has ended inside", || {
        zone.sh("cat /proc/[0-9]*/comm 2>/dev/null | grep -cx yes").out().starts_with('0').then_some(())
    });
}

fn nothing_is_read_with_n(lab: &Lab) {
    lab.booted_sparse();
    let ran = lab.command("zlogin", ["-n", "web", "cat"]).stdin("not for you\n").run();
    ran.ok().stdout_is("");
}

fn another_user(lab: &Lab) {
    let zone = lab.booted_sparse();
    let line = "user:x:1234:1234::/tmp:/bin/sh\n";
    zone.sh(&format!("printf '{line}' >> /etc/passwd; printf 'user:x:1234:\\n' >> /etc/group")).ok();
    let ran =
        lab.command("zlogin", ["-l", "user", "web", "sh", "-c", "id -u; id -g; id -G; echo $HOME"]).run();
    ran.ok().stdout_is("1234\n1234\n1234\n/tmp\n");
    let ran = lab.command("zlogin", ["-l", "user", "web", "sh", "-c", "cat /proc/self/status"]).run();
    ran.ok().stdout_has("CapEff:\t0000000000000000\n");
    lab.command("zlogin", ["-l", "nobody-of-that-name", "web", "true"])
        .run()
        .refuses()
        .stderr_has("nobody-of-that-name");
}

fn a_clean_environment(lab: &Lab) {
    let zone = lab.booted_sparse();
    let ran = zone.zlogin_command(["env"]).env("SECRET", "42").env("TERM", "vt100").run();
    let out = ran.ok().out();
    assert!(!out.contains("SECRET"), "{ran}");
    for wanted in ["PATH=", "HOME=/root", "LOGNAME=root", "SHELL=", "TERM=vt100"] {
        assert!(out.lines().any(|line| line.starts_with(wanted)), "{wanted} is missing\n{ran}");
    }
    assert!(!out.contains("ZONES_ROOT"), "where the host has its zones is the host's affair\n{ran}");
}

fn only_running_zones_can_be_entered(lab: &Lab) {
    let zone = lab.configured("web", "set brand=sparse");
    lab.command("zlogin", ["nobody", "true"]).run().refuses().stderr_has("zone 'nobody' unknown");
    lab.command("zlogin", ["global", "true"]).run().refuses().stderr_has("not applicable to the global");
    zone.zlogin(["true"]).refuses().stderr_has("configured");
    zone.zoneadm(["install"]).ok();
    zone.zlogin(["true"]).refuses().stderr_has("login allowed only to running zones (web is 'installed').");
    zone.zoneadm(["ready"]).ok();
    zone.zlogin(["true"]).refuses().stderr_has("login allowed only to running zones (web is 'ready').");
}

fn command_lines_without_sense(lab: &Lab) {
    lab.booted_sparse();
    for (args, text) in [
        (&["-l", "root", "-C", "web"][..], "-l may not be specified for console login"),
        (&["-n", "-C", "web"], "-n may not be specified for console login"),
        (&["-l", "root", "-S", "web"], "-l may not be specified for failsafe login"),
        (&["-d", "web"], "-d may only be specified with console login"),
        (&["-n", "web"], "-n may not be specified for interactive login"),
        (&["-C", "web", "true"], "Commands may not be specified for console login."),
    ] {
        lab.command("zlogin", args).run().exits(2).stderr_has(text);
    }
}

fn many_at_once(lab: &Lab) {
    let zone = lab.booted_sparse();
    let running: Vec<_> =
        (0..24).map(|n| zone.zlogin_command(["sh", "-c", &format!("echo {n}; exit {n}")]).start()).collect();
    for (n, one) in running.into_iter().enumerate() {
        let ran = one.wait();
        assert_eq!((ran.out(), ran.code()), (format!("{n}\n"), i32::try_from(n).ok()));
    }
}

fn the_login_is_inside_in_every_way(lab: &Lab) {
    let zone = lab.booted_sparse();
    for kind in ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"] {
        let ran = zone.sh(&format!("readlink /proc/self/ns/{kind}; readlink /proc/1/ns/{kind}"));
        let out = ran.ok().out();
        let lines: Vec<_> = out.lines().collect();
        assert!(lines.len() == 2 && lines[0] == lines[1], "the login has another {kind} namespace\n{ran}");
    }
    zone.sh("cat /proc/self/cgroup").ok().stdout_has("0::/");
    let ran = zone.sh("ls -l /proc/self/fd/ /proc/self/cwd /proc/self/root");
    assert!(!ran.out().contains(&*lab.root().to_string_lossy()), "a way out of the zone\n{ran}");
    zone.sh("grep -c . /proc/self/status; grep NoNewPrivs /proc/self/status; ls -d /proc/$PPID || true").ok();
}

fn signals_reach_the_command(lab: &Lab) {
    let zone = lab.booted_sparse();
    zone.sh("mkfifo /run/started").ok();
    let login = zone.zlogin_command([
        "sh",
        "-c",
        "trap 'echo caught; exit 5' INT TERM; echo > /run/started; while :; do sleep 1; done",
    ]);
    let login = login.start();
    zone.sh("cat /run/started").ok();
    if let Some(pid) = i32::try_from(login.pid()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
    }
    login.wait().exits(5).stdout_has("caught");
}

fn a_background_process_does_not_hold_the_login(lab: &Lab) {
    let zone = lab.booted_sparse();
    zone.sh("sleep 3600 >/dev/null 2>&1 </dev/null & echo started").ok().stdout_is("started\n");
}

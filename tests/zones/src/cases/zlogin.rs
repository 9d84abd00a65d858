//! `zlogin ZONE COMMAND`.

use crate::harness::{Command, Lab, Ran, Terminal, Zone, cases, skip, until};
use std::fs;
use std::path::{Path, PathBuf};

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
    the_language_and_the_place_are_chosen,
    only_running_zones_can_be_entered,
    command_lines_without_sense,
    many_at_once: 120,
    the_login_is_inside_in_every_way,
    signals_reach_the_command,
    a_background_process_does_not_hold_the_login,
    one_word_is_a_command_line_for_the_shell,
    a_dash_dash_before_the_command_is_left_out,
    without_a_terminal_the_shell_ends_with_its_input,
    text_from_inside_moves_no_terminal,
    what_cannot_be_written_here_is_said,
    what_cannot_be_read_here_is_said,
    a_console_that_cannot_be_written_is_said,
    reasons_are_words,
    a_file_full_of_groups_holds_nobody_up,
    a_frozen_zone_is_said,
    a_zone_cannot_freeze_who_comes_in,
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

fn the_language_and_the_place_are_chosen(lab: &Lab) {
    let zone = lab.booted_tiny("exec sleep 100000");
    let said = |options: &[&str], env: &[(&str, &str)]| {
        let mut command = lab.command("zlogin", options).args([zone.name(), "echo $LANG $LC_ALL $X; pwd"]);
        for (name, value) in env {
            command = command.env(name, value);
        }
        command.run().ok().quiet().out()
    };
    assert_eq!(said(&[], &[("LC_ALL", "C")]), "C\n/root\n", "every zone knows that one");
    // This one has no locales at all.
    assert_eq!(said(&[], &[("LC_ALL", "de_DE.UTF-8"), ("LANG", "de_DE.UTF-8")]), "C.UTF-8\n/root\n");
    let c = [("LC_ALL", "C"), ("X", "mine")];
    assert_eq!(said(&["--cwd", "/tmp", "--env", "X=a b"], &c), "C a b\n/tmp\n");
    assert_eq!(said(&["--env", "X", "--cwd", "../etc"], &c), "C mine\n/etc\n");
    lab.command("zlogin", ["--cwd", "/no/such", zone.name(), "pwd"])
        .run()
        .exits(1)
        .stderr_has("/no/such in the zone");
    // Where the user may not go nothing is run, and not elsewhere: it was asked for, as a home is not.
    let script =
        "echo 'kept:x:1000:1000::/root:/bin/sh' >> /etc/passwd; chmod 755 /; chmod 700 /root; mkdir /root/in";
    zone.sh(script).ok();
    for directory in ["/root", "/root/in", "."] {
        lab.command("zlogin", ["-l", "kept", "--cwd", directory, zone.name(), "pwd; touch /tmp/run"])
            .run()
            .exits(1)
            .stdout_is("")
            .stderr_has("could not enter the directory '/root")
            .stderr_has("Permission denied");
    }
    zone.sh("test ! -e /tmp/run").ok();
    lab.command("zlogin", ["-l", "kept", zone.name(), "pwd"]).run().ok().stdout_is("/\n");
    lab.command("zlogin", ["--env", "NOT_THERE", zone.name(), "pwd"]).run().exits(2).stderr_has("NOT_THERE");
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

fn one_word_is_a_command_line_for_the_shell(lab: &Lab) {
    let zone = lab.booted_sparse();
    zone.zlogin(["exit 7"]).exits(7).quiet();
    zone.zlogin(["echo one; echo $HOME >&2"]).ok().stdout_is("one\n").stderr_is("/root\n");
    zone.zlogin(["cat | tr a b; true"]).ok();
    zone.zlogin(["no-such-program"]).exits(127).stderr_has("no-such-program");
    // Several are a program and its arguments, with no shell between.
    zone.zlogin(["echo", "$HOME;", "ls"]).ok().stdout_is("$HOME; ls\n");
    zone.zlogin(["exit 7", "really"]).exits(127).stderr_has("exit 7");
    let line = "user:x:1234:1234::/tmp:/bin/bash\n";
    zone.sh(&format!("printf '{line}' >> /etc/passwd")).ok();
    lab.command("zlogin", ["-l", "user", "web", "echo $0 $UID"]).run().ok().stdout_is("bash 1234\n");
    lab.command("zlogin", ["-S", "web", "echo $0"]).run().ok().stdout_is("sh\n");
}

fn a_dash_dash_before_the_command_is_left_out(lab: &Lab) {
    let zone = lab.booted_sparse();
    zone.zlogin(["--", "echo", "-n", "--", "x"]).ok().stdout_is("-- x");
    zone.zlogin(["--", "exit 3"]).exits(3);
    zone.zlogin(["echo", "--"]).ok().stdout_is("--\n");
    lab.command("zlogin", ["--", "web", "true"]).run().ok();
}

fn without_a_terminal_the_shell_ends_with_its_input(lab: &Lab) {
    let zone = lab.booted_sparse();
    zone.zlogin_command::<&str>([]).run().ok().stdout_is("");
    let ran = zone.zlogin_command::<&str>([]).stdin("echo $0; tty; cat\nfor cat\n").run();
    ran.ok().stdout_is("-bash\nnot a tty\nfor cat\n");
    zone.zlogin_command::<&str>([]).stdin("exit 9\nnot read\n").run().exits(9);
    lab.command("zlogin", ["-S", "web"]).stdin("echo $0").run().ok().stdout_is("sh\n");
}

fn text_from_inside_moves_no_terminal(lab: &Lab) {
    let zone = lab.booted_sparse();
    zone.sh("printf 'evil:x:1000:1000::/:/bin/\\033]0;title\\007\\033[2Jsh\\n' >> /etc/passwd").ok();
    let ran = lab.command("zlogin", ["-l", "evil", "web"]).run();
    ran.exits(127).stderr_has("\\u{1b}]0;title\\u{7}\\u{1b}[2Jsh");
    let harmless = |bytes: &[u8]| !bytes.iter().any(|&c| c < 0x20 && c != b'\n' && c != b'\r');
    assert!(harmless(&ran.stderr), "{ran}");
    let (_, screen) = Terminal::start(lab.command("zlogin", ["-l", "evil", "web"]), 24, 80).ends();
    assert!(harmless(screen.as_bytes()), "{screen:?}");
    // What zoneadm and the daemon say: the name of a file that the zone has made is in it.
    zone.halt();
    let init = zone.file("/usr");
    fs::remove_dir(&init)
        .or_else(|_| fs::remove_file(&init))
        .unwrap_or_else(|e| panic!("/usr of the zone: {e}"));
    std::os::unix::fs::symlink("\u{1b}[2Jnowhere", &init).unwrap_or_else(|e| panic!("/usr of the zone: {e}"));
    let ran = zone.zoneadm(["boot"]);
    ran.refuses();
    assert!(harmless(&ran.stderr), "{ran}");
    let _ = fs::remove_file(&init);
    fs::create_dir(&init).unwrap_or_else(|e| panic!("/usr of the zone: {e}"));
}

/// `script` of a shell, with `$0` for zlogin.
fn by_shell(lab: &Lab, script: &str) -> Ran {
    let zlogin = lab.program("zlogin");
    Command::new("/bin/sh").args(["-c", script]).args([zlogin]).env("ZONES_ROOT", lab.root()).run()
}

fn what_cannot_be_written_here_is_said(lab: &Lab) {
    lab.booted_sparse();
    for (script, said) in [
        (
            "\"$0\" web echo x > /dev/full",
            "zlogin: could not write to standard output: No space left on device\n",
        ),
        ("\"$0\" web echo x >&-", "zlogin: could not write to standard output: Bad file descriptor\n"),
        (
            "\"$0\" web yes > /dev/full",
            "zlogin: could not write to standard output: No space left on device\n",
        ),
        (
            "echo echo x | \"$0\" web > /dev/full",
            "zlogin: could not write to standard output: No space left on device\n",
        ),
        (
            "\"$0\" --help > /dev/full",
            "zlogin: could not write to standard output: No space left on device\n",
        ),
    ] {
        by_shell(lab, script).exits(1).stderr_is(said);
    }
    // There is nowhere left to say it.
    by_shell(lab, "\"$0\" web sh -c 'echo x >&2' 2> /dev/full").exits(1).stderr_is("");
    // What has nothing to write loses nothing, and a reader that leaves is none of our failures.
    by_shell(lab, "\"$0\" web true >&-").ok().quiet();
    by_shell(lab, "\"$0\" web echo x | true").ok().quiet();
    // On a terminal, with what it says sent elsewhere.
    let script = "exec \"$0\" web > /dev/full";
    let login = Command::new("/bin/sh").args(["-c", script]).args([lab.program("zlogin")]);
    let (status, screen) = Terminal::start(login.env("ZONES_ROOT", lab.root()), 24, 80).ends();
    assert_eq!(status.code(), Some(1), "{screen:?}");
    assert!(screen.contains("could not write to standard output: No space left on device"), "{screen:?}");
}

fn what_cannot_be_read_here_is_said(lab: &Lab) {
    lab.booted_sparse();
    let said = "zlogin: could not read standard input: Is a directory\n";
    by_shell(lab, "\"$0\" web cat < /").exits(1).stderr_is(said);
    by_shell(lab, "\"$0\" web < /").exits(1).stderr_is(said);
    // Who closes it says that there is none.
    by_shell(lab, "\"$0\" web cat <&-").ok().quiet();
}

fn a_console_that_cannot_be_written_is_said(lab: &Lab) {
    let zone = lab.booted_tiny("echo said; while :; do busybox sleep 1; echo more; done");
    let said = "could not write to standard output: No space left on device";
    by_shell(lab, "\"$0\" -C web < /dev/null > /dev/full").exits(1).stderr_has(said);
    by_shell(lab, "\"$0\" -QC web < /dev/null > /dev/full").exits(1).stderr_has(said);
    // A recording that ends early does not end the session, but is no success.
    let (status, screen) = Terminal::start(zone.console_command(&["--record", "/dev/full"]), 24, 80).ends();
    assert_eq!(status.code(), Some(1), "{screen}");
    assert!(screen.contains("could not write the recording /dev/full: No space left on device"), "{screen}");
    // The console's log.
    let log = |to: &str| {
        let script = format!("\"$0\" console web --log {to}");
        let program = lab.program("zoneadm");
        Command::new("/bin/sh").args(["-c", &script]).args([program]).env("ZONES_ROOT", lab.root()).run()
    };
    until("the log has what was said", || log("").out().contains("said").then_some(()));
    log("> /dev/full").exits(1).stderr_has("cannot write to standard output: No space left on device");
    log(">&-").exits(1).stderr_has("cannot write to standard output: Bad file descriptor");
}

fn reasons_are_words(lab: &Lab) {
    let zone = lab.booted_sparse();
    for ran in [
        zone.zlogin(["no-such-program", "x"]),
        zone.zlogin(["/etc/hostname", "x"]),
        zone.console_command(&["--record", "/no/where"]).run(),
        lab.command("zlogin", ["-R", "/no/where", "web", "true"]).run(),
    ] {
        assert!(ran.code() != Some(0) && !ran.stderr.is_empty(), "{ran}");
        assert!(!String::from_utf8_lossy(&ran.stderr).contains("os error"), "{ran}");
    }
}

fn a_file_full_of_groups_holds_nobody_up(lab: &Lab) {
    let zone = lab.booted_sparse();
    // 4 MiB of groups, of each of which the user is a member: no more than a process can have are given.
    let make = "i=1; while [ $i -lt 70000 ]; do echo \"g$i:x:$i:root,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"; i=$((i+1)); done";
    zone.sh(&format!("({make}) >> /etc/group; wc -c < /etc/group")).ok();
    let ran = zone.zlogin(["id -G | wc -w"]);
    ran.ok().stdout_is("65536\n");
}

/// The zone's cgroup, as the host sees it.
pub(super) fn cgroup_of(zone: &Zone<'_>) -> PathBuf {
    let line = fs::read_to_string(format!("/proc/{}/cgroup", zone.status().pid1())).unwrap_or_default();
    let path = line
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .unwrap_or("/")
        .trim_start_matches('/')
        .to_owned();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mount = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .find(|words| words.get(2) == Some(&"cgroup2"));
    let mount = mount.map(|words| words[1].to_owned()).unwrap_or_else(|| panic!("no cgroup2 is mounted"));
    Path::new(&mount).join(path)
}

fn a_frozen_zone_is_said(lab: &Lab) {
    let zone = lab.booted_sparse();
    let freeze = cgroup_of(&zone).join("cgroup.freeze");
    let write = |text: &str| fs::write(&freeze, text).unwrap_or_else(|e| panic!("{}: {e}", freeze.display()));
    write("1");
    let ran = zone.zlogin(["sh", "-c", "echo x > /entered"]);
    write("0");
    ran.refuses().stderr_has("frozen");
    zone.zlogin(["test", "-e", "/entered"]).exits(1);
}

fn a_zone_cannot_freeze_who_comes_in(lab: &Lab) {
    let zone = lab.booted_sparse();
    let cgroup = cgroup_of(&zone);
    let available = fs::read_to_string(cgroup.join("cgroup.controllers")).unwrap_or_default();
    // One that no cgroup with processes of its own can give on; cpu and pids, which know threads, it can.
    let Some(controller) = ["memory", "io", "hugetlb"].into_iter().find(|name| available.contains(name))
    else {
        skip("no controller of this host can be given to cgroups below the zone's");
    };
    // As an init with cgroups does: everybody to a leaf, a controller to the leaves. And one that means ill. A login
    // has a process in the topmost one that is not the zone's to move, so this begins when it has ended.
    let script = format!(
        "cd /sys/fs/cgroup; mkdir all zlogin zlogin-1; echo 1 > zlogin/cgroup.freeze; echo 1 > zlogin-1/cgroup.freeze; \
         until echo +{controller} > cgroup.subtree_control; do \
         for p in $(cat cgroup.procs); do [ $p = 0 ] || echo $p > all/cgroup.procs; done; sleep 0.1; done; echo done > /frozen"
    );
    zone.sh(&format!("({script}) > /dev/null 2>&1 < /dev/null &")).ok();
    let _ = zone.written("/frozen");
    zone.zlogin(["cat /proc/self/cgroup"]).ok().stdout_has("0::/zlogin-2\n");
    zone.sh("echo 1 > /sys/fs/cgroup/zlogin-2/cgroup.freeze").exits(2);
    zone.zlogin(["true"]).ok();
}

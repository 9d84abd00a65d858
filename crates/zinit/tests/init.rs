//! zinit as process 1 of real PID and mount namespaces, with a pty as its console.
//!
//! Needs root and `unshare` of util-linux, which passes on the signal that ended the first process.
//! Nothing waits for a time: each test reads the console until it says what it must say. The console
//! echoes what is typed, so what is waited for is never part of a typed line: `$((0))` becomes `0`.

#![allow(clippy::unwrap_used)] // what a test cannot do is its failure

use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

/// How process 1 ends by `reboot(2)` (pid_namespaces(7)).
const REBOOT: Option<i32> = Some(1);
const HALT: Option<i32> = Some(2);

struct Zone {
    unshare: Child,
    console: OwnedFd,
    seen: String,
    dir: Dir,
}

/// A private directory, removed at the end.
struct Dir(std::path::PathBuf);

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Zone {
    /// Boots with `rc` as `/etc/rc` (none if empty) and `args` as boot arguments.
    fn boot(test: &str, rc: &str, args: &str) -> Self {
        let dir = Dir(std::env::temp_dir().join(format!("zinit-{}-{test}", std::process::id())));
        std::fs::create_dir_all(&dir.0).unwrap();
        for name in ["init", "reboot", "halt", "poweroff", "shutdown"] {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_zinit"), dir.0.join(name)).unwrap();
        }
        let console = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&console).unwrap();
        unlockpt(&console).unwrap();
        let pts = ptsname(&console, Vec::new()).unwrap().into_string().unwrap();
        let slave = rustix::fs::open(&pts, OFlags::RDWR | OFlags::NOCTTY, rustix::fs::Mode::empty()).unwrap();
        // A private /etc: root's shell is a plain one with a prompt that cannot be confused.
        std::fs::write(dir.0.join("passwd"), "root:x:0:0:root:/:/bin/sh\n").unwrap();
        if !rc.is_empty() {
            std::fs::write(dir.0.join("rc"), format!("#!/bin/sh\n{rc}\n")).unwrap();
            let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(dir.0.join("rc"), executable).unwrap();
        }
        let script = format!(
            "mount --make-rprivate / && mount --bind {0} /etc && mount --bind {pts} /dev/console && exec {0}/init {args}",
            dir.0.display()
        );
        let unshare = Command::new("unshare")
            .args(["--pid", "--mount", "--fork", "--mount-proc", "--kill-child", "sh", "-c", &script])
            .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", dir.0.display()))
            .env("PS1", "READY> ")
            .stdin(Stdio::null())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave)
            .spawn()
            .unwrap();
        Self { unshare, console, seen: String::new(), dir }
    }

    /// Reads the console until it has said `text`; what came before it is forgotten.
    fn expect(&mut self, text: &str) {
        let mut buffer = [0; 4096];
        while !self.seen.contains(text) {
            let n = rustix::io::read(&self.console, &mut buffer).unwrap_or(0);
            assert!(n > 0, "the console ended without {text:?}: {:?}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
        let end = self.seen.find(text).unwrap() + text.len();
        self.seen.drain(..end);
    }

    fn type_line(&self, line: &str) {
        rustix::io::write(&self.console, format!("{line}\n").as_bytes()).unwrap();
    }

    fn end(mut self) -> ExitStatus {
        self.unshare.wait().unwrap()
    }
}

#[test]
fn rc_runs_first_then_a_login_shell_that_comes_back() {
    let mut zone = Zone::boot("rc", "echo rc-$((40+2)) pid $$", "");
    zone.expect("rc-42");
    zone.expect("READY> ");
    // A login shell by its name, the leader of a session, with the console as its terminal.
    zone.type_line("echo name$((0))=$0; tty; ps -o sid= -p $$ | tr -d ' '; echo pid=$$");
    zone.expect("name0=-sh");
    zone.expect("/dev/");
    zone.type_line("exit");
    zone.expect("READY> ");
    zone.type_line("poweroff; echo status=$?");
    zone.expect("going down for power-off");
    assert_eq!(zone.end().signal(), HALT);
}

#[test]
fn what_rc_has_started_lives_on_and_is_restarted_by_a_loop() {
    // As zinit(8) has it; what the service says is on the console, also when rc has ended.
    let rc = "( while :; do sh -c 'echo serv$((0))ice; exec sleep 2147483647'; done ) &\nsleep 2147483646 &\necho rc-$((40+2))";
    let mut zone = Zone::boot("services", rc, "");
    zone.expect("READY> ");
    zone.type_line("pgrep -f 'sleep 214748364[6]' && echo al$((0))ive");
    zone.expect("al0ive");
    zone.type_line("until pkill -f 'sleep 214748364[7]'; do :; done");
    zone.expect("serv0ice");
    // Nor does the end of a login matter to it.
    zone.type_line("exit");
    zone.expect("READY> ");
    zone.type_line("until pkill -f 'sleep 214748364[7]'; do :; done");
    zone.expect("serv0ice");
    zone.type_line("pgrep -f 'sleep 214748364[6]' && echo al$((0))ive");
    zone.expect("al0ive");
    zone.type_line("halt");
    assert_eq!(zone.end().signal(), HALT);
}

#[test]
fn the_keys_of_the_console_reach_rc() {
    let rc = "trap 'echo int$((0))ed; exit' INT\necho wait$((0))ing\nwhile :; do sleep 1; done";
    let mut zone = Zone::boot("interrupt", rc, "");
    zone.expect("wait0ing");
    rustix::io::write(&zone.console, b"\x03").unwrap();
    zone.expect("int0ed");
    zone.expect("READY> ");
    zone.type_line("halt");
    assert_eq!(zone.end().signal(), HALT);
}

#[test]
fn single_user_skips_rc() {
    let mut zone = Zone::boot("single", "echo rc-$((40+2))", "-s");
    zone.expect("READY> ");
    assert!(!zone.seen.contains("rc-42"));
    zone.type_line("test -e /etc/rc && reboot");
    assert_eq!(zone.end().signal(), REBOOT);
}

#[test]
fn every_command_ends_the_zone_in_its_way() {
    for (number, (command, end)) in [
        ("reboot", REBOOT),
        ("halt", HALT),
        ("poweroff", HALT),
        ("reboot -f", REBOOT),
        ("halt -f", HALT),
        ("shutdown -r now bye", REBOOT),
        ("shutdown -h now", HALT),
        ("init 6", REBOOT),
        ("init 0", HALT),
        ("kill -s USR1 1", HALT),
        ("kill -s INT 1", REBOOT),
        ("kill -37 1", HALT),
        ("kill -39 1", REBOOT),
    ]
    .into_iter()
    .enumerate()
    {
        let mut zone = Zone::boot(&format!("command-{number}"), "", "");
        zone.expect("READY> ");
        zone.type_line(command);
        assert_eq!(zone.end().signal(), end, "{command}");
    }
}

/// Starts a process in the background that runs `trap` when it is asked to end, and waits in a
/// built-in of the shell, which a signal cannot miss.
fn start_waiter(zone: &mut Zone, trap: &str) {
    let fifo = zone.dir.0.join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    let wait = format!("exec 3<>{}; echo arm$((0))ed; while :; do read x <&3; done", fifo.display());
    zone.type_line(&format!("(sh -c 'trap \"\" HUP; trap \"{trap}\" TERM; {wait}' &)"));
    zone.expect("arm0ed");
}

#[test]
fn orphans_are_reaped_and_everybody_is_asked_to_end() {
    let mut zone = Zone::boot("orphans", "", "");
    zone.expect("READY> ");
    start_waiter(&mut zone, "echo ask\\$((0))ed; exit");
    zone.type_line("(sh -c 'exit 0' &); while ps -eo stat= | grep -q Z; do :; done; echo reap$((0))ed");
    zone.expect("reap0ed");
    zone.type_line("reboot");
    zone.expect("ask0ed");
    assert_eq!(zone.end().signal(), REBOOT);
}

#[test]
fn a_second_request_ends_those_who_do_not_listen() {
    let mut zone = Zone::boot("stubborn", "", "");
    zone.expect("READY> ");
    // Asked to end, it does not, but asks init for something else instead.
    start_waiter(&mut zone, "kill -s TERM 1");
    zone.type_line("kill -s USR1 1");
    zone.expect("going down for halt");
    assert_eq!(zone.end().signal(), REBOOT);
}

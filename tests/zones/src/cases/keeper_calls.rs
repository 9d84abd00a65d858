//! Calls of the daemon to zsched that the kernel makes fail: nobody is declared dead for that, the error names the call,
//! and the next command finds everything as it is.

use crate::harness::{Command, Lab, Running, Zone, cases, skip, until};
use std::path::Path;

cases![
    a_message_that_fails_once_is_sent_again,
    a_message_that_always_fails_fails_the_command_and_nothing_else,
    nothing_has_an_abstract_name,
    an_answer_that_never_arrives_is_no_death,
    a_stopped_keeper_is_said_to_be_stopped: 120,
    a_keeper_that_was_killed_is_still_noticed,
];

/// The daemon of a zone, of which some calls fail for as long as this lives.
struct Failing {
    strace: Running,
    trace: std::path::PathBuf,
}

impl Failing {
    /// `how` is as strace's `inject` has it, such as `sendmsg:error=EINTR:when=1`.
    fn make(zone: &Zone<'_>, how: &str) -> Self {
        if Command::new("strace").args(["-V"]).run_if().is_none() {
            skip("there is no strace");
        }
        let daemon = zone.daemon().unwrap_or_else(|| panic!("there is no daemon"));
        let trace = zone.run_dir().join("strace");
        let _ = std::fs::remove_file(&trace);
        let call = how.split(':').next().unwrap_or_default();
        let strace = Command::new("strace")
            .args(["-f", "-qq", "-e", &format!("trace={call}"), "-e", &format!("inject={how}"), "-o"])
            .args([&trace])
            .args(["-p", &daemon.to_string()])
            .start();
        until("strace has attached itself to all threads", || {
            let tasks = std::fs::read_dir(format!("/proc/{daemon}/task")).ok()?;
            let traced = |task: std::fs::DirEntry| {
                let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
                !status.contains("TracerPid:\t0\n")
            };
            tasks.flatten().all(traced).then_some(())
        });
        Self { strace, trace }
    }

    /// Lets go, and sees that calls did fail.
    fn ends(mut self) {
        self.strace.kill();
        until("strace has let go", || self.strace.ended().then_some(()));
        let trace = std::fs::read_to_string(&self.trace).unwrap_or_default();
        assert!(trace.contains("(INJECTED)"), "no call failed:\n{trace}");
        let _ = std::fs::remove_file(&self.trace);
    }
}

fn is_alive(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn a_message_that_fails_once_is_sent_again(lab: &Lab) {
    let zone = lab.tiny("web", "exec sleep 9999");
    for error in ["EINTR", "EPIPE", "ENOBUFS", "EAGAIN"] {
        zone.zoneadm(["ready"]).ok();
        let keeper = zone.keeper();
        for (verb, state) in [("boot", "running"), ("reboot", "running"), ("halt", "installed")] {
            let failing = Failing::make(&zone, &format!("sendmsg:error={error}:when=1..2"));
            zone.zoneadm([verb]).ok();
            failing.ends();
            zone.is(state);
            assert!(state == "installed" || zone.keeper() == keeper, "{error}: another zsched was started");
        }
    }
}

fn a_message_that_always_fails_fails_the_command_and_nothing_else(lab: &Lab) {
    let zone = lab.tiny("web", "exec sleep 9999");
    zone.boot();
    let first = zone.status().pid1();
    for (error, words) in [("EPIPE", "Broken pipe"), ("EINTR", "Interrupted system call")] {
        let failing = Failing::make(&zone, &format!("sendmsg:error={error}:when=1+"));
        zone.zoneadm(["halt"]).refuses().stderr_has("sendmsg").stderr_has(words);
        failing.ends();
        zone.is("running");
        assert!(is_alive(first));
        zone.zoneadm(["uninstall", "-F"]).refuses();
    }
    zone.halt();
    assert!(!is_alive(first));
}

fn an_answer_that_never_arrives_is_no_death(lab: &Lab) {
    let zone = lab.tiny("web", "exec sleep 9999");
    zone.boot();
    let (keeper, first) = (zone.keeper(), zone.status().pid1());
    let failing = Failing::make(&zone, "recvmsg:error=ECONNRESET:when=1+");
    let ran = zone.zoneadm(["halt"]);
    failing.ends();
    ran.refuses().stderr_has(&format!(
        "zsched, process {keeper}, keeps this zone alive, but what is said to it does not arrive"
    ));
    assert!(!ran.err().contains("has died") && !ran.err().contains("removed"), "{ran}");
    zone.is("running");
    assert_eq!((zone.keeper(), zone.status().pid1()), (keeper, first));
    zone.halt();
}

fn a_stopped_keeper_is_said_to_be_stopped(lab: &Lab) {
    let zone = lab.tiny("web", "exec sleep 9999");
    zone.boot();
    let (keeper, first) = (zone.keeper(), zone.status().pid1());
    let signal = |signal| {
        let pid =
            rustix::process::Pid::from_raw(keeper).unwrap_or_else(|| panic!("{keeper} is no process id"));
        rustix::process::kill_process(pid, signal).unwrap_or_else(|e| panic!("kill({pid:?}): {e}"));
    };
    signal(rustix::process::Signal::STOP);
    let ran = zone.zoneadm(["reboot"]);
    signal(rustix::process::Signal::CONT);
    ran.refuses().stderr_has(&format!(
        "zsched, process {keeper}, is stopped and answers nobody: 'kill -CONT {keeper}' lets it go on"
    ));
    assert!(!ran.err().contains("died"), "{ran}");
    assert_eq!((zone.keeper(), zone.status().pid1()), (keeper, first));
    zone.halt();
}

fn nothing_has_an_abstract_name(lab: &Lab) {
    let zone = lab.tiny("web", "exec sleep 9999");
    zone.boot();
    let held: Vec<_> = [zone.keeper(), zone.daemon().unwrap_or_default()]
        .iter()
        .flat_map(|pid| std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten())
        .filter_map(|entry| {
            std::fs::read_link(entry.path())
                .ok()?
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')
                .map(str::to_owned)
        })
        .collect();
    let sockets = std::fs::read_to_string("/proc/net/unix").unwrap_or_else(|e| panic!("{e}"));
    let named: Vec<_> = sockets
        .lines()
        .filter(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            words.len() > 7 && words[7].starts_with('@') && held.iter().any(|inode| inode == words[6])
        })
        .collect();
    assert!(named.is_empty(), "{named:?}");
}

fn a_keeper_that_was_killed_is_still_noticed(lab: &Lab) {
    let zone = lab.tiny("web", "exec sleep 9999");
    zone.boot();
    let (keeper, first) = (zone.keeper(), zone.status().pid1());
    crate::harness::kill_and_wait(keeper);
    let new = until("another zsched has the zone", || {
        zone.status().zsched.map(|zsched| zsched.pid).filter(|now| *now != keeper && *now != 0)
    });
    assert_ne!(new, keeper);
    assert_eq!(zone.status().pid1(), first);
    zone.halt();
}

//! `zone_platform::enter` against a zone made by hand: all of its namespaces, a user namespace with
//! ids of its own, a cgroup, a devpts. Needs root and `unshare`.
//!
//! The tests run one after the other in a process with one thread (no test harness), since that is
//! what `enter` asks for.
#![allow(clippy::unwrap_used)] // what a test cannot do is its failure

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, Signal};
use zone_platform::enter::{End, Ends, EnterError, Entered, Entry, Plan, Terminal, enter};
use zone_sys::clone::SingleThreaded;
use zone_sys::seccomp::instruction;

/// The zone's root on the host.
const BASE: u32 = 0x4000_0000;

struct Zone {
    unshare: Child,
    init: i32,
    pidfd: OwnedFd,
    cgroup: OwnedFd,
    cgroup_path: PathBuf,
}

impl Zone {
    fn new() -> Self {
        let cgroup_path = cgroup2().join(format!("enter-test-{}", std::process::id()));
        std::fs::create_dir(&cgroup_path).unwrap();
        let inner = "mount -t devpts -o ptmxmode=666 devpts /dev/pts && echo up && exec sleep infinity";
        let outer = format!(
            "echo new; read x; exec setpriv --reuid 0 --regid 0 --clear-groups unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child --mount-proc sh -c '{inner}'"
        );
        let mut unshare = Command::new("unshare")
            .args(["--user", "--keep-caps", "sh", "-c", &outer])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(unshare.stdout.take().unwrap()).lines();
        assert_eq!(said.next().unwrap().unwrap(), "new");
        let proc = format!("/proc/{}", unshare.id());
        for map in ["uid_map", "gid_map"] {
            std::fs::write(format!("{proc}/{map}"), format!("0 {BASE} 65536")).unwrap();
        }
        unshare.stdin.take().unwrap().write_all(b"\n").unwrap();
        assert_eq!(said.next().unwrap().unwrap(), "up");
        let children = std::fs::read_to_string(format!("{proc}/task/{}/children", unshare.id())).unwrap();
        let init = Pid::from_raw(children.trim().parse().unwrap()).unwrap();
        let pidfd = rustix::process::pidfd_open(init, PidfdFlags::empty()).unwrap();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let cgroup = rustix::fs::open(&cgroup_path, flags, Mode::empty()).unwrap();
        Self { unshare, init: init.as_raw_pid(), pidfd, cgroup, cgroup_path }
    }

    fn enter(&self, terminal: Option<Terminal>, plan: Plan) -> Result<(Entered, Ends), EnterError> {
        self.enter_with(terminal, &|| Ok(plan.clone()))
    }

    fn enter_with(
        &self,
        terminal: Option<Terminal>,
        plan: &dyn Fn() -> Result<Plan, String>,
    ) -> Result<(Entered, Ends), EnterError> {
        let entry = Entry {
            pidfd: self.pidfd.as_fd(),
            cgroup: self.cgroup.as_fd(),
            // CAP_CHOWN, CAP_KILL and CAP_SYS_BOOT.
            bounding: 1 | 1 << 5 | 1 << 22,
            own_uptime: false,
            seccomp: &deny_mkdir(),
            memlock: Some(65_536),
            terminal,
            plan,
            work: None,
        };
        enter(SingleThreaded::assert().unwrap(), &entry)
    }

    /// Runs a shell command with nothing on its input; what it said and how it ended.
    fn run(&self, script: &str) -> (String, String, End) {
        let entered = self.enter(None, shell(script)).unwrap();
        drain(entered)
    }
}

impl Drop for Zone {
    fn drop(&mut self) {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        let _ = self.unshare.wait();
        let _ = std::fs::remove_dir(self.cgroup_path.join("zlogin"));
        let _ = std::fs::remove_dir(&self.cgroup_path);
    }
}

fn cgroup2() -> PathBuf {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 ")).unwrap();
    line.split(' ').nth(4).unwrap().into()
}

/// A seccomp program that answers `ENOTBLK`, which nobody else would, to mkdir(2) and lets all else pass.
fn deny_mkdir() -> Vec<u8> {
    #[cfg(target_arch = "x86_64")]
    const MKDIR: u32 = 83;
    #[cfg(not(target_arch = "x86_64"))]
    const MKDIR: u32 = 34;
    [
        instruction(0x20, 0, 0, 0),
        instruction(0x15, 0, 1, MKDIR),
        instruction(0x06, 0, 0, 0x0005_000f),
        instruction(0x06, 0, 0, 0x7fff_0000),
    ]
    .concat()
}

fn shell(script: &str) -> Plan {
    Plan {
        uid: 0,
        gid: 0,
        groups: vec![],
        directory: "/".into(),
        named: false,
        program: "sh".into(),
        name: "sh".into(),
        args: vec!["-c".into(), script.into()],
        env: vec![("PATH".into(), "/usr/bin:/bin:/usr/sbin:/sbin".into()), ("A".into(), "b c".into())],
    }
}

fn drain((entered, ends): (Entered, Ends)) -> (String, String, End) {
    let Ends::Pipes { stdout, stderr, .. } = ends else { panic!("{ends:?}") };
    let (mut out, mut err) = (String::new(), String::new());
    std::fs::File::from(stdout).read_to_string(&mut out).unwrap();
    std::fs::File::from(stderr).read_to_string(&mut err).unwrap();
    (out, err, entered.wait().unwrap())
}

/// Reads from a terminal until it has said `text`.
fn expect(manager: &OwnedFd, text: &str) -> String {
    let mut seen = String::new();
    let mut buffer = [0; 1024];
    while !seen.contains(text) {
        let mut fds = [rustix::event::PollFd::new(manager, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, None).unwrap();
        let count = rustix::io::read(manager, &mut buffer).unwrap_or(0);
        assert!(count > 0, "no {text:?}: {seen:?}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    seen
}

fn streams_are_separate_and_the_status_is_passed_on(zone: &Zone) {
    let (out, err, end) = zone.run("echo out; echo err >&2; exit 7");
    assert_eq!((out.as_str(), err.as_str(), end), ("out\n", "err\n", End::Exited(7)));
    for (signal, number) in [("TERM", 15), ("KILL", 9), ("SEGV", 11)] {
        let (_, _, end) = zone.run(&format!("kill -s {signal} $$"));
        assert_eq!((end, end.code()), (End::Killed(number), 128 + number));
    }
}

fn input_is_binary_clean(zone: &Zone) {
    let (_, ends) = zone.enter(None, shell("cat")).unwrap();
    let bytes: Vec<u8> = (0..=255).cycle().take(40_000).collect();
    if let Ends::Pipes { stdin, stdout, .. } = ends {
        rustix::io::write(&stdin, &bytes).unwrap();
        drop(stdin);
        let mut back = Vec::new();
        std::fs::File::from(stdout).read_to_end(&mut back).unwrap();
        assert_eq!(back, bytes);
    }
}

fn nothing_of_the_hosts_is_there(zone: &Zone) {
    // Something to leak, that is not even close-on-exec.
    let leak = rustix::fs::open("/etc", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    let (out, _, _) = zone.run("for fd in /proc/self/fd/*; do echo $fd $(readlink $fd); done");
    drop(leak);
    let others: Vec<&str> = out
        .lines()
        .filter(|line| !matches!(line.split('/').nth(4).map(|fd| &fd[..1]), Some("0" | "1" | "2")))
        // The directory that the shell itself reads.
        .filter(|line| line.contains(' ') && !line.ends_with(' ') && !line.contains("/proc/"))
        .collect();
    assert_eq!(others, Vec::<&str>::new(), "{out}");
    let (out, _, _) =
        zone.run("readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 | grep -vc '^pipe:'");
    assert_eq!(out, "0\n");
}

fn it_is_all_inside(zone: &Zone) {
    let of = |pid: &str, name| std::fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap();
    for name in ["user", "mnt", "pid", "net", "uts", "ipc", "cgroup"] {
        let (out, _, _) = zone.run(&format!("readlink /proc/self/ns/{name}"));
        assert_eq!(out.trim(), of(&zone.init.to_string(), name).to_str().unwrap());
        assert_ne!(out.trim(), of("self", name).to_str().unwrap());
    }
    let (out, _, _) =
        zone.run("id -u; id -G; ps -o sid= -p $$ | tr -d ' '; echo $$; pwd; echo $A; env | wc -l");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!((lines[0], lines[1], lines[4], lines[5]), ("0", "0", "/", "b c"));
    assert_eq!(lines[2], lines[3], "it leads a session");
    let (entered, _ends) = zone.enter(None, shell("cat; exit 0")).unwrap();
    let members = std::fs::read_to_string(zone.cgroup_path.join("cgroup.procs")).unwrap();
    // A command before this one may still be on its way out.
    assert!(members.lines().count() >= 2, "both processes are in the zone's cgroup: {members}");
    entered.signal(Signal::TERM);
    assert_eq!(entered.wait().unwrap(), End::Killed(15));
}

fn privileges_are_those_of_the_zone(zone: &Zone) {
    let (out, _, _) =
        zone.run("grep -E '^(Cap|Seccomp:|SigBlk|SigIgn)' /proc/self/status; mkdir /tmp/x 2>&1");
    let value = |name: &str| {
        let line = out.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim_start_matches(':').trim(), 16).unwrap()
    };
    let kept = 1 | 1 << 5 | 1 << 22;
    for (name, expected) in
        [("CapBnd", kept), ("CapPrm", kept), ("CapEff", kept), ("CapInh", 0), ("CapAmb", 0), ("Seccomp", 2)]
    {
        assert_eq!(value(name), expected, "{name}: {out}");
    }
    assert_eq!((value("SigBlk"), value("SigIgn")), (0, 0));
    assert!(out.contains("Block device required"), "{out}");
    let mut plan =
        shell("id -u; id -G; grep -E '^Cap(Prm|Eff|Inh|Amb)' /proc/self/status; echo x >/dev/stderr");
    (plan.uid, plan.gid, plan.groups) = (1000, 1001, vec![1001, 50]);
    let (out, err, _) = drain(zone.enter(None, plan).unwrap());
    assert!(out.starts_with("1000\n1001 50\n"), "{out}");
    assert!(out.lines().skip(2).all(|line| line.ends_with("0000000000000000")), "{out}");
    assert_eq!(err, "x\n", "the pipes belong to the user");
}

fn a_terminal_is_the_zones_own(zone: &Zone) {
    let size = rustix::termios::Winsize { ws_row: 33, ws_col: 99, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = Terminal { settings: None, size: Some(size) };
    let (entered, ends) =
        zone.enter(Some(terminal), shell("tty; stty size; ps -o tty= -p $$; read x; exit 3")).unwrap();
    let Ends::Terminal { manager, name } = &ends else { panic!("{ends:?}") };
    assert!(name.starts_with("pts/"), "{name}");
    let seen = expect(manager, "33 99\r\n");
    assert!(seen.contains(&format!("/dev/{name}\r\n")), "{seen}");
    // What ps says may have come with what was said before.
    if !seen.split_once("33 99\r\n").is_some_and(|(_, rest)| rest.contains(name.as_str())) {
        expect(manager, name);
    }
    rustix::io::write(manager, b"\n").unwrap();
    assert_eq!(entered.wait().unwrap(), End::Exited(3));
    // ^C reaches the command as a terminal's does: no shell, which may lose one while it forks.
    let cat = Plan { program: "cat".into(), name: "cat".into(), args: vec![], ..shell("") };
    let (entered, ends) = zone.enter(Some(Terminal::default()), cat).unwrap();
    let Ends::Terminal { manager, .. } = &ends else { panic!("{ends:?}") };
    rustix::io::write(manager, b"go\n").unwrap();
    expect(manager, "go\r\ngo\r\n");
    rustix::io::write(manager, &[3]).unwrap();
    assert_eq!(entered.wait().unwrap(), End::Killed(2));
}

fn failures_are_told(zone: &Zone) {
    let nowhere = Plan { program: "/no/such".into(), ..shell("") };
    let error = zone.enter(None, nowhere).unwrap_err();
    assert_eq!(error.to_string(), "could not execute '/no/such'");
    assert!(matches!(error, EnterError::Execute { source: rustix::io::Errno::NOENT, .. }));
    let directory = Plan { program: "/etc".into(), ..shell("") };
    let error = zone.enter(None, directory).unwrap_err();
    assert!(matches!(error, EnterError::Execute { source: rustix::io::Errno::ACCESS, .. }), "{error:?}");
    let kept_out = |named| {
        let (directory, groups) = ("/proc/1/fd".into(), vec![1000]);
        Plan { uid: 1000, gid: 1000, groups, directory, named, ..shell("pwd") }
    };
    let error = zone.enter(None, kept_out(true)).unwrap_err();
    assert_eq!(error.to_string(), "could not enter the directory '/proc/1/fd'");
    assert!(matches!(error, EnterError::Directory { source: rustix::io::Errno::ACCESS, .. }), "{error:?}");
    let (out, _, _) = drain(zone.enter(None, kept_out(false)).unwrap());
    assert_eq!(out, "/\n", "a home is not asked for");
    let error = zone.enter_with(None, &|| Err("no user".into())).unwrap_err();
    assert_eq!(error.to_string(), "no user");
    let error = zone.enter_with(None, &|| panic!("in the zone")).unwrap_err();
    assert!(matches!(error, EnterError::Gone));
    let none = std::fs::read_to_string(zone.cgroup_path.join("cgroup.procs")).unwrap();
    assert_eq!(none, "", "nothing is left of an attempt");
}

fn long_arguments_are_no_obstacle(zone: &Zone) {
    let long = "x".repeat(100_000);
    let mut plan = shell("printf '%s|' \"$@\"");
    plan.args.extend(["sh", "a b", "$c", "", "\"'", &long].map(OsString::from));
    let (out, _, _) = drain(zone.enter(None, plan).unwrap());
    assert_eq!(out, format!("a b|$c||\"'|{long}|"));
}

/// Like systemd in the zone does: the zone's own cgroup may have no processes any more.
fn a_cgroup_with_controllers_below_has_a_leaf(zone: &Zone) {
    let controllers = std::fs::read_to_string(zone.cgroup_path.join("cgroup.controllers")).unwrap();
    let Some(first) = controllers.split_whitespace().next() else {
        println!("    (cgroup2 has no controllers here: nothing to refuse)");
        return;
    };
    std::fs::write(zone.cgroup_path.join("cgroup.subtree_control"), format!("+{first}")).unwrap();
    let (out, _, _) = zone.run("echo in");
    assert_eq!(out, "in\n");
}

/// Last: it ends the zone.
fn a_zone_that_goes_down_takes_the_command_with_it(zone: &Zone) {
    let (entered, _ends) = zone.enter(None, shell("sleep 1000")).unwrap();
    rustix::process::pidfd_send_signal(&zone.pidfd, Signal::KILL).unwrap();
    assert_eq!(entered.wait().unwrap(), End::Killed(9));
    let error = zone.enter(None, shell("echo")).unwrap_err();
    assert!(matches!(error, EnterError::Inside { .. } | EnterError::Gone), "{error:?}");
}

type Test = (&'static str, fn(&Zone));

macro_rules! named {
    ($test:ident) => {
        (stringify!($test), $test)
    };
}

fn main() {
    // This is a program and not a list of functions: the process must have one thread. Runners that ask
    // are told of one test.
    if std::env::args().any(|word| word == "--list") {
        if !std::env::args().any(|word| word == "--ignored") {
            println!("enter: test");
        }
        return;
    }
    let zone = Zone::new();
    let tests: [Test; 10] = [
        named!(streams_are_separate_and_the_status_is_passed_on),
        named!(input_is_binary_clean),
        named!(nothing_of_the_hosts_is_there),
        named!(it_is_all_inside),
        named!(privileges_are_those_of_the_zone),
        named!(a_terminal_is_the_zones_own),
        named!(failures_are_told),
        named!(long_arguments_are_no_obstacle),
        named!(a_cgroup_with_controllers_below_has_a_leaf),
        named!(a_zone_that_goes_down_takes_the_command_with_it),
    ];
    for (name, test) in tests {
        test(&zone);
        println!("test {name} ... ok");
    }
}

//! What the kernel counts for each user is counted for a zone's own ids: a zone that uses up all it may have takes
//! nothing from the host's root, nor from another zone.

use crate::harness::{Command, Lab, Running, Zone, cases, skip, until};
use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

cases![
    the_user_namespace_belongs_to_the_zones_root,
    inotify_instances,
    inotify_watches,
    no_root_of_a_zone_raises_what_it_may_have,
    fanotify_groups,
    pending_signals_and_timers,
    message_queues,
    locked_memory,
    keys_and_their_users,
    nobody_in_a_zone_makes_keys,
    what_one_zone_takes_another_has,
    the_caller_of_a_boot_decides_no_total,
];

const PYTHON: &str = "/usr/bin/python3";

/// Helpers of the scripts below. `take(what)` repeats a call until it fails and gives how often it worked.
const PRELUDE: &str = "
import ctypes, os, signal, sys, time
c = ctypes.CDLL(None, use_errno=True)
kept = []
def take(what, most=5000):
    for n in range(most):
        got = what()
        if got < 0: return n
        kept.append(got)
    return most
def inotify(): return c.inotify_init1(0)
def fanotify(): return c.fanotify_init(0x200, 0)
queues = 0
def queue():
    global queues
    queues += 1
    attr = (ctypes.c_long * 8)(0, 10, 8192)
    return c.mq_open(('/%s-%d-%d' % (sys.argv[1], os.getpid(), queues)).encode(), os.O_CREAT | os.O_RDWR, 0o600, attr)
segments = []
def give_back():
    for n in range(1, queues + 1): c.mq_unlink(('/%s-%d-%d' % (sys.argv[1], os.getpid(), n)).encode())
    for made in segments: c.shmctl(made, 0, None)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])
def queued(): return c.sigqueue(os.getpid(), int(signal.SIGRTMIN), None)
def timer(): return c.timer_create(1, None, ctypes.byref(ctypes.c_void_p()))
def lock():
    made = c.shmget(0, 1 << 20, 0o1600)
    if made < 0: return -1
    segments.append(made)
    return c.shmctl(made, 11, None)
";

/// What a script in a zone has taken and keeps.
struct Taken {
    running: Running,
    file: PathBuf,
    count: usize,
}

impl Taken {
    /// Has it given back.
    fn returned(self) {
        fs::remove_file(&self.file).unwrap_or_else(|e| panic!("{e}"));
        self.running.wait().ok();
    }
}

/// Runs a script in the zone that takes something, says how much, and keeps it for as long as its file is there.
fn takes(zone: &Zone<'_>, what: &str) -> Taken {
    need_python();
    let file = zone.file("/taken");
    let script = format!(
        "{PRELUDE}
n = {what}
open('/taken.new', 'w').write(str(n)); os.rename('/taken.new', '/taken')
while os.path.exists('/taken'): time.sleep(0.05)
give_back()"
    );
    let running = zone.zlogin_command([PYTHON, "-c", &script, "zone"]).start();
    let count = until("the zone has taken what it can", || fs::read_to_string(&file).ok()?.parse().ok());
    Taken { running, file, count }
}

/// How often a call works on the host, where it is given back at once.
fn host_can(what: &str) -> usize {
    need_python();
    let script = format!("{PRELUDE}\nprint({what})\ngive_back()");
    Command::new(PYTHON).args(["-c", &script, "host"]).run().ok().out().trim().parse().unwrap_or(0)
}

fn need_python() {
    if !Path::new(PYTHON).exists() {
        skip(format!("there is no {PYTHON}"));
    }
}

fn limit(path: &str) -> usize {
    fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// The signals that are queued for this user, and how many may be.
fn pending() -> (usize, usize) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigQ:")).unwrap_or_default();
    let (used, most) = line.trim().split_once('/').unwrap_or_default();
    (used.parse().unwrap_or(0), most.parse().unwrap_or(0))
}

fn the_user_namespace_belongs_to_the_zones_root(lab: &Lab) {
    let zone = lab.booted_sparse();
    let namespace = fs::File::open(format!("/proc/{}/ns/user", zone.status().pid1()));
    let namespace = namespace.unwrap_or_else(|e| panic!("{e}"));
    // NS_GET_OWNER_UID of ioctl_ns(2).
    let script = "import fcntl, struct, sys\nprint(struct.unpack('I', fcntl.ioctl(int(sys.argv[1]), 0xb704, bytes(4)))[0])";
    let number = namespace.as_raw_fd();
    rustix::io::fcntl_setfd(&namespace, rustix::io::FdFlags::empty()).unwrap_or_else(|e| panic!("{e}"));
    need_python();
    let owner = Command::new(PYTHON).args(["-c", script, &number.to_string()]).run().ok().out();
    let map = zone.zlogin(["cat", "/proc/self/uid_map"]).ok().out();
    assert_eq!(map.split_whitespace().nth(1), Some(owner.trim()), "the namespace's owner is its own root");
}

fn inotify_instances(lab: &Lab) {
    let most = limit("/proc/sys/fs/inotify/max_user_instances");
    let zone = lab.booted_sparse();
    let zone_has = takes(&zone, "take(inotify)");
    assert_eq!(zone_has.count, most, "a zone has as many as any user");
    assert!(host_can("take(inotify)") > 0, "the host's root has none left");
}

fn inotify_watches(lab: &Lab) {
    let (zone, other) = (lab.booted_sparse(), lab.sparse("other"));
    other.boot();
    // What the zone sets in its namespace bounds the zone and nobody else.
    zone.sh("echo 50 > /proc/sys/user/max_inotify_watches").ok();
    let script = "take(lambda: c.inotify_add_watch(c.inotify_init1(0), b'/', 2))";
    let zone_has = takes(&zone, script);
    assert!(zone_has.count <= 50, "{}", zone_has.count);
    let other_has = takes(&other, script);
    assert!(other_has.count > 50, "another zone has {} of its own", other_has.count);
    assert!(host_can(script) > 50, "the host's root has too few left");
}

/// What a namespace's own limits say counts only below what those say that it is in.
fn no_root_of_a_zone_raises_what_it_may_have(lab: &Lab) {
    let most = limit("/proc/sys/fs/inotify/max_user_instances");
    let zone = lab.booted_sparse();
    for name in ["max_inotify_instances", "max_inotify_watches", "max_user_namespaces", "max_ipc_namespaces"]
    {
        let host = || limit(&format!("/proc/sys/user/{name}"));
        let before = host();
        zone.sh(&format!("(echo 2000000 > /proc/sys/user/{name}) 2>/dev/null; true")).ok();
        assert_eq!(host(), before, "{name} is the host's");
    }
    let zone_has = takes(&zone, "take(inotify)");
    assert_eq!(zone_has.count, most, "no more than any user");
    let files = [
        "fs/inotify/max_user_instances",
        "fs/inotify/max_user_watches",
        "kernel/keys/maxkeys",
        "kernel/pid_max",
    ];
    let host = || files.map(|file| limit(&format!("/proc/sys/{file}")));
    let before = host();
    for file in files {
        zone.sh(&format!("(echo 999999 > /proc/sys/{file}) 2>/dev/null; true")).ok();
    }
    assert_eq!(host(), before, "the host's own");
}

fn fanotify_groups(lab: &Lab) {
    let most = limit("/proc/sys/fs/fanotify/max_user_groups");
    let (zone, other) = (lab.booted_sparse(), lab.sparse("other"));
    other.boot();
    let zone_has = takes(&zone, "take(fanotify)");
    let other_has = takes(&other, "take(fanotify)");
    assert_eq!((zone_has.count, other_has.count), (most, most));
    // Root of the host has no such limit in its own processes.
    assert!(host_can("take(fanotify)") > 0, "the host's root has none left");
}

fn pending_signals_and_timers(lab: &Lab) {
    let zone = lab.booted_sparse();
    for what in ["take(queued)", "take(timer)"] {
        let (before, most) = pending();
        let zone_has = takes(&zone, what);
        let taken = zone_has.count;
        assert!(taken >= most.min(5000), "{what} worked {taken} times");
        let (after, _) = pending();
        assert!(after < before + taken / 2, "{what}: {before} were queued for the host's root, now {after}");
        zone_has.returned();
    }
}

fn message_queues(lab: &Lab) {
    let zone = lab.booted_sparse();
    let zone_has = takes(&zone, "take(queue)");
    assert!(zone_has.count > 1, "{}", zone_has.count);
    assert!(host_can("take(queue)") > 0, "the host's root has no message queues left");
}

fn locked_memory(lab: &Lab) {
    let zone = lab.booted_sparse();
    let other = lab.sparse("other");
    other.boot();
    let zone_has = takes(&zone, "take(lock)");
    assert_eq!(zone_has.count, 8, "a zone may lock 8 MiB of shared memory");
    let other_has = takes(&other, "take(lock)");
    assert_eq!(other_has.count, 8, "and so may another beside it");
}

fn keys_and_their_users(lab: &Lab) {
    let zone = lab.booted_sparse();
    let map = zone.zlogin(["cat", "/proc/self/uid_map"]).ok().out();
    let base: u64 = map.split_whitespace().nth(1).and_then(|base| base.parse().ok()).unwrap_or(0);
    // The keyrings of logins and of init are in the account of the zone's root.
    let users = fs::read_to_string("/proc/key-users").unwrap_or_else(|e| panic!("{e}"));
    let own = users.lines().find(|line| line.trim_start().starts_with(&format!("{base}:")));
    assert!(own.is_some(), "{base} owns no key:\n{users}");
}

/// The kernel has one quota of keys for a user id, and no zone has that of another; but what keys are made of has had many faults.
fn nobody_in_a_zone_makes_keys(lab: &Lab) {
    for (name, script) in [("web", "set nesting=false"), ("nests", "set nesting=true")] {
        let zone = lab.sparse_with(name, script);
        zone.boot();
        // add_key(2) and keyctl(2) by number; x86-64 and the others that zones run on.
        let add = "take(lambda: c.syscall({'x86_64': 248}.get(os.uname().machine, 217), b'user', b'k%d' % len(kept), b'x' * 100, 100, -3))";
        let zone_has = takes(&zone, add);
        assert_eq!(zone_has.count, 0, "{name}");
        zone_has.returned();
    }
}

fn what_one_zone_takes_another_has(lab: &Lab) {
    let most = limit("/proc/sys/fs/inotify/max_user_instances");
    let (zone, other) = (lab.booted_sparse(), lab.sparse("other"));
    other.boot();
    let zone_has = takes(&zone, "take(inotify)");
    let other_has = takes(&other, "take(inotify)");
    assert_eq!((zone_has.count, other_has.count), (most, most));
}

fn the_caller_of_a_boot_decides_no_total(lab: &Lab) {
    let (zone, other) = (lab.booted_sparse(), lab.sparse("other"));
    // Soft limits: hard ones could not be raised again where the host gives its root no CAP_SYS_RESOURCE.
    // What makes a user namespace hands its limits on to all in it together (namespaces.7 has no word of that; the
    // kernel's set_userns_rlimit_max).
    let script =
        "ulimit -S -u 20; ulimit -S -i 30; ulimit -S -q 40000; ulimit -S -l 100; exec \"$0\" -z other boot";
    Command::new("/bin/bash")
        .args(["-c", script])
        .args([lab.program("zoneadm")])
        .env("ZONES_ROOT", lab.root())
        .run()
        .ok();
    let limits = |zone: &Zone<'_>| zone.zlogin(["cat", "/proc/1/limits"]).ok().out();
    assert_eq!(limits(&zone), limits(&other));
    let all = |zone: &Zone<'_>| {
        ["take(queued)", "take(queue)", "take(lock)"].map(|what| {
            let taken = takes(zone, what);
            let count = taken.count;
            taken.returned();
            count
        })
    };
    assert_eq!(all(&zone), all(&other));
    other.sh("for i in $(seq 40); do sleep 1 & done; wait").ok();
}

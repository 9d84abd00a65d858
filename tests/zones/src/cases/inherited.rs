//! What a zone and a login have of whoever typed the command: nothing.

use crate::harness::{Command, Lab, Ran, Zone, cases, proc_status, until};
use std::collections::BTreeMap;
use std::fs;

cases![
    a_boot_takes_nothing_from_its_caller: 120,
    a_login_takes_nothing_from_its_caller,
    a_limit_that_cannot_be_raised_is_said_at_once,
    no_new_privs_is_refused,
];

/// Changes all that a process inherits, as a shell's user could; what else it runs is in `$@`.
const SPOILT: &str = "ulimit -S -n 64; ulimit -S -f 100; ulimit -S -c unlimited; ulimit -S -s 4096; \
    ulimit -S -i 100 2>/dev/null; ulimit -S -l 16; ulimit -S -u 500; umask 077; trap '' HUP INT QUIT TERM USR1 PIPE; \
    echo 77777 > /proc/$$/timerslack_ns; echo 300 > /proc/$$/oom_score_adj; \
    export SECRET=42 LD_PRELOAD= HOME=/nowhere; exec setarch -R ";

/// And its scheduling, in two ways that exclude each other.
const SCHEDULED: [&str; 2] = [
    "chrt --fifo 5 ionice -c 1 -n 0 taskset 1 \"$@\"",
    "nice -n 7 chrt --batch 0 ionice -c 3 taskset 1 \"$@\"",
];

/// `command` run by a caller who has changed everything.
fn spoilt(scheduled: &str, command: &[&str], lab: &Lab) -> Command {
    let script = format!("{SPOILT}{scheduled}");
    let program = lab.program(command[0]);
    Command::new("/bin/bash")
        .args(["-c", &script, "sh"])
        .args([program])
        .args(&command[1..])
        .env("ZONES_ROOT", lab.root())
}

/// All that a process has inherited, or was given, by name: as the host sees it.
fn seen(pid: i32) -> BTreeMap<String, String> {
    let read =
        |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_else(|e| e.to_string());
    let mut all = BTreeMap::new();
    for line in read("limits").lines().skip(1) {
        let (name, values) = line.split_at(26);
        all.insert(name.trim().to_owned(), values.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    let stat = read("stat");
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    for (name, at) in [("nice", 16), ("real-time priority", 37), ("policy", 38)] {
        all.insert(name.to_owned(), fields.get(at).copied().unwrap_or("?").to_owned());
    }
    for name in ["Umask", "SigBlk", "SigIgn", "Cpus_allowed", "THP_enabled"] {
        all.insert(name.to_owned(), proc_status(pid, name).unwrap_or_default());
    }
    for name in ["oom_score_adj", "timerslack_ns", "personality"] {
        all.insert(name.to_owned(), read(name).trim().to_owned());
    }
    let ionice = Command::new("ionice").args(["-p", &pid.to_string()]).run().out();
    all.insert("ionice".to_owned(), ionice.trim().to_owned());
    let environ = read("environ");
    // Which zone it is tells nothing of the caller.
    let mut environment: Vec<_> =
        environ.split('\0').filter(|word| !word.starts_with("container_uuid=")).map(str::to_owned).collect();
    environment.sort();
    all.insert("environment".to_owned(), environment.join(" "));
    all
}

/// What is the same on every host.
fn is_fixed(all: &BTreeMap<String, String>, who: &str) {
    let hard = |name: &str| all[name].split(' ').nth(1).unwrap_or_default().to_owned();
    assert_eq!(all["Max open files"].split(' ').next(), Some("1024"), "{who}");
    assert!(hard("Max open files").parse::<u64>().is_ok_and(|files| files >= 1024), "{who}: {all:?}");
    assert_eq!(all["Max stack size"].split(' ').next(), Some("8388608"), "{who}");
    for (name, value) in [
        ("Max file size", "unlimited unlimited bytes"),
        ("Max cpu time", "unlimited unlimited seconds"),
        ("Max nice priority", "0 0"),
        ("Max realtime priority", "0 0"),
        ("nice", "0"),
        ("policy", "0"),
        ("timerslack_ns", "50000"),
        ("personality", "00000000"),
        ("SigBlk", "0000000000000000"),
    ] {
        assert_eq!(all[name], value, "{who}: {name}");
    }
    assert!(all["ionice"].starts_with("none"), "{who}: {all:?}");
}

fn parent(pid: i32) -> i32 {
    proc_status(pid, "PPid").and_then(|pid| pid.parse().ok()).unwrap_or_else(|| panic!("{pid} has no parent"))
}

/// The daemon, zsched, and the zone's first process.
fn everybody(zone: &Zone<'_>) -> [(&'static str, BTreeMap<String, String>); 3] {
    let first = zone.status().pid1();
    let daemon = zone.daemon().unwrap_or_else(|| panic!("no daemon"));
    [("init", seen(first)), ("zsched", seen(parent(first))), ("zoneadmd", seen(daemon))]
}

fn a_boot_takes_nothing_from_its_caller(lab: &Lab) {
    let plain = lab.tiny("plain", "echo up > /up; while :; do busybox sleep 1000; done");
    plain.boot();
    let _ = plain.written("/up");
    let expected = everybody(&plain);
    let (_, init) = &expected[0];
    is_fixed(init, "init");
    assert_eq!(init["oom_score_adj"], "0");
    for (number, scheduled) in SCHEDULED.into_iter().enumerate() {
        let name = format!("spoilt{number}");
        let zone = lab.tiny(&name, "echo up > /up; while :; do busybox sleep 1000; done");
        spoilt(scheduled, &["zoneadm", "-z", &name, "boot"], lab).run().ok().quiet();
        let _ = zone.written("/up");
        for ((who, is), (_, wanted)) in everybody(&zone).iter().zip(&expected) {
            let differs: Vec<_> = is
                .iter()
                .filter(|(name, value)| wanted[*name] != **value)
                .map(|(name, value)| format!("{name}: {value}, not {}", wanted[name]))
                .collect();
            assert!(differs.is_empty(), "{who} has of its caller's ({scheduled}): {differs:#?}");
        }
    }
}

fn a_login_takes_nothing_from_its_caller(lab: &Lab) {
    let zone = lab.booted_sparse();
    let of_login = |command: Command, marker: &str| {
        let running = command.start();
        let wanted = format!("sleep\0{marker}\0");
        let pid = until("the command runs in the zone", || {
            fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
                let pid = entry.file_name().to_string_lossy().parse::<i32>().ok()?;
                let line = fs::read_to_string(entry.path().join("cmdline")).ok()?;
                (line == wanted).then_some(pid)
            })
        });
        let all = seen(pid);
        let _ = zone.sh(&format!("pkill -f 'sleep {marker}' || kill $(pidof sleep)"));
        let _ = running.wait();
        all
    };
    let expected = of_login(zone.zlogin_command(["sleep", "41001"]), "41001");
    is_fixed(&expected, "login");
    assert_eq!(expected["oom_score_adj"], "0");
    assert_eq!(expected["Umask"], "0022");
    assert_eq!(expected["SigIgn"], "0000000000000000");
    for (scheduled, marker) in SCHEDULED.into_iter().zip(["41002", "41003"]) {
        let all = of_login(spoilt(scheduled, &["zlogin", "web", "sleep", marker], lab), marker);
        assert_eq!(all, expected, "a login has of its caller's ({scheduled})");
    }
}

/// `program` run by a caller who has lowered a limit for good.
fn limited(lab: &Lab, limit: &str, program: &str, args: &[&str]) -> Ran {
    let script = format!("ulimit {limit}; exec \"$0\" \"$@\"");
    let command = Command::new("/bin/bash").args(["-c", &script]).args([lab.program(program)]).args(args);
    command.env("ZONES_ROOT", lab.root()).run()
}

/// Whether this machine lets root raise limits (CAP_SYS_RESOURCE, the 24th).
fn limits_can_be_raised() -> bool {
    let own = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = own.lines().find_map(|line| line.strip_prefix("CapEff:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).is_some_and(|set| set & 1 << 24 != 0)
}

fn a_limit_that_cannot_be_raised_is_said_at_once(lab: &Lab) {
    let zone = lab.sparse("web");
    for (limit, name) in [("-n 64", "RLIMIT_NOFILE"), ("-f 100", "RLIMIT_FSIZE"), ("-t 500", "RLIMIT_CPU")] {
        let booted = limited(lab, limit, "zoneadm", &["-z", "web", "boot"]);
        if limits_can_be_raised() {
            booted.ok().quiet();
            zone.halt();
        } else {
            booted.refuses().stderr_has(name).stderr_has("CAP_SYS_RESOURCE");
            zone.is("installed");
        }
    }
    zone.boot();
    for (limit, name) in [("-n 64", "RLIMIT_NOFILE"), ("-f 100", "RLIMIT_FSIZE")] {
        let entered = limited(lab, limit, "zlogin", &["web", "true"]);
        if limits_can_be_raised() {
            entered.ok()
        } else {
            entered.refuses().stderr_has(name)
        };
    }
}

fn no_new_privs_is_refused(lab: &Lab) {
    let zone = lab.sparse("web");
    let with = |args: &[&str]| {
        let command = Command::new("setpriv").args(["--no-new-privs"]).args([lab.program(args[0])]);
        command.args(&args[1..]).env("ZONES_ROOT", lab.root()).run()
    };
    with(&["zoneadm", "-z", "web", "boot"]).refuses().stderr_has("no_new_privs");
    zone.is("installed");
    zone.boot();
    with(&["zlogin", "web", "true"]).refuses().stderr_has("no_new_privs");
}

//! What a zone is made of, read from inside it and from outside.

use super::zlogin::cgroup_of;
use crate::harness::{Lab, Zone, cases, proc_status, until};
use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

cases![
    users_are_mapped_to_a_range_of_the_zones_own,
    two_zones_share_no_id,
    every_namespace_is_its_own,
    loopback_is_up_and_there_is_nothing_else,
    capabilities_are_bounded,
    a_seccomp_filter_is_on,
    dangerous_calls_are_refused,
    proc_and_sys_are_masked,
    devices_are_few,
    nothing_is_leaked_into_the_zone,
    files_keep_ordinary_owners,
    the_cgroup_is_delegated,
    a_cgroup_whose_name_is_no_text_goes_with_the_zone,
    zones_do_not_see_each_other,
    the_console_is_a_terminal,
    what_the_guest_is_told,
    limits_are_the_kernels_own,
];

/// The namespaces of a process: `kind:[inode]`.
fn namespaces(pid: &str) -> BTreeSet<String> {
    let kinds = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];
    let link = |kind: &str| {
        std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap_or_else(|e| panic!("{pid}: {e}"))
    };
    kinds.iter().map(|kind| link(kind).to_string_lossy().into_owned()).collect()
}

fn map_of(zone: &Zone<'_>) -> (u32, u32, u32) {
    let ran = zone.zlogin(["cat", "/proc/self/uid_map"]);
    let out = ran.ok().out();
    let numbers: Vec<u32> = out.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert_eq!(numbers.len(), 3, "the map has one line\n{ran}");
    (numbers[0], numbers[1], numbers[2])
}

fn users_are_mapped_to_a_range_of_the_zones_own(lab: &Lab) {
    let zone = lab.booted_sparse();
    let (inside, outside, length) = map_of(&zone);
    assert_eq!((inside, length), (0, 65_536));
    assert!(outside >= 65_536, "root inside is {outside} outside");
    let gids = zone.zlogin(["cat", "/proc/self/gid_map"]);
    assert_eq!(gids.ok().out(), zone.zlogin(["cat", "/proc/self/uid_map"]).out());
    let uids = proc_status(zone.status().pid1(), "Uid").unwrap_or_default();
    assert_eq!(
        uids.split_whitespace().next(),
        Some(outside.to_string().as_str()),
        "PID 1 is no root out here"
    );
    zone.halt();
    zone.boot();
    assert_eq!(map_of(&zone).1, outside, "the range is the zone's for good");
}

fn two_zones_share_no_id(lab: &Lab) {
    let one = lab.booted_sparse();
    let other = lab.sparse("other");
    other.boot();
    let (a, b) = (map_of(&one).1, map_of(&other).1);
    assert!(a.abs_diff(b) >= 65_536, "{a} and {b} overlap");
}

fn every_namespace_is_its_own(lab: &Lab) {
    let one = lab.booted_sparse();
    let other = lab.sparse("other");
    other.boot();
    let sets = [
        namespaces(&one.status().pid1().to_string()),
        namespaces(&other.status().pid1().to_string()),
        namespaces("self"),
    ];
    let all: BTreeSet<_> = sets.iter().flatten().collect();
    assert_eq!(all.len(), 21, "seven namespaces each, none shared: {sets:?}");
}

fn loopback_is_up_and_there_is_nothing_else(lab: &Lab) {
    let zone = lab.booted_sparse();
    let ran = zone.sh("ls /sys/class/net; cat /sys/class/net/lo/flags");
    ran.ok().stdout_has("0x9\n");
    let links: Vec<_> =
        std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten().map(|e| e.file_name()).collect();
    for link in links.iter().filter(|link| *link != "lo") {
        assert!(!ran.out().lines().any(|line| link == line), "the host's {link:?} is in the zone\n{ran}");
    }
}

fn capabilities_are_bounded(lab: &Lab) {
    let zone = lab.booted_sparse();
    let status = zone.zlogin(["cat", "/proc/1/status"]);
    let out = status.ok().out();
    let field = |name: &str| {
        let line = out.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
            .unwrap_or_else(|| panic!("{name}\n{status}"))
    };
    let bounding = field("CapBnd:");
    assert_eq!(field("CapEff:") & !bounding, 0);
    // linux/capability.h: what no zone may have, whatever its user namespace says.
    for (name, bit) in
        [("sys_module", 16), ("sys_rawio", 17), ("sys_time", 25), ("mac_admin", 33), ("syslog", 34)]
    {
        assert_eq!(bounding & (1 << bit), 0, "cap_{name} is in the bounding set {bounding:#x}");
    }
    for (name, bit) in [
        ("chown", 0),
        ("setuid", 7),
        ("kill", 5),
        ("net_bind_service", 10),
        ("sys_admin", 21),
        ("sys_boot", 22),
    ] {
        assert_ne!(bounding & (1 << bit), 0, "cap_{name} is not in the bounding set {bounding:#x}");
    }
    let login = zone.zlogin(["cat", "/proc/self/status"]);
    let line = out.lines().find(|line| line.starts_with("CapBnd:")).unwrap_or_default();
    login.ok().stdout_has(line);
}

fn a_seccomp_filter_is_on(lab: &Lab) {
    let zone = lab.booted_sparse();
    for process in ["1", "self"] {
        let ran = zone.zlogin(["cat", &format!("/proc/{process}/status")]);
        ran.ok().stdout_has("Seccomp:\t2\n");
    }
}

fn dangerous_calls_are_refused(lab: &Lab) {
    let zone = lab.booted_sparse();
    for attempt in [
        "mount -t ext4 /dev/zero /mnt",
        "mknod /root/disk b 254 0",
        "echo b > /proc/sysrq-trigger",
        "echo 1 > /proc/sys/kernel/panic",
        "echo x > /proc/sys/kernel/core_pattern",
        "dmesg -C",
        "swapon /etc/hostname",
        "insmod /etc/hostname",
        "hwclock --systohc",
        "date -s 2001-01-01",
        // Not there, or without a byte.
        "cat /proc/kcore | grep -q ''",
        "chroot /proc/1/root true && nsenter -t 1 -m true && test -e /work",
    ] {
        let ran = zone.sh(attempt);
        assert!(ran.code() != Some(0), "must not be possible inside a zone\n{ran}");
    }
}

fn proc_and_sys_are_masked(lab: &Lab) {
    let zone = lab.booted_sparse();
    for path in ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/sys/firmware"] {
        if Path::new(path).exists() {
            let ran = zone.sh(&format!("test -d {path} && ls -A {path} || cat {path}"));
            assert!(ran.out().is_empty(), "{path} shows something\n{ran}");
        }
    }
    for path in ["/proc/sys", "/proc/irq", "/proc/bus", "/sys"] {
        let ran =
            zone.sh(&format!("find {path} -xdev -maxdepth 3 -type f -writable 2>/dev/null | head -200"));
        for file in ran.out().lines() {
            let harmless = [
                "/proc/sys/net/",
                "/proc/sys/kernel/",
                "/proc/sys/fs/mqueue/",
                "/proc/sys/user/",
                "/sys/fs/cgroup",
            ];
            assert!(harmless.iter().any(|place| file.starts_with(place)), "{file} is writable\n{ran}");
        }
    }
}

fn devices_are_few(lab: &Lab) {
    let zone = lab.booted_sparse();
    let ran = zone
        .sh("cd /dev && find . ! -type d ! -path './pts/*' ! -path './shm/*' ! -path './mqueue/*' | sort");
    let wanted = [
        "console", "fd", "full", "null", "ptmx", "random", "stderr", "stdin", "stdout", "tty", "urandom",
        "zero",
    ];
    let out = ran.ok().out();
    let there: BTreeSet<&str> = out.lines().map(|line| line.trim_start_matches("./")).collect();
    for name in wanted {
        assert!(there.contains(name), "/dev/{name} is missing\n{ran}");
    }
    let nodes = zone.sh("find /dev -type b -o -type c | wc -l");
    let count: usize = nodes.ok().out().trim().parse().unwrap_or(usize::MAX);
    assert!(count <= 12, "{count} device nodes\n{}", zone.sh("find /dev -type b -o -type c").out());
    zone.sh("echo x > /dev/null && head -c 4 /dev/zero | od -An -tx1").ok().stdout_has("00 00 00 00");
    zone.sh("head -c 8 /dev/urandom | wc -c").ok().stdout_is("8\n");
    zone.sh("test -c /dev/pts/ptmx -o -c /dev/ptmx").ok();
}

fn nothing_is_leaked_into_the_zone(lab: &Lab) {
    let zone = lab.tiny("web", "exec sleep 2147483647");
    zone.boot();
    let pid = zone.status().pid1();
    until("init sleeps", || {
        let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.starts_with("sleep").then_some(())
    });
    let fds: BTreeSet<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|fd| fd.file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(fds, ["0", "1", "2"].map(String::from).into(), "PID 1 has its console and nothing else");
    let mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    let root = lab.root();
    let places: Vec<&str> = mounts.lines().filter_map(|line| line.split(' ').nth(4)).collect();
    assert!(
        !places.iter().any(|place| place.contains(&*root.to_string_lossy())),
        "the host's tree shows:\n{mounts}"
    );
    let hung = places.iter().filter(|place| {
        !["/", "/dev", "/proc", "/sys", "/run", "/tmp"]
            .iter()
            .any(|top| *place == top || place.starts_with(&format!("{}/", top.trim_end_matches('/'))))
    });
    assert_eq!(hung.count(), 0, "{mounts}");
    let login = zone.zlogin(["/bin/sh", "-c", "ls /proc/self/fd | wc -l"]);
    login.ok().stdout_is("4\n");
}

fn files_keep_ordinary_owners(lab: &Lab) {
    use std::os::unix::fs::MetadataExt;
    let zone = lab.booted_sparse();
    zone.sh("touch /root/mine; touch /root/daemons; chown 1:1 /root/daemons").ok();
    let owner = |path: &str| std::fs::metadata(zone.file(path)).map(|meta| meta.uid()).unwrap_or(u32::MAX);
    assert_eq!(
        (owner("/root/mine"), owner("/root/daemons")),
        (0, 1),
        "owners on disk are the zone's own numbers"
    );
}

fn the_cgroup_is_delegated(lab: &Lab) {
    let zone = lab.booted_sparse();
    let info = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    if !info.contains(" - cgroup2 ") {
        crate::harness::skip("this host has no cgroup v2");
    }
    zone.sh("mkdir /sys/fs/cgroup/mine && rmdir /sys/fs/cgroup/mine").ok();
    zone.zlogin(["cat", "/proc/self/cgroup"]).ok().stdout_has("0::/");
    let place = std::fs::read_to_string(format!("/proc/{}/cgroup", zone.status().pid1())).unwrap_or_default();
    let place = place.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
    assert!(place.contains("web"), "the zone's processes are in a cgroup of the zone's: {place}");
    for helper in [zone.keeper(), zone.daemon().unwrap_or_default()] {
        let own = std::fs::read_to_string(format!("/proc/{helper}/cgroup")).unwrap_or_default();
        assert!(
            !own.lines().any(|line| line.strip_prefix("0::").is_some_and(|p| p.starts_with(place))),
            "{own}"
        );
    }
}

fn a_cgroup_whose_name_is_no_text_goes_with_the_zone(lab: &Lab) {
    let zone = lab.booted_sparse();
    let info = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    if !info.contains(" - cgroup2 ") {
        crate::harness::skip("this host has no cgroup v2");
    }
    let make = r#"at=$(printf '/sys/fs/cgroup/\377'); mkdir -p "$at/below" && echo $$ > "$at/below/cgroup.procs" && exec sleep 1000"#;
    let process = zone.zlogin_command(["sh", "-c", make]).start();
    let place = cgroup_of(&zone);
    until("a process is in it", || {
        let name = std::ffi::OsStr::from_bytes(b"\xff");
        let inside = std::fs::read_to_string(place.join(name).join("below/cgroup.procs")).ok()?;
        (!inside.is_empty()).then_some(())
    });
    zone.zoneadm(["ps"]).ok().stdout_has("sleep 1000");
    zone.zoneadm(["reboot"]).ok();
    let _ = process.wait();
    zone.sh(r#"mkdir "$(printf '/sys/fs/cgroup/\376')""#).ok();
    zone.halt();
    assert!(!place.exists(), "{} is left", place.display());
    zone.zoneadm(["uninstall", "-F"]).ok();
}

fn zones_do_not_see_each_other(lab: &Lab) {
    let one = lab.booted_sparse();
    let other = lab.sparse("other");
    other.boot();
    let sleeper = other.zlogin_command(["sleep", "987654"]).start();
    until("the sleeper runs", || {
        (other.sh("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '").out().contains("987654"))
            .then_some(())
    });
    let seen = one.sh("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '");
    assert!(!seen.out().contains("987654"), "{seen}");
    other.zoneadm(["halt"]).ok();
    let ran = sleeper.wait();
    assert!(ran.code() != Some(0), "a login ends with its zone\n{ran}");
}

fn the_console_is_a_terminal(lab: &Lab) {
    let zone = lab.tiny(
        "web",
        "test -t 0 && test -t 1 && test -t 2 && echo yes > /tty || echo no > /tty; exec sleep 2147483647",
    );
    zone.boot();
    assert_eq!(zone.written("/tty"), "yes\n");
    zone.zlogin(["/bin/sh", "-c", "test -c /dev/console"]).ok();
}

fn what_the_guest_is_told(lab: &Lab) {
    let zone = lab.tiny("web", "env > /env; echo . >> /env; exec sleep 2147483647");
    zone.boot();
    let env = until("init wrote its environment", || {
        Some(zone.written("/env")).filter(|text| text.ends_with("\n.\n"))
    });
    for wanted in ["container=", "container_uuid=", "PATH=", "TERM="] {
        assert!(env.lines().any(|line| line.starts_with(wanted)), "{wanted} is missing in\n{env}");
    }
    let uuid = zone.status().uuid.unwrap_or_default();
    assert!(env.contains(&format!("container_uuid={uuid}")), "{env}");
}

fn limits_are_the_kernels_own(lab: &Lab) {
    let zone = lab.booted_sparse();
    // What the daemon was started with must not reach the zone: here a limit of its starter.
    let other = lab.sparse("other");
    let program = lab.program("zoneadm");
    let script = "ulimit -S -n 64; exec \"$0\" -z other boot";
    let boot = crate::harness::Command::new("/bin/sh")
        .args(["-c", script])
        .args([program])
        .env("ZONES_ROOT", lab.root());
    boot.run().ok();
    let limits = |zone: &Zone<'_>| zone.zlogin(["cat", "/proc/1/limits"]).out();
    assert_eq!(limits(&zone), limits(&other));
}

//! What a zone's processes may do by `limitpriv` and `security-flags`, with the names of Solaris, and its host id.

use crate::harness::{Lab, Zone, cases};

cases![
    names_of_solaris_come_to_capabilities,
    what_has_no_meaning_is_said_once,
    the_three_ways_to_be_wrong,
    random_layouts_that_must_be_kept,
    flags_that_do_not_go_together,
    a_host_id_is_what_the_guest_reads,
];

/// The bounding set of a process of the zone.
#[track_caller]
fn bounding(zone: &Zone<'_>, pid: &str) -> u64 {
    let status = zone.sh(&format!("cat /proc/{pid}/status")).ok().out();
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).map(str::trim);
    u64::from_str_radix(line.unwrap_or_default(), 16).unwrap_or_else(|e| panic!("{e}: {status}"))
}

fn has(set: u64, number: u32) -> bool {
    set & 1 << number != 0
}

const KILL: u32 = 5;
const NET_BIND_SERVICE: u32 = 10;
const NET_RAW: u32 = 13;
const IPC_LOCK: u32 = 14;

fn names_of_solaris_come_to_capabilities(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let before = bounding(&zone, "1");
    assert!(has(before, NET_RAW) && has(before, NET_BIND_SERVICE) && !has(before, IPC_LOCK));
    let words = "default,!net_rawaccess,!net_privaddr,proc_lock_memory";
    zone.zonecfg(&format!("set limitpriv={words}")).ok();
    zone.zonecfg("info limitpriv").ok().stdout_is(&format!("limitpriv: {words}\n"));
    assert_eq!(bounding(&zone, "1"), before, "it has what it was booted with");
    zone.zoneadm(["reboot"]).ok();
    for pid in ["1", "self"] {
        let set = bounding(&zone, pid);
        assert!(!has(set, NET_RAW) && !has(set, NET_BIND_SERVICE) && has(set, IPC_LOCK) && has(set, KILL));
    }
}

fn what_has_no_meaning_is_said_once(lab: &Lab) {
    // What every book of Solaris says to set: for NTP, and for DTrace.
    let said = "limitpriv: sys_time, dtrace_proc, dtrace_user have no meaning on Linux";
    let zone = lab.zone("web");
    let script = "create; set brand=sparse; set limitpriv=default,sys_time,dtrace_proc,dtrace_user; commit; \
                  set autoboot=false; commit";
    let ran = zone.zonecfg(script);
    let kept =
        "without a meaning on Linux: limitpriv sys_time, limitpriv dtrace_proc, limitpriv dtrace_user\n";
    assert_eq!(ran.ok().err().matches(kept).count(), 1, "{ran}");
    zone.zoneadm(["install"]).ok();
    let ran = zone.zoneadm(["verify"]);
    assert_eq!(ran.ok().err().matches(said).count(), 1, "{ran}");
    zone.zoneadm(["boot"]).ok();
    zone.is("running");
}

fn the_three_ways_to_be_wrong(lab: &Lab) {
    for (words, said) in [
        (
            "default,dtrace_kernel",
            "privilege \"dtrace_kernel\" is not permitted within the zone's privilege set",
        ),
        ("default,sys_module", "privilege \"sys_module\" is not permitted within the zone's privilege set"),
        ("default,!proc_setid", "required privilege \"setgid\" is missing from the zone's privilege set"),
        ("default,proc_fly", "proc_fly"),
    ] {
        let zone = lab.zone("web");
        let ran = zone.zonecfg(&format!("create; set brand=sparse; set limitpriv={words}; verify"));
        ran.refuses().stderr_has(said);
        assert!(!lab.etc().join("zones/web.toml").exists(), "nothing is saved of it");
    }
}

/// Runs a program that turns random layouts off for itself and for what it executes.
fn turns_it_off(zone: &Zone<'_>) -> bool {
    zone.zlogin(["setarch", std::env::consts::ARCH, "-R", "true"]).code() == Some(0)
}

fn random_layouts_that_must_be_kept(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    assert!(turns_it_off(&zone), "whoever wants it may");
    let ran = zone.zonecfg("add security-flags; set default=aslr,forbidnullmap; set lower=aslr; end");
    ran.ok();
    assert!(!ran.err().contains("Linux has no"), "all of it is obeyed\n{ran}");
    zone.zoneadm(["reboot"]).ok();
    assert!(!turns_it_off(&zone));
    // Who asks only, and who wants another personality, may.
    zone.zlogin(["setarch", std::env::consts::ARCH, "-B", "true"]).ok();
    let ran = zone.zonecfg("select security-flags; set default=all; set lower=aslr,noexecstack; end");
    ran.ok().stderr_has("without a meaning on Linux: security-flags noexecstack");
    zone.zoneadm(["verify"]).ok().stderr_has("noexecstack is said by each program itself");
    // As the reference: a page at 0 is nobody's.
    let null = "cat /proc/sys/vm/mmap_min_addr";
    let least: u64 = zone.sh(null).ok().out().trim().parse().unwrap_or(0);
    assert!(least > 0, "the null page can be mapped on this host");
}

fn flags_that_do_not_go_together(lab: &Lab) {
    let zone = lab.configured("web", "set brand=sparse");
    for flags in ["set default=none; set lower=aslr", "set upper=noexecstack; set default=aslr"] {
        let ran = zone.zonecfg(&format!("add security-flags; {flags}; end; commit"));
        ran.refuses().stderr_has("security-flags violate invariants");
    }
    zone.zonecfg("add security-flags; set default=-aslr; end").refuses().stderr_has("allowed");
}

fn a_host_id_is_what_the_guest_reads(lab: &Lab) {
    let zone = lab.sparse_with("web", "set hostid=80f0c086");
    zone.boot();
    zone.zlogin(["hostid"]).ok().stdout_is("80f0c086\n");
    // It is the zone's file, and what the configuration says again at the next boot.
    zone.sh("rm /etc/hostid && ln -s /etc/passwd /etc/hostid").ok();
    zone.zoneadm(["reboot"]).ok();
    zone.zlogin(["hostid"]).ok().stdout_is("80f0c086\n");
    zone.zonecfg("set hostid=ffffffff").refuses().stderr_has("0 to fffffffe");
    // Sealed, where the zone cannot write its /etc.
    zone.zonecfg("set file-mac-profile=fixed-configuration; set hostid=7").ok();
    zone.zoneadm(["reboot"]).ok();
    zone.zlogin(["hostid"]).ok().stdout_is("00000007\n");
    zone.sh("rm /etc/hostid").stderr_has("Read-only file system");
}

//! Limits on a host whose controllers are bound to version 1. That they bind where they are version 2's is seen in a virtual
//! machine (tests/host/limits.sh).

use crate::harness::{Lab, cases, skip};
use std::fs;

cases![
    what_nothing_obeys_is_refused_by_name,
    what_goes_together_is_told_at_once,
    ipc_is_bounded_in_the_zones_own_namespace,
    each_process_can_lock_so_much_memory,
];

const LIMITS: [(&str, &str, &str); 5] = [
    ("add capped-memory; set physical=64M; end", "capped-memory.physical", "memory"),
    ("add capped-cpu; set ncpus=0.5; end", "capped-cpu.ncpus", "cpu"),
    ("set cpu-shares=200", "cpu-shares", "cpu"),
    ("set max-lwps=100", "max-lwps or max-processes", "pids"),
    ("set max-processes=100", "max-lwps or max-processes", "pids"),
];

fn what_nothing_obeys_is_refused_by_name(lab: &Lab) {
    let controllers = ["/sys/fs/cgroup/cgroup.controllers", "/sys/fs/cgroup/unified/cgroup.controllers"];
    let has = controllers.iter().find_map(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    let zone = lab.sparse("web");
    let mut tried = 0;
    for (set, property, controller) in LIMITS {
        if has.split_whitespace().any(|name| name == controller) {
            continue;
        }
        tried += 1;
        zone.zonecfg(set).ok();
        let said = format!("{property} needs the controller '{controller}' of cgroup version 2");
        zone.zoneadm(["verify"]).refuses().stderr_has(&said);
        zone.zoneadm(["boot"]).refuses().stderr_has(&said).stderr_has("systemd.unified_cgroup_hierarchy=1");
        zone.is("installed");
        let undo = match set.split_once(' ') {
            Some(("add", rest)) => format!("remove {}", rest.split(';').next().unwrap_or_default()),
            Some((_, rest)) => format!("clear {}", rest.split('=').next().unwrap_or_default()),
            None => continue,
        };
        zone.zonecfg(&undo).ok();
    }
    if tried == 0 {
        skip("all controllers of this host are version 2's");
    }
    zone.boot();
    zone.halt();
}

fn what_goes_together_is_told_at_once(lab: &Lab) {
    let zone = lab.configured("web", "set brand=sparse");
    zone.zonecfg("add capped-memory; end").refuses().stderr_has("not specified, and swap and locked neither");
    zone.zonecfg("add capped-memory; set physical=1G; set locked=2G; end")
        .refuses()
        .stderr_has("at most as much");
    zone.zonecfg("add capped-memory; set physical=64; end").refuses().stderr_has("from 1M, such as 512M");
    zone.zonecfg("add capped-cpu; set ncpus=1.234; end").refuses().stderr_has("such as 1.5");
    zone.zonecfg("set cpu-shares=0").refuses().stderr_has("from 1 to 10000");
    zone.zonecfg("add capped-cpu; set ncpus=1; end; add capped-cpu").refuses().stderr_has("capped-cpu");
}

/// These need no controller.
fn ipc_is_bounded_in_the_zones_own_namespace(lab: &Lab) {
    let host = |file: &str| fs::read_to_string(format!("/proc/sys/kernel/{file}")).unwrap_or_default();
    let before = ["shmall", "shmmni", "msgmni", "sem"].map(host);
    let zone = lab.sparse("web");
    zone.zonecfg("set max-shm-memory=1M; set max-shm-ids=2; set max-msg-ids=3; set max-sem-ids=4").ok();
    zone.boot();
    // As many as can be made, and 20 at most.
    let made = |most: &str, how: &str| {
        let one = format!("ipcmk {how} >/dev/null 2>&1");
        let all = format!("n=0; while [ $n -lt 20 ] && {one}; do n=$((n+1)); done; echo $n");
        zone.sh(&all).ok().stdout_is(&format!("{most}\n"));
    };
    made("3", "-Q");
    made("4", "-S 1");
    made("2", "-M 4096");
    zone.sh("ipcrm -a").ok();
    // All segments together, not each.
    zone.sh("ipcmk -M 700000").ok();
    zone.sh("ipcmk -M 700000").refuses().stderr_has("No space left");
    // Neither lifted nor left.
    for file in ["shmall", "shmmni", "msgmni", "sem"] {
        // Nor by taking away what could lie over it.
        let lift =
            format!("umount /proc/sys/kernel/{file} 2>/dev/null; echo 9 9 9 9 > /proc/sys/kernel/{file}");
        assert_ne!(zone.sh(&lift).code(), Some(0), "{file}");
    }
    zone.sh("unshare --ipc true").refuses().stderr_has("No space left");
    zone.halt();
    zone.zonecfg("clear max-shm-memory; clear max-shm-ids; clear max-msg-ids; clear max-sem-ids").ok();
    zone.boot();
    made("20", "-S 1");
    zone.sh("unshare --ipc true").ok();
    zone.halt();
    assert_eq!(["shmall", "shmmni", "msgmni", "sem"].map(host), before);
}

fn each_process_can_lock_so_much_memory(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.zonecfg("add capped-memory; set locked=3M; end").ok();
    let needed = rustix::thread::CapabilitySet::SYS_RESOURCE;
    if !rustix::thread::capabilities(None).is_ok_and(|held| held.effective.contains(needed)) {
        for verb in ["verify", "boot"] {
            zone.zoneadm([verb])
                .refuses()
                .stderr_has("capped-memory.locked needs the capability CAP_SYS_RESOURCE");
        }
        zone.is("installed");
        return;
    }
    zone.boot();
    let limits = "grep -h 'Max locked memory' /proc/1/limits /proc/self/limits | tr -s ' '";
    let line = "Max locked memory 3145728 3145728 bytes \n";
    zone.sh(limits).ok().stdout_is(&line.repeat(2));
    zone.sh("prlimit --memlock=4194304 true").refuses();
    zone.halt();
}

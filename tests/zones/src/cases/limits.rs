//! Limits on a host whose controllers are bound to version 1. That they bind where they are version 2's is seen in a virtual
//! machine (tests/host/limits.sh).

use crate::harness::{Lab, cases, skip};
use std::fs;

cases![what_nothing_obeys_is_refused_by_name, what_goes_together_is_told_at_once];

const LIMITS: [(&str, &str, &str); 4] = [
    ("add capped-memory; set physical=64M; end", "capped-memory.physical", "memory"),
    ("add capped-cpu; set ncpus=0.5; end", "capped-cpu.ncpus", "cpu"),
    ("set cpu-shares=200", "cpu-shares", "cpu"),
    ("set max-lwps=100", "max-lwps", "pids"),
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
            _ => format!("clear {property}"),
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
    zone.zonecfg("add capped-memory; end").refuses().stderr_has("not specified, and swap neither");
    zone.zonecfg("add capped-memory; set physical=64; end").refuses().stderr_has("from 1M, such as 512M");
    zone.zonecfg("add capped-cpu; set ncpus=1.234; end").refuses().stderr_has("such as 1.5");
    zone.zonecfg("set cpu-shares=0").refuses().stderr_has("from 1 to 10000");
    zone.zonecfg("add capped-cpu; set ncpus=1; end; add capped-cpu").refuses().stderr_has("capped-cpu");
}

//! The examples of the documents that have no subject of their own, run as they stand there. What wants controllers of cgroup
//! version 2 runs in virtual machines, too (tests/host/limits.sh, live.sh).

use crate::harness::{Command, Lab, cases, follow};

cases![devices: 600, limits: 300, live: 300, privileges: 300];

const DEVICES: &str = include_str!("../../../../docs/devices.md");
const LIMITS: &str = include_str!("../../../../docs/limits.md");
const LIVE: &str = include_str!("../../../../docs/live.md");
const PRIVILEGES: &str = include_str!("../../../../docs/privileges.md");

fn devices(lab: &Lab) {
    follow(lab, DEVICES, 5, &[]);
}

fn limits(lab: &Lab) {
    follow(lab, LIMITS, 3, &[]);
}

fn live(lab: &Lab) {
    follow(lab, LIVE, 2, &[]);
    let _ = Command::new("ip").args(["link", "delete", "br0"]).run();
}

/// A zone of an installed host has the programs, which it finds by their names. Here they are given to it.
fn privileges(lab: &Lab) {
    let programs = lab.program("zoneadm");
    let bin = programs.parent().unwrap_or(&programs).display().to_string();
    let given = format!(
        "set nesting=true; add fs; set dir=/opt/zones; set special={bin}; set type=lofs; set options=[ro]; end'"
    );
    follow(lab, PRIVILEGES, 2, &[("set nesting=true'", &given), ("zlogin web z", "zlogin web /opt/zones/z")]);
}

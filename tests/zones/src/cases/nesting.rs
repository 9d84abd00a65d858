//! Containers and sandboxes in a zone: what `nesting` opens, and what stays closed without it.

use crate::harness::{Lab, cases, skip};
use std::path::Path;

cases![
    a_sandbox_has_processes_of_its_own,
    without_nesting_none_is_made,
    podman_runs_an_image: 120,
    a_sandbox_in_a_zone_with_limits_of_ipc,
    a_zone_is_no_host_of_zones,
];

/// A user, a mount and a PID namespace with a `/proc` of its own, as sandboxes of browsers and of `bwrap` have it.
const SANDBOX: [&str; 7] =
    ["unshare", "-Urmpf", "--mount-proc", "sh", "-c", "ls /proc | grep -c '^[0-9]'", "sh"];
/// The same, by a user of the zone's.
const OF_A_USER: [&str; 4] = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"];

fn a_sandbox_has_processes_of_its_own(lab: &Lab) {
    let zone = lab.sparse_with("web", "set nesting=true");
    zone.boot();
    for user in [&[][..], &OF_A_USER] {
        let ran = zone.zlogin([user, &SANDBOX].concat());
        let seen: u32 = ran.ok().out().trim().parse().unwrap_or(0);
        assert!((1..=4).contains(&seen), "only its own processes\n{ran}");
    }
    // What was hidden before is the machine's all the same.
    for file in ["/proc/kcore", "/proc/kmsg", "/proc/timer_list"] {
        let ran = zone.zlogin(["head", "-c1", file]);
        assert!(ran.code() != Some(0) || ran.out().is_empty(), "{file}\n{ran}");
    }
    let ran = zone.sh("echo h > /proc/sysrq-trigger");
    assert!(ran.code() != Some(0), "{ran}");
}

fn without_nesting_none_is_made(lab: &Lab) {
    let zone = lab.booted_sparse();
    for user in [&[][..], &OF_A_USER] {
        let ran = zone.zlogin([user, &SANDBOX].concat());
        ran.stderr_has("No space left on device");
        assert!(ran.code() != Some(0), "{ran}");
    }
    zone.sh("head -c1 /proc/kallsyms | wc -c").ok().stdout_is("0\n");
}

fn podman_runs_an_image(lab: &Lab) {
    let programs = ["/usr/bin/podman", "/usr/bin/crun", "/usr/bin/conmon", "/usr/bin/busybox"];
    if let Some(missing) = programs.iter().find(|program| !Path::new(program).exists()) {
        skip(format!("this host has no {missing} (Debian packages podman, crun and busybox-static)"));
    }
    let zone = lab.sparse_with("web", "set nesting=true");
    zone.boot();
    let make = "mkdir -p /root/fs/bin /etc/containers && cp /usr/bin/busybox /root/fs/bin/sh && \
                echo '{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}' > /etc/containers/policy.json && \
                tar -C /root/fs -cf /root/image.tar . && podman import -q /root/image.tar small";
    zone.zlogin_command(["sh", "-c", make]).within(100).run().ok();
    let run =
        "podman run --rm --network none --cgroups=disabled small /bin/sh -c 'echo \"$$ in a container\"'";
    zone.zlogin_command(["sh", "-c", run]).within(100).run().ok().stdout_is("1 in a container\n");
}

/// Its IPC namespace is the host's, and nobody makes another: all else of a sandbox is there.
fn a_sandbox_in_a_zone_with_limits_of_ipc(lab: &Lab) {
    let zone = lab.sparse_with("web", "set nesting=true; set max-shm-ids=5; set max-msg-ids=5");
    zone.boot();
    for user in [&[][..], &OF_A_USER] {
        let ran = zone.zlogin([user, &SANDBOX].concat());
        let seen: u32 = ran.ok().out().trim().parse().unwrap_or(0);
        assert!((1..=4).contains(&seen), "only its own processes\n{ran}");
    }
    for user in [&[][..], &OF_A_USER] {
        let ran = zone.zlogin([user, &["unshare", "-Ur", "--ipc", "true"]].concat());
        ran.stderr_has("No space left on device");
    }
    // Where the namespace is shared it works, for what each has made itself.
    zone.zlogin(["unshare", "-Ur", "sh", "-c", "ipcmk -M 4096 && ipcs -m | grep -c 4096 && ipcrm -a"]).ok();
    zone.sh("ipcmk -Q && ipcrm -a && ipcs -q | grep -c '^0x' || true").ok().stdout_has("0");
}

fn a_zone_is_no_host_of_zones(lab: &Lab) {
    let programs = lab.program("zoneadm");
    let bin = programs.parent().unwrap_or_else(|| Path::new("/")).display().to_string();
    let fs = format!("add fs; set dir=/opt/zones; set special={bin}; set type=lofs; set options=[ro]; end");
    let zone = lab.sparse_with("web", &format!("set nesting=true; {fs}"));
    zone.boot();
    zone.zlogin(["/opt/zones/zonecfg", "-z", "in", "create"]).refuses().stderr_has("global zone");
    zone.zlogin(["/opt/zones/zoneadm", "-z", "in", "boot"]).refuses().stderr_has("global zone");
}

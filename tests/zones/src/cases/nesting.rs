//! Containers and sandboxes in a zone: what `nesting` opens, and what stays closed without it.

use crate::harness::{Lab, Zone, cases, outside, skip, until};
use std::path::Path;

cases![
    a_sandbox_has_processes_of_its_own,
    without_nesting_none_is_made,
    podman_runs_an_image: 120,
    nspawn_runs_a_command: 60,
    nspawn_boots_a_system_in_a_debian: 240,
    a_sandbox_in_a_zone_with_limits_of_ipc,
    without_nesting_a_zone_is_no_host_of_zones,
    a_zone_in_a_zone: 120,
    a_debian_in_a_zone: 180,
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

const NSPAWN: &str = "/usr/bin/systemd-nspawn";
/// Since 253 it takes away all that the zone has mounted before it mounts a `/proc`, and the kernel gives one only to whom it shows one.
const VISIBLE: &str = "--bind=/proc:/run/visible";

fn need_nspawn() {
    if !Path::new(NSPAWN).exists() {
        skip(format!("this host has no {NSPAWN} (Debian package systemd-container)"));
    }
}

fn nspawn_runs_a_command(lab: &Lab) {
    need_nspawn();
    let zone = lab.sparse_with("web", "set nesting=true");
    zone.boot();
    zone.sh("tr -d - < /proc/sys/kernel/random/uuid > /etc/machine-id").ok();
    let options = ["-q", "--register=no", "--keep-unit", "--volatile=yes", VISIBLE, "-M", "box", "-D", "/"];
    let command = ["sh", "-c", "echo $$ in $(uname -n)"];
    let words = [&[NSPAWN][..], &options, &command].concat();
    zone.zlogin_command(words).within(50).run().ok().stdout_has("1 in box");
}

/// The guest has no such program, and that of a host of the same release needs nothing that the guest has not.
fn nspawn_boots_a_system_in_a_debian(lab: &Lab) {
    need_nspawn();
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    if !release.contains("VERSION_CODENAME=bookworm") {
        skip("this host is no Debian 12, whose systemd-nspawn runs in the guest");
    }
    let fs = format!("add fs; set dir={NSPAWN}; set special={NSPAWN}; set type=lofs; set options=[ro]; end");
    let zone = lab.guest("web", "debian12-systemd", &format!("set nesting=true; {fs}"));
    zone.zoneadm_within(120, ["boot", "--wait"]).ok();
    let run = |line: &str| zone.zlogin_command(["sh", "-c", line]).within(100).run();
    let options = format!("-q --register=no --keep-unit --volatile=yes {VISIBLE} -M box -D /");
    run(&format!("{NSPAWN} {options} uname -n")).ok().stdout_has("box");
    run(&format!("systemd-run -q -p Delegate=yes --unit=box {NSPAWN} {options} -b systemd.firstboot=no"))
        .ok();
    until("a whole system is up in it", || {
        let said = run("journalctl -q --no-pager -u box");
        said.out().contains("multi-user.target").then_some(())
    });
    run("systemctl show -P ControlGroup box").ok().stdout_is("/system.slice/box.service\n");
    run("systemctl stop box").ok();
    until("it is gone", || (run("systemctl is-active box").out() != "active\n").then_some(()));
    zone.halt();
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

/// A zone that has this suite's programs.
fn with_programs<'a>(lab: &'a Lab, more: &str) -> Zone<'a> {
    let programs = lab.program("zoneadm");
    let bin = programs.parent().unwrap_or_else(|| Path::new("/")).display().to_string();
    let fs = format!("add fs; set dir=/opt/zones; set special={bin}; set type=lofs; set options=[ro]; end");
    let zone = lab.sparse_with("web", &format!("{more}{fs}"));
    // With a net it says what it has changed of the host.
    zone.zoneadm(["boot"]).ok();
    zone
}

fn without_nesting_a_zone_is_no_host_of_zones(lab: &Lab) {
    let zone = with_programs(lab, "");
    zone.zlogin(["/opt/zones/zonecfg", "-z", "in", "create"]).refuses().stderr_has("global zone");
    zone.zlogin(["/opt/zones/zoneadm", "-z", "in", "boot"]).refuses().stderr_has("global zone");
}

fn a_zone_in_a_zone(lab: &Lab) {
    let zone = with_programs(lab, "set nesting=true; ");
    let run = |line: &str| zone.zlogin(["sh", "-c", &format!("PATH=/opt/zones:$PATH; {line}")]);
    run("zonecfg -z in 'create; set brand=sparse'").ok();
    run("zoneadm -z in install").ok();
    run("zoneadm -z in boot --wait").ok();
    run("zoneadm list").ok().stdout_is("global\nin\n");
    // Its root is a user of the zone's, and no more: of the host's ids it has a part of the zone's.
    let map = run("zlogin in cat /proc/self/uid_map").ok().out();
    let words: Vec<u32> = map.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(words[0] == 0 && words[1] >= 8192 && words[2] == 8192, "{map}");
    run("zlogin in sh -c 'echo kept > /root/file; stat -c %u:%g /root/file /etc/passwd; hostname'")
        .ok()
        .stdout_is("0:0\n0:0\nin\n");
    let seen = run("zlogin in sh -c 'ls /proc | grep -c ^[0-9]'").ok().out();
    assert!(seen.trim().parse::<u32>().is_ok_and(|seen| seen < 8), "only its own processes: {seen}");
    for attempt in ["mknod /tmp/n c 1 3", "mount -o remount,rw /usr", "touch /usr/x", "unshare -U true"] {
        let ran = run(&format!("zlogin in {attempt}"));
        assert!(ran.code() != Some(0), "must not be possible in a zone in a zone\n{ran}");
    }
    run("zlogin in sh -c 'echo x > /dev/null && head -c4 /dev/urandom | wc -c'").ok().stdout_is("4\n");
    run("zoneadm -z in reboot").ok();
    run("zlogin in cat /root/file").ok().stdout_is("kept\n");
    run("zoneadm -z in shutdown").ok();
    run("zoneadm -z in boot").ok();
    // It goes down with the zone that it is in.
    zone.zoneadm(["reboot"]).ok();
    run("zoneadm list -c; zoneadm -z in list -p | cut -d: -f3").ok().stdout_is("global\nin\ninstalled\n");
    run("zoneadm -z in boot; zlogin in cat /root/file").ok().stdout_is("kept\n");
    run("zoneadm -z in halt; zoneadm -z in uninstall -F; zonecfg -z in delete -F").ok();
    run("ls -A /var/lib/zones /run/zones; cat /etc/zones/idmap").ok();
}

/// A Debian with systemd and a net of the managed network, in a zone with such a net: an address in a network of the outer
/// zone's own, the way out of it through both, and nothing of it on the host.
fn a_debian_in_a_zone(lab: &Lab) {
    let archive = lab.guest_archive("debian12-systemd");
    let internet = lab.internet();
    let guests = archive.parent().unwrap_or_else(|| Path::new("/")).display().to_string();
    let zone = with_programs(
        lab,
        &format!(
            "set nesting=true; add net; end; \
             add fs; set dir=/opt/guests; set special={guests}; set type=lofs; set options=[ro]; end; "
        ),
    );
    let run = |line: &str| {
        zone.zlogin_command(["sh", "-c", &format!("PATH=/opt/zones:$PATH; {line}")]).within(120).run()
    };
    run("zonecfg -z in 'create; set brand=linux; add net; end'").ok();
    run("zoneadm -z in install -a /opt/guests/debian12-systemd.tar").ok();
    run("zoneadm -z in boot").ok();
    until("systemd has done what it had to", || {
        let state = run("zlogin in systemctl is-system-running --wait");
        assert!(!state.out().starts_with("degraded"), "{}", run("zlogin in systemctl --failed --no-pager"));
        (state.out() == "running\n").then_some(())
    });
    // Lists of who may are the inner zone's ids, too.
    run("zlogin in journalctl -b -p err --no-pager -q -t systemd-tmpfiles").ok().stdout_is("");
    // It is a network of its own, behind that of the zone around.
    let address =
        |line: &str| run(line).ok().out().split_whitespace().nth(2).map(str::to_owned).unwrap_or_default();
    let (outer, inner) =
        (address("ip -br -4 address show eth0"), address("zlogin in ip -br -4 address show eth0"));
    assert!(outer.contains('/') && inner.contains('/') && outer != inner, "{outer} {inner}");
    let call = format!("exec 3<>/dev/tcp/{}/{}; cat <&3", outside::SERVER4, outside::WHO);
    run(&format!("zlogin in bash -c '{call}'")).ok().stdout_is(&format!("{}\n", outside::HOST4));
    run(&format!("zlogin in getent ahostsv4 {}", outside::NAME)).ok().stdout_has(outside::SERVER4);
    drop(internet);
    run("zoneadm -z in shutdown").ok();
    run("zoneadm -z in list -p | cut -d: -f3").ok().stdout_is("installed\n");
}

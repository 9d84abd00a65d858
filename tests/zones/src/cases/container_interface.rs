//! systemd's container interface, line by line, as docs/container-interface.md has it, in a Debian 12 with systemd.

use super::guests::reaches_multi_user;
use crate::harness::{Lab, Zone, cases};

cases![
    execution_environment: 300,
    environment_variables_and_run_host: 300,
    advanced_integration: 300,
    what_units_ask_for: 300,
    nested_user_namespaces_where_allowed: 300,
    what_a_manager_should_not_do: 300,
];

#[track_caller]
fn booted<'a>(lab: &'a Lab, script: &str) -> Zone<'a> {
    let zone = lab.guest("deb", "debian12-systemd", script);
    zone.boot();
    reaches_multi_user(&zone);
    zone
}

/// What a shell in the zone prints.
#[track_caller]
fn says(zone: &Zone<'_>, script: &str) -> String {
    zone.sh(script).ok().out()
}

/// Runs a command as a unit with these properties.
#[track_caller]
fn unit(zone: &Zone<'_>, properties: &[&str], script: &str) -> crate::harness::Ran {
    let run = ["systemd-run", "--quiet", "--wait", "--pipe"].into_iter();
    let properties = properties.iter().flat_map(|property| ["-p", property]);
    zone.zlogin(run.chain(properties).chain(["sh", "-c", script]))
}

fn execution_environment(lab: &Lab) {
    let zone = booted(lab, "");
    // 1: the host name is set before init runs.
    assert_eq!(says(&zone, "hostname"), "deb\n");
    // 2: /proc and /sys are there, /sys read-only; /proc/sys is the zone's own where it can be written.
    assert_eq!(says(&zone, "findmnt -no FSTYPE /proc; findmnt -no FSTYPE /sys"), "proc\nsysfs\n");
    assert_eq!(says(&zone, "findmnt -no OPTIONS /sys | cut -d, -f1"), "ro\n");
    says(&zone, "sysctl -q -w net.ipv4.ip_forward=1 && hostname other");
    assert!(zone.sh("sysctl -q -w kernel.panic=1").code() != Some(0));
    // 3: /dev is a tmpfs of the zone's own, the console a terminal, the nodes are there.
    assert_eq!(says(&zone, "findmnt -no FSTYPE /dev"), "tmpfs\n");
    says(&zone, "test -t 0 < /dev/console");
    says(&zone, "cd /dev && for node in null zero full random urandom tty; do test -c $node || exit 1; done");
    says(&zone, "test -c /dev/ptmx");
    // 4: udev does not start, by its own condition.
    assert_eq!(says(&zone, "systemctl show -P ConditionResult systemd-udevd"), "no\n");
    // 5: one getty, on the console.
    assert_eq!(says(&zone, "systemctl is-active console-getty"), "active\n");
    // 6: the hierarchy is whole as the zone's namespace shows it, and the zone's to write.
    assert_eq!(says(&zone, "grep ^0:: /proc/1/cgroup"), "0::/init.scope\n");
    assert_eq!(says(&zone, "findmnt -no FSTYPE,FSROOT /sys/fs/cgroup | tr -s ' '"), "cgroup2 /\n");
    says(&zone, "mkdir /sys/fs/cgroup/mine && rmdir /sys/fs/cgroup/mine");
}

fn environment_variables_and_run_host(lab: &Lab) {
    let zone = booted(lab, "");
    let uuid = zone.status().uuid.unwrap_or_default();
    let environment = says(&zone, "tr '\\0' '\\n' < /proc/1/environ");
    // 1 and 2, and the same for those who may not read that.
    assert!(environment.lines().any(|line| line == "container=zones"), "{environment}");
    assert!(environment.lines().any(|line| line == format!("container_uuid={uuid}")), "{environment}");
    let as_user =
        ["setpriv", "--reuid", "1000", "cat", "/run/host/container-manager", "/run/host/container-uuid"];
    zone.zlogin(as_user).ok().stdout_is(&format!("zones\n{uuid}\n"));
    assert_eq!(says(&zone, "systemd-detect-virt --container"), "container-other\n");
    // Advanced integration, 6: for init alone, which hands it on to nobody.
    assert!(environment.lines().any(|line| line == "NOTIFY_SOCKET=/run/host/notify"), "{environment}");
    assert_eq!(says(&zone, "tr '\\0' '\\n' < /proc/$$/environ | grep -c NOTIFY_SOCKET || true"), "0\n");
    assert_eq!(says(&zone, "stat -c '%F %a %U' /run/host/notify"), "socket 600 root\n");
    // 3, 4, 5: neither terminals besides the console, nor the host's release, nor credentials.
    for name in ["container_ttys=", "container_host_", "CREDENTIALS_DIRECTORY=", "LISTEN_FDS="] {
        assert!(!environment.lines().any(|line| line.starts_with(name)), "{environment}");
    }
    assert_eq!(says(&zone, "ls /run/host"), "container-manager\ncontainer-uuid\nnotify\n");
    // What is not there init makes itself.
    assert_eq!(
        says(&zone, "stat -c %a /run/systemd/inaccessible/reg /run/systemd/inaccessible/dir"),
        "0\n0\n"
    );
}

fn advanced_integration(lab: &Lab) {
    let zone = booted(lab, "");
    // 3: an orderly end by SIGRTMIN+3.
    zone.sh(
        "printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStop=/bin/touch /root/stopped\\n' \
             > /run/systemd/system/witness.service; systemctl daemon-reload; systemctl start witness",
    )
    .ok();
    zone.zoneadm_within(120, ["shutdown", "-t", "60"]).ok();
    zone.is("installed");
    assert!(zone.file("/root/stopped").exists());
}

fn what_units_ask_for(lab: &Lab) {
    let zone = booted(lab, "");
    unit(&zone, &["SetCredential=foo:bar"], "cat $CREDENTIALS_DIRECTORY/foo").ok().stdout_is("bar");
    zone.sh("echo secret > /root/credential").ok();
    let load = ["LoadCredential=it:/root/credential", "DynamicUser=yes"];
    unit(&zone, &load, "cat $CREDENTIALS_DIRECTORY/it").ok().stdout_is("secret\n");
    // What is mounted later is seen by units that have a mount namespace already.
    zone.sh("systemd-run -q -u early -p PrivateTmp=yes sleep infinity && mkdir -p /mnt/late && \
             mount -t tmpfs late /mnt/late && touch /mnt/late/file")
        .ok();
    let path = "/proc/$(systemctl show -P MainPID early)/root/mnt/late/file";
    zone.sh(&format!("test -e {path} && systemctl stop early")).ok();
    for (properties, script) in [
        (&["PrivateTmp=yes"][..], "touch /tmp/x && test $(ls /tmp | wc -l) = 1"),
        (&["PrivateDevices=yes"], "test -c /dev/null && echo > /dev/null && test ! -e /dev/console"),
        (&["ProtectSystem=strict"], "! touch /etc/x 2> /dev/null"),
        (&["ProtectHome=yes"], "test -z \"$(ls -A /root)\""),
        (&["PrivateNetwork=yes"], "test $(ls /sys/class/net | wc -l) = 1"),
        (&["ProtectKernelTunables=yes"], "! echo 1 2> /dev/null > /proc/sys/net/ipv4/ip_forward"),
        (&["ProtectControlGroups=yes"], "! mkdir /sys/fs/cgroup/x 2> /dev/null"),
        (
            &["ProtectKernelModules=yes", "ProtectKernelLogs=yes", "ProtectClock=yes", "ProtectHostname=yes"],
            "true",
        ),
        (&["ProtectProc=invisible", "User=daemon"], "test ! -e /proc/1"),
        (&["PrivateIPC=yes", "RestrictNamespaces=yes", "LockPersonality=yes"], "true"),
        (&["DynamicUser=yes", "StateDirectory=mine"], "touch $STATE_DIRECTORY/x"),
        (&["InaccessiblePaths=/etc/passwd"], "test ! -s /etc/passwd"),
        (&["TemporaryFileSystem=/srv", "BindPaths=/etc:/mnt"], "touch /srv/x && test -e /mnt/passwd"),
        (&["SystemCallFilter=@system-service", "NoNewPrivileges=yes", "MemoryDenyWriteExecute=yes"], "true"),
        (&["KeyringMode=private", "IPAddressDeny=any", "DeviceAllow=/dev/null"], "true"),
    ] {
        let ran = unit(&zone, properties, script);
        assert_eq!(ran.code(), Some(0), "{properties:?}\n{ran}");
    }
    let failed = zone.zlogin(["systemctl", "list-units", "--failed", "--no-legend", "--plain"]);
    failed.ok().stdout_is("");
}

fn nested_user_namespaces_where_allowed(lab: &Lab) {
    let zone = booted(lab, "");
    // No answer of unshare(2) makes systemd go on without: 217 is EXIT_USER of systemd.exec(5).
    assert_eq!(unit(&zone, &["PrivateUsers=yes"], "true").code(), Some(217));
    zone.zlogin(["journalctl", "-b", "--no-pager"]).ok().stdout_has("No space left on device");
    zone.zonecfg("set nesting=true").ok();
    zone.zoneadm_within(120, ["reboot"]).ok();
    reaches_multi_user(&zone);
    unit(&zone, &["PrivateUsers=yes"], "id -u; wc -l < /proc/self/uid_map").ok().stdout_is("0\n1\n");
    unit(&zone, &["PrivateUsers=yes", "User=daemon"], "id -un").ok().stdout_is("daemon\n");
}

fn what_a_manager_should_not_do(lab: &Lab) {
    let zone = booted(lab, "");
    // 1 and 2: CAP_MKNOD (27) and CAP_SYS_ADMIN (21) stay.
    let line = says(&zone, "grep CapBnd /proc/1/status");
    let bounding = line.split_whitespace().nth(1).and_then(|hex| u64::from_str_radix(hex, 16).ok());
    let bounding = bounding.unwrap_or_else(|| panic!("{line}"));
    assert_eq!(bounding >> 27 & bounding >> 21 & 1, 1, "{bounding:#x}");
    // 3, 4, 5: no kernel log, no virtual consoles, no devices.
    says(&zone, "test ! -e /dev/kmsg && test ! -e /dev/tty1 && test ! -e /dev/vcs");
    assert_eq!(says(&zone, "find /dev -type b"), "");
    // 6 and 7 are with the execution environment. 8: audit is not there, whatever the capabilities.
    assert_eq!(bounding >> 37 & 1, 0, "CAP_AUDIT_READ {bounding:#x}");
    assert_eq!(says(&zone, "systemctl show -P ConditionResult systemd-journald-audit.socket"), "no\n");
}

//! The brand `sparse`, seen from inside.

use crate::harness::{Lab, cases, read, until, write_program};
use std::path::Path;

cases![
    the_hosts_programs_are_there,
    usr_cannot_be_written,
    etc_and_var_are_its_own,
    the_hosts_secrets_are_not_there,
    reboot_from_inside,
    halt_and_poweroff_from_inside,
    shutdown_from_inside,
    zinit_reaps_what_is_orphaned,
    rc_is_run_and_not_in_single_user,
    what_rc_has_started_lives_on,
    our_init_cannot_be_replaced_by_the_zone,
    the_hosts_own_init_boots: 120,
];

fn the_hosts_programs_are_there(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    zone.zlogin(["cat", "/proc/1/comm"]).ok().stdout_is("init\n");
    zone.zlogin(["uname", "-n"]).ok().stdout_is("web\n");
    zone.sh("ls /usr/bin | wc -l").ok();
    let host = std::fs::read_dir("/usr/bin").map(Iterator::count).unwrap_or(0);
    zone.sh("ls -A /usr/bin | wc -l").ok().stdout_is(&format!("{host}\n"));
    zone.zlogin(["id", "-un"]).ok().stdout_is("root\n");
}

fn usr_cannot_be_written(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    for attempt in [
        "touch /usr/x",
        "touch /usr/bin/x",
        "mkdir /usr/x",
        "rm /usr/bin/env",
        "chmod 777 /usr",
        "chown 1 /usr/bin/env",
        "mount -o remount,rw /usr",
        "mount -o remount,bind,rw /usr",
        "umount /usr",
        "umount -l /usr",
    ] {
        let ran = zone.sh(attempt);
        assert!(ran.code() != Some(0), "must not be possible inside a zone\n{ran}");
    }
    zone.sh("test -x /usr/bin/env").ok();
    assert!(!Path::new("/usr/x").exists());
}

fn etc_and_var_are_its_own(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    zone.sh("echo mine > /etc/mine && echo mine > /var/mine && echo mine > /root/mine").ok();
    assert_eq!(read(&zone.file("/etc/mine")), "mine\n");
    assert!(!Path::new("/etc/mine").exists());
    zone.zoneadm(["reboot"]).ok();
    zone.sh("cat /etc/mine /var/mine /root/mine").ok().stdout_is("mine\nmine\nmine\n");
}

fn the_hosts_secrets_are_not_there(lab: &Lab) {
    let zone = lab.sparse("web");
    for secret in ["/etc/shadow", "/etc/gshadow"] {
        let inside = std::fs::read_to_string(zone.file(secret)).unwrap_or_default();
        let hashes: Vec<_> = inside
            .lines()
            .filter(|line| line.split(':').nth(1).is_some_and(|hash| hash.starts_with('$')))
            .collect();
        assert!(hashes.is_empty(), "{secret} of the zone has the host's password hashes");
    }
    for name in std::fs::read_dir("/etc/ssh").into_iter().flatten().flatten().map(|entry| entry.file_name()) {
        if name.to_string_lossy().ends_with("_key") {
            assert!(!zone.file("/etc/ssh").join(&name).exists(), "a host key is in the zone: {name:?}");
        }
    }
    assert_ne!(
        std::fs::read_to_string("/etc/machine-id").ok(),
        std::fs::read_to_string(zone.file("/etc/machine-id")).ok()
    );
}

fn reboot_from_inside(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let (mut before, keeper) = (zone.status(), zone.keeper());
    for _ in 0..3 {
        let _ = zone.zlogin(["reboot"]);
        let after = zone.runs_again(&before);
        assert_eq!(
            after.last_exit.clone().map(|exit| (exit.how, exit.uniqid)),
            Some(("rebooted".into(), before.incarnation()))
        );
        assert_eq!(zone.keeper(), keeper, "the keeper outlives the zone's incarnations");
        before = after;
    }
}

fn halt_and_poweroff_from_inside(lab: &Lab) {
    let zone = lab.sparse("web");
    for program in ["halt", "poweroff"] {
        zone.boot();
        let first = zone.status().incarnation();
        let _ = zone.zlogin([program]);
        let after = zone.becomes("installed");
        assert_eq!(after.last_exit.map(|exit| (exit.how, exit.uniqid)), Some(("poweroff".into(), first)));
        zone.daemon_leaves();
    }
}

fn shutdown_from_inside(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let before = zone.status();
    let _ = zone.zlogin(["shutdown", "-r", "now"]);
    zone.runs_again(&before);
    let _ = zone.zlogin(["shutdown", "-h", "now"]);
    zone.becomes("installed");
    zone.boot();
    // The reference's own form.
    let _ = zone.zlogin(["shutdown", "-y", "-g0", "-i5"]);
    zone.becomes("installed");
    zone.boot();
    zone.zlogin(["shutdown", "--nonsense"]).exits(2);
    zone.is("running");
}

fn zinit_reaps_what_is_orphaned(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    zone.sh("for i in 1 2 3 4 5 6 7 8; do (sleep 0 & ) ; done").ok();
    until("no zombie is left", || {
        (zone.sh("cat /proc/[0-9]*/stat 2>/dev/null | grep -c ') Z '").out().trim() == "0").then_some(())
    });
}

fn rc_is_run_and_not_in_single_user(lab: &Lab) {
    let zone = lab.sparse("web");
    write_program(&zone.file("/etc/rc"), "#!/bin/sh\necho rc >> /root/log\n");
    zone.boot();
    assert_eq!(zone.written("/root/log"), "rc\n");
    zone.halt();
    zone.zoneadm(["boot", "--", "-s"]).ok();
    zone.sh("cat /proc/1/cmdline | tr '\\0' ' '").ok().stdout_has("-s");
    zone.halt();
    assert_eq!(read(&zone.file("/root/log")), "rc\n", "single-user runs no /etc/rc");
}

fn what_rc_has_started_lives_on(lab: &Lab) {
    let zone = lab.sparse("web");
    let rc =
        "#!/bin/sh\nsleep 2147483646 &\n( while :; do echo begun >> /root/log; sleep 2147483645; done ) &\n";
    write_program(&zone.file("/etc/rc"), rc);
    zone.boot();
    // rc has ended when there is a shell.
    until("the console has its shell", || {
        zone.sh("ps -eo args= | grep -q '^-[a-z]*sh$'").code().filter(|&code| code == 0)
    });
    zone.sh("pgrep -f 'sleep 214748364[6]'").ok();
    // A loop keeps a service running, as zinit(8) has it.
    assert_eq!(zone.written("/root/log"), "begun\n");
    zone.sh("pkill -f 'sleep 214748364[5]'").ok();
    until("the service is started again", || (zone.written("/root/log") == "begun\nbegun\n").then_some(()));
}

fn our_init_cannot_be_replaced_by_the_zone(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    for attempt in ["rm -f /native/sbin/init", "echo > /native/sbin/init", "umount /native/sbin/init"] {
        let ran = zone.sh(attempt);
        assert!(ran.code() != Some(0), "must not be possible inside a zone\n{ran}");
    }
    let _ = zone.zlogin(["halt"]);
    zone.becomes("installed");
}

fn the_hosts_own_init_boots(lab: &Lab) {
    let init = std::fs::canonicalize("/sbin/init").unwrap_or_default();
    if !init.ends_with("systemd") {
        crate::harness::skip("this host's /sbin/init is no systemd");
    }
    let zone = lab.sparse_with("web", "set init=/sbin/init");
    zone.boot();
    until("systemd has done what it had to", || {
        let ran = zone.zlogin_command(["systemctl", "is-system-running", "--wait"]).within(90).run();
        ["running", "degraded"].contains(&ran.out().trim()).then_some(())
    });
    let _ = zone.zlogin(["systemctl", "poweroff"]);
    zone.becomes("installed");
}

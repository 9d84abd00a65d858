//! `device` resources: what a zone gets of the host's devices, and what it does not.

use crate::harness::{Lab, cases, read, skip};
use std::path::Path;

cases![
    devices_that_no_zone_gets_are_refused,
    a_device_that_is_not_there_is_named,
    a_node_that_came_by_another_way_cannot_be_opened,
    what_means_nothing_on_linux_is_said_once,
    a_daemon_that_dies_leaves_no_program,
    devices_come_and_go_while_the_zone_runs,
];

fn devices_that_no_zone_gets_are_refused(lab: &Lab) {
    let zone = lab.configured("web", "set brand=sparse");
    for (pattern, said) in [
        ("/dev/*", "begins with a letter or digit"),
        ("'*'", "begins with a letter or digit"),
        ("/dev/mem", "it is the host's memory"),
        ("/dev/../etc/passwd", "a path below /dev"),
        ("/dev/pts/0", "the zone has its own"),
    ] {
        zone.zonecfg(&format!("add device; set match={pattern}; end")).refuses().stderr_has(said);
    }
    // What hides behind a star is not given either.
    zone.zonecfg("add device; set match=\"[a-z]*\"; end")
        .refuses()
        .stderr_has("begins with a letter or digit");
    zone.zonecfg("add device; set match=/dev/km*; end; add device; set match=/dev/m*m; end").ok();
    zone.zoneadm(["install"]).ok();
    zone.boot();
    zone.sh("test ! -e /dev/kmsg -a ! -e /dev/mem").ok();
}

fn a_device_that_is_not_there_is_named(lab: &Lab) {
    let zone = lab.sparse_with("web", "add device; set match=/dev/net/t*n; end");
    zone.boot();
    zone.halt();
    zone.zonecfg("add device; set match=/dev/no-such/thing; end").ok();
    for verb in ["verify", "boot", "ready"] {
        zone.zoneadm([verb])
            .refuses()
            .stderr_has("/dev/no-such/thing: the host has no such device: load its driver or plug it in");
        zone.is("installed");
    }
    zone.zonecfg("select device match=/dev/no-such/thing; set match=/dev/no-such/*; end").ok();
    zone.zoneadm(["verify"]).ok().stderr_has("no device of the host matches /dev/no-such/*");
    zone.boot();
}

/// The second wall: whatever puts a node there.
fn a_node_that_came_by_another_way_cannot_be_opened(lab: &Lab) {
    let zone = lab.sparse_with("web", "add device; set match=/dev/fuse; set mode=0600; end");
    if !Path::new("/dev/fuse").exists() || !Path::new("/dev/net/tun").exists() {
        skip("this machine has neither /dev/fuse nor /dev/net/tun");
    }
    zone.boot();
    let dev = format!("/proc/{}/root/dev", zone.status().pid1());
    for (name, number) in [("tun", "10 200"), ("fuse2", "10 229")] {
        let script = format!("mknod -m 666 {dev}/{name} c {number}");
        crate::harness::Command::new("sh").args(["-c", &script]).run().ok();
    }
    zone.sh("exec 3<>/dev/fuse").ok();
    zone.sh("exec 3<>/dev/fuse2").ok();
    let ran = zone.sh("exec 3<>/dev/tun");
    assert!(ran.code() != Some(0) && ran.err().contains("Operation not permitted"), "{ran}");
    // Nor can the zone give itself any.
    for attempt in ["mknod /dev/mine c 10 229", "mknod /root/mine c 1 3", "mknod /dev/mine b 7 0"] {
        let ran = zone.sh(attempt);
        assert!(ran.code() != Some(0), "must not be possible inside a zone\n{ran}");
    }
    // After a reboot there is one program, as before.
    zone.zoneadm(["reboot"]).ok();
    zone.sh("exec 3<>/dev/fuse").ok();
    zone.halt();
}

fn what_means_nothing_on_linux_is_said_once(lab: &Lab) {
    let zone = lab.configured("web", "set brand=sparse");
    let script = "add device; set match=/dev/fuse; set allow-mknod=true; end; add device; set match=/dev/kvm; set allow-mknod=true; set allow-raw-io=true; end";
    let ran = zone.zonecfg(script);
    ran.ok();
    for property in ["allow-mknod", "allow-raw-io"] {
        assert_eq!(
            ran.err().matches(&format!("note: {property} of device is kept, but")).count(),
            1,
            "{ran}"
        );
    }
    let ran = zone.zonecfg("set autoboot=false");
    assert!(!ran.err().contains("allow-"), "{ran}");
    assert!(read(&lab.etc().join("web.toml")).contains("allow-mknod = true"));
}

fn a_daemon_that_dies_leaves_no_program(lab: &Lab) {
    let zone = lab.sparse_with("web", "add device; set match=/dev/fuse; end");
    zone.boot();
    zone.kill_daemon();
    zone.sh("exec 3<>/dev/fuse").ok();
    zone.halt_whatever();
}

/// Whatever the zone's root has made of its /dev meanwhile.
fn devices_come_and_go_while_the_zone_runs(lab: &Lab) {
    if !Path::new("/dev/fuse").exists() || !Path::new("/dev/net/tun").exists() {
        skip("this machine has neither /dev/fuse nor /dev/net/tun");
    }
    let zone = lab.sparse_with("web", "");
    zone.boot();
    let outside = lab.path("outside");
    crate::harness::make_dir(&outside, 0o777);
    zone.sh(&format!("ln -s {} /dev/net && echo mine > /dev/fuse", outside.display())).ok();
    zone.zonecfg("add device; set match=/dev/net/tun; set owner=7; set mode=0600; end").ok();
    zone.zoneadm(["apply"]).ok().stderr_has("cannot make the zone's /dev/net/tun");
    assert_eq!(
        std::fs::read_dir(&outside).map(Iterator::count).ok(),
        Some(0),
        "nothing is made where a link leads"
    );
    zone.sh("rm /dev/net").ok();
    zone.zonecfg("add device; set match=/dev/fuse; set mode=0666; end").ok();
    zone.zoneadm(["apply"]).ok();
    zone.sh("stat -c '%u %a %F' /dev/net/tun /dev/fuse")
        .ok()
        .stdout_is("7 600 character special file\n0 666 character special file\n");
    zone.sh("exec 3<>/dev/net/tun 4<>/dev/fuse").ok();
    // Another owner, and what was moved away is put back.
    zone.sh("mv /dev/fuse /dev/elsewhere").ok();
    zone.zonecfg("select device match=/dev/net/tun; set owner=8; end").ok();
    zone.zoneadm(["apply"]).ok();
    zone.sh("stat -c %u /dev/net/tun && exec 3<>/dev/fuse").ok().stdout_is("8\n");
    zone.zonecfg("remove device match=/dev/fuse").ok();
    zone.zoneadm(["apply"]).ok();
    let ran = zone.sh("test ! -e /dev/fuse && exec 3<>/dev/elsewhere");
    assert!(ran.code() != Some(0) && ran.err().contains("Operation not permitted"), "{ran}");
    zone.sh("exec 3<>/dev/net/tun").ok();
    // Nor does it matter for all else what the zone mounts there.
    zone.sh("mount -t tmpfs none /dev").ok();
    zone.zonecfg("set shutdown-timeout=7").ok();
    zone.zoneadm(["apply"]).ok().stderr_has("cannot make the zone's /dev/net/tun");
}

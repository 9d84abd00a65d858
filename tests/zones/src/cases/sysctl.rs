//! Settings of the kernel that a zone has for itself.

use super::crash_alone::call;
use crate::harness::{Lab, cases, need_failpoints, read};

cases![
    they_are_there_before_init,
    they_are_there_although_the_daemon_died_before: 120,
    what_is_the_machines_is_refused,
    one_that_cannot_be_written_keeps_the_zone_down,
    a_shared_zone_cannot_change_those_of_its_network,
    clocks_that_begin_with_the_zone,
];

fn sysctl(name: &str, value: &str) -> String {
    format!("add sysctl; set name={name}; set value=\"{value}\"; end; ")
}

fn there(name: &str) -> String {
    let path = name.replace('.', "/");
    read(format!("/proc/sys/{path}").as_ref())
}

fn they_are_there_before_init(lab: &Lab) {
    const SET: [(&str, &str); 5] = [
        ("net.ipv4.ip_forward", "1"),
        ("net.ipv4.tcp_syn_retries", "3"),
        ("kernel.shmmax", "1048576"),
        ("fs.mqueue.msg_max", "17"),
        ("kernel.domainname", "example.org"),
    ];
    let before: Vec<_> = SET.iter().map(|(name, _)| there(name)).collect();
    let init = SET.iter().map(|(name, _)| format!("/proc/sys/{}", name.replace('.', "/")));
    let init = format!(
        "cat {} > /seen; trap 'exit 0' TERM; while :; do sleep 1000 & wait; done",
        init.collect::<Vec<_>>().join(" ")
    );
    let zone = lab.tiny("web", &init);
    zone.zonecfg(&SET.iter().map(|(name, value)| sysctl(name, value)).collect::<String>()).ok();
    zone.boot();
    let wanted: String = SET.iter().map(|(_, value)| format!("{value}\n")).collect();
    assert_eq!(zone.written("/seen"), wanted);
    let after: Vec<_> = SET.iter().map(|(name, _)| there(name)).collect();
    assert_eq!(before, after, "the host has what it had");
    zone.zoneadm(["reboot"]).ok();
    zone.sh("cat /proc/sys/kernel/shmmax").ok().stdout_is("1048576\n");
}

fn they_are_there_although_the_daemon_died_before(lab: &Lab) {
    let zone = lab.sparse_with("web", &sysctl("net.ipv4.tcp_syn_retries", "3"));
    lab.command("zoneadmd", ["-z", "web"]).run().ok();
    // Its first process is there, and has nothing yet; then it has, and waits still.
    for (method, point) in [("Ready", "create.made"), ("Boot", "step.settle")] {
        zone.dies(&[("zoneadmd", point, 1)]);
        call(&zone, method);
        zone.dead_or_done();
        need_failpoints(&zone.die_no_more());
        zone.is("ready");
    }
    zone.zoneadm(["boot"]).ok();
    zone.sh("cat /proc/sys/net/ipv4/tcp_syn_retries").ok().stdout_is("3\n");
}

fn what_is_the_machines_is_refused(lab: &Lab) {
    let zone = lab.configured("web", "set brand=sparse");
    for name in ["kernel.core_pattern", "vm.swappiness", "net.ipv4..x", "net.../kernel"] {
        zone.zonecfg(&sysctl(name, "1")).refuses().stderr_has("what a zone has for itself: net.");
    }
    zone.zonecfg(&format!("{}commit", sysctl("kernel.sem", "1")))
        .refuses()
        .stderr_has("set max-sem-ids instead");
}

fn one_that_cannot_be_written_keeps_the_zone_down(lab: &Lab) {
    let zone = lab.sparse_with("web", &sysctl("net.ipv4.ip_forward", "often"));
    zone.zoneadm(["boot"])
        .refuses()
        .stderr_has("sysctl net.ipv4.ip_forward=often: the kernel does not take this value");
    zone.is("installed");
    let other =
        "select sysctl name=net.ipv4.ip_forward; set name=net.ipv4.conf.eth7.forwarding; set value=1; end";
    zone.zonecfg(other).ok();
    zone.zoneadm(["boot"]).refuses().stderr_has("a zone has no such setting");
    zone.is("installed");
    zone.zonecfg("remove sysctl name=net.ipv4.conf.eth7.forwarding").ok();
    zone.boot();
}

fn a_shared_zone_cannot_change_those_of_its_network(lab: &Lab) {
    let zone =
        lab.sparse_with("web", &format!("set ip-type=shared; {}", sysctl("net.ipv4.tcp_syn_retries", "3")));
    zone.boot();
    zone.sh("cat /proc/sys/net/ipv4/tcp_syn_retries").ok().stdout_is("3\n");
    let ran = zone.sh("echo 5 > /proc/sys/net/ipv4/tcp_syn_retries");
    assert!(ran.code() != Some(0), "{ran}");
}

/// The seconds since the boot that `/proc/uptime` counts from.
fn uptime(text: &str) -> f64 {
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{text:?}"))
}

fn clocks_that_begin_with_the_zone(lab: &Lab) {
    let here = || uptime(&read("/proc/uptime".as_ref()));
    let zone = lab.sparse("web");
    zone.boot();
    let before = here();
    assert!(uptime(&zone.sh("cat /proc/uptime").ok().out()) >= before, "the machine's");
    zone.zonecfg("set uptime=zone").ok();
    for _ in 0..2 {
        let before = here();
        zone.zoneadm(["reboot"]).ok();
        let inside = uptime(&zone.sh("cat /proc/uptime").ok().out());
        assert!(inside <= here() - before + 1.0, "{inside}");
        // A login is in the namespace that init is in, and nobody there can make it another time.
        zone.sh("test \"$(readlink /proc/self/ns/time)\" = \"$(readlink /proc/1/ns/time)\"").ok();
        let ran = zone.sh("echo monotonic 9 0 > /proc/self/timens_offsets");
        assert!(ran.code() != Some(0), "{ran}");
    }
    assert!(here() >= before, "the host's is what it was");
}

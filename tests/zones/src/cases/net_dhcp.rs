//! `address=dhcp`: a zone has the address that a DHCP server gives, from its boot to its halt, whatever it has inside. The
//! server is dnsmasq.

use super::net_auto::address;
use crate::harness::{Command, Lab, Running, Zone, cases, ip, outside, read, until, write};
use std::path::PathBuf;

cases![
    an_address_is_there_from_boot_to_halt: 240,
    a_shared_zone_has_one_that_its_root_cannot_change: 240,
    a_daemon_that_was_killed_is_taken_over_from: 240,
    a_zone_boots_without_a_server_and_has_its_address_later: 240,
    a_macvlan_asks_on_the_network_of_its_link,
    what_a_zones_root_grants_it_opens_nothing: 240,
    a_boot_that_waits_is_called_off,
];

const NET: &str = "add net; set physical=eth0; set global-nic=br0; set address=dhcp; end";

/// A bridge of the host that is not ours, until it is dropped.
pub(super) struct Bridge;

pub(super) fn bridge() -> Bridge {
    for words in ["link add br0 type bridge", "address add 10.9.0.1/24 dev br0", "link set br0 up"] {
        ip(words);
    }
    Bridge
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "delete", "br0"]).run();
    }
}

/// A DHCP server of the host, on a link of it.
pub(super) struct Server {
    process: Running,
    leases: PathBuf,
}

impl Server {
    pub(super) fn start(lab: &Lab) -> Self {
        let leases = lab.path("leases");
        let words = words("br0", "10.9.0", &leases.display().to_string());
        Self { process: Command::new("dnsmasq").args(words).within(3600).start(), leases }
    }

    /// A line for each lease.
    pub(super) fn given(&self) -> String {
        std::fs::read_to_string(&self.leases).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill();
    }
}

pub(super) fn words(link: &str, network: &str, leases: &str) -> Vec<String> {
    let fixed = ["--keep-in-foreground", "--user=root", "--conf-file=/dev/null", "--port=0", "--pid-file="];
    let more = [
        "--log-facility=-",
        "--bind-interfaces",
        "--except-interface=lo",
        "--no-ping",
        "--dhcp-authoritative",
    ];
    let own = [
        format!("--interface={link}"),
        format!("--dhcp-leasefile={leases}"),
        format!("--dhcp-range={network}.50,{network}.60,255.255.255.0,1h"),
        format!("--dhcp-option=option:router,{network}.1"),
        format!("--dhcp-option=option:dns-server,{network}.53"),
    ];
    fixed.iter().chain(&more).map(|word| (*word).to_owned()).chain(own).collect()
}

/// What the record of a zone's network says.
fn record(zone: &Zone<'_>) -> String {
    read(&zone.run_dir().join("network.toml"))
}

/// Says in the record that a time of the lease is long past, as if the daemon had been dead for so long, and has another one
/// start.
fn with_time_past(zone: &Zone<'_>, times: &[&str]) {
    zone.kill_daemon();
    let late = |line: &str| match line.split_once(" = ") {
        Some((word, _)) if times.contains(&word) => format!("{word} = 1\n"),
        _ => format!("{line}\n"),
    };
    let text: String = record(zone).lines().map(late).collect();
    write(&zone.run_dir().join("network.toml"), text);
    zone.zoneadm(["boot"]).ok().stderr_has("restarted zoneadmd to recover");
}

/// Boots a zone without a warning. On a busy machine it may say that it waits for the server.
#[track_caller]
fn boot(zone: &Zone<'_>) {
    let ran = zone.zoneadm(["boot"]);
    assert!(!ran.ok().err().contains("WARNING"), "{ran}");
}

/// What the zone's link has of IPv4.
fn shown(zone: &Zone<'_>) -> String {
    zone.sh("ip -4 -o address show dev eth0 scope global").ok().out()
}

/// The address that a zone is given some time after its boot.
#[track_caller]
fn later(zone: &Zone<'_>) -> String {
    until("the zone has an address", || (!shown(zone).is_empty()).then_some(()));
    address(zone, "eth0", 4)
}

fn an_address_is_there_from_boot_to_halt(lab: &Lab) {
    let _bridge = bridge();
    let server = Server::start(lab);
    let zone = lab.sparse_with("web", NET);
    boot(&zone);
    let own = address(&zone, "eth0", 4);
    assert!(own.starts_with("10.9.0."), "{own}");
    zone.sh("ip route show default").ok().stdout_has("via 10.9.0.1");
    zone.sh("cat /etc/resolv.conf").ok().stdout_has("nameserver 10.9.0.53\n");
    zone.sh("ping -n -c1 -W10 10.9.0.1").ok();
    Command::new("ping").args(["-n", "-c1", "-W10", &own]).run().ok();
    assert!(server.given().contains(&format!("{own} web ")), "{}", server.given());
    let rules = Command::new("nft").args(["list", "ruleset"]).run();
    rules.ok().stdout_has(&own);

    zone.zoneadm(["reboot"]).ok();
    assert_eq!(address(&zone, "eth0", 4), own, "over a reboot");
    zone.halt_whatever();
    until("the server has the address back", || server.given().is_empty().then_some(()));
}

fn a_shared_zone_has_one_that_its_root_cannot_change(lab: &Lab) {
    let _bridge = bridge();
    let _server = Server::start(lab);
    let zone = lab.sparse_with("web", &format!("set ip-type=shared; {NET}"));
    boot(&zone);
    let own = address(&zone, "eth0", 4);
    assert!(own.starts_with("10.9.0."), "{own}");
    let ran = zone.sh(&format!("ip address delete {own}/24 dev eth0"));
    assert!(ran.code() != Some(0), "{ran}");
    Command::new("ping").args(["-n", "-c1", "-W10", &own]).run().ok();
}

fn a_daemon_that_was_killed_is_taken_over_from(lab: &Lab) {
    let _bridge = bridge();
    let server = Server::start(lab);
    let zone = lab.sparse_with("web", NET);
    boot(&zone);
    let own = address(&zone, "eth0", 4);
    // What is recorded is made so again.
    zone.sh(&format!("ip address delete {own}/24 dev eth0")).ok();
    for times in [&["renew"][..], &["renew", "rebind"]] {
        with_time_past(&zone, times);
        until("the lease is renewed", || (!record(&zone).contains("renew = 1\n")).then_some(()));
        assert_eq!(address(&zone, "eth0", 4), own);
    }
    zone.sh("ping -n -c1 -W10 10.9.0.1").ok();
    // One that was over in between is asked for anew.
    drop(server);
    with_time_past(&zone, &["renew", "rebind", "expire"]);
    until("the address has gone", || shown(&zone).is_empty().then_some(()));
    let rules = Command::new("nft").args(["list", "ruleset"]).run();
    assert!(!rules.ok().out().contains(&own), "nor does the guard know it any more\n{rules}");
    let _server = Server::start(lab);
    assert_eq!(later(&zone), own);
    zone.sh("ping -n -c1 -W10 10.9.0.1").ok();
}

fn a_zone_boots_without_a_server_and_has_its_address_later(lab: &Lab) {
    let _bridge = bridge();
    let zone = lab.sparse_with("web", NET);
    zone.zoneadm(["boot"])
        .ok()
        .stderr_has("WARNING: net eth0: no DHCP server on the bridge 'br0' has answered within 10 seconds");
    zone.is("running");
    let _server = Server::start(lab);
    assert!(later(&zone).starts_with("10.9.0."));
    zone.sh("ping -n -c1 -W10 10.9.0.1").ok();
}

fn a_macvlan_asks_on_the_network_of_its_link(lab: &Lab) {
    let internet = lab.outside();
    let leases = lab.path("leases").display().to_string();
    let words = words("far0", "192.0.2", &leases);
    let words: Vec<&str> = ["dnsmasq"].into_iter().chain(words.iter().map(String::as_str)).collect();
    internet.serve(&words);
    let zone =
        lab.sparse_with("web", "add net; set physical=eth0; set global-nic=up0; set address=dhcp; end");
    boot(&zone);
    let own = address(&zone, "eth0", 4);
    assert!(own.starts_with("192.0.2."), "{own}");
    zone.sh(&format!("ping -n -c1 -W10 {}", outside::ROUTER4)).ok();
    zone.halt_whatever();
    until("the server has the address back", || read(&lab.path("leases")).is_empty().then_some(()));
}

/// The root of an exclusive zone puts a server of its own in the place of the bridge's.
fn what_a_zones_root_grants_it_opens_nothing(lab: &Lab) {
    let _bridge = bridge();
    let server = Server::start(lab);
    let zone = lab.sparse_with("web", NET);
    boot(&zone);
    drop(server);
    let words = words("p0", "10.66.0", "/root/leases")
        .join(" ")
        .replace("--log-facility=-", "--log-facility=/root/log");
    zone.sh(&format!(
        "set -e; mac=$(cat /sys/class/net/eth0/address); ip link set eth0 down; ip link set eth0 name real
         ip link add eth0 address $mac type veth peer name p0; ip address add 10.66.0.1/24 dev p0
         ip link set p0 up; ip link set eth0 up
         setsid dnsmasq {words} </dev/null >/dev/null 2>&1 &"
    ))
    .ok();
    with_time_past(&zone, &["renew", "rebind", "expire"]);
    // Who asks again was not content with what it was given.
    until("the zone's own server has given an address twice", || {
        let log = std::fs::read_to_string(zone.file("/root/log")).unwrap_or_default();
        (log.matches("DHCPACK(p0) 10.66.0.").count() > 1).then_some(())
    });
    assert!(!record(&zone).contains("10.66.0."), "{}", record(&zone));
    let rules = Command::new("nft").args(["list", "ruleset"]).run();
    assert!(!rules.ok().out().contains("10.66.0."), "{rules}");
}

fn a_boot_that_waits_is_called_off(lab: &Lab) {
    let _bridge = bridge();
    let zone = lab.sparse_with("web", NET);
    let waiting = zone.zoneadm_command(["boot"]).start();
    until("the boot waits for a server", || {
        let status = zone.door_status_if()?;
        status["waiting"].as_str()?.contains("a DHCP server for net eth0").then_some(())
    });
    zone.halt_whatever();
    let ran = waiting.wait();
    assert!(ran.code() != Some(0), "{ran}");
    let links = ip("-o link show").out();
    assert!(!links.contains("master br0"), "{links}");
}

//! What is wrong with a zone's nets and ports is said by `verify`, and refuses the boot, in a sentence.

use super::net_auto::{address, booted};
use crate::harness::{Command, Lab, Zone, cases, ip, make_dir, read, skip, write};

cases![
    links_that_are_not_what_they_must_be: 180,
    addresses_that_somebody_has: 120,
    a_router_that_is_nowhere: 180,
    a_range_that_is_full: 120,
    a_range_that_the_host_is_in: 180,
    a_bridge_of_somebody_else: 180,
    a_kernel_without_rules: 120,
    a_port_without_a_net_that_the_host_reaches: 180,
    a_file_of_the_network_that_makes_no_sense: 180,
];

/// Both say it, and nothing is up after it.
#[track_caller]
fn refused(zone: &Zone<'_>, why: &str) {
    zone.zoneadm(["verify"]).refuses().stderr_has(why);
    zone.zoneadm(["boot"]).refuses().stderr_has(why);
    zone.is("installed");
    let links = ip("-o link show").out();
    assert!(!links.contains("of zone web"), "{links}");
}

/// Gives a zone another net, instead of what it had.
#[track_caller]
fn has_net(zone: &Zone<'_>, net: &str) {
    let _ = zone.zonecfg("remove -F net");
    zone.zonecfg(&format!("add net; {net}; end")).ok();
}

fn links_that_are_not_what_they_must_be(lab: &Lab) {
    let _outside = lab.outside();
    let zone = lab.sparse("web");
    for (net, why) in [
        (
            "set global-nic=nix0; set address=192.0.2.7/24",
            "there is no link 'nix0' on this host; there are: up0",
        ),
        ("set global-nic=lo; set address=192.0.2.7/24", "the host's loopback"),
        ("set global-nic=up0; set mode=bridge; set address=192.0.2.7/24", "'up0' is no bridge"),
        ("set global-nic=up0; set address=203.0.113.9", "give it as 203.0.113.9/LENGTH"),
    ] {
        has_net(&zone, net);
        refused(&zone, why);
    }
    has_net(&zone, "set global-nic=auto");
    zone.zoneadm(["verify"]).ok();
}

fn addresses_that_somebody_has(lab: &Lab) {
    let _outside = lab.outside();
    ip("link add br0 type bridge");
    ip("address add 198.51.100.1/24 dev br0");
    ip("link set br0 up");
    let zone = lab.sparse("web");
    has_net(&zone, "set global-nic=br0; set address=198.51.100.1");
    refused(&zone, "198.51.100.1 is an address of this host, on 'br0'");
    let db = lab.sparse_with("db", "add net; set global-nic=br0; set address=198.51.100.7; end");
    db.zoneadm(["boot"]).ok();
    has_net(&zone, "set global-nic=br0; set address=198.51.100.7");
    refused(&zone, "198.51.100.7 is an address of zone 'db'");
    // Only configured: told, and no obstacle while the other one is down.
    db.halt_whatever();
    zone.zoneadm(["verify"]).refuses().stderr_has("198.51.100.7 is an address of zone 'db'");
    zone.zoneadm(["boot"]).ok();
    db.zoneadm(["boot"]).refuses().stderr_has("198.51.100.7 is an address of zone 'web'");
    zone.halt_whatever();
    // Of the managed network as well.
    let managed = booted(lab, "one", "");
    let taken = address(&managed, "eth0", 4);
    has_net(&zone, &format!("set address={taken}"));
    zone.zoneadm(["verify"]).refuses().stderr_has(&taken).stderr_has("one");
    zone.zoneadm(["boot"]).refuses().stderr_has(&taken);
    managed.halt_whatever();
    ip("link delete br0");
}

fn a_router_that_is_nowhere(lab: &Lab) {
    let _outside = lab.outside();
    let zone = lab.sparse("web");
    has_net(&zone, "set global-nic=up0; set address=192.0.2.7/24; set defrouter=203.0.113.1");
    refused(&zone, "the router 203.0.113.1 is outside of the net's prefixes");
    has_net(&zone, "set global-nic=up0; set address=192.0.2.7/24; set defrouter=192.0.2.1");
    refused(&zone, "the router 192.0.2.1 is this host, which a net of mode macvlan on 'up0' cannot reach");
    // Beside a host's own address it may be anywhere: hosters have it so.
    has_net(&zone, "set global-nic=up0; set address=192.0.2.7/32; set defrouter=203.0.113.1");
    zone.zoneadm(["boot"]).ok();
    zone.sh("ip route").ok().stdout_has("default via 203.0.113.1 dev eth0 proto static onlink");
    zone.halt_whatever();
}

/// The managed network, by the hand of an administrator.
fn network(lab: &Lab, text: &str) {
    make_dir(&lab.etc(), 0o755);
    write(&lab.etc().join("network.toml"), text);
}

fn a_range_that_is_full(lab: &Lab) {
    network(lab, "ipv4 = \"198.51.100.0/30\"\n");
    let one = booted(lab, "one", "");
    assert_eq!(address(&one, "eth0", 4), "198.51.100.2");
    one.sh("ip route").ok().stdout_has("default via 198.51.100.1");
    one.sh("ip -6 -o address show dev eth0 scope global").ok().stdout_is("");
    let zone = lab.sparse("web");
    has_net(&zone, "set global-nic=auto");
    refused(&zone, "no free address in 198.51.100.0/30 for zone 'web'");
    // A zone that is down keeps its own; one that is deleted does not.
    one.halt_whatever();
    refused(&zone, "no free address in 198.51.100.0/30 for zone 'web'");
    one.remove();
    zone.zoneadm(["boot"]).ok();
    assert_eq!(address(&zone, "eth0", 4), "198.51.100.2");
}

fn a_range_that_the_host_is_in(lab: &Lab) {
    network(lab, "ipv4 = \"198.51.100.0/24\"\n");
    let zone = booted(lab, "web", "");
    ip("link add dummy0 type veth peer name dummy1");
    ip("address add 198.51.100.129/25 dev dummy0");
    ip("link set dummy0 up");
    // What runs goes on, what boots is refused.
    zone.zlogin(["true"]).ok();
    zone.zoneadm(["reboot"])
        .refuses()
        .stderr_has("the managed network has the range 198.51.100.0/24, and the host has 198.51.100.");
    zone.halt_whatever();
    refused(&zone, "the host has 198.51.100.");
    ip("link delete dummy0");
    zone.zoneadm(["boot"]).ok();
}

fn a_bridge_of_somebody_else(lab: &Lab) {
    network(lab, "ipv4 = \"198.51.100.0/24\"\nbridge = \"br0\"\n");
    ip("link add br0 type bridge");
    let before = ip("-d -o link show br0").out();
    let zone = lab.sparse("web");
    has_net(&zone, "set global-nic=auto");
    refused(&zone, "the managed network needs a bridge br0");
    assert_eq!(ip("-d -o link show br0").out(), before, "it is left as it is");
    ip("link delete br0");
    zone.zoneadm(["boot"]).ok();
    ip("link show br0").ok();
}

/// Runs zoneadm as if the kernel had no netfilter.
#[track_caller]
fn without_rules(lab: &Lab, zone: &Zone<'_>, verb: &str) -> crate::harness::Ran {
    let here = std::env::current_exe().unwrap_or_else(|e| panic!("{e}"));
    let words = ["--without-netfilter", "--"].map(String::from);
    let zoneadm = lab.program("zoneadm").display().to_string();
    let order = [zoneadm, "-z".to_owned(), zone.name().to_owned(), verb.to_owned()];
    Command::new(here).args(words).args(order).env("ZONES_ROOT", lab.root()).run()
}

fn a_kernel_without_rules(lab: &Lab) {
    if cfg!(target_endian = "big") {
        skip("the filter that plays such a kernel looks at the lower halves of arguments");
    }
    ip("link add br0 type bridge");
    ip("link set br0 up");
    let zone = lab.sparse("web");
    for net in [
        "set global-nic=auto",
        "set global-nic=br0; set address=198.51.100.7/24",
        "set global-nic=br0; set address=198.51.100.7/24; set link-protection=none; set maxbw=10M",
    ] {
        has_net(&zone, net);
        for verb in ["verify", "boot"] {
            without_rules(lab, &zone, verb).refuses().stderr_has("this kernel has no nf_tables");
            zone.is("installed");
        }
        zone.daemon_leaves();
    }
    // What needs no rules needs none.
    has_net(&zone, "set global-nic=br0; set address=198.51.100.7/24; set link-protection=none");
    without_rules(lab, &zone, "boot").ok();
    assert_eq!(address(&zone, "eth0", 4), "198.51.100.7");
    without_rules(lab, &zone, "halt").ok();
    zone.daemon_leaves();
    zone.zonecfg("remove -F net").ok();
    without_rules(lab, &zone, "boot").ok();
    without_rules(lab, &zone, "halt").ok();
    ip("link delete br0");
}

fn a_port_without_a_net_that_the_host_reaches(lab: &Lab) {
    let _outside = lab.outside();
    let zone = lab.sparse("web");
    has_net(&zone, "set global-nic=up0; set address=192.0.2.7/24");
    zone.zonecfg("add port; set host=8080; set to=80; end").ok();
    refused(&zone, "a port leads to a net that this host reaches by a link of its own");
}

fn a_file_of_the_network_that_makes_no_sense(lab: &Lab) {
    let zone = lab.sparse("web");
    has_net(&zone, "set global-nic=auto");
    for (text, why) in [
        ("ipv4 = 7\n", "network.toml is not right"),
        ("ipv4 = \"198.51.100.0/33\"\n", "ipv4 \"198.51.100.0/33\""),
        ("ipv4 = \"127.0.0.0/24\"\n", "ipv4 \"127.0.0.0/24\""),
        ("nonsense = true\n", "network.toml is not right"),
        ("ipv4 = \"198.51.100.0/24\"\nmtu = 5\n", "mtu \"5\""),
    ] {
        network(lab, text);
        refused(&zone, why);
        assert_eq!(read(&lab.etc().join("network.toml")), text, "it is left as it is");
    }
    network(lab, "ipv4 = \"198.51.100.0/24\"\n");
    zone.zoneadm(["boot"]).ok();
}

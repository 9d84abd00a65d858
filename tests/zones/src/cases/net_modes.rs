//! Nets by an existing bridge, by routes, as a macvlan; several of them in one zone.

use super::net_auto::{address, call, calling, serve};
use crate::harness::{Command, Internet, Lab, Zone, cases, ip, outside};

cases![
    on_a_bridge_that_there_is: 180,
    a_bridge_of_others_stays_as_it_is: 180,
    routed_hosts_answer_for_their_zones: 180,
    routed_zones_reach_each_other: 180,
    a_routed_prefix_is_the_zones: 180,
    routed_without_an_uplink: 180,
    a_macvlan_is_a_host_of_its_own: 180,
    several_nets_in_one_zone: 180,
    a_bridge_that_has_gone_refuses_the_boot: 180,
    what_was_changed_is_mended_at_the_next_boot: 180,
];

/// A bridge of the host with addresses, and a port that is somebody's.
fn bridge() {
    ip("link add br0 type bridge");
    ip("link add nic0 address 02:00:00:00:03:01 type veth peer name wire0");
    ip("link set nic0 master br0 up");
    ip("link set wire0 up");
    ip("link set br0 up");
    ip("address add 198.51.100.1/24 dev br0");
    ip("address add 2001:db8:51::1/64 dev br0 nodad");
}

fn remove_bridge() {
    ip("link delete br0");
    ip("link delete nic0");
}

#[track_caller]
fn pings(zone: &Zone<'_>, addresses: &[&str]) {
    for address in addresses {
        zone.sh(&format!("ping -n -c1 -W10 {address}")).ok();
    }
}

#[track_caller]
fn is_pinged(internet: &Internet, addresses: &[&str]) {
    for address in addresses {
        internet.run("ping", ["-n", "-c1", "-W10", address]).ok();
    }
}

/// A zone that is up with these nets.
#[track_caller]
fn with<'lab>(lab: &'lab Lab, name: &str, script: &str) -> Zone<'lab> {
    let zone = lab.sparse_with(name, script);
    zone.zoneadm(["boot"]).ok();
    zone
}

fn on_a_bridge_that_there_is(lab: &Lab) {
    bridge();
    let net = |host: u8| {
        format!(
            "add net; set global-nic=br0; set address=[198.51.100.{host},2001:db8:51::{host}]; set defrouter=[198.51.100.1,2001:db8:51::1]; end"
        )
    };
    let (web, db) = (with(lab, "web", &net(7)), with(lab, "db", &net(8)));
    assert_eq!(address(&web, "eth0", 4), "198.51.100.7");
    web.sh("ip -4 -o address show dev eth0").ok().stdout_has("198.51.100.7/24");
    web.sh("ip route; ip -6 route")
        .ok()
        .stdout_has("default via 198.51.100.1")
        .stdout_has("default via 2001:db8:51::1");
    pings(&web, &["198.51.100.1", "2001:db8:51::1", "198.51.100.8", "2001:db8:51::8"]);
    serve(&db, 80, "db");
    assert!(call("198.51.100.8", 80).starts_with("db "));
    assert!(call("2001:db8:51::8", 80).starts_with("db "));
    for zone in [web, db] {
        zone.halt_whatever();
    }
    remove_bridge();
}

fn a_bridge_of_others_stays_as_it_is(lab: &Lab) {
    bridge();
    let look = || {
        let settings = "for f in /proc/sys/net/ipv[46]/conf/br0/*; do echo $f $(cat $f 2>/dev/null); done";
        let settings = Command::new("/bin/sh").args(["-c", settings]).run().out();
        let settings: Vec<_> =
            settings.lines().filter(|line| !line.contains("forwarding")).map(str::to_owned).collect();
        (ip("-o link show br0").out(), ip("-o address show br0 scope global").out(), settings)
    };
    let before = look();
    let net = "add net; set global-nic=br0; set address=198.51.100.7; set mac-addr=02:00:00:00:00:01; end; add port; set host=8080; set to=80; end";
    let zone = with(lab, "web", net);
    assert_eq!(look(), before, "while the zone is up");
    zone.halt_whatever();
    assert_eq!(look(), before, "after it");
    remove_bridge();
}

fn routed(host: &str) -> String {
    format!(
        "add net; set global-nic=up0; set mode=routed; set address=[192.0.2.{host},2001:db8:1::{host}]; end"
    )
}

fn routed_hosts_answer_for_their_zones(lab: &Lab) {
    let internet = lab.internet();
    let zone = with(lab, "web", &routed("77"));
    zone.sh("ip -4 -o address show dev eth0").ok().stdout_has("192.0.2.77/32");
    let arping = internet.run("arping", ["-c1", "-w10", "-I", "far0", "192.0.2.77"]);
    // By the host's Ethernet address: a switch that knows only that one lets it through.
    arping.ok().stdout_has("02:00:00:00:01:01");
    is_pinged(&internet, &["192.0.2.77", "2001:db8:1::77"]);
    pings(
        &zone,
        &[
            outside::ROUTER4,
            outside::ROUTER6,
            outside::SERVER4,
            outside::SERVER6,
            outside::HOST4,
            outside::HOST6,
        ],
    );
    zone.sh(&calling(outside::SERVER4, outside::WHO)).ok().stdout_has("192.0.2.77");
    serve(&zone, 80, "web");
    for address in ["192.0.2.77", "2001:db8:1::77"] {
        internet.sh(&calling(address, 80)).ok().stdout_has("web ");
        assert!(call(address, 80).starts_with("web "));
    }
    zone.zoneadm(["reboot"]).ok();
    is_pinged(&internet, &["192.0.2.77", "2001:db8:1::77"]);
    zone.halt_whatever();
    assert_eq!(ip("neighbour show proxy").out(), "", "the host answers for nobody any more");
    assert_eq!(ip("-6 neighbour show proxy").out(), "");
}

fn routed_zones_reach_each_other(lab: &Lab) {
    let internet = lab.internet();
    let (web, db) = (with(lab, "web", &routed("77")), with(lab, "db", &routed("78")));
    pings(&web, &["192.0.2.78", "2001:db8:1::78"]);
    pings(&db, &["192.0.2.77", "2001:db8:1::77"]);
    // The end of one is not that of the other.
    web.halt_whatever();
    is_pinged(&internet, &["192.0.2.78", "2001:db8:1::78"]);
}

fn a_routed_prefix_is_the_zones(lab: &Lab) {
    let internet = lab.internet();
    let net = "add net; set global-nic=up0; set mode=routed; set address=192.0.2.77; set allowed-address=203.0.113.128/28; end";
    let zone = with(lab, "web", net);
    internet.run("ip", ["route", "add", "203.0.113.128/28", "via", outside::HOST4]).ok();
    zone.sh("ip address add 203.0.113.130/32 dev eth0").ok();
    is_pinged(&internet, &["192.0.2.77", "203.0.113.130"]);
}

fn routed_without_an_uplink(lab: &Lab) {
    let internet = lab.internet();
    let zone = with(lab, "web", "add net; set mode=routed; set global-nic=auto; end");
    let address = address(&zone, "eth0", 4);
    Command::new("ping").args(["-n", "-c1", "-W10", &address]).run().ok();
    zone.sh(&format!("curl -sS -m20 http://{}/", outside::NAME)).ok().stdout_is(outside::PAGE);
    drop(internet);
}

fn a_macvlan_is_a_host_of_its_own(lab: &Lab) {
    let internet = lab.internet();
    let net = |host: u8| {
        format!(
            "add net; set global-nic=up0; set address=[192.0.2.{host},2001:db8:1::{host}]; set defrouter=[{},{}]; end",
            outside::ROUTER4,
            outside::ROUTER6
        )
    };
    let (web, db) = (with(lab, "web", &net(77)), with(lab, "db", &net(78)));
    pings(
        &web,
        &[
            outside::ROUTER4,
            outside::ROUTER6,
            outside::SERVER4,
            outside::SERVER6,
            "192.0.2.78",
            "2001:db8:1::78",
        ],
    );
    is_pinged(&internet, &["192.0.2.77", "2001:db8:1::77", "192.0.2.78"]);
    web.sh(&calling(outside::SERVER4, outside::WHO)).ok().stdout_has("192.0.2.77");
    let mac = web.sh("cat /sys/class/net/eth0/address").ok().out();
    let arping = internet.run("arping", ["-c1", "-w10", "-I", "far0", "192.0.2.77"]);
    assert!(arping.out().to_lowercase().contains(mac.trim()), "by its own Ethernet address {mac}\n{arping}");
    // The same Ethernet address at once again.
    for _ in 0..3 {
        web.zoneadm(["reboot"]).ok();
        is_pinged(&internet, &["192.0.2.77"]);
    }
    // With link-protection the host would have to watch, and cannot.
    db.zonecfg("select net physical=eth0; set link-protection=mac-nospoof; end").ok();
    db.zoneadm(["verify"]).refuses().stderr_has("link-protection");
    for zone in [web, db] {
        zone.halt_whatever();
    }
}

fn several_nets_in_one_zone(lab: &Lab) {
    let internet = lab.internet();
    bridge();
    // The first net has the way out: what another one is asked from afar is answered by that, in vain.
    let script = "add net; set physical=wan; set global-nic=up0; set mode=routed; set address=192.0.2.77; end; \
        add net; end; add net; set physical=lan; set global-nic=br0; set address=198.51.100.7; end";
    let zone = lab.sparse_with("web", script);
    let ran = zone.zoneadm(["boot"]);
    ran.ok();
    zone.sh("ls /sys/class/net").ok().stdout_has("eth0").stdout_has("lan").stdout_has("wan");
    pings(&zone, &["198.51.100.1"]);
    is_pinged(&internet, &["192.0.2.77"]);
    zone.sh(&format!("curl -sS -m20 http://{}/", outside::NAME)).ok().stdout_is(outside::PAGE);
    // Fewer of them, at the next boot.
    zone.zonecfg("remove net physical=lan").ok();
    zone.zoneadm(["reboot"]).ok();
    let ran = zone.sh("ls /sys/class/net");
    assert!(!ran.ok().out().contains("lan"), "{ran}");
    is_pinged(&internet, &["192.0.2.77"]);
    zone.halt_whatever();
    remove_bridge();
}

fn a_bridge_that_has_gone_refuses_the_boot(lab: &Lab) {
    bridge();
    let zone = with(lab, "web", "add net; set global-nic=br0; set address=198.51.100.7; end");
    remove_bridge();
    // What runs goes on; what boots must know where to.
    zone.is("running");
    zone.zlogin(["true"]).ok();
    zone.zoneadm(["reboot"]).refuses().stderr_has("there is no link 'br0'");
    zone.is("running");
    zone.halt_whatever();
    zone.zoneadm(["boot"]).refuses().stderr_has("there is no link 'br0'");
    bridge();
    zone.zoneadm(["boot"]).ok();
    pings(&zone, &["198.51.100.1"]);
    zone.halt_whatever();
    remove_bridge();
}

/// The name of the bridge of the managed network.
pub(super) fn managed_bridge() -> String {
    let all = ip("-o link show type bridge").out();
    let name = all.lines().filter_map(|line| line.split(": ").nth(1)).find(|name| name.starts_with('z'));
    name.unwrap_or_else(|| panic!("there must be a bridge: {all}")).to_owned()
}

fn what_was_changed_is_mended_at_the_next_boot(lab: &Lab) {
    let _internet = lab.internet();
    let (web, db) = (with(lab, "web", "add net; end"), with(lab, "db", "add net; end"));
    let works = |zone: &Zone<'_>| {
        zone.sh(&format!("curl -sS -m20 http://{}/", outside::NAME)).ok().stdout_is(outside::PAGE);
    };
    let changes: [&dyn Fn(); 4] = [
        &|| drop(ip(&format!("link set {} down", managed_bridge()))),
        &|| drop(ip(&format!("address flush dev {}", managed_bridge()))),
        &|| drop(Command::new("nft").args(["flush", "ruleset"]).run().ok().out()),
        &|| drop(ip(&format!("link delete {}", managed_bridge()))),
    ];
    for (number, change) in changes.iter().enumerate() {
        works(&web);
        change();
        let ran = web.sh(&format!("curl -sS -m2 http://{}/", outside::SERVER4));
        assert!(ran.code() != Some(0), "change {number} is one\n{ran}");
        web.is("running");
        web.zoneadm(["reboot"]).ok();
        works(&web);
    }
    // The bridge is another one: a zone that was a port of the first one is one of this when it boots.
    db.zoneadm(["reboot"]).ok();
    works(&db);
    let theirs = address(&db, "eth0", 4);
    pings(&web, &[&theirs]);
}

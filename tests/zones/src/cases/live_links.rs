//! Nets that are no pair, and addresses of DHCP servers, come, change and go while the zone runs; and the guest is told.

use super::crash_net::make_link;
use super::live_net::{apply, reaches};
use super::net_auto::address;
use super::net_dhcp::{Server, bridge};
use crate::harness::world::World;
use crate::harness::{Command, Lab, Zone, cases, ip, need_failpoints, outside, read, until, write};

cases![
    a_macvlan_comes_changes_and_goes: 180,
    a_macvlan_that_was_renamed_is_found: 180,
    a_link_of_the_host_comes_and_goes: 180,
    what_the_host_needs_does_not_come: 120,
    a_shared_zone_is_given_links: 180,
    an_address_by_dhcp_comes_and_goes: 240,
    an_address_by_dhcp_comes_later: 240,
    what_a_zones_root_grants_is_not_given: 240,
    links_that_fail_are_taken_back: 180,
    the_guest_is_told_of_its_nets: 240,
    a_guests_own_files_are_left: 180,
];

fn a_macvlan_comes_changes_and_goes(lab: &Lab) {
    let internet = lab.outside();
    let zone = lab.sparse("web");
    zone.zoneadm(["boot"]).ok();
    zone.zonecfg("add net; set global-nic=up0; set address=192.0.2.60/24; set defrouter=192.0.2.254; end")
        .ok();
    apply(&zone).stdout_has("Adding net eth0");
    reaches(&zone, outside::ROUTER4);
    internet.run("ping", ["-n", "-c1", "-W10", "192.0.2.60"]).ok();
    zone.sh("ip route show default").ok().stdout_has("via 192.0.2.254");
    // Another address, on the same link.
    let mac = || zone.sh("cat /sys/class/net/eth0/address").ok().out();
    let before = mac();
    zone.zonecfg("select net physical=eth0; set address=192.0.2.61/24; end").ok();
    apply(&zone);
    assert_eq!(mac(), before);
    internet.run("ping", ["-n", "-c1", "-W10", "192.0.2.61"]).ok();
    zone.sh("ip -4 -o address show dev eth0 | grep -c inet").ok().stdout_is("1\n");
    // A second one; the first goes.
    zone.zonecfg(
        "add net; set physical=lan; set global-nic=up0; set mode=macvlan; set address=192.0.2.62/24; end",
    )
    .ok();
    apply(&zone);
    zone.zonecfg("remove net physical=eth0").ok();
    apply(&zone).stdout_has("Removing net eth0");
    zone.sh("! ip link show eth0 2>/dev/null").ok();
    internet.run("ping", ["-n", "-c1", "-W10", "192.0.2.62"]).ok();
    zone.zonecfg("remove net").ok();
    apply(&zone);
    assert!(!zone.run_dir().join("network.toml").exists() && !zone.run_dir().join("netns").exists());
    zone.zoneadm(["halt"]).ok();
}

fn a_macvlan_that_was_renamed_is_found(lab: &Lab) {
    let _outside = lab.outside();
    let zone = lab.sparse_with("web", "add net; set global-nic=up0; set address=192.0.2.60/24; end");
    zone.zoneadm(["boot"]).ok();
    zone.sh("ip link set eth0 down; ip link set eth0 name mine; ip link set mine up").ok();
    zone.zonecfg("select net physical=eth0; set address=192.0.2.61/24; end").ok();
    apply(&zone);
    zone.sh("ip -4 -o address show dev mine").ok().stdout_has("192.0.2.61/24");
    zone.zonecfg("remove net").ok();
    apply(&zone);
    zone.sh("! ip link show mine 2>/dev/null").ok();
    // One that its root has destroyed is told of.
    zone.zonecfg("add net; set global-nic=up0; set address=192.0.2.60/24; end").ok();
    apply(&zone);
    zone.sh("ip link delete eth0").ok();
    zone.zonecfg("remove net").ok();
    apply(&zone).stderr_has("net eth0: its link is not in the zone's network namespace any more");
}

const LINK: &str =
    "add net; set physical=lan0; set address=198.51.100.7/24; set defrouter=198.51.100.254; end";

/// The host's network as it was.
#[track_caller]
fn is_as_before(zone: &Zone<'_>, before: &World) {
    let mut changed = World::look(&[]).since(before, &zone.root());
    changed.retain(|thing| thing.contains("network: "));
    assert!(changed.is_empty(), "{changed:#?}");
}

fn a_link_of_the_host_comes_and_goes(lab: &Lab) {
    make_link();
    let before = World::look(&[]);
    let zone = lab.sparse("web");
    zone.zoneadm(["boot"]).ok();
    for round in 0..2 {
        zone.zonecfg(LINK).ok();
        apply(&zone).stdout_has("Adding net lan0");
        zone.sh("ip -o address show dev lan0").ok().stdout_has("198.51.100.7/24");
        zone.sh("ip route").ok().stdout_has("default via 198.51.100.254");
        zone.zonecfg("select net physical=lan0; set address=198.51.100.8/24; end").ok();
        apply(&zone);
        let has = zone.sh("ip -4 -o address show dev lan0").ok().out();
        assert!(has.contains("198.51.100.8/24") && !has.contains("198.51.100.7"), "{has}");
        // What its root does to it does not stay.
        zone.sh("ip link set lan0 down; ip link set lan0 name mine mtu 1400; ip link set mine up").ok();
        zone.zonecfg("remove net").ok();
        apply(&zone);
        is_as_before(&zone, &before);
        zone.sh("! ip link show mine 2>/dev/null").ok();
        assert!(!zone.run_dir().join("netns").exists(), "round {round}");
    }
    // One that came so goes with a halt, too, and is there again at the next boot.
    zone.zonecfg(LINK).ok();
    apply(&zone);
    zone.zoneadm(["reboot"]).ok();
    zone.sh("ip -o address show dev lan0").ok().stdout_has("198.51.100.7/24");
    zone.zoneadm(["halt"]).ok();
    until("the link is back", || {
        let mut changed = World::look(&[]).since(&before, &zone.root());
        changed.retain(|thing| thing.contains("network: "));
        changed.is_empty().then_some(())
    });
    ip("link delete lan0");
}

fn what_the_host_needs_does_not_come(lab: &Lab) {
    let _outside = lab.outside();
    let zone = lab.sparse("web");
    zone.zoneadm(["boot"]).ok();
    zone.zonecfg("add net; set physical=up0; end").ok();
    zone.zoneadm(["apply"]).refuses().stderr_has("up0");
    zone.zonecfg("remove net; add net; set physical=none0; end").ok();
    zone.zoneadm(["apply"]).refuses().stderr_has("none0");
    zone.zonecfg("remove net").ok();
    assert!(!zone.run_dir().join("network.toml").exists(), "nothing was begun");
}

fn a_shared_zone_is_given_links(lab: &Lab) {
    let internet = lab.outside();
    make_link();
    let zone = lab.sparse_with("web", "set ip-type=shared");
    zone.zoneadm(["boot"]).ok();
    zone.zonecfg(&format!(
        "add net; set physical=wan; set global-nic=up0; set address=192.0.2.60/24; end; {LINK}"
    ))
    .ok();
    apply(&zone);
    internet.run("ping", ["-n", "-c1", "-W10", "192.0.2.60"]).ok();
    zone.sh("ip -o address show dev lan0").ok().stdout_has("198.51.100.7/24");
    let ran = zone.sh("ip link delete wan");
    assert!(ran.code() != Some(0), "it is the host's alone\n{ran}");
    zone.zonecfg("remove -F net").ok();
    apply(&zone);
    zone.sh("! ip link show wan 2>/dev/null; ! ip link show lan0 2>/dev/null").ok();
    ip("link delete lan0").ok();
}

const DHCP: &str = "add net; set physical=eth0; set global-nic=br0; set address=dhcp; end";

fn an_address_by_dhcp_comes_and_goes(lab: &Lab) {
    let _bridge = bridge();
    let server = Server::start(lab);
    let zone = lab.sparse("web");
    zone.zoneadm(["boot"]).ok();
    zone.zonecfg(DHCP).ok();
    let ran = apply(&zone);
    assert!(!ran.err().contains("WARNING"), "{ran}");
    let own = address(&zone, "eth0", 4);
    assert!(own.starts_with("10.9.0."), "{own}");
    zone.sh("ip route show default").ok().stdout_has("via 10.9.0.1");
    zone.sh("cat /etc/resolv.conf").ok().stdout_has("nameserver 10.9.0.53\n");
    reaches(&zone, "10.9.0.1");
    assert!(server.given().contains(&format!("{own} web ")), "{}", server.given());
    // Something else of it changes: it keeps what it has.
    zone.zonecfg("select net physical=eth0; set allowed-address=10.9.7.0/24; end").ok();
    apply(&zone);
    assert_eq!(address(&zone, "eth0", 4), own);
    reaches(&zone, "10.9.0.1");
    // A daemon that is killed finds all of it.
    zone.kill_daemon();
    zone.zoneadm(["apply"]).ok();
    assert_eq!(address(&zone, "eth0", 4), own);
    // One that is given in its place, and back.
    zone.zonecfg("select net physical=eth0; set address=10.9.0.200/24; end").ok();
    apply(&zone);
    assert_eq!(address(&zone, "eth0", 4), "10.9.0.200");
    until("the server has the address back", || server.given().is_empty().then_some(()));
    reaches(&zone, "10.9.0.1");
    zone.zonecfg("select net physical=eth0; set address=dhcp; end").ok();
    apply(&zone);
    assert_eq!(address(&zone, "eth0", 4), own);
    reaches(&zone, "10.9.0.1");
    zone.zonecfg("remove net").ok();
    apply(&zone);
    zone.sh("! ip link show eth0 2>/dev/null").ok();
    until("the server has the address back", || server.given().is_empty().then_some(()));
    assert!(!zone.run_dir().join("netns").exists() && !zone.run_dir().join("network.toml").exists());
}

fn an_address_by_dhcp_comes_later(lab: &Lab) {
    let _bridge = bridge();
    let zone = lab.sparse("web");
    zone.zoneadm(["boot"]).ok();
    zone.zonecfg(DHCP).ok();
    apply(&zone).stderr_has("net eth0: no DHCP server on the bridge 'br0' has answered within 10 seconds");
    let _server = Server::start(lab);
    until("the zone has an address", || {
        zone.sh("ip -4 -o address show dev eth0").ok().out().contains("10.9.0.").then_some(())
    });
    reaches(&zone, "10.9.0.1");
    until("the guest knows the nameserver", || {
        zone.sh("cat /etc/resolv.conf").out().contains("nameserver 10.9.0.53\n").then_some(())
    });
    zone.sh("cat /run/systemd/resolved.conf.d/zones.conf").ok().stdout_has("DNS=10.9.0.53\n");
}

/// The zone's root has a server of its own in the place of the bridge's before it is asked.
fn what_a_zones_root_grants_is_not_given(lab: &Lab) {
    let _bridge = bridge();
    let zone = lab
        .sparse_with("web", "add net; set physical=eth0; set global-nic=br0; set address=10.9.0.200/24; end");
    zone.zoneadm(["boot"]).ok();
    let words = super::net_dhcp::words("p0", "10.66.0", "/root/leases")
        .join(" ")
        .replace("--log-facility=-", "--log-facility=/root/log");
    zone.sh(&format!(
        "set -e; mac=$(cat /sys/class/net/eth0/address); ip link set eth0 down; ip link set eth0 name real
         ip link add eth0 address $mac type veth peer name p0; ip address add 10.66.0.1/24 dev p0
         ip link set p0 up; ip link set eth0 up
         setsid dnsmasq {words} </dev/null >/dev/null 2>&1 &"
    ))
    .ok();
    zone.zonecfg("select net physical=eth0; set address=dhcp; end").ok();
    apply(&zone).stderr_has("WARNING");
    until("the zone's own server has given an address", || {
        let log = std::fs::read_to_string(zone.file("/root/log")).unwrap_or_default();
        log.contains("DHCPACK(p0) 10.66.0.").then_some(())
    });
    let record = read(&zone.run_dir().join("network.toml"));
    assert!(!record.contains("10.66.0."), "{record}");
    let rules = Command::new("nft").args(["list", "ruleset"]).run();
    assert!(!rules.ok().out().contains("10.66.0."), "{rules}");
}

fn links_that_fail_are_taken_back(lab: &Lab) {
    let internet = lab.outside();
    make_link();
    let before = World::look(&[]);
    let zone = lab.sparse("web");
    zone.boot();
    let nets =
        format!("add net; set physical=wan; set global-nic=up0; set address=192.0.2.60/24; end; {LINK}");
    zone.zonecfg(&nets).ok();
    zone.fails("zoneadmd", "snapshot.commit", 1, "EIO", false);
    zone.zoneadm(["apply"]).refuses();
    need_failpoints(&zone.fail_no_more());
    zone.sh("! ip link show wan 2>/dev/null; ! ip link show lan0 2>/dev/null").ok();
    is_as_before(&zone, &before);
    apply(&zone);
    internet.run("ping", ["-n", "-c1", "-W10", "192.0.2.60"]).ok();
    // And those that were to go come again.
    zone.zonecfg("remove -F net").ok();
    zone.fails("zoneadmd", "snapshot.commit", 1, "EIO", false);
    zone.zoneadm(["apply"]).refuses();
    need_failpoints(&zone.fail_no_more());
    internet.run("ping", ["-n", "-c1", "-W10", "192.0.2.60"]).ok();
    zone.sh("ip -o address show dev lan0").ok().stdout_has("198.51.100.7/24");
    apply(&zone);
    is_as_before(&zone, &before);
    ip("link delete lan0").ok();
}

fn the_guest_is_told_of_its_nets(lab: &Lab) {
    let _internet = lab.internet();
    let zone = lab.sparse("web");
    zone.zoneadm(["boot"]).ok();
    zone.zonecfg("add net; end").ok();
    apply(&zone);
    zone.sh("cat /etc/resolv.conf").ok().stdout_has(&format!("nameserver {}\n", outside::ROUTER4));
    zone.sh(&format!("curl -sS -m20 http://{}/", outside::NAME)).ok().stdout_is(outside::PAGE);
    let file = "/run/systemd/network/89-zone-eth0.network";
    let own = address(&zone, "eth0", 4);
    zone.sh(&format!("cat {file}")).ok().stdout_has(&format!("Address={own}/"));
    zone.sh(&format!("stat -c %u:%a {file} /run/systemd/network")).ok().stdout_is("0:644\n0:755\n");
    zone.sh("cat /run/systemd/resolved.conf.d/zones.conf")
        .ok()
        .stdout_has(&format!("DNS={}", outside::ROUTER4));
    // What it is told follows what it has.
    let other = own.rsplit_once('.').map(|(net, _)| format!("{net}.249")).unwrap_or_default();
    zone.zonecfg(&format!("select net physical=eth0; set address={other}; end")).ok();
    apply(&zone);
    let text = zone.sh(&format!("cat {file}")).ok().out();
    assert!(
        text.contains(&format!("Address={other}/")) && !text.contains(&format!("Address={own}/")),
        "{text}"
    );
    // As does what the host says of its nameservers, without anything else to be given.
    write(
        &lab.etc().join("network.toml"),
        format!("{}nameservers = [\"{}\"]\n", super::net_auto::without_nameservers(lab), outside::ROUTER6),
    );
    zone.zoneadm(["apply"]).ok();
    zone.sh("cat /etc/resolv.conf").ok().stdout_has(&format!("nameserver {}\n", outside::ROUTER6));
    zone.zonecfg("remove net").ok();
    apply(&zone);
    zone.sh(&format!("! cat {file} /run/systemd/resolved.conf.d/zones.conf 2>/dev/null")).ok().stdout_is("");
}

fn a_guests_own_files_are_left(lab: &Lab) {
    let _internet = lab.internet();
    let zone = lab.sparse("web");
    zone.zoneadm(["boot"]).ok();
    zone.sh("mkdir -p /run/systemd; ln -s /root /run/systemd/network; echo nameserver 198.51.100.53 > /etc/resolv.conf").ok();
    zone.zonecfg("add net; end").ok();
    // No link of the zone's root is followed: that is told, and the net is there.
    apply(&zone).stderr_has("programs of the guest may not know");
    zone.sh("ls /root").ok().stdout_is("");
    zone.sh("cat /etc/resolv.conf").ok().stdout_is("nameserver 198.51.100.53\n");
    reaches(&zone, outside::SERVER4);
    // Nor is what it has mounted there waited for.
    zone.sh("rm /run/systemd/network; mount -t ramfs none /run").ok();
    zone.zonecfg("add net; end").ok();
    apply(&zone).stderr_has("the zone has mounted another file system on it");
    zone.sh("ip link show eth1").ok();
}

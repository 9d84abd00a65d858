//! Who may change what in a zone's network: the host alone with `ip-type=shared`, the zone's root with `exclusive`.

use super::net_auto::{addresses, booted, call, serve};
use crate::harness::{Lab, Zone, cases, outside};

cases![
    a_shared_zone_is_on_the_network: 180,
    nothing_can_be_changed_in_a_shared_zone: 120,
    no_raw_socket_in_a_shared_zone: 180,
    users_of_a_shared_zone_may_ping: 180,
    a_shared_zone_shows_its_links: 180,
    an_exclusive_zone_is_its_roots: 180,
    a_shared_zone_with_several_nets: 180,
];

fn shared<'lab>(lab: &'lab Lab) -> Zone<'lab> {
    booted(lab, "web", "set ip-type=shared")
}

fn a_shared_zone_is_on_the_network(lab: &Lab) {
    let _internet = lab.internet();
    let zone = shared(lab);
    for family in ["-4", "-6"] {
        zone.sh(&format!("curl {family} -sS -m20 http://{}/", outside::NAME)).ok().stdout_is(outside::PAGE);
    }
    // A port below 1024 as well.
    serve(&zone, 80, "web");
    for address in addresses(&zone) {
        assert!(call(&address, 80).starts_with("web "));
    }
    zone.zoneadm(["reboot"]).ok();
    zone.sh(&format!("curl -sS -m20 http://{}/", outside::NAME)).ok().stdout_is(outside::PAGE);
}

/// The zone's network, in its own words.
#[track_caller]
fn look(zone: &Zone<'_>) -> String {
    zone.sh("ip -o link show; ip -o address show; ip route show table all; ip -6 route show table all; ip rule; ip -6 rule; \
        cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/eth0/forwarding /proc/sys/net/ipv4/conf/eth0/rp_filter")
        .ok()
        .out()
}

fn nothing_can_be_changed_in_a_shared_zone(lab: &Lab) {
    let zone = shared(lab);
    let before = look(&zone);
    for attempt in [
        "ip address add 203.0.113.9/24 dev eth0",
        "ip address flush dev eth0",
        "ip -6 address add 2001:db8:66::1/64 dev eth0",
        "ip link set eth0 down",
        "ip link set eth0 mtu 1300",
        "ip link set eth0 address 02:00:00:00:66:66",
        "ip link set eth0 promisc on",
        "ip link set lo down",
        "ip link delete eth0",
        "ip link add br0 type bridge",
        "ip link add v0 type veth peer name v1",
        "ip link add link eth0 name m0 type macvlan",
        "ip tuntap add dev tap0 mode tap",
        "ip route add 203.0.113.0/24 dev eth0",
        "ip route delete default",
        "ip -6 route add 2001:db8:66::/64 dev eth0",
        "ip rule add from all table 7",
        "ip neighbour add 203.0.113.9 lladdr 02:00:00:00:66:66 dev eth0",
        "tc qdisc add dev eth0 root pfifo",
        "nft add table inet mine",
        "echo 1 > /proc/sys/net/ipv4/conf/eth0/proxy_arp",
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
        "echo 1 > /proc/sys/net/ipv6/conf/eth0/accept_ra",
        "unshare --net sh -c 'ip link set eth0 netns $$'",
        "unshare --user --map-root-user ip address add 203.0.113.9/24 dev eth0",
        "unshare --net sleep 100 >/dev/null 2>&1 & pid=$!; ip link set eth0 netns $pid; code=$?; kill $pid; exit $code",
    ] {
        let ran = zone.sh(attempt);
        assert!(ran.code() != Some(0), "must not be possible in a shared zone: {attempt}\n{ran}");
    }
    assert_eq!(look(&zone), before, "nothing has changed");
}

fn no_raw_socket_in_a_shared_zone(lab: &Lab) {
    let zone = shared(lab);
    // Packet, raw, and raw IPv6 sockets by their numbers: socket(2).
    for (socket, protocol) in
        [("17, 3", 0x0300), ("17, 2", 0x0300), ("2, 3", 1), ("2, 3", 255), ("10, 3", 58), ("10, 3", 255)]
    {
        let script = format!("socket(my $s, {socket}, {protocol}) and exit 0; print \"$!\\n\"; exit 9");
        zone.zlogin(["perl", "-e", &script]).exits(9).stdout_is("Operation not permitted\n");
    }
    let ran = zone.sh("timeout 5 tcpdump -c1 -i eth0");
    assert!(ran.code() != Some(0) && !ran.err().contains("listening on"), "{ran}");
}

fn users_of_a_shared_zone_may_ping(lab: &Lab) {
    let _internet = lab.internet();
    let zone = shared(lab);
    for address in [outside::SERVER4, outside::SERVER6] {
        let socket = if address.contains(':') { "10, 2, 58" } else { "2, 2, 1" };
        zone.sh(&format!("ping -n -c1 -W10 {address}")).ok();
        let script = format!("$( = $) = '100 100'; $> = 100; socket(my $s, {socket}) or die $!");
        zone.zlogin(["perl", "-e", &script]).ok();
    }
}

fn a_shared_zone_shows_its_links(lab: &Lab) {
    let zone = shared(lab);
    zone.sh("ls /sys/class/net; cat /sys/class/net/eth0/operstate").ok().stdout_is("eth0\nlo\nup\n");
    zone.sh("cat /sys/class/net/eth0/mtu").ok();
    zone.sh("ss -Hlnt; ip -s link show eth0").ok();
    let refused = zone.sh("echo 1300 > /sys/class/net/eth0/mtu");
    assert!(refused.code() != Some(0), "{refused}");
}

fn an_exclusive_zone_is_its_roots(lab: &Lab) {
    let _internet = lab.internet();
    let zone = booted(lab, "web", "");
    for deed in [
        "ip link add v0 type veth peer name v1",
        "ip address add 203.0.113.9/24 dev v0",
        "ip link set v0 up",
        "ip link set v1 up",
        "ip route add 203.0.114.0/24 via 203.0.113.10",
        "ip rule add from 203.0.113.9 table 7",
        "ip link add br0 type bridge",
        "nft add table inet mine",
        "nft add chain inet mine in '{ type filter hook input priority 0; }'",
        "nft add rule inet mine in tcp dport 81 drop",
        "nft list ruleset | grep -q 'dport 81'",
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
        "echo 0 > /proc/sys/net/ipv4/conf/eth0/rp_filter",
        "tc qdisc add dev v0 root pfifo",
        "ip netns list",
        "ip link set eth0 mtu 1400",
    ] {
        zone.sh(deed).ok();
    }
    zone.sh(&format!("curl -sS -m20 http://{}/", outside::NAME)).ok().stdout_is(outside::PAGE);
    // Nothing of it is the host's, and the next incarnation begins as ever.
    let tables = crate::harness::Command::new("nft").args(["list", "tables"]).run();
    assert!(!tables.out().contains("mine"), "{tables}");
    zone.zoneadm(["reboot"]).ok();
    zone.sh("ls /sys/class/net").ok().stdout_is("eth0\nlo\n");
    zone.sh("cat /sys/class/net/eth0/mtu").ok().stdout_is("1500\n");
}

fn a_shared_zone_with_several_nets(lab: &Lab) {
    let internet = lab.internet();
    let net = "set ip-type=shared; add net; set physical=wan; set global-nic=up0; set mode=routed; set address=192.0.2.77; end";
    let zone = lab.sparse_with("web", &format!("{net}; add net; end"));
    zone.zoneadm(["boot"]).ok();
    internet.run("ping", ["-n", "-c1", "-W10", "192.0.2.77"]).ok();
    zone.sh("ls /sys/class/net").ok().stdout_is("eth0\nlo\nwan\n");
    zone.halt_whatever();
}

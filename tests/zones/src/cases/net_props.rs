//! The properties of a net: MTU, Ethernet address, routers, bandwidth; and what becomes of them.

use super::net_auto::address;
use crate::harness::{Command, Lab, Zone, cases, ip, outside, until};

cases![
    mtu: 180,
    an_ethernet_address_of_ones_own: 180,
    routers: 180,
    bandwidth_in_both_directions: 180,
    a_renamed_link: 180,
    without_an_address: 180,
    many_zones_on_one_network: 240,
];

#[track_caller]
fn link_says(zone: &Zone<'_>, file: &str, value: &str) {
    zone.sh(&format!("cat /sys/class/net/eth0/{file}")).ok().stdout_is(&format!("{value}\n"));
}

fn mtu(lab: &Lab) {
    let _internet = lab.internet();
    let zone = lab.sparse_with("web", "add net; set mtu=1400; end");
    zone.zoneadm(["boot"]).ok();
    link_says(&zone, "mtu", "1400");
    // No larger packet gets out, and none gets in: what is larger is cut, or its sender told.
    zone.sh(&format!("ping -n -c1 -W10 -M do -s 1372 {}", outside::ROUTER4)).ok();
    let ran = zone.sh(&format!("ping -n -c1 -W1 -M do -s 1373 {}", outside::ROUTER4));
    assert!(ran.code() != Some(0), "{ran}");
    zone.sh(&format!("ping -n -c1 -W10 -s 4000 {}", outside::ROUTER4)).ok();
    zone.zonecfg("select net physical=eth0; clear mtu; end").ok();
    zone.zoneadm(["reboot"]).ok();
    link_says(&zone, "mtu", "1500");
}

fn an_ethernet_address_of_ones_own(lab: &Lab) {
    let zone = lab.sparse_with("web", "add net; set mac-addr=02:00:5e:10:00:01; end");
    zone.zoneadm(["boot"]).ok();
    link_says(&zone, "address", "02:00:5e:10:00:01");
    zone.zoneadm(["reboot"]).ok();
    link_says(&zone, "address", "02:00:5e:10:00:01");
    let address = address(&zone, "eth0", 6);
    Command::new("ping").args(["-n", "-c1", "-W10", &address]).run().ok();
}

fn routers(lab: &Lab) {
    let _outside = lab.outside();
    let net = format!(
        "add net; set global-nic=up0; set address=[192.0.2.77,2001:db8:1::77]; set defrouter=[{},192.0.2.253,{}]; end",
        outside::ROUTER4,
        outside::ROUTER6
    );
    let zone = lab.sparse_with("web", &net);
    zone.zoneadm(["boot"]).ok();
    let routes = zone.sh("ip route show default; ip -6 route show default").ok().out();
    let routers: Vec<_> = routes.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    assert_eq!(routers, [outside::ROUTER4, "192.0.2.253", outside::ROUTER6], "in their order");
    zone.sh(&format!("ping -n -c1 -W10 {}", outside::SERVER4)).ok();
    zone.halt_whatever();
}

/// How many bits per second iperf3 got through, from the zone or towards it.
#[track_caller]
fn throughput(zone: &Zone<'_>, options: &str) -> f64 {
    let router = zone.sh("ip route show default").out();
    let host = router.split_whitespace().nth(2).unwrap_or_else(|| panic!("{router}")).to_owned();
    let mut server = Command::new("iperf3").args(["-s", "-1", "-B", &host]).within(120).start();
    until("iperf3 listens", || {
        (!Command::new("ss").args(["-Hltn", "sport = :5201"]).run().out().is_empty()).then_some(())
    });
    let ran = zone.sh(&format!("iperf3 -J -t 6 {options} -c {host}"));
    server.kill();
    let _ = server.wait();
    let bits = ran.ok().json()["end"]["sum_received"]["bits_per_second"].as_f64();
    bits.unwrap_or_else(|| panic!("{ran}"))
}

fn bandwidth_in_both_directions(lab: &Lab) {
    let zone = lab.sparse_with("web", "add net; set maxbw=8M; end");
    zone.zoneadm(["boot"]).ok();
    // A second's worth goes at once, and a machine is never quite even: three times is far from what goes without.
    let most = 3.0 * 8e6;
    for options in ["", "-R"] {
        let bits = throughput(&zone, options);
        assert!(bits < most, "iperf3 {options}: {bits} bits a second");
    }
    zone.zonecfg("select net physical=eth0; clear maxbw; end").ok();
    zone.zoneadm(["reboot"]).ok();
    for options in ["", "-R"] {
        let bits = throughput(&zone, options);
        assert!(bits > most, "without a limit, iperf3 {options}: {bits} bits a second");
    }
}

fn a_renamed_link(lab: &Lab) {
    let zone = lab.sparse_with("web", "add net; set physical=lan-123456789ab; set global-nic=auto; end");
    zone.zoneadm(["boot"]).ok();
    zone.sh("ls /sys/class/net").ok().stdout_is("lan-123456789ab\nlo\n");
    address(&zone, "lan-123456789ab", 6);
    // A name beyond ASCII is one to the kernel.
    zone.zonecfg("remove -F net; add net; set physical=n\u{e4}tz; set global-nic=auto; end").ok();
    zone.zoneadm(["reboot"]).ok();
    zone.sh("ls /sys/class/net").ok().stdout_has("n\u{e4}tz");
    assert!(
        ip("-o link show").out().contains("of zone web"),
        "who looks at the host's links sees whose they are"
    );
}

fn without_an_address(lab: &Lab) {
    ip("link add br0 type bridge");
    ip("link set br0 up");
    let zone = lab.sparse_with("web", "add net; set global-nic=br0; end");
    let told = "net eth0 has no address, and its link-protection lets nothing of IPv4 out of it";
    zone.zoneadm(["verify"]).ok().stderr_has(told);
    zone.zoneadm(["boot"]).ok();
    zone.sh("ip -4 -o address show dev eth0; ip route").ok().stdout_is("");
    link_says(&zone, "operstate", "up");
    ip("address add 198.51.100.1/24 dev br0");
    zone.sh("ip address add 198.51.100.7/24 dev eth0").ok();
    let ran = zone.sh("ping -n -c1 -W1 198.51.100.1");
    assert!(ran.code() != Some(0), "{ran}");
    zone.zonecfg("select net physical=eth0; set allowed-address=198.51.100.0/24; end").ok();
    let ran = zone.zoneadm(["apply"]);
    assert!(!ran.ok().err().contains(told), "{ran}");
    zone.sh("ping -n -c1 -W10 198.51.100.1").ok();
    zone.halt_whatever();
    ip("link delete br0");
}

fn many_zones_on_one_network(lab: &Lab) {
    let names: Vec<String> = (0..11).map(|number| format!("zone{number}")).collect();
    let zones: Vec<Zone<'_>> = names.iter().map(|name| lab.sparse_with(name, "add net; end")).collect();
    // All at once: the first of them makes the network.
    let boots: Vec<_> = zones.iter().map(|zone| zone.zoneadm_command(["boot"]).within(120).start()).collect();
    for boot in boots {
        boot.wait().ok();
    }
    let mut all: Vec<_> = zones.iter().map(|zone| address(zone, "eth0", 4)).collect();
    zones[0].sh(&format!("for a in {}; do ping -n -c1 -W10 $a || exit 1; done", all.join(" "))).ok();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), zones.len(), "an address each: {all:?}");
    let halts: Vec<_> = zones.iter().map(|zone| zone.zoneadm_command(["halt"]).within(120).start()).collect();
    for halt in halts {
        halt.wait().ok();
    }
    until("the network has gone", || (!ip("-o link show type bridge").out().contains("zbr")).then_some(()));
    zones[0].zoneadm(["boot"]).ok();
    address(&zones[0], "eth0", 4);
}

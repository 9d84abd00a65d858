//! The network of a zone that runs: nets, ports, addresses, link protection and bandwidth come, change and go, what somebody has
//! taken away is mended, and the zone is the same one all the time.

use super::live::differs;
use super::net_auto::{address, call, serve};
use crate::harness::{Command, Lab, Ran, Zone, cases, ip, need_failpoints, outside, until};

cases![
    a_net_comes_and_goes: 180,
    ports_come_change_and_go: 180,
    addresses_and_routers_change: 180,
    what_may_leave_changes: 180,
    what_was_taken_away_is_mended: 180,
    a_routed_net_comes_and_changes: 180,
    the_hosts_loopback_is_closed_with_the_last_port: 180,
    what_takes_a_boot_waits: 180,
    a_shared_zone_is_given_a_net: 180,
    what_fails_is_taken_back: 180,
];

/// Applies what is configured, which has to be something, and looks that nothing is left that waits.
#[track_caller]
pub(super) fn apply(zone: &Zone<'_>) -> Ran {
    let before = zone.status();
    let ran = zone.zoneadm(["apply"]);
    ran.ok().stdout_has("Applied the changes");
    assert!(differs(zone).is_empty(), "{ran}");
    let now = zone.status();
    assert_eq!((now.uniqid, now.pid), (before.uniqid, before.pid), "it is the same zone");
    ran
}

#[track_caller]
pub(super) fn reaches(zone: &Zone<'_>, address: &str) {
    zone.sh(&format!("ping -n -c1 -W10 {address}")).ok();
}

/// What of the host is of the zone: its links and tables of rules.
fn of_zones() -> String {
    let links = ip("-o link show").out();
    let links: Vec<_> = links.lines().filter(|line| line.contains("of zone ")).collect();
    format!("{links:?} {}", Command::new("nft").args(["list", "tables"]).run().out())
}

fn a_net_comes_and_goes(lab: &Lab) {
    let _internet = lab.internet();
    let before = of_zones();
    let zone = lab.sparse("web");
    zone.zoneadm(["boot"]).ok();
    zone.zonecfg("add net; end").ok().stderr_has("'zoneadm -z web apply' gives it net eth0");
    apply(&zone).stdout_has("Checking: Adding net eth0");
    reaches(&zone, outside::SERVER4);
    reaches(&zone, outside::SERVER6);
    let first = address(&zone, "eth0", 4);
    zone.zonecfg("add net; end").ok();
    apply(&zone);
    assert_ne!(address(&zone, "eth1", 4), first);
    let routes = zone.sh("ip -4 route show default").ok().out();
    assert_eq!(routes.lines().count(), 2, "{routes}");
    assert!(
        routes.lines().next().is_some_and(|line| line.contains("dev eth0")),
        "the first is the best: {routes}"
    );
    // The first goes, the second stays what it is.
    let second = address(&zone, "eth1", 4);
    zone.zonecfg("remove net physical=eth0").ok();
    apply(&zone).stdout_has("Checking: Removing net eth0");
    zone.sh("! ip link show eth0 2>/dev/null").ok();
    assert_eq!(address(&zone, "eth1", 4), second);
    reaches(&zone, outside::SERVER4);
    zone.zoneadm(["list", "--net"]).ok().stdout_has(&second);
    zone.zonecfg("remove net").ok();
    apply(&zone);
    assert!(!zone.run_dir().join("network.toml").exists());
    assert_eq!(of_zones(), before, "nothing is left of it on the host");
    zone.zoneadm(["halt"]).ok();
}

fn ports_come_change_and_go(lab: &Lab) {
    let internet = lab.internet();
    let zone = lab.sparse_with("web", "add net; end");
    zone.zoneadm(["boot"]).ok();
    serve(&zone, 80, "web");
    serve(&zone, 81, "other");
    let refused = || internet.sh(&format!("nc -z -w2 {} 8080", outside::HOST4)).code() != Some(0);
    assert!(refused());
    zone.zonecfg("add port; set host=8080; set to=80; end").ok();
    apply(&zone);
    assert!(call(outside::HOST4, 8080).starts_with("web "));
    zone.zonecfg("select port host=8080; set to=81; end").ok();
    apply(&zone).stdout_has("Modifying port 8080 to=81");
    assert!(call(outside::HOST4, 8080).starts_with("other "));
    // What somebody else has is refused before anything is changed.
    let other = lab.sparse_with("db", "add net; end; add port; set host=9090; set to=80; end");
    other.zoneadm(["boot"]).ok();
    zone.zonecfg("remove port host=8080; add port; set host=9090; set to=80; end").ok();
    zone.zoneadm(["apply"]).refuses().stderr_has("port tcp 9090 of the host is already that of zone db");
    assert!(call(outside::HOST4, 8080).starts_with("other "), "it is as it was");
    zone.zonecfg("remove port").ok();
    apply(&zone);
    assert!(refused());
}

fn addresses_and_routers_change(lab: &Lab) {
    let _outside = lab.outside();
    ip("link add br0 type bridge");
    ip("link set br0 up");
    ip("address add 198.51.100.1/24 dev br0");
    ip("address add 2001:db8:51::1/64 dev br0 nodad");
    let zone = lab.sparse_with(
        "web",
        "add net; set global-nic=br0; set address=198.51.100.7/24; set defrouter=198.51.100.1; end",
    );
    zone.zoneadm(["boot"]).ok();
    let mac = || zone.sh("cat /sys/class/net/eth0/address").ok().out();
    let before = mac();
    zone.zonecfg("select net physical=eth0; set address=[198.51.100.8/24,2001:db8:51::8/64]; set defrouter=198.51.100.254; end")
        .ok();
    apply(&zone);
    let has = zone.sh("ip -o address show dev eth0; ip route show default").ok().out();
    for wanted in ["198.51.100.8/24", "2001:db8:51::8/64", "default via 198.51.100.254"] {
        assert!(has.contains(wanted), "{wanted}: {has}");
    }
    for gone in ["198.51.100.7", "default via 198.51.100.1 "] {
        assert!(!has.contains(gone), "{gone}: {has}");
    }
    assert_eq!(mac(), before, "it is the same link");
    reaches(&zone, "198.51.100.1");
    Command::new("ping").args(["-n", "-c1", "-W10", "198.51.100.8"]).run().ok();
    // The rules know the new address and no more the old one.
    zone.sh("ip address add 198.51.100.7/24 dev eth0").ok();
    let ran = zone.sh("ping -n -c1 -W1 -I 198.51.100.7 198.51.100.1");
    assert!(ran.code() != Some(0), "{ran}");
    zone.zoneadm(["halt"]).ok();
    ip("link delete br0");
}

fn what_may_leave_changes(lab: &Lab) {
    let _internet = lab.internet();
    let zone = lab.sparse_with("web", "add net; end");
    zone.zoneadm(["boot"]).ok();
    let router = zone.sh("ip -4 route show default").ok().out();
    let router = router.split_whitespace().nth(2).unwrap_or_else(|| panic!("{router}")).to_owned();
    zone.sh("ip address add 203.0.113.9/32 dev eth0").ok();
    // The host needs a way back, whoever may send.
    let bridge = ip("-o -4 address show").out();
    let bridge =
        bridge.lines().find(|line| line.contains(&router)).and_then(|line| line.split_whitespace().nth(1));
    let bridge = bridge.unwrap_or_else(|| panic!("nobody has {router}")).to_owned();
    ip(&format!("route add 203.0.113.9/32 dev {bridge}"));
    let leaves = || zone.sh(&format!("ping -n -c1 -W1 -I 203.0.113.9 {router}")).code() == Some(0);
    assert!(!leaves(), "it is nobody's to use");
    zone.zonecfg("select net physical=eth0; set allowed-address=203.0.113.9/32; end").ok();
    apply(&zone).stdout_has("Modifying net eth0 allowed-address=");
    // A busy machine may take longer than the second that ping waits.
    let may_leave = || until("it may leave", || leaves().then_some(()));
    may_leave();
    zone.zonecfg("select net physical=eth0; clear allowed-address; end").ok();
    apply(&zone);
    assert!(!leaves());
    zone.zonecfg("select net physical=eth0; set link-protection=none; end").ok();
    apply(&zone);
    may_leave();
    zone.zonecfg("select net physical=eth0; clear link-protection; set maxbw=10M; end").ok();
    apply(&zone);
    assert!(!leaves());
    let queues = || Command::new("tc").args(["qdisc", "show"]).run().out();
    assert!(queues().contains("tbf") && queues().contains("10Mbit"), "{}", queues());
    zone.zonecfg("select net physical=eth0; clear maxbw; end").ok();
    apply(&zone);
    assert!(!queues().contains("tbf"), "{}", queues());
    reaches(&zone, &router);
}

fn what_was_taken_away_is_mended(lab: &Lab) {
    let _internet = lab.internet();
    let zone = lab.sparse_with("web", "add net; end; add port; set host=8080; set to=80; end");
    let other = lab.sparse_with("db", "add net; end");
    zone.zoneadm(["boot"]).ok();
    other.zoneadm(["boot"]).ok();
    serve(&zone, 80, "web");
    let works = |zone: &Zone<'_>| {
        until("the internet is there", || {
            (zone.sh(&format!("ping -n -c1 -W2 {}", outside::SERVER4)).code() == Some(0)).then_some(())
        });
    };
    works(&zone);
    let before = address(&zone, "eth0", 4);
    let bridge = ip("-o link show type bridge").out();
    let bridge = bridge.split(':').nth(1).map(str::trim).unwrap_or_else(|| panic!("{bridge}")).to_owned();
    let host_end = || {
        let links = ip("-o link show").out();
        let ours = links.lines().find(|line| line.contains("eth0 of zone web")).map(str::to_owned);
        ours.and_then(|line| line.split([':', '@']).nth(1).map(|name| name.trim().to_owned()))
    };
    let deeds: [(&str, &dyn Fn()); 3] = [
        ("the bridge", &|| {
            ip(&format!("link delete {bridge}")).ok();
        }),
        ("the rules", &|| {
            Command::new("nft").args(["flush", "ruleset"]).run().ok();
        }),
        ("the link", &|| {
            let end = host_end().unwrap_or_else(|| panic!("it must be there"));
            ip(&format!("link delete {end}")).ok();
        }),
    ];
    for (what, deed) in deeds {
        deed();
        zone.zoneadm(["apply"]).ok().stdout_has("It has what is configured");
        other.zoneadm(["apply"]).ok();
        works(&zone);
        works(&other);
        assert_eq!(address(&zone, "eth0", 4), before, "{what}");
        assert!(call(outside::HOST4, 8080).starts_with("web "), "{what}");
        let ran = zone.sh("ip address add 203.0.113.9/32 dev eth0; ping -n -c1 -W1 -I 203.0.113.9 192.0.2.1");
        assert!(ran.code() != Some(0), "it is guarded: {what}\n{ran}");
    }
}

fn a_routed_net_comes_and_changes(lab: &Lab) {
    let _internet = lab.internet();
    let zone = lab.sparse("web");
    zone.zoneadm(["boot"]).ok();
    zone.zonecfg("add net; set global-nic=up0; set mode=routed; set address=192.0.2.77; end").ok();
    apply(&zone);
    Command::new("ping").args(["-n", "-c1", "-W10", "192.0.2.77"]).run().ok();
    reaches(&zone, outside::SERVER4);
    zone.zonecfg("select net physical=eth0; set address=192.0.2.78; end").ok();
    apply(&zone);
    Command::new("ping").args(["-n", "-c1", "-W10", "192.0.2.78"]).run().ok();
    reaches(&zone, outside::SERVER4);
    let routes = ip("route show").out();
    assert!(!routes.contains("192.0.2.77"), "{routes}");
    let proxies = ip("neighbour show proxy").out();
    assert!(proxies.contains("192.0.2.78") && !proxies.contains("192.0.2.77"), "{proxies}");
    // A route that somebody has deleted is there again.
    ip("route delete 192.0.2.78").ok();
    zone.zoneadm(["apply"]).ok();
    Command::new("ping").args(["-n", "-c1", "-W10", "192.0.2.78"]).run().ok();
}

fn the_hosts_loopback_is_closed_with_the_last_port(lab: &Lab) {
    let _internet = lab.internet();
    let port = "add port; set host=8080; set to=80; end";
    let net = "add net; set global-nic=up0; set mode=routed; set address=192.0.2.77; end";
    let zone = lab.sparse_with("web", &format!("{net}; {port}"));
    zone.zoneadm(["boot"]).ok();
    let open = || {
        let links = ip("-o link show").out();
        let end = links.lines().find(|line| line.contains("eth0 of zone web"));
        let end = end.and_then(|line| line.split([':', '@']).nth(1)).map(str::trim);
        let end = end.unwrap_or_else(|| panic!("the link must be there: {links}"));
        crate::harness::read(format!("/proc/sys/net/ipv4/conf/{end}/route_localnet").as_ref()).trim() == "1"
    };
    let guarded = || Command::new("nft").args(["list", "ruleset"]).run().out().contains("chain martians");
    assert!(open() && guarded());
    zone.zonecfg("remove port").ok();
    // What is taken back has both again.
    zone.fails("zoneadmd", "snapshot.commit", 1, "EIO", false);
    zone.zoneadm(["apply"]).refuses();
    need_failpoints(&zone.fail_no_more());
    assert!(open() && guarded());
    apply(&zone);
    assert!(!open(), "without the rules nothing may lead there");
    zone.zonecfg(port).ok();
    apply(&zone);
    assert!(open() && guarded());
    // Another net is the one to which ports lead.
    ip("link add br0 type bridge").ok();
    ip("address add 198.51.100.1/24 dev br0").ok();
    ip("link set br0 up").ok();
    zone.zonecfg(&format!(
        "remove net physical=eth0; add net; set physical=lan; set global-nic=br0; set address=198.51.100.7; end; {}",
        net.replace("add net;", "add net; set physical=eth0;")
    ))
    .ok();
    apply(&zone);
    assert!(!open(), "ports lead to another net");
    zone.zoneadm(["halt"]).ok();
    ip("link delete br0").ok();
}

fn what_takes_a_boot_waits(lab: &Lab) {
    let zone = lab.sparse_with("web", "add net; end");
    zone.zoneadm(["boot"]).ok();
    zone.zonecfg("select net physical=eth0; set mtu=1400; end; set shutdown-timeout=7").ok();
    zone.zoneadm(["apply"]).ok().stdout_has("Modifying net eth0 mtu=1400 waits until the zone boots next");
    zone.sh("cat /sys/class/net/eth0/mtu").ok().stdout_is("1500\n");
    assert_eq!(differs(&zone).len(), 1, "the rest was given");
}

fn a_shared_zone_is_given_a_net(lab: &Lab) {
    let _internet = lab.internet();
    let zone = lab.sparse_with("web", "set ip-type=shared");
    zone.zoneadm(["boot"]).ok();
    zone.zonecfg("add net; end").ok();
    apply(&zone);
    reaches(&zone, outside::SERVER4);
    let ran = zone.sh("ip address add 203.0.113.9/32 dev eth0");
    assert!(ran.code() != Some(0), "it is the host's alone\n{ran}");
    zone.zonecfg("remove net").ok();
    apply(&zone);
    zone.sh("! ip link show eth0 2>/dev/null").ok();
}

fn what_fails_is_taken_back(lab: &Lab) {
    let _internet = lab.internet();
    let zone = lab.sparse("web");
    zone.boot();
    let before = of_zones();
    zone.zonecfg("add net; end; add port; set host=8080; set to=80; end").ok();
    zone.fails("zoneadmd", "snapshot.commit", 1, "EIO", false);
    zone.zoneadm(["apply"]).refuses();
    need_failpoints(&zone.fail_no_more());
    zone.sh("! ip link show eth0 2>/dev/null").ok();
    assert!(!zone.run_dir().join("network.toml").exists());
    assert_eq!(of_zones(), before);
    apply(&zone);
    reaches(&zone, outside::SERVER4);
    // And back to other addresses, too.
    let first = address(&zone, "eth0", 4);
    let of_net =
        |last: &str| first.rsplit_once('.').map(|(net, _)| format!("{net}.{last}")).unwrap_or_default();
    let (had, other) = (of_net("249"), of_net("250"));
    zone.zonecfg(&format!("select net physical=eth0; set address={had}; end")).ok();
    apply(&zone);
    zone.zonecfg(&format!("select net physical=eth0; set address={other}; end; remove port")).ok();
    zone.fails("zoneadmd", "snapshot.commit", 1, "EIO", false);
    zone.zoneadm(["apply"]).refuses();
    need_failpoints(&zone.fail_no_more());
    assert_eq!(address(&zone, "eth0", 4), had);
    reaches(&zone, outside::SERVER4);
    apply(&zone);
    assert_eq!(address(&zone, "eth0", 4), other);
    reaches(&zone, outside::SERVER4);
}

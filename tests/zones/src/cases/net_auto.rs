//! `add net; end`: a zone has an address, a router and names, gets out, and is reached.

use crate::harness::{Lab, Zone, bridges_by_themselves, cases, ip, outside, read, until, write};

cases![
    one_line_gives_the_internet: 180,
    it_is_there_before_init: 180,
    a_zone_gets_out_by_the_hosts_address: 180,
    nobody_outside_reaches_a_zone: 180,
    zones_reach_each_other: 180,
    isolated_zones_do_not: 180,
    a_resolv_conf_of_the_guests_own_is_left: 180,
    a_host_without_nameserver_is_told: 180,
    its_own_name_resolves: 180,
    a_host_without_ipv6_gives_ipv4: 180,
    the_last_zone_takes_the_network_along: 180,
    addresses_last_as_long_as_the_zone: 180,
    two_installations_do_not_meet: 180,
];

/// An address of a zone's link, without its prefix.
#[track_caller]
pub(super) fn address(zone: &Zone<'_>, link: &str, family: u8) -> String {
    let ran = zone.sh(&format!("ip -{family} -o address show dev {link} scope global"));
    let line = ran.ok().out();
    let address = line.split_whitespace().nth(3).and_then(|word| word.split('/').next().map(str::to_owned));
    address.unwrap_or_else(|| panic!("{link} must have an address of IPv{family}\n{ran}"))
}

/// Both addresses of a zone's `eth0`.
#[track_caller]
pub(super) fn addresses(zone: &Zone<'_>) -> [String; 2] {
    [address(zone, "eth0", 4), address(zone, "eth0", 6)]
}

/// An address as a part of a URL, or of socat's address.
pub(super) fn quoted(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

/// A sparse zone that is up, with a net of the managed network and more in its configuration.
#[track_caller]
pub(super) fn booted<'lab>(lab: &'lab Lab, name: &str, script: &str) -> Zone<'lab> {
    let zone = lab.sparse_with(name, &format!("add net; end; {script}"));
    // What is switched on in the host is said.
    zone.zoneadm(["boot"]).ok();
    zone
}

/// Has somebody listen in a zone, on a port of TCP of both families, who tells each caller `word` and his address.
#[track_caller]
pub(super) fn serve(zone: &Zone<'_>, port: u16, word: &str) {
    for (listener, mark) in [("TCP4-LISTEN", "-4"), ("TCP6-LISTEN", "-6")] {
        let only = if mark == "-6" { ",ipv6-v6only=1" } else { "" };
        let server =
            format!("socat {listener}:{port},reuseaddr,fork{only} SYSTEM:'echo {word} $SOCAT_PEERADDR'");
        zone.sh(&format!("setsid {server} </dev/null >/dev/null 2>&1 &")).ok();
        until("the zone listens", || {
            let listening = zone.sh(&format!("ss {mark} -Hltn 'sport = :{port}'"));
            (!listening.ok().out().is_empty()).then_some(())
        });
    }
}

/// What a server says to the host that calls it.
#[track_caller]
pub(super) fn call(address: &str, port: u16) -> String {
    let words = ["-T5", "-", &format!("TCP:{}:{port},connect-timeout=5", quoted(address))].map(str::to_owned);
    let ran = crate::harness::Command::new("socat").args(words).run();
    ran.ok().out()
}

/// The shell's words for the same.
pub(super) fn calling(address: &str, port: u16) -> String {
    format!("socat -T5 - TCP:{}:{port},connect-timeout=5 </dev/null", quoted(address))
}

#[track_caller]
fn reaches_the_internet(zone: &Zone<'_>) {
    for address in [outside::ROUTER4, outside::ROUTER6, outside::SERVER4, outside::SERVER6] {
        zone.sh(&format!("ping -n -c1 -W10 {address}")).ok();
    }
    for family in ["-4", "-6"] {
        zone.sh(&format!("curl {family} -sS -m20 http://{}/", outside::NAME)).ok().stdout_is(outside::PAGE);
    }
    let dig = zone.sh(&format!("dig +short {} A; dig +tcp +short {} AAAA", outside::NAME, outside::NAME));
    dig.ok().stdout_is(&format!("{}\n{}\n", outside::SERVER4, outside::SERVER6));
}

fn one_line_gives_the_internet(lab: &Lab) {
    let _internet = lab.internet();
    // A network namespace begins with what the machine's own has.
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").expect("forwarding is off");
    let zone = lab.sparse_with("web", "add net; end");
    let ran = zone.zoneadm(["boot"]);
    ran.ok().stderr_has("ip_forward");
    reaches_the_internet(&zone);
    for address in addresses(&zone) {
        crate::harness::Command::new("ping").args(["-n", "-c1", "-W10", &address]).run().ok();
        zone.sh(&format!("ip route get {address}")).ok();
    }
    serve(&zone, 80, "web");
    for address in addresses(&zone) {
        assert!(call(&address, 80).starts_with("web "));
    }
    zone.zoneadm(["reboot"]).ok();
    reaches_the_internet(&zone);
}

fn it_is_there_before_init(lab: &Lab) {
    let _internet = lab.internet();
    let script = "/bin/busybox ip -o address show dev eth0 > /root/part
/bin/busybox ip route >> /root/part; /bin/busybox ip -6 route >> /root/part; cat /etc/resolv.conf >> /root/part
cat /sys/class/net/eth0/operstate >> /root/part
/bin/busybox wget -q -O - http://www.zones.test/ >> /root/part 2>&1; /bin/busybox mv /root/part /root/first
while :; do sleep 1000; done";
    let zone = lab.tiny("web", script);
    zone.zonecfg("add net; end").ok();
    zone.zoneadm(["boot"]).ok();
    let first = zone.written("/root/first");
    for text in [
        "inet ",
        "inet6 fd",
        "default via ",
        &format!("nameserver {}\n", outside::ROUTER4),
        "up\n",
        outside::PAGE,
    ] {
        assert!(first.contains(text), "init must find {text:?}:\n{first}");
    }
    assert!(!first.contains("tentative"), "an address may be used at once:\n{first}");
    assert_eq!(first.matches("default via ").count(), 2, "{first}");
}

fn a_zone_gets_out_by_the_hosts_address(lab: &Lab) {
    let _internet = lab.internet();
    let zone = booted(lab, "web", "");
    for (server, host) in [(outside::SERVER4, outside::HOST4), (outside::SERVER6, outside::HOST6)] {
        let words = zone.sh(&calling(server, outside::WHO)).ok().out();
        let seen = words.trim().trim_matches(['[', ']']).trim_start_matches("::ffff:").to_owned();
        assert!(same_address(&seen, host), "{server} was called by {seen}, not by {host}");
    }
}

/// Whether two texts are one address: socat writes all zeros.
fn same_address(one: &str, other: &str) -> bool {
    let parse = |text: &str| {
        let ip: std::net::IpAddr = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        ip.to_canonical()
    };
    parse(one) == parse(other)
}

fn nobody_outside_reaches_a_zone(lab: &Lab) {
    let internet = lab.internet();
    let zone = booted(lab, "web", "");
    serve(&zone, 80, "web");
    let [v4, v6] = addresses(&zone);
    // A neighbour who sends what is for the zone to the host.
    internet.run("ip", ["route", "add", &v4, "via", outside::HOST4]).ok();
    internet.run("ip", ["-6", "route", "add", &v6, "via", outside::HOST6]).ok();
    for address in [&v4, &v6] {
        assert!(call(address, 80).starts_with("web "), "the host reaches it");
        let ran =
            internet.sh(&format!("socat -T2 - TCP:{}:80,connect-timeout=2 </dev/null", quoted(address)));
        assert!(ran.code() != Some(0) && ran.out().is_empty(), "nobody from outside does\n{ran}");
    }
}

#[track_caller]
fn pair<'lab>(lab: &'lab Lab, script: &str) -> [Zone<'lab>; 2] {
    let both = ["web", "db"].map(|name| {
        let zone = lab.sparse_with(name, &format!("add net; {script}end"));
        zone.zoneadm(["boot"]).ok();
        zone
    });
    serve(&both[1], 80, "db");
    both
}

fn zones_reach_each_other(lab: &Lab) {
    let [web, db] = pair(lab, "");
    for (address, own) in addresses(&db).iter().zip(addresses(&web)) {
        web.sh(&format!("ping -n -c1 -W10 {address}")).ok();
        let said = web.sh(&calling(address, 80)).ok().out();
        let caller = said.trim().trim_start_matches("db ").trim_matches(['[', ']']).to_owned();
        assert!(same_address(&caller, &own), "as itself, not as the host: {said}");
    }
}

fn isolated_zones_do_not(lab: &Lab) {
    let _internet = lab.internet();
    let [web, db] =
        pair(lab, "set link-protection=[mac-nospoof,ip-nospoof,dhcp-nospoof,restricted,isolated]; ");
    for address in addresses(&db) {
        assert!(call(&address, 80).starts_with("db "), "the host reaches it");
        for attempt in [
            format!("ping -n -c1 -W1 {address}"),
            format!("socat -T1 - TCP:{}:80,connect-timeout=1", quoted(&address)),
        ] {
            let ran = web.sh(&attempt);
            assert!(ran.code() != Some(0), "an isolated zone reaches no other\n{ran}");
        }
    }
    // Neither by the host, which would send it on from the bridge itself.
    let route = web.sh("ip -4 route show default").ok().out();
    let router = route.split_whitespace().nth(2).unwrap_or_else(|| panic!("{route}")).to_owned();
    let [v4, _] = addresses(&db);
    web.sh(&format!("ip route add {v4}/32 via {router} dev eth0 onlink")).ok();
    let ran = web.sh(&calling(&v4, 80));
    assert!(ran.code() != Some(0), "the host sends nothing on either\n{ran}");
    web.sh(&format!("ping -n -c1 -W10 {router}")).ok();
    reaches_the_internet(&web);
    reaches_the_internet(&db);
    // What others publish is for the host until it leads there, but where it is translated before it has left the bridge.
    bridges_by_themselves();
    db.zonecfg("add port; set host=8080; set to=80; end").ok();
    db.zoneadm(["apply"]).ok();
    web.sh(&calling(&router, 8080)).ok().stdout_has("db ");
}

fn a_resolv_conf_of_the_guests_own_is_left(lab: &Lab) {
    let _internet = lab.internet();
    let zone = lab.sparse_with("web", "add net; end");
    write(&zone.file("/etc/resolv.conf"), "nameserver 198.51.100.53\n");
    zone.zoneadm(["boot"]).ok();
    zone.sh("cat /etc/resolv.conf").ok().stdout_is("nameserver 198.51.100.53\n");
    zone.halt_whatever();
    std::fs::remove_file(zone.file("/etc/resolv.conf")).unwrap_or_else(|e| panic!("{e}"));
    zone.zoneadm(["boot"]).ok();
    zone.sh("cat /etc/resolv.conf").ok().stdout_has(outside::ROUTER4);
    // What was ours follows what there is.
    write(
        &lab.etc().join("network.toml"),
        format!("{}nameservers = [\"{}\"]\n", without_nameservers(lab), outside::ROUTER6),
    );
    zone.zoneadm(["reboot"]).ok();
    zone.sh("cat /etc/resolv.conf").ok().stdout_has(outside::ROUTER6);
    reaches_the_internet(&zone);
}

pub(super) fn without_nameservers(lab: &Lab) -> String {
    let text = read(&lab.etc().join("network.toml"));
    text.lines().filter(|line| !line.starts_with("nameservers")).map(|line| format!("{line}\n")).collect()
}

fn a_host_without_nameserver_is_told(lab: &Lab) {
    let internet = lab.internet();
    write(&lab.path("resolv.conf"), "nameserver 127.0.0.53\n");
    let zone = lab.sparse_with("web", "add net; end");
    zone.zoneadm(["boot"]).ok().stderr_has("only 127.0.0.53, which a zone cannot reach");
    zone.sh(&format!("curl -sS -m20 http://{}/", outside::SERVER4)).ok().stdout_is(outside::PAGE);
    drop(internet);
}

fn its_own_name_resolves(lab: &Lab) {
    let zone = booted(lab, "web", "");
    zone.sh("getent hosts web").ok();
    zone.sh("ping -n -c1 -W10 web").ok();
}

fn a_host_without_ipv6_gives_ipv4(lab: &Lab) {
    write(std::path::Path::new("/proc/sys/net/ipv6/conf/all/disable_ipv6"), "1");
    let zone = booted(lab, "web", "");
    address(&zone, "eth0", 4);
    zone.sh("ip -6 -o address show dev eth0 scope global").ok().stdout_is("");
    zone.halt_whatever();
    write(std::path::Path::new("/proc/sys/net/ipv6/conf/all/disable_ipv6"), "0");
    zone.zoneadm(["boot"]).ok();
    address(&zone, "eth0", 6);
}

/// The links of the host that are ours.
fn links() -> Vec<String> {
    let all = ip("-o link show").out();
    let names = all
        .lines()
        .filter_map(|line| line.split(": ").nth(1))
        .map(|name| name.split('@').next().unwrap_or(name));
    names.filter(|name| name.starts_with('z')).map(str::to_owned).collect()
}

fn the_last_zone_takes_the_network_along(lab: &Lab) {
    let [web, db] = pair(lab, "");
    assert_eq!(links().len(), 3, "a bridge and a link each: {:?}", links());
    web.halt_whatever();
    // The pair goes with the zone's namespace, which the kernel takes down by itself.
    until("the zone's link has gone", || (links().len() == 2).then_some(()));
    let _ = db.zlogin(["poweroff"]);
    db.becomes("installed");
    let tables = || crate::harness::Command::new("nft").args(["list", "tables"]).run().ok().out();
    until("the managed network has gone", || (links().is_empty() && tables().is_empty()).then_some(()));
}

fn addresses_last_as_long_as_the_zone(lab: &Lab) {
    let zone = booted(lab, "web", "");
    let mac = |zone: &Zone<'_>| zone.sh("cat /sys/class/net/eth0/address").ok().out();
    let before = (addresses(&zone), mac(&zone));
    zone.zoneadm(["reboot"]).ok();
    assert_eq!((addresses(&zone), mac(&zone)), before, "over a reboot");
    zone.halt_whatever();
    zone.zoneadm(["uninstall", "-F"]).ok();
    zone.zoneadm(["install"]).ok();
    zone.zoneadm(["boot"]).ok();
    assert_eq!((addresses(&zone), mac(&zone)), before, "over an install");
    zone.remove();
    let left = read(&lab.etc().join("addresses"));
    assert!(!left.contains("web"), "who was deleted has no address: {left}");
    let again = booted(lab, "web", "");
    assert_eq!(mac(&again), before.1, "a name has its Ethernet address for ever");
}

fn two_installations_do_not_meet(lab: &Lab) {
    let zone = booted(lab, "web", "");
    let other = lab.path("other");
    crate::harness::make_dir(&other, 0o755);
    let run = |program: &str, words: &[&str]| {
        let ran = lab.command(program, words).env("ZONES_ROOT", &other).run();
        ran.ok();
        ran
    };
    run("zonecfg", &["-z", "web", "create; add net; end"]);
    run("zoneadm", &["-z", "web", "install"]);
    run("zoneadm", &["-z", "web", "boot"]);
    assert_eq!(links().len(), 4, "{:?}", links());
    let theirs = run("zlogin", &["web", "ip", "-o", "-4", "address", "show", "dev", "eth0"]).out();
    let [v4, _] = addresses(&zone);
    assert!(!theirs.contains(&v4), "{theirs}");
    zone.halt_whatever();
    until("the zone's bridge and link have gone", || (links().len() == 2).then_some(()));
    // The other one is as it was.
    run("zlogin", &["web", "ping", "-n", "-c1", "-W10", &router(&theirs)]);
    run("zoneadm", &["-z", "web", "halt"]);
    run("zoneadm", &["-z", "web", "uninstall", "-F"]);
    run("zonecfg", &["-z", "web", "delete -F"]);
}

/// The first address of the network that a line of `ip address` tells of.
fn router(line: &str) -> String {
    let text = line.split_whitespace().nth(3).unwrap_or_else(|| panic!("{line}"));
    let (address, length) = text.split_once('/').unwrap_or_else(|| panic!("{line}"));
    let address: std::net::Ipv4Addr = address.parse().unwrap_or_else(|e| panic!("{line}: {e}"));
    let length: u32 = length.parse().unwrap_or_else(|e| panic!("{line}: {e}"));
    let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
    std::net::Ipv4Addr::from((u32::from(address) & mask) + 1).to_string()
}

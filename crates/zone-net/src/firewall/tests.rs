//! Connections through the rules: between the host, two zones and somebody outside.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use zone_config::Layout;

use super::*;
use crate::lab::{Netns, veth};
use crate::spec::Protocol;

/// How long something is waited for that comes, and something that does not.
const COMES: Duration = Duration::from_secs(5);
const MISSING: Duration = Duration::from_millis(300);

struct Lab {
    host: Netns,
    outside: Netns,
    web: Netns,
    db: Netns,
}

const ZONE: [&str; 2] = ["10.9.0.5", "fd09::5"];
const OTHER: [&str; 2] = ["10.9.0.6", "fd09::6"];
const HOST: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
const BRIDGE: [&str; 2] = ["10.9.0.1", "fd09::1"];
const OUTSIDE: [&str; 2] = ["192.0.2.2", "2001:db8::2"];

fn name(zone: &str) -> ZoneName {
    zone.parse().unwrap()
}

fn installation() -> InstallationId {
    Layout::new(Some("/nowhere/at/all".into())).unwrap().id()
}

fn lab() -> Lab {
    let (host, outside, web, db) = (Netns::new(), Netns::new(), Netns::new(), Netns::new());
    host.all(&[
        "ip link add br0 type bridge",
        "ip link set br0 up",
        "ip address add 10.9.0.1/24 dev br0",
        "ip address add fd09::1/64 dev br0 nodad",
    ]);
    for (zone, link, addresses) in [(&web, "z1", ZONE), (&db, "z2", OTHER)] {
        veth(&host, link, zone, "eth0");
        host.sh(&format!("ip link set {link} master br0"));
        zone.sh(&format!("ip address add {}/24 dev eth0", addresses[0]));
        zone.sh(&format!("ip address add {}/64 dev eth0 nodad", addresses[1]));
        zone.all(&["ip route add default via 10.9.0.1", "ip route add default via fd09::1"]);
    }
    veth(&host, "up0", &outside, "eth0");
    host.all(&["ip address add 192.0.2.1/24 dev up0", "ip address add 2001:db8::1/64 dev up0 nodad"]);
    outside.all(&[
        "ip address add 192.0.2.2/24 dev eth0",
        "ip address add 2001:db8::2/64 dev eth0 nodad",
        // Somebody who knows where the zones are.
        "ip route add 10.9.0.0/24 via 192.0.2.1",
        "ip route add fd09::/64 via 2001:db8::1",
    ]);
    host.sh(
        "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.br0.route_localnet=1",
    );
    host.sh("ip -6 route add local ::1 dev br0 table local metric 4096");
    let lab = Lab { host, outside, web, db };
    let ranges = ["10.9.0.0/24".parse().unwrap(), "fd09::/64".parse().unwrap()];
    lab.host.run(|| network(installation(), "br0", &ranges).unwrap());
    lab
}

fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port)
}

fn port(protocol: Protocol, first: u16, last: u16, to: u16) -> PortSpec {
    PortSpec { protocol, host: None, first, last, to }
}

impl Lab {
    fn ports(&self, zone: &str, addresses: [&str; 2], list: &[PortSpec]) {
        let zone = name(zone);
        let owner = Owner { installation: installation(), zone: &zone };
        let addresses = addresses.map(|address| address.parse().unwrap());
        self.host.run(|| ports(owner, "br0", &addresses, list)).unwrap();
    }
}

/// A socket on an address that another one had just now: a program that another test starts has a copy of that one between
/// fork and exec.
fn bound<T>(bind: impl Fn() -> std::io::Result<T>) -> T {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        match bind() {
            Err(error)
                if error.kind() == std::io::ErrorKind::AddrInUse && std::time::Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            socket => return socket.unwrap(),
        }
    }
}

/// What a server sees of who connects to it, if somebody comes: the client's address, by the server's own words.
fn tcp(from: &Netns, to: SocketAddr, server: &Netns, listen: SocketAddr, wait: Duration) -> Option<IpAddr> {
    let listener = server.run(|| bound(|| TcpListener::bind(listen)));
    let answer = std::thread::spawn(move || {
        let (mut stream, peer) = listener.accept().ok()?;
        stream.write_all(peer.ip().to_string().as_bytes()).ok()?;
        Some(())
    });
    let said = from.run(|| {
        let mut stream = TcpStream::connect_timeout(&to, wait).ok()?;
        stream.set_read_timeout(Some(wait)).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        text.parse().ok()
    });
    if said.is_none() {
        // The server need not wait for ever.
        server.run(|| TcpStream::connect(listen)).unwrap();
    }
    answer.join().unwrap();
    said
}

/// The same with datagrams.
fn udp(from: &Netns, to: SocketAddr, server: &Netns, listen: SocketAddr, wait: Duration) -> Option<IpAddr> {
    let socket = server.run(|| bound(|| UdpSocket::bind(listen)));
    socket.set_read_timeout(Some(wait)).unwrap();
    let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let client = from.run(|| UdpSocket::bind((any, 0)).unwrap());
    client.set_read_timeout(Some(wait)).unwrap();
    from.run(|| client.connect(to)).ok()?;
    client.send(b"who am I").ok()?;
    let (_, peer) = socket.recv_from(&mut [0; 16]).ok()?;
    socket.send_to(peer.ip().to_string().as_bytes(), peer).ok()?;
    let mut buffer = [0; 64];
    let length = client.recv(&mut buffer).ok()?;
    std::str::from_utf8(&buffer[..length]).unwrap().parse().ok()
}

type Probe = fn(&Netns, SocketAddr, &Netns, SocketAddr, Duration) -> Option<IpAddr>;
const PROBES: [(Protocol, Probe); 2] = [(Protocol::Tcp, tcp), (Protocol::Udp, udp)];

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

#[test]
fn zones_get_out_and_nobody_gets_in() {
    zone_testing::needs_root!();
    let lab = lab();
    for (_, probe) in PROBES {
        for family in 0..2 {
            let out = at(OUTSIDE[family], 7000);
            assert_eq!(probe(&lab.web, out, &lab.outside, out, COMES), ip(HOST[family]), "masqueraded");
            let zone = at(ZONE[family], 7001);
            assert_eq!(probe(&lab.outside, zone, &lab.web, zone, MISSING), None, "from outside");
            assert_eq!(probe(&lab.db, zone, &lab.web, zone, COMES), ip(OTHER[family]), "between zones");
            assert_eq!(probe(&lab.host, zone, &lab.web, zone, COMES), ip(BRIDGE[family]), "from the host");
            let host = at(BRIDGE[family], 7002);
            assert_eq!(probe(&lab.web, host, &lab.host, host, COMES), ip(ZONE[family]), "to the host");
        }
    }
}

#[test]
fn a_zone_has_only_so_many_connections() {
    zone_testing::needs_root!();
    let lab = lab();
    let ranges = ["10.9.0.0/24".parse().unwrap(), "fd09::/64".parse().unwrap()];
    lab.host.run(|| network_with(installation(), "br0", &ranges, 3).unwrap());
    for outside in OUTSIDE {
        let to = at(outside, 7000);
        let listener = lab.outside.run(|| bound(|| TcpListener::bind(to)));
        let connect = |from: &Netns| from.run(|| TcpStream::connect_timeout(&to, MISSING));
        let held: Vec<_> = (0..3).map(|_| connect(&lab.web).unwrap()).collect();
        assert!(connect(&lab.web).is_err(), "one more than it may have");
        connect(&lab.db).unwrap();
        drop((listener, held));
    }
}

#[test]
fn a_routed_link_has_only_so_many_connections() {
    zone_testing::needs_root!();
    let lab = lab();
    let (zone, to) = (name("web"), at(OUTSIDE[0], 7000));
    let owner = Owner { installation: installation(), zone: &zone };
    lab.host.run(|| of_zone_with(owner, None, &[], &["br0"], 3).unwrap());
    let _listener = lab.outside.run(|| bound(|| TcpListener::bind(to)));
    let connect = |from: &Netns| from.run(|| TcpStream::connect_timeout(&to, MISSING));
    let held: Vec<_> = (0..3).map(|_| connect(&lab.web).unwrap()).collect();
    assert!(connect(&lab.db).is_err(), "whatever address it has by that link");
    connect(&lab.host).unwrap();
    drop(held);
    lab.host.run(|| of_zone_with(owner, None, &[], &[], 3).unwrap());
    connect(&lab.db).unwrap();
    assert!(!lab.host.sh("nft list tables").contains(&owner.table()));
}

#[test]
fn the_table_of_the_network_stays_as_long_as_it_is_right() {
    zone_testing::needs_root!();
    let lab = lab();
    let table = names::table(installation());
    let handle = || {
        let all = lab.host.sh(&format!("nft -a list table inet {table}"));
        all.lines().next().unwrap_or_default().to_owned()
    };
    let before = handle();
    let ranges = ["10.9.0.0/24".parse().unwrap(), "fd09::/64".parse().unwrap()];
    lab.host.run(|| network(installation(), "br0", &ranges).unwrap());
    assert_eq!(handle(), before);
    lab.host.sh(&format!("nft flush chain inet {table} martians"));
    lab.host.run(|| network(installation(), "br0", &ranges).unwrap());
    assert_ne!(handle(), before);
}

#[test]
fn the_hosts_loopback_stays_the_hosts() {
    zone_testing::needs_root!();
    let lab = lab();
    let to_the_loopback = || {
        let to = at("127.0.0.53", 7000);
        assert_eq!(udp(&lab.web, to, &lab.host, to, MISSING), None);
        let rules = lab.host.sh("nft list ruleset");
        assert!(rules.contains("ip daddr 127.0.0.0/8 counter packets 1 "), "{rules}");
    };
    // What route_localnet opens, if nobody drops it.
    lab.web.all(&[
        "sysctl -qw net.ipv4.conf.eth0.route_localnet=1",
        "ip route add 127.0.0.53/32 via 10.9.0.1 table 9",
    ]);
    lab.web.all(&[
        "ip rule add pref 0 lookup 9 to 127.0.0.53",
        "ip rule del pref 0 lookup local",
        "ip rule add pref 1 lookup local",
    ]);
    to_the_loopback();
    // The same where there is no managed network, by a routed net's own link.
    lab.host.run(|| remove_network(installation()).unwrap());
    let zone = name("web");
    let owner = Owner { installation: installation(), zone: &zone };
    let link = owner.link(0);
    lab.web.sh("ip neighbour flush dev eth0");
    lab.host.all(&[
        "ip address del 10.9.0.1/24 dev br0",
        "ip link set z1 nomaster",
        &format!("ip link set z1 name {link}"),
        &format!("ip address add 10.9.0.1/24 dev {link}"),
        &format!("sysctl -qw net.ipv4.conf.{link}.route_localnet=1"),
    ]);
    let list = [port(Protocol::Udp, 8080, 8080, 80)];
    lab.host.run(|| ports(owner, &link, &["10.9.0.5".parse().unwrap()], &list)).unwrap();
    to_the_loopback();
}

#[test]
fn a_port_of_the_host_leads_into_the_zone_from_everywhere() {
    zone_testing::needs_root!();
    let lab = lab();
    let list = PROBES.map(|(protocol, _)| port(protocol, 8080, 8080, 80));
    lab.ports("web", ZONE, &list);
    let mut wrong = Vec::new();
    for (protocol, probe) in PROBES {
        for family in 0..2 {
            let zone = at(ZONE[family], 80);
            let mut check = |what: &str, from: &Netns, to: &str, seen: &str| {
                let got = probe(from, at(to, 8080), &lab.web, zone, COMES);
                if got != ip(seen) {
                    wrong.push(format!("{protocol:?} {what} {to}: {got:?}, not {seen}"));
                }
            };
            check("from outside to", &lab.outside, HOST[family], OUTSIDE[family]);
            check("from the host to", &lab.host, HOST[family], HOST[family]);
            check("from the host to", &lab.host, BRIDGE[family], BRIDGE[family]);
            check("from another zone to", &lab.db, HOST[family], BRIDGE[family]);
            check("from another zone to", &lab.db, BRIDGE[family], BRIDGE[family]);
            check("from the zone itself to", &lab.web, HOST[family], BRIDGE[family]);
            check("from the host to", &lab.host, ["127.0.0.1", "::1"][family], BRIDGE[family]);
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), lab.host.sh("nft list ruleset"));
}

#[test]
fn a_flow_that_does_not_rest_goes_where_its_port_leads_by_now() {
    zone_testing::needs_root!();
    let lab = lab();
    let list = [
        port(Protocol::Udp, 5300, 5399, 6000),
        PortSpec { host: ip(HOST[0]), ..port(Protocol::Udp, 5353, 5353, 53) },
    ];
    let settle = |addresses: [&str; 2], ports: &[PortSpec]| {
        let addresses = addresses.map(|address| address.parse().unwrap());
        lab.host.run(|| flows::settle(&addresses, ports, true)).unwrap();
    };
    for family in 0..2 {
        // The port for one address comes before the one for all, of which the other family has only that.
        let to = [53, 6053][family];
        let [web, db] = [(&lab.web, ZONE), (&lab.db, OTHER)].map(|(zone, addresses)| {
            let socket = zone.run(|| bound(|| UdpSocket::bind(at(addresses[family], to))));
            socket.set_read_timeout(Some(MISSING)).unwrap();
            socket
        });
        let client = lab.outside.run(|| UdpSocket::bind(at(OUTSIDE[family], 0)).unwrap());
        lab.outside.run(|| client.connect(at(HOST[family], 5353))).unwrap();
        // Of what comes first it may be told that nobody is there.
        let comes = |zone: &UdpSocket| {
            let _ = client.send(b"first");
            client.send(b"again").is_ok() && zone.recv(&mut [0; 8]).is_ok()
        };
        assert!(!comes(&web), "there is no port yet");
        lab.ports("web", ZONE, &list);
        assert!(!comes(&web), "the kernel remembers that there was none");
        settle(ZONE, &list);
        assert!(comes(&web));
        let family = [Family::Ip, Family::Ip6][family];
        let flows = || lab.host.run(|| nft::tracked::flows(family, |_| true)).unwrap();
        let before = flows();
        assert!(before.iter().any(|flow| flow.sent_to.port() == 5353), "{before:?}");
        settle(ZONE, &list);
        assert_eq!(flows(), before, "what is right stays, and is not begun anew");
        // Another zone has the port by now.
        lab.ports("web", ZONE, &[]);
        lab.ports("db", OTHER, &list);
        while web.recv(&mut [0; 8]).is_ok() {}
        assert!(!comes(&db) && web.recv(&mut [0; 8]).is_ok(), "it goes on to the one before");
        settle(OTHER, &list);
        assert!(comes(&db));
        while web.recv(&mut [0; 8]).is_ok() {}
        // Nobody has it.
        lab.ports("db", OTHER, &[]);
        while db.recv(&mut [0; 8]).is_ok() {}
        assert!(comes(&db), "what was led goes on");
        settle(OTHER, &[]);
        while db.recv(&mut [0; 8]).is_ok() {}
        assert!(!comes(&db));
        // What zones send elsewhere is nobody's port, whatever its number is.
        let out = at(OUTSIDE[0], 5353);
        let server = lab.outside.run(|| bound(|| UdpSocket::bind(out)));
        let inside = lab.web.run(|| UdpSocket::bind(at(ZONE[0], 0)).unwrap());
        lab.web.run(|| inside.send_to(b"out", out)).unwrap();
        server.set_read_timeout(Some(COMES)).unwrap();
        let (_, masqueraded) = server.recv_from(&mut [0; 8]).unwrap();
        settle(ZONE, &list);
        server.send_to(b"back", masqueraded).unwrap();
        inside.set_read_timeout(Some(COMES)).unwrap();
        assert_eq!(inside.recv(&mut [0; 8]).unwrap(), 4);
    }
}

#[test]
fn the_hosts_loopback_is_its_own_where_no_link_of_ours_answers_it() {
    zone_testing::needs_root!();
    let lab = lab();
    let (zone, addresses) = (name("web"), ZONE.map(|address| address.parse().unwrap()));
    let owner = Owner { installation: installation(), zone: &zone };
    let list = [port(Protocol::Tcp, 8080, 8080, 80)];
    let way = Way { link: "br0", addresses: &addresses, loopback: false };
    lab.host.run(|| of_zone(owner, Some(way), &list, &[])).unwrap();
    for family in 0..2 {
        let own = at(["127.0.0.1", "::1"][family], 8080);
        assert_eq!(tcp(&lab.host, own, &lab.host, own, COMES), Some(own.ip()));
        let (host, zone) = (at(HOST[family], 8080), at(ZONE[family], 80));
        assert_eq!(tcp(&lab.outside, host, &lab.web, zone, COMES), ip(OUTSIDE[family]));
        assert_eq!(tcp(&lab.host, host, &lab.web, zone, COMES), ip(HOST[family]));
    }
}

#[test]
fn only_the_hosts_own_addresses_lead_anywhere() {
    zone_testing::needs_root!();
    let lab = lab();
    lab.ports("web", ZONE, &PROBES.map(|(protocol, _)| port(protocol, 8080, 8080, 80)));
    for (_, probe) in PROBES {
        for family in 0..2 {
            let out = at(OUTSIDE[family], 8080);
            assert_eq!(probe(&lab.db, out, &lab.outside, out, COMES), ip(HOST[family]), "through the host");
            assert_eq!(probe(&lab.host, out, &lab.outside, out, COMES), ip(HOST[family]), "from the host");
        }
    }
}

#[test]
fn a_port_of_one_address_is_that_of_no_other() {
    zone_testing::needs_root!();
    let lab = lab();
    let bound = PortSpec { host: ip(HOST[0]), ..port(Protocol::Tcp, 8080, 8080, 80) };
    lab.ports("web", ZONE, &[bound]);
    let zone = at(ZONE[0], 80);
    assert_eq!(tcp(&lab.outside, at(HOST[0], 8080), &lab.web, zone, COMES), ip(OUTSIDE[0]));
    assert_eq!(tcp(&lab.host, at("127.0.0.1", 8080), &lab.web, zone, MISSING), None);
    assert_eq!(tcp(&lab.db, at(BRIDGE[0], 8080), &lab.web, zone, MISSING), None);
    assert_eq!(tcp(&lab.outside, at(HOST[1], 8080), &lab.web, at(ZONE[1], 80), MISSING), None);
    // An address that the host does not have leads nowhere, whoever asks for it.
    let not_ours = PortSpec { host: ip(OUTSIDE[0]), ..port(Protocol::Tcp, 8080, 8080, 80) };
    lab.ports("web", ZONE, &[not_ours]);
    let out = at(OUTSIDE[0], 8080);
    assert_eq!(tcp(&lab.db, out, &lab.outside, out, COMES), ip(HOST[0]));
}

#[test]
fn ranges_lead_port_by_port_and_zones_stand_side_by_side() {
    zone_testing::needs_root!();
    let lab = lab();
    lab.ports("web", ZONE, &[port(Protocol::Tcp, 9000, 9010, 9000), port(Protocol::Udp, 9000, 9010, 100)]);
    lab.ports("db", OTHER, &[port(Protocol::Tcp, 9011, 9020, 20011)]);
    for family in 0..2 {
        let to = |last| at(HOST[family], last);
        let seen = ip(OUTSIDE[family]);
        assert_eq!(tcp(&lab.outside, to(9007), &lab.web, at(ZONE[family], 9007), COMES), seen);
        assert_eq!(udp(&lab.outside, to(9007), &lab.web, at(ZONE[family], 107), COMES), seen);
        assert_eq!(tcp(&lab.outside, to(9015), &lab.db, at(OTHER[family], 20015), COMES), seen);
    }
    // Another installation takes nothing of this one's away.
    let (web, elsewhere) = (name("web"), Layout::host().id());
    let other = Owner { installation: elsewhere, zone: &web };
    lab.host.run(|| {
        network(elsewhere, "br9", &["10.77.0.0/24".parse().unwrap()]).unwrap();
        ports(other, "br9", &["10.77.0.5".parse().unwrap()], &[port(Protocol::Tcp, 7777, 7777, 7777)])
            .unwrap();
    });
    let names = |lab: &Lab| {
        let mut names: Vec<String> =
            lab.host.run(|| nft::tables().unwrap()).into_iter().map(|t| t.name).collect();
        names.sort_unstable();
        names
    };
    let ours = ["zones/1cf84d0e2a", "zones/1cf84d0e2a-db", "zones/1cf84d0e2a-web"];
    assert_eq!(names(&lab), ["zones", "zones-web", ours[0], ours[1], ours[2]]);
    lab.host.run(|| {
        for _ in 0..2 {
            remove_ports(other).unwrap();
            remove_network(elsewhere).unwrap();
        }
    });
    assert_eq!(names(&lab), ours);
    assert_eq!(
        tcp(&lab.outside, at(HOST[0], 9007), &lab.web, at(ZONE[0], 9007), COMES),
        ip(OUTSIDE[0]),
        "still there"
    );
    lab.ports("web", ZONE, &[]);
    assert_eq!(names(&lab), ours[..2]);
}

#[test]
fn many_ports_are_one_transaction() {
    zone_testing::needs_root!();
    let lab = lab();
    let many: Vec<PortSpec> = (0..200).map(|n| port(Protocol::Tcp, 1000 + n, 1000 + n, 3000 + n)).collect();
    let started = std::time::Instant::now();
    lab.ports("web", ZONE, &many);
    println!("200 ports of a zone: {:?}", started.elapsed());
    let started = std::time::Instant::now();
    lab.ports("web", ZONE, &[port(Protocol::Udp, 1, 60_000, 2)]);
    println!("60000 ports of a zone in a range: {:?}", started.elapsed());
    let zone = name("web");
    let owner = Owner { installation: installation(), zone: &zone };
    for bad in [port(Protocol::Tcp, 5, 4, 5), port(Protocol::Tcp, 1, 10, 65_530)] {
        let error = lab.host.run(|| ports(owner, "br0", &[], &[bad])).unwrap_err();
        assert!(matches!(error, Error::Range { .. }), "{error}");
    }
}

#[test]
fn who_listens_on_the_host_is_named() {
    zone_testing::needs_root!();
    let lab = lab();
    let none: [(&ZoneName, &[PortSpec]); 0] = [];
    let wanted = |protocol, first, last| [port(protocol, first, last, first)];
    let check = |ports: &[PortSpec]| lab.host.run(|| free(ports, none).map_err(|error| error.to_string()));
    let listener = lab.host.run(|| TcpListener::bind(at("127.0.0.1", 8080)).unwrap());
    let _socket = lab.host.run(|| UdpSocket::bind(at("::", 5353)).unwrap());
    let said = check(&wanted(Protocol::Tcp, 8000, 8100)).unwrap_err();
    let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
    let me = format!("{} (pid {})", comm.trim_end(), std::process::id());
    assert_eq!(said, format!("port tcp 8000-8100 of the host is already that of {me}; choose another one"));
    let said = check(&wanted(Protocol::Udp, 5353, 5353)).unwrap_err();
    assert!(said.contains(&me), "{said}");
    assert_eq!(check(&wanted(Protocol::Udp, 8080, 8080)), Ok(()));
    drop(listener);
    assert_eq!(check(&wanted(Protocol::Tcp, 8080, 8080)), Ok(()));
}

#[test]
fn what_is_said_about_anothers_firewall_helps() {
    zone_testing::needs_root!();
    let lab = lab();
    lab.host.all(&[
        "nft add table inet mine",
        "nft add chain inet mine through { type filter hook forward priority 10 ; policy drop ; }",
    ]);
    lab.ports("web", ZONE, &[port(Protocol::Tcp, 8080, 8080, 80)]);
    let (out, inwards) = (at(OUTSIDE[0], 7000), at(HOST[0], 8080));
    assert_eq!(tcp(&lab.web, out, &lab.outside, out, MISSING), None);
    let findings = lab.host.run(|| crate::foreign::look("br0").unwrap());
    let commands: Vec<String> = findings.iter().flat_map(crate::foreign::Finding::commands).collect();
    assert_eq!(commands.len(), 2);
    for command in commands {
        lab.host.sh(&command);
    }
    assert_eq!(tcp(&lab.web, out, &lab.outside, out, COMES), ip(HOST[0]));
    assert_eq!(tcp(&lab.outside, inwards, &lab.web, at(ZONE[0], 80), COMES), ip(OUTSIDE[0]));
    let zone = at(ZONE[0], 7001);
    assert_eq!(tcp(&lab.outside, zone, &lab.web, zone, MISSING), None, "our own table still decides");
}

//! Ports of the host that lead into a zone: from outside, from the host, from other zones and the zone itself.

use super::net_auto::{address, booted, call, calling, quoted, serve};
use crate::harness::{Command, Lab, Zone, bridges_by_themselves, cases, outside, until};

cases![
    from_everywhere: 180,
    by_udp: 180,
    who_sends_all_the_time_comes_to_whose_port_it_is: 180,
    a_range_leads_to_a_range: 180,
    one_address_of_the_host: 180,
    a_routed_zone_has_ports: 180,
    from_outside_with_the_callers_address: 180,
    a_port_that_a_program_has_is_refused: 180,
    a_port_that_another_zone_has_is_refused: 180,
    a_port_goes_with_the_zone: 180,
];

const PORT: &str = "add port; set host=8080; set to=80; set protocol=tcp; end";

fn web<'lab>(lab: &'lab Lab, script: &str) -> Zone<'lab> {
    let zone = booted(lab, "web", script);
    serve(&zone, 80, "web");
    zone
}

fn from_everywhere(lab: &Lab) {
    let internet = lab.internet();
    // Otherwise what comes back to ::1 is translated before it has left the bridge, and the kernel takes no packet for ::1
    // from a link.
    bridges_by_themselves();
    let zone = web(lab, PORT);
    let other = booted(lab, "db", "");
    for address in [outside::HOST4, outside::HOST6] {
        internet.sh(&calling(address, 8080)).ok().stdout_has("web ");
        other.sh(&calling(address, 8080)).ok().stdout_has("web ");
        // Itself, by the host's address.
        zone.sh(&calling(address, 8080)).ok().stdout_has("web ");
    }
    for address in [outside::HOST4, outside::HOST6, "127.0.0.1", "127.1.2.3", "::1"] {
        assert!(call(address, 8080).starts_with("web "), "the host, by {address}");
    }
    // By the address that zones know the host by.
    for family in ["-4", "-6"] {
        let route = other.sh(&format!("ip {family} route show default")).out();
        let router = route.split_whitespace().nth(2).unwrap_or_else(|| panic!("{route}"));
        other.sh(&calling(router, 8080)).ok().stdout_has("web ");
    }
}

fn by_udp(lab: &Lab) {
    let internet = lab.internet();
    bridges_by_themselves();
    let zone = booted(lab, "web", "add port; set host=5353; set to=53; set protocol=udp; end");
    zone.sh(
        "setsid socat UDP6-RECVFROM:53,ipv6-v6only=0,fork SYSTEM:'echo udp' </dev/null >/dev/null 2>&1 &",
    )
    .ok();
    until("the zone listens", || (!zone.sh("ss -Hlun 'sport = :53'").out().is_empty()).then_some(()));
    let ask = |address: &str| format!("echo x | socat -T5 - UDP:{}:5353", quoted(address));
    for address in [outside::HOST4, outside::HOST6] {
        until("an answer", || (internet.sh(&ask(address)).out() == "udp\n").then_some(()));
        until("an answer", || (zone.sh(&ask(address)).out() == "udp\n").then_some(()));
    }
    for address in [outside::HOST4, "127.0.0.1", "::1"] {
        until("an answer", || {
            (Command::new("/bin/sh").args(["-c", &ask(address)]).run().out() == "udp\n").then_some(())
        });
    }
    // Of TCP it is nobody's.
    let ran = internet.sh(&calling(outside::HOST4, 5353));
    assert!(ran.code() != Some(0), "{ran}");
}

/// Waits until what comes to port 53 of a zone is heard there, by both families.
#[track_caller]
fn hears(zone: &Zone<'_>) {
    for (family, only) in [("4", ""), ("6", ",ipv6-v6only=1")] {
        let listen = format!("socat -u UDP{family}-RECV:53{only} OPEN:/root/heard{family},creat,append");
        zone.sh(&format!("setsid {listen} </dev/null >/dev/null 2>&1 &")).ok();
        assert!(zone.written(&format!("/root/heard{family}")).starts_with("here\n"));
    }
}

fn who_sends_all_the_time_comes_to_whose_port_it_is(lab: &Lab) {
    const PORT: &str = "add port; set host=5353; set to=53; set protocol=udp; end";
    let internet = lab.internet();
    // As long as somebody is on the managed network the host remembers who talks to whom.
    let db = booted(lab, "db", "");
    for (family, address, port) in [("UDP4", outside::HOST4, 7004), ("UDP6", outside::HOST6, 7006)] {
        let to = format!("{family}-SENDTO:{}:5353,sourceport={port}", quoted(address));
        internet.serve(&["socat", "-u", "SYSTEM:while echo here; do sleep 0.05; done", &to]);
    }
    until("the host remembers both", || {
        let known = std::fs::read_to_string("/proc/thread-self/net/nf_conntrack").unwrap_or_default();
        (known.lines().filter(|line| line.contains("dport=5353")).count() >= 2).then_some(())
    });
    let web = booted(lab, "web", PORT);
    hears(&web);
    web.halt_whatever();
    db.zonecfg(PORT).ok();
    db.zoneadm(["apply"]).ok();
    hears(&db);
}

fn a_range_leads_to_a_range(lab: &Lab) {
    let internet = lab.internet();
    let zone = booted(lab, "web", "add port; set host=9000-9002; set to=100; set protocol=tcp; end");
    for port in 100..103 {
        serve(&zone, port, &format!("port{port}"));
    }
    for (port, to) in [(9000, 100), (9001, 101), (9002, 102)] {
        for address in [outside::HOST4, outside::HOST6] {
            internet.sh(&calling(address, port)).ok().stdout_has(&format!("port{to} "));
        }
    }
    for port in [8999, 9003] {
        let ran = internet.sh(&calling(outside::HOST4, port));
        assert!(ran.code() != Some(0), "{ran}");
    }
}

fn one_address_of_the_host(lab: &Lab) {
    let internet = lab.internet();
    crate::harness::ip("address add 192.0.2.2/24 dev up0");
    let _zone = web(lab, "add port; set host=192.0.2.2:8080; set to=80; set protocol=tcp; end");
    internet.sh(&calling("192.0.2.2", 8080)).ok().stdout_has("web ");
    assert!(call("192.0.2.2", 8080).starts_with("web "));
    for address in [outside::HOST4, outside::HOST6] {
        let ran = internet.sh(&calling(address, 8080));
        assert!(ran.code() != Some(0), "only that address\n{ran}");
    }
}

fn a_routed_zone_has_ports(lab: &Lab) {
    let internet = lab.internet();
    let net = "add net; set global-nic=up0; set mode=routed; set address=[192.0.2.77,2001:db8:1::77]; end";
    let zone = lab.sparse_with("web", &format!("{net}; {PORT}"));
    zone.zoneadm(["boot"]).ok();
    serve(&zone, 80, "web");
    for address in [outside::HOST4, outside::HOST6] {
        internet.sh(&calling(address, 8080)).ok().stdout_has("web ");
    }
    for address in [outside::HOST4, outside::HOST6, "127.0.0.1"] {
        assert!(call(address, 8080).starts_with("web "), "{address}");
    }
    zone.halt_whatever();
}

fn from_outside_with_the_callers_address(lab: &Lab) {
    let internet = lab.internet();
    let _zone = web(lab, PORT);
    // A web server's log is of use.
    internet.sh(&calling(outside::HOST4, 8080)).ok().stdout_has(outside::ROUTER4);
}

#[track_caller]
fn refused(zone: &Zone<'_>, why: &str) {
    zone.zoneadm(["verify"]).refuses().stderr_has(why);
    zone.zoneadm(["boot"]).refuses().stderr_has(why);
    zone.is("installed");
}

fn a_port_that_a_program_has_is_refused(lab: &Lab) {
    for (socket, protocol, host) in [
        ("TCP-LISTEN:8080,reuseaddr,fork", "tcp", "8080"),
        ("TCP6-LISTEN:8081,reuseaddr,ipv6-v6only=1,fork", "tcp", "8079-8082"),
        ("TCP-LISTEN:8083,bind=127.0.0.1,fork", "tcp", "8083"),
        ("UDP-RECVFROM:8084,fork", "udp", "8084"),
    ] {
        let mut listener = Command::new("socat").args([socket, "SYSTEM:echo"]).start();
        until("somebody listens", || {
            let sockets = Command::new("ss").args(["-Hlntu"]).run().out();
            (sockets.lines().any(|line| line.contains(":808"))).then_some(())
        });
        let zone = lab.sparse("web");
        zone.zonecfg(&format!(
            "add net; end; add port; set host={host}; set to=80; set protocol={protocol}; end"
        ))
        .ok();
        let holder = format!("is already that of socat (pid {})", listener.pid());
        refused(&zone, &holder);
        listener.kill();
        let _ = listener.wait();
        zone.zoneadm(["boot"]).ok();
        zone.remove();
    }
}

fn a_port_that_another_zone_has_is_refused(lab: &Lab) {
    let zone = web(lab, PORT);
    let other = lab.sparse("db");
    other.zonecfg("add net; end; add port; set host=8070-8090; set to=1; set protocol=tcp; end").ok();
    refused(&other, "is already that of zone web");
    other.zonecfg("select port host=8070-8090; set host=8081; end").ok();
    other.zoneadm(["boot"]).ok();
    assert!(call("127.0.0.1", 8080).starts_with("web "));
    zone.halt_whatever();
    other.zonecfg("select port host=8081; set host=8080; end").ok();
    other.zoneadm(["reboot"]).ok();
    serve(&other, 1, "db");
    assert!(call("127.0.0.1", 8080).starts_with("db "));
    zone.zoneadm(["boot"]).refuses().stderr_has("is already that of zone db");
}

fn a_port_goes_with_the_zone(lab: &Lab) {
    let internet = lab.internet();
    let zone = web(lab, PORT);
    internet.sh(&calling(outside::HOST4, 8080)).ok();
    let _ = address(&zone, "eth0", 4);
    let other = booted(lab, "db", "");
    zone.halt_whatever();
    let ran = internet.sh(&calling(outside::HOST4, 8080));
    assert!(ran.code() != Some(0), "{ran}");
    let mut listener = Command::new("socat").args(["TCP-LISTEN:8080,fork", "SYSTEM:echo host"]).start();
    until("the host's own program has it", || {
        (internet.sh(&calling(outside::HOST4, 8080)).out() == "host\n").then_some(())
    });
    listener.kill();
    let _ = listener.wait();
    other.is("running");
}

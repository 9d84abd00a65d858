//! Every attachment that the kernel has, with packets through it.

use std::io::Read;
use std::process::Stdio;

use super::*;

#[test]
fn a_bridged_zone_is_reached_and_reaches() {
    zone_testing::needs_root!();
    needs_program!("ip");
    needs_program!("bridge");
    alone(|| {
        managed();
        let zone = Zone::new("web");
        let mut net = zone.interface(0, on_bridge(), &["10.1.0.5/24", "fd00:1::5/64"]);
        net.routers = vec![ip("10.1.0.1"), ip("fd00:1::1")];
        net.protection.isolated = true;
        net.mtu = Some(1400);
        bring_up(std::slice::from_ref(&net), zone.fd()).unwrap();

        assert_eq!(echo(&zone.netns, "10.1.0.5"), ip("10.1.0.1"));
        assert_eq!(echo(&zone.netns, "fd00:1::5"), ip("fd00:1::1"));
        let host = namespace::current().unwrap();
        assert_eq!(within(&zone.netns, || echo(&host, "10.1.0.1")), ip("10.1.0.5"));
        assert_eq!(within(&zone.netns, || echo(&host, "fd00:1::1")), ip("fd00:1::5"));

        let end = &json(&format!("ip -j -d link show dev {}", net.host))[0];
        assert_eq!(end["linkinfo"]["info_slave_data"]["isolated"], true);
        assert_eq!(
            (&end["ifalias"], &end["altnames"][0]),
            (&"zone-web-net0".into(), &"zone-web-net0".into())
        );
        assert_eq!(
            json(&format!("ip -j addr show dev {}", net.host))[0]["addr_info"].as_array().unwrap().len(),
            0
        );
        within(&zone.netns, || {
            let inside = &json("ip -j addr show dev eth0")[0];
            assert_eq!((&inside["mtu"], &inside["address"]), (&1400.into(), &net.mac.to_string().into()));
            let addresses = inside["addr_info"].as_array().unwrap();
            assert_eq!(addresses.len(), 3, "two that are said, and the link's own: {inside}");
            assert!(addresses.iter().all(|address| address.get("tentative").is_none()), "{inside}");
            assert_eq!(addresses[0]["broadcast"], "10.1.0.255");
            let routes = json("ip -j route show default");
            assert_eq!(
                (&routes[0]["gateway"], &routes[0]["protocol"]),
                (&"10.1.0.1".into(), &"static".into())
            );
            assert_eq!(json("ip -j -6 route show default")[0]["gateway"], "fd00:1::1");
            assert_eq!(std::fs::read_to_string("/proc/sys/net/ipv6/conf/eth0/accept_ra").unwrap(), "0\n");
            assert!(run("ip -j link show dev lo").contains("UP"));
        });
    });
}

#[test]
fn a_routed_zone_is_found_by_the_network_of_the_uplink() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        let far = uplink();
        forward();
        let zone = Zone::new("web");
        let uplink = Some("up0".to_owned());
        let mut net = zone.interface(0, Attachment::Routed { uplink }, &["192.0.2.5/24", "2001:db8::5/64"]);
        net.allowed = nets(&["192.0.2.6/32", "10.9.0.0/24", "0.0.0.0/0"]);
        bring_up(std::slice::from_ref(&net), zone.fd()).unwrap();

        // From the other host, to which the zone is a neighbour.
        assert_eq!(within(&far, || echo(&zone.netns, "192.0.2.5")), ip("192.0.2.2"));
        assert_eq!(within(&far, || echo(&zone.netns, "2001:db8::5")), ip("2001:db8::2"));
        // To the other host; the zone takes it for a neighbour of the same prefix, and goes by the host all the same.
        assert_eq!(within(&zone.netns, || echo(&far, "192.0.2.2")), ip("192.0.2.5"));
        assert_eq!(within(&zone.netns, || echo(&far, "2001:db8::2")), ip("2001:db8::5"));
        // From the host itself, which has better addresses than that of its end.
        assert_eq!(echo(&zone.netns, "192.0.2.5"), ip("192.0.2.1"));
        assert_eq!(echo(&zone.netns, "2001:db8::5"), ip("2001:db8::1"));

        assert_eq!(left(), (3, 4, 3), "routes to all but 0.0.0.0/0, entries of what is single");
        let routes = json("ip -j route show proto 122");
        let by = routes.as_array().unwrap().iter().find(|route| route["dst"] == "10.9.0.0/24").unwrap();
        assert_eq!(by["gateway"], "192.0.2.5");

        run("ip link set up0 down");
        run("ip link set up0 up");
        assert_eq!(left(), (3, 4, 0), "the kernel forgets");
        for _ in 0..2 {
            live::set_up(std::slice::from_ref(&net)).unwrap();
            assert_eq!(left(), (3, 4, 3));
        }
        assert_eq!(within(&far, || echo(&zone.netns, "192.0.2.5")), ip("192.0.2.2"));
    });
}

#[test]
fn a_routed_zone_needs_no_network() {
    zone_testing::needs_root!();
    alone(|| {
        forward();
        let (web, db) = (Zone::new("web"), Zone::new("db"));
        for (zone, addresses) in
            [(&web, ["10.7.0.1/32", "fd00:7::1/128"]), (&db, ["10.7.0.2/32", "fd00:7::2/128"])]
        {
            let net = zone.interface(0, Attachment::Routed { uplink: None }, &addresses);
            bring_up(&[net], zone.fd()).unwrap();
        }
        assert_eq!(echo(&web.netns, "10.7.0.1"), IpAddr::V4(ROUTER_V4), "the host has no other address");
        assert_eq!(echo(&db.netns, "fd00:7::2"), IpAddr::V6(ROUTER_V6));
        // Both have the same router, on links of their own.
        assert_eq!(within(&web.netns, || echo(&db.netns, "10.7.0.2")), ip("10.7.0.1"));
        assert_eq!(within(&db.netns, || echo(&web.netns, "fd00:7::1")), ip("fd00:7::2"));
    });
}

#[test]
fn a_routed_zone_may_have_the_router_of_the_network() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        let far = uplink();
        forward();
        let zone = Zone::new("web");
        let uplink = Some("up0".to_owned());
        let mut net = zone.interface(0, Attachment::Routed { uplink }, &["192.0.2.5/24", "2001:db8::5/64"]);
        net.routers = vec![ip("192.0.2.2"), ip("2001:db8::2")];
        bring_up(&[net], zone.fd()).unwrap();
        assert_eq!(within(&zone.netns, || echo(&far, "192.0.2.2")), ip("192.0.2.5"));
        assert_eq!(within(&zone.netns, || echo(&far, "2001:db8::2")), ip("2001:db8::5"));
    });
}

#[test]
fn a_macvlan_zone_is_on_the_network() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        let far = uplink();
        let (web, db) = (Zone::new("web"), Zone::new("db"));
        let attachment = Attachment::Macvlan { link: "up0".to_owned(), vlan: None };
        for (zone, addresses) in
            [(&web, ["192.0.2.5/24", "2001:db8::5/64"]), (&db, ["192.0.2.6/24", "2001:db8::6/64"])]
        {
            let mut net = zone.interface(0, attachment.clone(), &addresses);
            net.routers = vec![ip("192.0.2.2")];
            bring_up(&[net], zone.fd()).unwrap();
        }
        assert_eq!(within(&far, || echo(&web.netns, "192.0.2.5")), ip("192.0.2.2"));
        assert_eq!(within(&far, || echo(&web.netns, "2001:db8::5")), ip("2001:db8::2"));
        assert_eq!(within(&db.netns, || echo(&web.netns, "192.0.2.5")), ip("192.0.2.6"));
        // At once again, with the same Ethernet address, though the first namespace is still there.
        tear_down(web.owner(), &[], Some(web.fd())).unwrap();
        let again = Zone::new("web");
        let net = again.interface(0, attachment, &["192.0.2.5/24"]);
        bring_up(&[net], again.fd()).unwrap();
        assert_eq!(within(&far, || echo(&again.netns, "192.0.2.5")), ip("192.0.2.2"));
    });
}

#[test]
fn what_goes_towards_a_zone_is_limited() {
    zone_testing::needs_root!();
    needs_program!("tc");
    alone(|| {
        managed();
        let zone = Zone::new("web");
        for (net, bits) in [(0, 8_000_000), (1, 80_000_000_000), (2, 9)] {
            let mut net = zone.interface(net, on_bridge(), &[]);
            net.bandwidth = Some(bits);
            bring_up(std::slice::from_ref(&net), zone.fd()).unwrap();
            let queue = &json(&format!("tc -j qdisc show dev {}", net.host))[0];
            assert_eq!(queue["kind"], "tbf", "{queue}");
            assert_eq!(queue["options"]["rate"], bits / 8, "{queue}");
        }
    });
}

#[test]
fn several_interfaces_have_one_best_router() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        managed();
        let zone = Zone::new("web");
        let mut nets = [
            zone.interface(0, on_bridge(), &["10.1.0.5/24"]),
            zone.interface(1, on_bridge(), &["10.1.0.6/24", "fd00:1::6/64"]),
            zone.interface(2, on_bridge(), &[]),
        ];
        nets[0].routers = vec![ip("10.1.0.1"), ip("10.1.0.2")];
        nets[1].routers = vec![ip("198.51.100.1"), ip("fe80::1"), ip("2001:db8:5::1")];
        bring_up(&nets, zone.fd()).unwrap();
        within(&zone.netns, || {
            let gateways = |line| {
                let routes = json(line);
                let routes = routes.as_array().unwrap().iter();
                routes.map(|route| route["gateway"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
            };
            assert_eq!(gateways("ip -j route show default"), ["10.1.0.1", "10.1.0.2", "198.51.100.1"]);
            assert_eq!(gateways("ip -j -6 route show default"), ["fe80::1", "2001:db8:5::1"]);
            // Left to itself: it listens to routers.
            assert_eq!(std::fs::read_to_string("/proc/sys/net/ipv6/conf/eth2/accept_ra").unwrap(), "1\n");
        });
    });
}

#[test]
fn a_zone_without_interfaces_has_its_loopback() {
    zone_testing::needs_root!();
    alone(|| {
        let zone = Zone::new("web");
        bring_up(&[], zone.fd()).unwrap();
        let lo = Socket::within(zone.fd()).unwrap().link("lo").unwrap().unwrap();
        assert!(lo.up && lo.loopback);
    });
}

#[test]
fn a_namespace_that_belongs_to_the_zone_is_configured_as_well() {
    zone_testing::needs_root!();
    alone(|| {
        // As that of an exclusive zone: its own user namespace has it.
        let mut command = std::process::Command::new("unshare");
        let command = command.args(["--user", "--net", "sh", "-c", "echo; read x"]);
        let mut held = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        held.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
        let netns = std::fs::File::open(format!("/proc/{}/ns/net", held.id())).unwrap();
        let zone = Zone { netns: netns.into(), ..Zone::new("web") };
        let nets = [
            zone.interface(0, Attachment::Routed { uplink: None }, &["10.7.0.1/32", "fd00:7::1/128"]),
            zone.interface(1, Attachment::Routed { uplink: None }, &[]),
        ];
        bring_up(&nets, zone.fd()).unwrap();
        assert_eq!(echo(&zone.netns, "10.7.0.1"), IpAddr::V4(ROUTER_V4));
        assert_eq!(echo(&zone.netns, "fd00:7::1"), IpAddr::V6(ROUTER_V6));
        drop(held.stdin.take());
        held.wait().unwrap();
        tear_down(zone.owner(), &[], None).unwrap();
        assert_eq!(left().0, 1, "loopback");
    });
}

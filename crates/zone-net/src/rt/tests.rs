//! Addresses, routes, neighbours and queues, as the programs of iproute2 see them.

use ipnet::{IpNet, Ipv4Net};
use rustix::fd::AsFd;
use rustix::io::Errno;
use serde_json::Value;

use super::address::Scope;
use super::link::{self, End};
use super::*;
use crate::needs_program;
use crate::testing::{alone, json, mac, namespace, nets, run};

/// A link that is up, and its index. Its other end is in a namespace that the caller keeps.
fn up() -> (Socket, u32, rustix::fd::OwnedFd) {
    let far = namespace();
    let mut socket = Socket::here().unwrap();
    let end = End { name: "z0", mac: mac("02:00:00:00:00:01"), mtu: None };
    let peer = End { name: "z1", mac: mac("02:00:00:00:00:02"), mtu: None };
    socket.run([link::create_veth(&end, &peer, far.as_fd()), link::change("z0").up().request()]).unwrap();
    let index = socket.link("z0").unwrap().unwrap().index;
    (socket, index, far)
}

#[test]
fn addresses_are_what_they_were_made() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        let (mut socket, index, _far) = up();
        let [first, second, third] = nets(&["10.0.0.1/24", "10.0.0.2/32", "fd00::1/64"]).try_into().unwrap();
        let mine = [
            Address { label: Some("z0:a".to_owned()), ..Address::new(index, first) },
            Address { scope: Scope::Host, label: Some("z0".to_owned()), ..Address::new(index, second) },
            Address { no_prefix_route: true, ..Address::new(index, third) },
        ];
        socket.run(mine.iter().map(address::add)).unwrap();
        socket.run(mine.iter().map(address::add)).unwrap();
        let seen = json("ip -j addr show dev z0")[0]["addr_info"].clone();
        let field = |local: &str, name: &str| {
            let address = seen.as_array().unwrap().iter().find(|address| address["local"] == local).unwrap();
            address[name].clone()
        };
        assert_eq!(
            (field("10.0.0.1", "broadcast"), field("10.0.0.1", "label")),
            ("10.0.0.255".into(), "z0:a".into())
        );
        assert_eq!(
            (field("10.0.0.2", "scope"), field("10.0.0.2", "broadcast")),
            ("host".into(), Value::Null)
        );
        assert_eq!(
            (field("fd00::1", "nodad"), field("fd00::1", "noprefixroute")),
            (true.into(), true.into())
        );
        let mut listed = socket.addresses(Some(index)).unwrap();
        listed.retain(|address| !address.generated);
        listed.sort_by_key(|address| address.net);
        assert_eq!(listed, mine);
        assert_eq!(socket.addresses(Some(1)).unwrap().len(), 2, "the loopback's");
        socket.run([address::delete(&mine[1])]).unwrap();
        assert_eq!(socket.run([address::delete(&mine[1])]).unwrap_err().errno(), Errno::ADDRNOTAVAIL);
        socket.flush(index).unwrap();
        assert_eq!(socket.addresses(Some(index)).unwrap(), []);
    });
}

#[test]
fn routes_are_what_they_were_made() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        let (mut socket, index, _far) = up();
        run("ip addr add 10.0.0.1/24 dev z0");
        let to = |text: &str| nets(&[text])[0];
        let router = |text: &str| Some(text.parse().unwrap());
        let mine = [
            Route { protocol: route::ZONES, ..Route::on_link(to("192.0.2.1/32"), index) },
            Route { metric: Some(5), ..Route::default_by("10.0.0.9".parse().unwrap(), index) },
            Route {
                via: router("10.9.9.9"),
                onlink: true,
                scope: Scope::Global,
                ..Route::on_link(to("10.1.0.0/16"), index)
            },
            Route { table: 1000, source: router("10.0.0.1"), ..Route::on_link(to("10.2.0.0/16"), index) },
            // A router of the other family.
            Route {
                via: router("fe80::1"),
                scope: Scope::Global,
                ..Route::on_link(to("10.3.0.0/16"), index)
            },
            Route {
                scope: Scope::Global,
                metric: Some(1024),
                ..Route::on_link(to("2001:db8::1/128"), index)
            },
            Route { metric: Some(7), ..Route::default_by("fe80::2".parse().unwrap(), index) },
        ];
        socket.run(mine.iter().map(route::add)).unwrap();
        let listed = socket.routes().unwrap();
        for route in &mine {
            assert!(listed.contains(route), "{route}: {listed:#?}");
        }
        let printed = run("ip route show table all dev z0") + &run("ip -6 route show dev z0");
        for line in [
            "192.0.2.1 proto 122 scope link",
            "default via 10.0.0.9 proto static metric 5",
            "10.1.0.0/16 via 10.9.9.9 proto static onlink",
            "10.2.0.0/16 table 1000 proto static scope link src 10.0.0.1",
            "10.3.0.0/16 via inet6 fe80::1 proto static",
            "2001:db8::1 proto static metric 1024",
            "default via fe80::2 proto static metric 7",
        ] {
            assert!(printed.lines().any(|seen| seen.trim().starts_with(line)), "{line}: {printed}");
        }
        let again = socket.run([route::add(&mine[0])]).unwrap_err();
        assert_eq!(zone_sys::Chain(&again).to_string(), "could not add the route 192.0.2.1/32: File exists");
        let astray = Route::default_by("172.16.0.1".parse().unwrap(), index);
        assert_eq!(
            zone_sys::Chain(&socket.run([route::add(&astray)]).unwrap_err()).to_string(),
            "could not add the route default via 172.16.0.1: Network is unreachable (Nexthop has invalid gateway)"
        );
        socket.run(mine.iter().map(route::replace)).unwrap();
        socket.run(mine.iter().map(route::delete)).unwrap();
        assert_eq!(socket.run([route::delete(&mine[0])]).unwrap_err().errno(), Errno::SRCH);
    });
}

#[test]
fn neighbours_are_what_they_were_made() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        let (mut socket, link, _far) = up();
        let proxies = ["192.0.2.1", "2001:db8::1"].map(|address| Proxy {
            link,
            address: address.parse().unwrap(),
            protocol: route::ZONES,
        });
        socket.run(proxies.iter().map(neighbour::add_proxy)).unwrap();
        socket.run(proxies.iter().map(neighbour::add_proxy)).unwrap();
        assert_eq!(socket.proxies().unwrap(), proxies);
        assert!(run("ip neigh show proxy").contains("192.0.2.1 dev z0"));
        socket.run(proxies.iter().map(neighbour::delete_proxy)).unwrap();
        assert_eq!(socket.run([neighbour::delete_proxy(&proxies[0])]).unwrap_err().errno(), Errno::NOENT);
        let known = "10.0.0.7".parse().unwrap();
        socket.run([neighbour::set(link, known, mac("02:00:00:00:00:77"))]).unwrap();
        assert_eq!(run("ip neigh show dev z0").trim(), "10.0.0.7 lladdr 02:00:00:00:00:77 PERMANENT");
        socket.run([neighbour::delete(link, known)]).unwrap();
        assert!(!run("ip neigh show dev z0").contains("PERMANENT"));
    });
}

#[test]
fn a_queue_comes_and_goes() {
    zone_testing::needs_root!();
    needs_program!("tc");
    alone(|| {
        let (mut socket, index, _far) = up();
        let rate = qdisc::Rate::of(100_000_000);
        assert_eq!((rate.rate, rate.burst, rate.limit), (12_500_000, 62_500, 687_500));
        socket.run([qdisc::limit(index, &qdisc::Rate::of(1)), qdisc::limit(index, &rate)]).unwrap();
        let seen = &json("tc -j qdisc show dev z0")[0];
        assert_eq!((&seen["kind"], &seen["options"]["rate"]), (&"tbf".into(), &12_500_000.into()));
        let burst = seen["options"]["burst"].as_u64().unwrap();
        assert!((62_000..63_000).contains(&burst), "{seen}");
        socket.run([qdisc::delete(index)]).unwrap();
        assert_eq!(json("tc -j qdisc show dev z0")[0]["kind"], "noqueue");
    });
}

#[test]
fn many_requests_are_all_answered() {
    zone_testing::needs_root!();
    alone(|| {
        let (mut socket, index, _far) = up();
        let all = (0..1000_u32)
            .map(|number| IpNet::V4(Ipv4Net::from(std::net::Ipv4Addr::from(0x0a00_0001 + number))));
        let routes: Vec<_> =
            all.map(|to| Route { protocol: route::ZONES, ..Route::on_link(to, index) }).collect();
        socket.run(routes.iter().map(route::add)).unwrap();
        let mut listed = socket.routes().unwrap();
        listed.retain(|route| route.protocol == route::ZONES);
        assert_eq!(listed.len(), 1000);
        // The one that fails is told, and what was sent beside it is done.
        let twice = [routes[500], Route { metric: Some(1), ..routes[501] }];
        let error = socket.run(twice.iter().map(route::add)).unwrap_err();
        assert_eq!(zone_sys::Chain(&error).to_string(), "could not add the route 10.0.1.245/32: File exists");
        assert!(socket.routes().unwrap().contains(&twice[1]));
    });
}

//! Tests of the managed network on a host: in network namespaces of their own.

use rustix::fd::{AsFd, OwnedFd};

use super::*;
use crate::rt::address::{Address, Scope};
use crate::rt::sysctl::Setting;
use crate::rt::{Link, Route, address, bridge as bridges, link, route};
use crate::testing::{alone, mac, namespace};

const BRIDGE: &str = "zt0";
const BOTH: &str = "bridge = \"zt0\"\nipv4 = \"10.160.0.0/20\"\nipv6 = \"fd00:1::/64\"\n";

fn socket() -> Socket {
    Socket::here().unwrap()
}

fn find(name: &str) -> Option<Link> {
    socket().link(name).unwrap()
}

fn index(name: &str) -> u32 {
    find(name).unwrap().index
}

fn global(name: &str) -> Vec<Address> {
    let mut all = socket().addresses(Some(index(name))).unwrap();
    all.retain(|address| address.scope == Scope::Global);
    all
}

fn has_table(layout: &Layout) -> bool {
    crate::nft::tables().unwrap().iter().any(|table| table.name == names::table(layout.id()))
}

/// The port of a zone on a bridge.
fn add_port(bridge: &str) -> OwnedFd {
    let zone = namespace();
    let end = |name| link::End { name, mac: mac("02:00:00:00:00:07"), mtu: None };
    let pair = link::create_veth(&end("port0"), &end("eth0"), zone.as_fd());
    socket().run([pair, link::change("port0").master(index(bridge)).up().request()]).unwrap();
    zone
}

fn make_bridge(name: &str, mac: Mac) {
    let wanted = bridges::Bridge { name, mac, mtu: None, filters_vlans: false };
    socket().run([bridges::create(&wanted)]).unwrap();
}

fn assert_is_ready(network: &Network, layout: &Layout) {
    let there = find(BRIDGE).unwrap();
    assert_eq!((there.kind.as_deref(), there.mac, there.up), (Some("bridge"), Some(network.mac), true));
    assert_eq!(there.alias, Some(bridge::alias(layout.id())));
    let mut addresses = global(BRIDGE);
    // One that the kernel still looks for on the link could not be used.
    network.routers().iter().for_each(|router| drop(std::net::UdpSocket::bind((*router, 0)).unwrap()));
    addresses.sort_by_key(|address| address.net);
    let nets: Vec<IpNet> = addresses.iter().map(|address| address.net).collect();
    assert_eq!(nets, network.bridge_addresses());
    assert_eq!(Setting::v4(BRIDGE, "route_localnet").get().unwrap(), "1");
    assert_eq!(Setting::v6(BRIDGE, "accept_ra").get().unwrap(), "0");
    assert_eq!(Setting::v4("all", "forwarding").get().unwrap(), "1");
    assert!(has_table(layout));
}

#[test]
fn the_network_is_made_once_and_goes_with_its_last_zone() {
    zone_testing::needs_root!();
    alone(|| {
        let (_dir, layout) = layout();
        assert!(release_if_unused(&layout, || ()).unwrap(), "what never was is gone");
        assert!(!layout.run().exists());
        write(&layout, &format!("{BOTH}mtu = 1400\n"));
        let network = Network::on_host(&layout).unwrap();
        // A network namespace begins with what the machine's own has.
        Setting::v4("all", "forwarding").set("0").unwrap();
        let ready = ensure(&layout, &network).unwrap();
        assert_eq!(ready.told.len(), 2, "{:?}", ready.told);
        assert_is_ready(&network, &layout);
        assert_eq!(find(BRIDGE).unwrap().mtu, 1400);
        assert!(FileLock::try_take(&layout.network_lock()).unwrap().is_none(), "nobody can take it away now");
        drop(ready);
        let made = index(BRIDGE);
        // What the network itself has there is in nobody's way.
        let again = Network::on_host(&layout).unwrap();
        assert_eq!(again, network);
        assert!(ensure(&layout, &again).unwrap().told.is_empty());
        assert_eq!(index(BRIDGE), made);

        let zone = add_port(BRIDGE);
        assert_eq!(find(BRIDGE).unwrap().mac, Some(network.mac), "not that of its port");
        assert!(!release_if_unused(&layout, || ()).unwrap());
        assert_is_ready(&network, &layout);
        drop(zone);
        socket().run([link::delete("port0").tolerating(&[rustix::io::Errno::NODEV])]).unwrap();
        let routed =
            Route { protocol: route::ZONES, ..Route::on_link("10.160.0.9/32".parse().unwrap(), made) };
        socket().run([route::add(&routed)]).unwrap();
        assert!(!release_if_unused(&layout, || ()).unwrap(), "a routed zone uses its rules");
        socket().run([route::delete(&routed)]).unwrap();
        assert!(release_if_unused(&layout, || ()).unwrap());
        assert!(find(BRIDGE).is_none() && !has_table(&layout));
        assert!(release_if_unused(&layout, || ()).unwrap());
        assert_eq!(Setting::v4("all", "forwarding").get().unwrap(), "1", "others may rely on it");
    });
}

#[test]
fn what_was_changed_or_half_made_is_repaired() {
    zone_testing::needs_root!();
    alone(|| {
        let (_dir, layout) = layout();
        write(&layout, BOTH);
        let network = Network::on_host(&layout).unwrap();
        let other = mac("02:00:00:00:00:99");
        let changes: [&dyn Fn(); 8] = [
            &|| socket().run([link::delete(BRIDGE)]).unwrap(),
            // As one leaves it that dies after each step.
            &|| {
                socket().run([link::delete(BRIDGE)]).unwrap();
                make_bridge(BRIDGE, network.mac);
            },
            &|| socket().flush(index(BRIDGE)).unwrap(),
            &|| socket().run([link::change(BRIDGE).down().request()]).unwrap(),
            &|| socket().run([link::change(BRIDGE).mac(other).request()]).unwrap(),
            &|| socket().run([link::change(BRIDGE).alias("mine").request()]).unwrap(),
            &|| Setting::v4(BRIDGE, "route_localnet").set("0").unwrap(),
            &|| firewall::remove_network(layout.id()).unwrap(),
        ];
        drop(ensure(&layout, &network).unwrap());
        for change in changes {
            change();
            drop(ensure(&layout, &network).unwrap());
            assert_is_ready(&network, &layout);
        }
        // What people have added stays.
        let added = Address::new(index(BRIDGE), "192.0.2.1/24".parse().unwrap());
        socket().run([address::add(&added)]).unwrap();
        drop(ensure(&layout, &network).unwrap());
        assert_eq!(global(BRIDGE).len(), 3);
    });
}

#[test]
fn a_link_of_somebody_else_is_left_as_it_is() {
    zone_testing::needs_root!();
    alone(|| {
        let (_dir, layout) = layout();
        write(&layout, BOTH);
        let network = Network::load(&layout).unwrap().unwrap();
        let refused = |what: &str| {
            let before = find(BRIDGE).unwrap();
            for error in
                [ensure(&layout, &network).unwrap_err(), release_if_unused(&layout, || ()).unwrap_err()]
            {
                let text = error.to_string();
                let told = format!(
                    "needs a bridge zt0, and zt0 is {what}: it is left as it is; write another name in "
                );
                assert!(text.contains(&told), "{text}");
            }
            assert_eq!(find(BRIDGE).unwrap(), before);
            assert!(!has_table(&layout));
            socket().run([link::delete(before.index)]).unwrap();
        };
        make_bridge(BRIDGE, mac("02:00:00:00:00:99"));
        refused("a bridge that somebody else has made");
        let zone = namespace();
        let end = |name| link::End { name, mac: network.mac, mtu: None };
        socket().run([link::create_veth(&end(BRIDGE), &end("eth0"), zone.as_fd())]).unwrap();
        refused("a veth and not a bridge");
        make_bridge("other", network.mac);
        socket().run([link::add_altname("other", BRIDGE)]).unwrap();
        refused("another name of other");
    });
}

#[test]
fn a_route_that_has_come_into_the_way_is_named() {
    zone_testing::needs_root!();
    alone(|| {
        let (_dir, layout) = layout();
        make_bridge("d0", mac("02:00:00:00:00:99"));
        let d0 = index("d0");
        let route = Route::on_link("10.160.0.0/11".parse().unwrap(), d0);
        socket().run([link::change(d0).up().request(), route::add(&route)]).unwrap();
        let network = Network::on_host(&layout).unwrap();
        let v4 = network.ipv4.unwrap().prefix();
        assert!(!route.destination.contains(&v4), "{v4}");
        let address = Address::new(d0, IpNet::new(v4.hosts().nth(7).unwrap(), 24).unwrap());
        socket().run([address::add(&address)]).unwrap();
        let refused = Network::on_host(&layout).unwrap_err().to_string();
        assert!(refused.contains(&format!("has the range {v4}, and the host has ")), "{refused}");
        assert!(refused.contains("/24 (dev d0)") && refused.contains("network.toml"), "{refused}");
        socket().run([address::delete(&address)]).unwrap();
        assert!(Network::on_host(&layout).is_ok());
        Setting::v6("all", "disable_ipv6").set("1").unwrap();
        assert_eq!(Network::on_host(&layout).unwrap().families(), [Family::V4]);
        write(&layout, "ipv6 = \"fd00:1::/64\"\n");
        assert!(matches!(Network::on_host(&layout), Err(ManagedError::NoFamily(_))));
    });
}

/// Zones come and go side by side: whoever holds the network finds it, and at the end it is gone.
#[test]
fn zones_that_come_and_go_side_by_side_never_lose_the_network() {
    zone_testing::needs_root!();
    alone(|| {
        let (_dir, layout) = layout();
        write(&layout, BOTH);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let network = Network::on_host(&layout).unwrap();
                        let ready = ensure(&layout, &network).unwrap();
                        assert_is_ready(&network, &layout);
                        drop(ready);
                        release_if_unused(&layout, || ()).unwrap();
                    }
                });
            }
        });
        assert!(find(BRIDGE).is_none() && !has_table(&layout));
    });
}

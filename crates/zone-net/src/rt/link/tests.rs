use rustix::fd::AsFd;
use rustix::io::Errno;

use super::*;
use crate::needs_program;
use crate::rt::bridge::{self, Bridge};
use crate::rt::sysctl::Setting;
use crate::testing::{alone, json, mac, namespace, run, within};

fn pair(name: &'static str) -> (End<'static>, End<'static>) {
    let end = End { name, mac: mac("fe:00:00:00:00:01"), mtu: Some(1400) };
    (end, End { name: "eth0", mac: mac("02:00:00:00:00:01"), mtu: Some(1400) })
}

#[test]
fn a_peer_is_born_elsewhere_with_all_that_it_has() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        let zone = namespace();
        let (end, peer) = pair("z0");
        let mut socket = Socket::here().unwrap();
        socket.run([create_veth(&end, &peer, zone.as_fd())]).unwrap();
        let inside = within(&zone, || json("ip -j link show dev eth0"));
        assert_eq!(inside[0]["address"], "02:00:00:00:00:01");
        assert_eq!(inside[0]["mtu"], 1400);
        let link = socket.link("z0").unwrap().unwrap();
        assert_eq!(
            (link.name.as_str(), link.kind.as_deref(), link.mac, link.mtu, link.up, link.lower_elsewhere),
            ("z0", Some("veth"), Some(end.mac), 1400, false, true)
        );
        assert_eq!(
            link.index,
            u32::try_from(json("ip -j link show dev z0")[0]["ifindex"].as_u64().unwrap()).unwrap()
        );
    });
}

#[test]
fn what_the_kernel_says_of_a_request_is_told() {
    zone_testing::needs_root!();
    alone(|| {
        let zone = namespace();
        let (end, peer) = pair("z0");
        let mut socket = Socket::here().unwrap();
        socket.run([create_veth(&end, &peer, zone.as_fd())]).unwrap();
        let error = socket.run([change("z0").mtu(70_000).request()]).unwrap_err();
        assert_eq!((error.errno(), error.text()), (Errno::INVAL, Some("mtu greater than device maximum")));
        assert_eq!(
            zone_sys::Chain(&error).to_string(),
            "could not change the link z0: Invalid argument (mtu greater than device maximum)"
        );
        let nowhere = std::fs::File::open("/dev/null").unwrap();
        let error = socket.run([create_veth(&end, &peer, nowhere.as_fd())]).unwrap_err();
        assert_eq!(
            zone_sys::Chain(&error).to_string(),
            "could not create the veth pair z0: Invalid argument"
        );
        // All others are refused for what they are, in their order, and the first is told.
        let error = socket.run([change("lo").mtu(9).request(), delete("none"), delete("other")]).unwrap_err();
        assert_eq!(zone_sys::Chain(&error).to_string(), "could not delete the link none: No such device");
        assert_eq!(socket.link("lo").unwrap().unwrap().mtu, 9, "what was before it is done");
        socket.run([delete("none").tolerating(&[Errno::NODEV])]).unwrap();
    });
}

#[test]
fn links_change_as_they_are_told() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        let zone = namespace();
        let mut socket = Socket::here().unwrap();
        let (end, peer) = pair("z0");
        let bridge = Bridge { name: "br0", mac: mac("02:00:00:00:00:0b"), mtu: None, filters_vlans: false };
        socket.run([bridge::create(&bridge), create_veth(&end, &peer, zone.as_fd())]).unwrap();
        let br0 = socket.link("br0").unwrap().unwrap();
        assert_eq!(
            (br0.kind.as_deref(), br0.mac, br0.filters_vlans),
            (Some("bridge"), Some(bridge.mac), false)
        );
        let long = "a-name-that-is-longer-than-fifteen-bytes";
        socket
            .run([
                change("z0")
                    .alias("zone web")
                    .master(br0.index)
                    .generation(Generation::None)
                    .group(7)
                    .request(),
                bridge::isolate("z0", true),
                add_altname("z0", long),
                change("z0").mtu(1300).queue_length(77).up().request(),
                change("br0").up().request(),
            ])
            .unwrap();
        let seen = &json("ip -j -d link show dev z0")[0];
        assert_eq!(seen["ifalias"], "zone web");
        assert_eq!(seen["altnames"][0], long);
        assert_eq!(seen["master"], "br0");
        assert_eq!(seen["inet6_addr_gen_mode"], "none");
        assert_eq!(seen["linkinfo"]["info_slave_data"]["isolated"], true);
        assert_eq!((&seen["mtu"], &seen["txqlen"]), (&1300.into(), &77.into()));
        let bridged = &json("ip -j -d link show dev br0")[0]["linkinfo"]["info_data"];
        assert_eq!((&bridged["stp_state"], &bridged["forward_delay"]), (&0.into(), &0.into()));
        let link = socket.link(long).unwrap().unwrap();
        assert_eq!((link.group, link.queue_length, link.master, link.up), (7, 77, Some(br0.index), true));
        assert_eq!((link.alias.as_deref(), link.altnames), (Some("zone web"), vec![long.to_owned()]));
        assert_eq!(socket.link(link.index).unwrap().unwrap().name, "z0");
        assert_eq!(socket.link("nothing").unwrap(), None);

        let other = "02:00:00:00:00:99";
        socket
            .run([delete_altname("z0", long), change(link.index).down().name("z1").mac(mac(other)).request()])
            .unwrap();
        let seen = &json("ip -j link show dev z1")[0];
        assert_eq!(seen["address"], other);
        assert!(seen.get("altnames").is_none(), "{seen}");
        assert_eq!(socket.links().unwrap().len(), 3, "lo, br0, z1");
    });
}

#[test]
fn links_move_to_a_namespace_under_a_name() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        let zone = namespace();
        run("ip link add v0 type veth peer name v1");
        run("ip link add v2 type veth peer name v3");
        let mut socket = Socket::here().unwrap();
        let mut move_to = |name: &str, to: &str| {
            let link = socket.link(name).unwrap().unwrap();
            socket.run([change(link.index).called(name).name(to).move_to(zone.as_fd()).request()])
        };
        move_to("v1", "eth0").unwrap();
        move_to("v3", "free%d").unwrap();
        // It has moved all the same.
        let error = move_to("v2", "eth0").unwrap_err();
        assert_eq!(zone_sys::Chain(&error).to_string(), "could not move the link v2: File exists");
        let inside = within(&zone, || Socket::here().unwrap().links().unwrap());
        let names: Vec<_> = inside.iter().map(|link| link.name.as_str()).collect();
        assert_eq!(names, ["lo", "eth0", "free0", "v2"]);
    });
}

#[test]
fn macvlans_are_born_elsewhere_too() {
    zone_testing::needs_root!();
    alone(|| {
        let (zone, far) = (namespace(), namespace());
        let mut socket = Socket::here().unwrap();
        let (end, peer) = pair("z0");
        socket.run([create_veth(&end, &peer, far.as_fd())]).unwrap();
        let lower = socket.link("z0").unwrap().unwrap().index;
        let own = mac("02:00:00:00:00:77");
        let upper = Upper { name: "eth0", lower, netns: Some(zone.as_fd()), mtu: None };
        socket.run([create_macvlan(&upper, own)]).unwrap();
        let link = Socket::within(zone.as_fd()).unwrap().link("eth0").unwrap().unwrap();
        assert_eq!((link.kind.as_deref(), link.mac, link.mtu), (Some("macvlan"), Some(own), 1400));
        assert!(link.lower_elsewhere);
        for (request, kind) in [
            (create_ipvlan(&Upper { name: "eth1", ..upper }), "ipvlan"),
            (create_vlan(&Upper { name: "eth2", ..upper }, 7), "VLAN"),
        ] {
            // Not every kernel has them.
            match socket.run([request]) {
                Err(error) => assert_eq!(error.errno(), Errno::OPNOTSUPP, "{kind}"),
                Ok(()) => println!("the kernel has {kind} links"),
            }
        }
    });
}

#[test]
fn settings_are_of_the_namespace_that_looks() {
    zone_testing::needs_root!();
    alone(|| {
        let zone = namespace();
        let (end, peer) = pair("z0");
        Socket::here().unwrap().run([create_veth(&end, &peer, zone.as_fd())]).unwrap();
        within(&zone, || Setting::v6("eth0", "accept_ra").set("0").unwrap());
        assert_eq!(within(&zone, || Setting::v6("eth0", "accept_ra").get().unwrap()), "0");
        assert_eq!(Setting::v6("z0", "accept_ra").get().unwrap(), "1");
        assert_eq!(Setting::v6("eth0", "accept_ra").get().unwrap_err().errno(), Errno::NOENT);
        assert_eq!(Setting::v4("../all", "forwarding").set("1").unwrap_err().errno(), Errno::INVAL);
    });
}
